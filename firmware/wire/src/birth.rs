//! What a device says of itself on `b/<id>`: kinds and birth before its first event on a connection, reports and
//! results later, and the will that says it is gone. The bytes are specified in the crate's documentation.

use crate::{
    DecodeError, EncodeError, List, MAX_RESULT, MAX_TEXT, Mark, Stream, Versions,
    command::{CommandId, Configured, Outcome},
    head,
    kind::{Announced, Table, check_ids, put_kinds},
    list::{Item, put_list},
    reader::Reader,
    take_head,
    writer::Writer,
};

const BIRTH: u8 = 0;
const OFFLINE: u8 = 1;
const REPORT: u8 = 2;
const RESULT: u8 = 3;
const CONFIGURED: u8 = 4;
const KINDS: u8 = 5;

/// Where a stream of one incarnation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamState {
    /// Of the outbox the events were committed to.
    pub incarnation: u32,
    /// Which stream.
    pub stream: Stream,
    /// The last event committed before this boot; (0, 0) for none.
    pub last: Mark,
    /// The first event that may still come. What lies between the node's mark and this one is gone.
    pub oldest: Mark,
}

impl Item<'_> for StreamState {
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(StreamState {
            incarnation: reader.u32le()?,
            stream: Stream::take(reader)?,
            last: Mark::take(reader)?,
            oldest: Mark::take(reader)?,
        })
    }

    fn put(&self, writer: &mut Writer<'_>) {
        writer.u32le(self.incarnation);
        self.stream.put(writer);
        self.last.put(writer);
        self.oldest.put(writer);
    }
}

/// Why events never come; the numbers on the wire are their places here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LossReason {
    /// No room in memory.
    Ring,
    /// No room in the outbox, whose policy gave up the oldest.
    Outbox,
    /// Committed, but not to be read again.
    Unreadable,
    /// Refused by the node for good ([`crate::answer::RefusalReason::is_final`]).
    Refused,
}

impl Item<'_> for LossReason {
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => LossReason::Ring,
            1 => LossReason::Outbox,
            2 => LossReason::Unreadable,
            3 => LossReason::Refused,
            _ => return Err(DecodeError::Value),
        })
    }

    fn put(&self, writer: &mut Writer<'_>) {
        writer.u8(*self as u8);
    }
}

/// Events that will never come, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Of the outbox they belonged to.
    pub incarnation: u32,
    /// Of which stream.
    pub stream: Stream,
    /// The first one lost.
    pub from: Mark,
    /// The last one lost.
    pub to: Mark,
    /// Why.
    pub reason: LossReason,
}

impl Item<'_> for Dropped {
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let dropped = Dropped {
            incarnation: reader.u32le()?,
            stream: Stream::take(reader)?,
            from: Mark::take(reader)?,
            to: Mark::take(reader)?,
            reason: LossReason::take(reader)?,
        };
        if dropped.from > dropped.to {
            return Err(DecodeError::Value);
        }
        Ok(dropped)
    }

    fn put(&self, writer: &mut Writer<'_>) {
        if self.from > self.to {
            writer.fail(EncodeError::Bound);
        }
        writer.u32le(self.incarnation);
        self.stream.put(writer);
        self.from.put(writer);
        self.to.put(writer);
        self.reason.put(writer);
    }
}

/// How many events of a stream were lost since the device booted, for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Which stream.
    pub stream: Stream,
    /// Why.
    pub reason: LossReason,
    /// How many.
    pub count: u64,
}

impl Item<'_> for Loss {
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Loss {
            stream: Stream::take(reader)?,
            reason: LossReason::take(reader)?,
            count: reader.varint64()?,
        })
    }

    fn put(&self, writer: &mut Writer<'_>) {
        self.stream.put(writer);
        self.reason.put(writer);
        writer.varint(self.count);
    }
}

/// What a birth says beside its lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device<'a> {
    /// The versions of this format it speaks.
    pub versions: Versions,
    /// Of its outbox; that of every event of this connection that names no other.
    pub incarnation: u32,
    /// Its boot counter.
    pub boot: u32,
    /// Milliseconds since that boot.
    pub uptime_ms: u64,
    /// The version of its firmware, up to [`MAX_TEXT`] bytes.
    pub firmware: &'a str,
    /// The configuration it works with; 0 for its own.
    pub configuration: u32,
    /// How many kinds were announced on this connection, those of the birth included.
    pub kinds: u8,
}

impl<'a> Item<'a> for Device<'a> {
    fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Device {
            versions: Versions::take(reader)?,
            incarnation: reader.u32le()?,
            boot: reader.varint32()?,
            uptime_ms: reader.varint64()?,
            firmware: reader.text(MAX_TEXT)?,
            configuration: reader.varint32()?,
            kinds: reader.u8()?,
        })
    }

    fn put(&self, writer: &mut Writer<'_>) {
        self.versions.put(writer);
        writer
            .u32le(self.incarnation)
            .varint(self.boot)
            .varint(self.uptime_ms)
            .text(self.firmware, MAX_TEXT)
            .varint(self.configuration)
            .u8(self.kinds);
    }
}

/// Writes a birth; the part of `into` that holds it.
///
/// # Errors
///
/// `into` is too small, or a list or text is too long.
pub fn encode_birth<'b>(
    device: &Device<'_>,
    streams: &[StreamState],
    dropped: &[Dropped],
    kinds: &[Announced<'_>],
    into: &'b mut [u8],
) -> Result<&'b [u8], EncodeError> {
    let mut writer = head(BIRTH, into);
    device.put(&mut writer);
    put_list(&mut writer, streams);
    put_list(&mut writer, dropped);
    put_kinds(&mut writer, kinds);
    if kinds.len() > usize::from(device.kinds) {
        writer.fail(EncodeError::Bound);
    }
    writer.finish()
}

/// Writes kinds that do not fit into the birth that follows; the part of `into` that holds them.
///
/// # Errors
///
/// `into` is too small, or a list or text is too long.
pub fn encode_kinds<'b>(
    kinds: &[Announced<'_>],
    into: &'b mut [u8],
) -> Result<&'b [u8], EncodeError> {
    let mut writer = head(KINDS, into);
    put_kinds(&mut writer, kinds);
    writer.finish()
}

/// Writes the will that says that this boot of the device is over.
///
/// # Errors
///
/// `into` is too small.
pub fn encode_offline(incarnation: u32, boot: u32, into: &mut [u8]) -> Result<&[u8], EncodeError> {
    let mut writer = head(OFFLINE, into);
    writer.u32le(incarnation).varint(boot);
    writer.finish()
}

/// Writes what was lost since the device booted; the part of `into` that holds it.
///
/// # Errors
///
/// `into` is too small, or the list too long.
pub fn encode_report<'b>(
    uptime_ms: u64,
    losses: &[Loss],
    into: &'b mut [u8],
) -> Result<&'b [u8], EncodeError> {
    let mut writer = head(REPORT, into);
    writer.varint(uptime_ms);
    put_list(&mut writer, losses);
    writer.finish()
}

/// Writes what became of a command; the part of `into` that holds it.
///
/// # Errors
///
/// `into` is too small, or `data` is longer than [`MAX_RESULT`].
pub fn encode_result<'b>(
    id: CommandId,
    outcome: Outcome,
    data: &[u8],
    into: &'b mut [u8],
) -> Result<&'b [u8], EncodeError> {
    let mut writer = head(RESULT, into);
    id.put(&mut writer);
    outcome.put(&mut writer);
    writer.data(data, MAX_RESULT);
    writer.finish()
}

/// Writes what became of a configuration; the part of `into` that holds it.
///
/// # Errors
///
/// `into` is too small.
pub fn encode_configured(
    version: u32,
    configured: Configured,
    into: &mut [u8],
) -> Result<&[u8], EncodeError> {
    let mut writer = head(CONFIGURED, into);
    writer.varint(version);
    configured.put(&mut writer);
    writer.finish()
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
    /// What it lost.
    Report {
        /// Milliseconds since it booted.
        uptime_ms: u64,
        /// At most one entry for each stream and reason.
        losses: List<'a, Loss>,
    },
    /// What became of a command.
    Result {
        /// Which command.
        id: CommandId,
        /// How it ended.
        outcome: Outcome,
        /// What it answered.
        data: &'a [u8],
    },
    /// What became of a configuration.
    Configured {
        /// Which configuration.
        version: u32,
        /// How it ended.
        configured: Configured,
    },
    /// Kinds that belong to the birth that follows.
    Kinds(List<'a, Table<'a>>),
}

/// A decoded birth.
#[derive(Clone, Copy, Debug)]
pub struct Birth<'a> {
    /// The device itself.
    pub device: Device<'a>,
    /// Its streams.
    pub streams: List<'a, StreamState>,
    /// What its streams lost, as far as it knows the ranges.
    pub dropped: List<'a, Dropped>,
    /// Kinds, with ids that differ.
    pub kinds: List<'a, Table<'a>>,
}

impl<'a> Presence<'a> {
    /// Reads and checks a whole message.
    ///
    /// # Errors
    ///
    /// The bytes are no message of this topic.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let (detail, mut reader) = take_head(bytes)?;
        let presence = match detail {
            BIRTH => Presence::Birth(Birth::take(&mut reader)?),
            OFFLINE => Presence::Offline {
                incarnation: reader.u32le()?,
                boot: reader.varint32()?,
            },
            REPORT => Presence::Report {
                uptime_ms: reader.varint64()?,
                losses: List::take(&mut reader)?,
            },
            RESULT => {
                let id = CommandId::take(&mut reader)?;
                let outcome = Outcome::take(&mut reader)?;
                let data = reader.data(MAX_RESULT)?;
                return Ok(Presence::Result { id, outcome, data });
            }
            CONFIGURED => Presence::Configured {
                version: reader.varint32()?,
                configured: Configured::take(&mut reader)?,
            },
            KINDS => Presence::Kinds(take_kinds(&mut reader)?),
            other => return Err(DecodeError::Message(other)),
        };
        reader.end()?;
        Ok(presence)
    }
}

/// Reads what [`encode_kinds`] wrote, and nothing else: for a device, which reads no other message of this topic.
///
/// # Errors
///
/// The bytes are no message of kinds.
pub fn decode_kinds(bytes: &[u8]) -> Result<List<'_, Table<'_>>, DecodeError> {
    let (detail, mut reader) = take_head(bytes)?;
    if detail != KINDS {
        return Err(DecodeError::Message(detail));
    }
    let kinds = take_kinds(&mut reader)?;
    reader.end()?;
    Ok(kinds)
}

fn take_kinds<'a>(reader: &mut Reader<'a>) -> Result<List<'a, Table<'a>>, DecodeError> {
    let kinds = List::take(reader)?;
    check_ids(&kinds)?;
    Ok(kinds)
}

impl<'a> Birth<'a> {
    fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let birth = Birth {
            device: Device::take(reader)?,
            streams: List::take(reader)?,
            dropped: List::take(reader)?,
            kinds: List::take(reader)?,
        };
        check_ids(&birth.kinds)?;
        if birth.kinds.len() > usize::from(birth.device.kinds) {
            return Err(DecodeError::Count);
        }
        Ok(birth)
    }
}
