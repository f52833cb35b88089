//! What a device says of itself before its first event on a connection, and the will that says it is gone.
//! The bytes are specified in the crate's documentation.

use serde::{Deserialize, Serialize};

use crate::{
    DecodeError, EncodeError, List, Mark, Stream, Versions, end, head, list::Writer, take,
    take_head,
};

const BIRTH: u8 = 0;
const OFFLINE: u8 = 1;

/// The longest text in a birth, in bytes.
pub const MAX_TEXT: usize = 64;

/// Names a kind of event by a hash of its description ([`Kind::id`]), so that a record can outlive its firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KindId(pub [u8; 2]);

/// What the data of an event is, as the device declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind<'a> {
    /// The CloudEvents `type`.
    pub event_type: &'a str,
    /// Counts up with every change of the fields.
    pub version: u16,
    /// The fields of the data, in the order of their encoding.
    pub fields: &'a [Field<'a>],
}

/// One field of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field<'a> {
    /// Its name in the event's JSON.
    pub name: &'a str,
    /// The type of one element.
    pub scalar: Scalar,
    /// For text and bytes the greatest length in bytes; else 0 for a single value, n for an array of n.
    pub bound: u16,
}

/// The types a field may have; their numbers on the wire are their places here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Scalar {
    Bool,
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
    F32,
    F64,
    Text,
    Bytes,
}

impl Kind<'_> {
    /// FNV-1a (32 bit) over type, 0, version (u16le) and for each field name, 0, scalar, bound (u16le); its halves xored.
    /// A birth in which two kinds share an id is refused, so the two are told apart before anything is stored.
    #[must_use]
    pub const fn id(&self) -> KindId {
        let mut hash = fnv(0x811c_9dc5, self.event_type.as_bytes());
        hash = fnv(fnv(hash, &[0]), &self.version.to_le_bytes());
        let mut fields = self.fields;
        while let [field, rest @ ..] = fields {
            hash = fnv(fnv(hash, field.name.as_bytes()), &[0, field.scalar as u8]);
            hash = fnv(hash, &field.bound.to_le_bytes());
            fields = rest;
        }
        let [a, b, c, d] = hash.to_le_bytes();
        KindId([a ^ c, b ^ d])
    }
}

const fn fnv(mut hash: u32, mut bytes: &[u8]) -> u32 {
    while let [byte, rest @ ..] = bytes {
        hash = (hash ^ *byte as u32).wrapping_mul(0x0100_0193);
        bytes = rest;
    }
    hash
}

/// A kind as a birth lists it; its fields are the next `fields` of [`Birth::fields`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindEntry<'a> {
    /// What records of this kind carry.
    pub id: KindId,
    /// The CloudEvents `type`.
    pub event_type: &'a str,
    /// Counts up with every change of the fields.
    pub version: u16,
    /// How many fields it has.
    pub fields: u8,
}

/// Where a stream stood when the device booted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamState {
    /// Which stream.
    pub stream: Stream,
    /// The last event committed before this boot.
    pub last: Mark,
    /// The oldest event still in the outbox.
    pub oldest: Mark,
}

/// Events that will never come, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Of which stream.
    pub stream: Stream,
    /// The first one lost.
    pub from: Mark,
    /// The last one lost.
    pub to: Mark,
}

/// What a birth says beside its lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device<'a> {
    /// The versions of this format it speaks.
    pub versions: Versions,
    /// Of its outbox.
    pub incarnation: u32,
    /// Its boot counter.
    pub boot: u32,
    /// Milliseconds since that boot.
    pub uptime_ms: u64,
    /// The version of its firmware, up to [`MAX_TEXT`] bytes.
    pub firmware: &'a str,
}

#[derive(Serialize, Deserialize)]
struct DeviceFields<'a> {
    versions: Versions,
    incarnation: [u8; 4],
    boot: u32,
    uptime_ms: u64,
    firmware: &'a str,
}

/// Writes a birth; the part of `into` that holds it.
pub fn encode_birth<'b>(
    device: &Device<'_>,
    streams: &[StreamState],
    dropped: &[Dropped],
    kinds: &[Kind<'_>],
    into: &'b mut [u8],
) -> Result<&'b [u8], EncodeError> {
    let texts = kinds.iter().flat_map(|kind| {
        kind.fields
            .iter()
            .map(|field| field.name)
            .chain([kind.event_type])
    });
    if texts
        .chain([device.firmware])
        .any(|text| text.len() > MAX_TEXT)
    {
        return Err(EncodeError::Bound);
    }
    let mut writer = Writer::new(into, head(BIRTH))?;
    writer.value(&DeviceFields {
        versions: device.versions,
        incarnation: device.incarnation.to_le_bytes(),
        boot: device.boot,
        uptime_ms: device.uptime_ms,
        firmware: device.firmware,
    })?;
    writer.list(streams.iter())?;
    writer.list(dropped.iter())?;
    let fields = kinds
        .iter()
        .map(|kind| kind.fields.len())
        .fold(0usize, usize::saturating_add);
    let count = u8::try_from(fields)
        .ok()
        .filter(|count| usize::from(*count) <= crate::list::MAX_ITEMS);
    let count = count.ok_or(EncodeError::Bound)?;
    writer.list(kinds.iter().map(|kind| KindEntry {
        id: kind.id(),
        event_type: kind.event_type,
        version: kind.version,
        // Not above the sum, which fits.
        fields: u8::try_from(kind.fields.len()).unwrap_or(count),
    }))?;
    writer.value(&count)?;
    for field in kinds.iter().flat_map(|kind| kind.fields) {
        writer.value(field)?;
    }
    Ok(writer.finish())
}

/// Writes the will that says that this boot of the device is over.
pub fn encode_offline(incarnation: u32, boot: u32, into: &mut [u8]) -> Result<&[u8], EncodeError> {
    let mut writer = Writer::new(into, head(OFFLINE))?;
    writer.value(&(incarnation.to_le_bytes(), boot))?;
    Ok(writer.finish())
}

/// A decoded message of `b/<id>`.
#[derive(Clone, Copy, Debug)]
pub enum Presence<'a> {
    /// The device is there.
    Birth(Birth<'a>),
    /// Its connection ended without a word.
    Offline {
        /// Of its outbox.
        incarnation: u32,
        /// The boot that ended or lost its link.
        boot: u32,
    },
}

/// A decoded birth.
#[derive(Clone, Copy, Debug)]
pub struct Birth<'a> {
    /// The device itself.
    pub device: Device<'a>,
    /// Its streams.
    pub streams: List<'a, StreamState>,
    /// What its streams lost.
    pub dropped: List<'a, Dropped>,
    /// Every kind of which an event may come, with ids that differ.
    pub kinds: List<'a, KindEntry<'a>>,
    /// The fields of all kinds, in the order of `kinds`.
    pub fields: List<'a, Field<'a>>,
}

impl<'a> Presence<'a> {
    /// Reads and checks a whole message.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let (detail, rest) = take_head(bytes)?;
        match detail {
            BIRTH => Birth::take(rest).map(Presence::Birth),
            OFFLINE => {
                let ((incarnation, boot), rest) = take::<([u8; 4], u32)>(rest)?;
                end(rest)?;
                Ok(Presence::Offline {
                    incarnation: u32::from_le_bytes(incarnation),
                    boot,
                })
            }
            other => Err(DecodeError::Message(other)),
        }
    }
}

impl<'a> Birth<'a> {
    fn take(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let (fields, rest) = take::<DeviceFields<'a>>(bytes)?;
        let device = Device {
            versions: fields.versions,
            incarnation: u32::from_le_bytes(fields.incarnation),
            boot: fields.boot,
            uptime_ms: fields.uptime_ms,
            firmware: short(fields.firmware)?,
        };
        let (streams, rest) = List::take(rest, |_| Ok(()))?;
        let (dropped, rest) = List::take(rest, |range: &Dropped| {
            if range.from <= range.to {
                Ok(())
            } else {
                Err(DecodeError::Value)
            }
        })?;
        let mut owned = 0usize;
        let (kinds, rest) = List::take(rest, |kind: &KindEntry<'a>| {
            owned = owned.saturating_add(usize::from(kind.fields));
            short(kind.event_type).map(drop)
        })?;
        let (fields, rest) = List::take(rest, |field: &Field<'a>| short(field.name).map(drop))?;
        end(rest)?;
        let birth = Birth {
            device,
            streams,
            dropped,
            kinds,
            fields,
        };
        if owned != fields.len() || birth.has_twin_kinds() {
            return Err(DecodeError::Count);
        }
        Ok(birth)
    }

    fn has_twin_kinds(&self) -> bool {
        self.kinds.iter().enumerate().any(|(index, kind)| {
            self.kinds
                .iter()
                .take(index)
                .any(|earlier| earlier.id == kind.id)
        })
    }

    /// A kind with its fields; `None` for one this birth does not announce.
    #[must_use]
    pub fn kind(
        &self,
        id: KindId,
    ) -> Option<(KindEntry<'a>, impl Iterator<Item = Field<'a>> + use<'a>)> {
        let mut before = 0usize;
        for kind in self.kinds.iter() {
            if kind.id == id {
                return Some((
                    kind,
                    self.fields
                        .iter()
                        .skip(before)
                        .take(usize::from(kind.fields)),
                ));
            }
            before = before.saturating_add(usize::from(kind.fields));
        }
        None
    }
}

fn short(text: &str) -> Result<&str, DecodeError> {
    if text.len() <= MAX_TEXT {
        Ok(text)
    } else {
        Err(DecodeError::Value)
    }
}
