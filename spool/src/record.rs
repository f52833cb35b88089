//! One record: what it is to the log, and its bytes.

use std::sync::Arc;

use crate::{Lane, NodeTime, RouteId, Seq, varint};

/// What a record is to the spool. A record may be both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Owed to the cursors of its route, then history.
    Event,
    /// Changes the owner's state: handed back at recovery if no checkpoint covers it. Owed to nobody, never history.
    State,
    /// An event that changes the owner's state as well (a QoS 2 publish with its packet id, a retained message).
    EventAndState,
}

/// What is said of a record beside its body.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// What it is to the log.
    pub kind: Kind,
    /// The lane whose room it uses. A lane that is not configured counts as the last one.
    pub lane: Lane,
    /// To whom it is owed.
    pub route: RouteId,
}

/// One record as read.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its position.
    pub seq: Seq,
    /// When it was appended.
    pub time: NodeTime,
    /// What it is to the log.
    pub kind: Kind,
    /// Its lane.
    pub lane: Lane,
    /// To whom it is owed.
    pub route: RouteId,
    /// Whether the record's route contains the reading cursor; false where no cursor reads.
    pub owed: bool,
    /// What the owner wrote.
    pub body: Arc<[u8]>,
}

/// Kind and lane in one byte, as stored: two bits of kind, four of lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Tag(pub(crate) u8);

impl Tag {
    pub(crate) const CONTROL: Tag = Tag(3);

    pub(crate) fn new(kind: Kind, lane: Lane) -> Tag {
        let kind = match kind {
            Kind::Event => 0,
            Kind::State => 1,
            Kind::EventAndState => 2,
        };
        Tag(kind | (lane.0 & 0x0f) << 2)
    }

    /// `None` for the spool's own records.
    pub(crate) fn kind(self) -> Option<Kind> {
        match self.0 & 3 {
            0 => Some(Kind::Event),
            1 => Some(Kind::State),
            2 => Some(Kind::EventAndState),
            _ => None,
        }
    }

    pub(crate) fn lane(self) -> Lane {
        Lane(self.0 >> 2 & 0x0f)
    }

    pub(crate) fn is_event(self) -> bool {
        self.0 & 1 == 0
    }

    /// Bears state of the owner.
    pub(crate) fn is_state(self) -> bool {
        matches!(self.0 & 3, 1 | 2)
    }

    pub(crate) fn is_control(self) -> bool {
        self.0 & 3 == 3
    }
}

/// Bytes of the length field and the checksum.
const PREFIX: usize = 7;
/// The longest a record may be, by its length field.
pub(crate) const LONGEST: usize = 0xff_ffff;

/// What is needed to verify a record without its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) seq: u64,
    pub(crate) time: u64,
    pub(crate) route: u32,
    pub(crate) tag: Tag,
}

impl Identity {
    fn checksum(&self, body: &[u8]) -> u32 {
        /// On a word's boundary the sum of words is taken at once, and not byte by byte up to the first.
        #[repr(align(8))]
        struct Aligned([u8; 21]);
        let mut fixed = Aligned([0; 21]);
        let (seq, rest) = fixed.0.split_at_mut(8);
        let (time, rest) = rest.split_at_mut(8);
        let (route, tag) = rest.split_at_mut(4);
        seq.copy_from_slice(&self.seq.to_le_bytes());
        time.copy_from_slice(&self.time.to_le_bytes());
        route.copy_from_slice(&self.route.to_le_bytes());
        tag.copy_from_slice(&[self.tag.0]);
        crc32c::crc32c_append(crc32c::crc32c(&fixed.0), body)
    }
}

/// Deltas in a frame count from here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Base {
    pub(crate) seq: u64,
    pub(crate) time: u64,
}

/// Writes a record and returns its length. `Err` if it came out longer than its length field can say; the bytes are
/// then as they were.
pub(crate) fn encode(
    bytes: &mut Vec<u8>,
    identity: Identity,
    base: Base,
    encode_body: impl FnOnce(&mut Vec<u8>),
) -> Result<u32, ()> {
    let start = bytes.len();
    bytes.extend_from_slice(&[0; PREFIX]);
    bytes.push(identity.tag.0);
    varint::put(bytes, identity.seq.saturating_sub(base.seq));
    varint::put(bytes, identity.time.saturating_sub(base.time));
    varint::put(bytes, u64::from(identity.route));
    let body_start = bytes.len();
    encode_body(bytes);
    let length = bytes.len().saturating_sub(start);
    if length > LONGEST {
        bytes.truncate(start);
        return Err(());
    }
    let checksum = identity.checksum(bytes.get(body_start..).unwrap_or_default());
    if let Some(prefix) = bytes.get_mut(start..start + PREFIX) {
        let (len, crc) = prefix.split_at_mut(3);
        len.copy_from_slice(&(length as u32).to_le_bytes()[..3]);
        crc.copy_from_slice(&checksum.to_le_bytes());
    }
    Ok(length as u32)
}

/// A record in a frame, not verified yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw<'a> {
    pub(crate) identity: Identity,
    checksum: u32,
    pub(crate) body: &'a [u8],
    /// Of the whole record.
    pub(crate) len: u32,
}

impl<'a> Raw<'a> {
    /// Splits the first record off `bytes`; `None` if they cannot be one.
    pub(crate) fn take(bytes: &mut &'a [u8], base: Base) -> Option<Raw<'a>> {
        let (len, _) = bytes.split_first_chunk::<3>()?;
        let len = u32::from_le_bytes([len[0], len[1], len[2], 0]);
        let record = bytes.get(..len as usize)?;
        let (checksum, mut rest) = record.get(3..)?.split_first_chunk::<4>()?;
        let (&tag, after) = rest.split_first()?;
        rest = after;
        let seq = base.seq.checked_add(varint::take(&mut rest)?)?;
        let time = base.time.checked_add(varint::take(&mut rest)?)?;
        let route = varint::take_u32(&mut rest)?;
        *bytes = bytes.get(len as usize..)?;
        let identity = Identity {
            seq,
            time,
            route,
            tag: Tag(tag),
        };
        Some(Raw {
            identity,
            checksum: u32::from_le_bytes(*checksum),
            body: rest,
            len,
        })
    }

    #[cfg(test)]
    fn is_intact(&self) -> bool {
        self.identity.checksum(self.body) == self.checksum
    }
}

/// The body of the record that is all of `bytes` and has this identity; `None` if anything of it is wrong.
pub(crate) fn verified_body(bytes: &[u8], identity: Identity) -> Option<&[u8]> {
    let mut rest = bytes;
    let raw = Raw::take(&mut rest, Base::default())?;
    let same =
        raw.identity.tag == identity.tag && raw.identity.route == identity.route && rest.is_empty();
    (same && identity.checksum(raw.body) == raw.checksum).then_some(raw.body)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: Identity = Identity {
        seq: 1_000,
        time: 5_000,
        route: 7,
        tag: Tag(5),
    };

    fn encoded() -> Vec<u8> {
        let mut bytes = Vec::new();
        let base = Base {
            seq: 990,
            time: 4_000,
        };
        let len = encode(&mut bytes, IDENTITY, base, |body| {
            body.extend_from_slice(b"twenty degrees")
        })
        .unwrap();
        assert_eq!(len as usize, bytes.len());
        bytes
    }

    #[test]
    fn a_record_comes_back_with_and_without_its_frame() {
        let bytes = encoded();
        let mut rest = bytes.as_slice();
        let raw = Raw::take(
            &mut rest,
            Base {
                seq: 990,
                time: 4_000,
            },
        )
        .unwrap();
        assert_eq!(raw.identity, IDENTITY);
        assert!(raw.is_intact());
        assert_eq!(raw.body, b"twenty degrees");
        assert_eq!(
            verified_body(&bytes, IDENTITY),
            Some(b"twenty degrees".as_slice())
        );
    }

    #[test]
    fn no_flipped_bit_goes_unnoticed() {
        let bytes = encoded();
        // Deltas are checked by the frame that has their base; here the caller knows position and time already.
        let deltas = 8..11;
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if !deltas.contains(&(bit / 8)) {
                assert_eq!(verified_body(&flipped, IDENTITY), None, "bit {bit}");
            }
            let mut rest = flipped.as_slice();
            let raw = Raw::take(
                &mut rest,
                Base {
                    seq: 990,
                    time: 4_000,
                },
            );
            assert!(!raw.is_some_and(|raw| raw.is_intact()), "bit {bit}");
        }
    }

    #[test]
    fn a_record_at_another_position_is_not_taken_for_this_one() {
        let other = Identity {
            seq: 1_001,
            ..IDENTITY
        };
        assert_eq!(verified_body(&encoded(), other), None);
    }

    #[test]
    fn kind_and_lane_share_a_byte() {
        for kind in [Kind::Event, Kind::State, Kind::EventAndState] {
            for lane in 0..16 {
                let tag = Tag::new(kind, Lane(lane));
                assert_eq!((tag.kind(), tag.lane()), (Some(kind), Lane(lane)));
                assert_eq!(tag.is_event(), kind != Kind::State);
                assert_eq!(tag.is_state(), kind != Kind::Event);
            }
        }
        assert_eq!(Tag::CONTROL.kind(), None);
        assert!(!Tag::CONTROL.is_event() && !Tag::CONTROL.is_state() && Tag::CONTROL.is_control());
    }
}
