//! What the node says to a device on `a/<id>`: welcome, acknowledgement, refusals, and the question for its birth.
//! The bytes are specified in the crate's documentation.

use crate::{
    DecodeError, EncodeError, List, Mark, Stream, Versions, head,
    kind::KindId,
    list::{Item, put_list},
    reader::Reader,
    take_head,
    writer::Writer,
};

const WELCOME: u8 = 0;
const ACK: u8 = 1;
const BIRTH_WANTED: u8 = 2;
const NO_VERSION: u8 = 3;
const REFUSED: u8 = 4;
const BIRTH_REFUSED: u8 = 5;

/// Everything of a stream up to `mark` is on the node's stable storage, or was refused for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Of the outbox the events came from.
    pub incarnation: u32,
    /// Which stream.
    pub stream: Stream,
    /// The last event stored.
    pub mark: Mark,
}

impl Item<'_> for Stored {
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Stored {
            incarnation: reader.u32le()?,
            stream: Stream::take(reader)?,
            mark: Mark::take(reader)?,
        })
    }

    fn put(&self, writer: &mut Writer<'_>) {
        writer.u32le(self.incarnation);
        self.stream.put(writer);
        self.mark.put(writer);
    }
}

/// What a welcome says beside its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The version of the format to use from here on.
    pub version: u8,
    /// The node's time, milliseconds since 1970; `None` while its own clock is not plausible.
    pub time_ms: Option<u64>,
    /// The configuration the node has for the device; 0 for none.
    pub configuration: u32,
}

impl Item<'_> for Welcome {
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Welcome {
            version: reader.u8()?,
            time_ms: match reader.u8()? {
                0 => None,
                1 => Some(reader.varint64()?),
                _ => return Err(DecodeError::Value),
            },
            configuration: reader.varint32()?,
        })
    }

    fn put(&self, writer: &mut Writer<'_>) {
        writer.u8(self.version);
        match self.time_ms {
            None => writer.u8(0),
            Some(time_ms) => writer.u8(1).varint(time_ms),
        };
        writer.varint(self.configuration);
    }
}

/// Why the node asks for a birth; the numbers on the wire are their places here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BirthReason {
    /// It has no birth of this connection, or lacks some of its kinds.
    Missing,
    /// An event names a kind that was not announced.
    UnknownKind,
    /// A sequence jumped by more than [`crate::MAX_JUMP`] and the birth does not say so.
    Jump,
}

impl Item<'_> for BirthReason {
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => BirthReason::Missing,
            1 => BirthReason::UnknownKind,
            2 => BirthReason::Jump,
            _ => return Err(DecodeError::Value),
        })
    }

    fn put(&self, writer: &mut Writer<'_>) {
        writer.u8(*self as u8);
    }
}

/// Why the node did not take an event; the numbers on the wire are their places here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// Its log is full.
    NoRoom,
    /// The device sends more than its share.
    Rate,
    /// The data is not what its kind says.
    Data,
    /// The event is larger than the node takes.
    Size,
    /// The device may not send this.
    NotAllowed,
}

impl RefusalReason {
    /// Whether the event never can be taken. The node then enters it in its ledger and moves its mark past it, so that
    /// the next acknowledgement covers it; else it takes nothing later of the stream until the event returns.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, RefusalReason::NoRoom | RefusalReason::Rate)
    }
}

impl Item<'_> for RefusalReason {
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => RefusalReason::NoRoom,
            1 => RefusalReason::Rate,
            2 => RefusalReason::Data,
            3 => RefusalReason::Size,
            4 => RefusalReason::NotAllowed,
            _ => return Err(DecodeError::Value),
        })
    }

    fn put(&self, writer: &mut Writer<'_>) {
        writer.u8(*self as u8);
    }
}

/// Events were not taken. Where that is not for good the stream goes on at `mark`: of what was sent behind it nothing is taken
/// before, and is answered with the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Of the outbox it came from.
    pub incarnation: u32,
    /// Its stream.
    pub stream: Stream,
    /// The place of the first that was not taken.
    pub mark: Mark,
    /// Why.
    pub reason: RefusalReason,
    /// How long the device waits before it sends the event again; 0 where the reason is final.
    pub after_ms: u32,
}

impl Item<'_> for Refused {
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Refused {
            incarnation: reader.u32le()?,
            stream: Stream::take(reader)?,
            mark: Mark::take(reader)?,
            reason: RefusalReason::take(reader)?,
            after_ms: reader.varint32()?,
        })
    }

    fn put(&self, writer: &mut Writer<'_>) {
        writer.u32le(self.incarnation);
        self.stream.put(writer);
        self.mark.put(writer);
        self.reason.put(writer);
        writer.varint(self.after_ms);
    }
}

/// Why the node did not take a birth; the numbers on the wire are their places here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BirthRefusal {
    /// It knows as many devices as it may. Later there may be room.
    Devices,
    /// A kind has the type and version of one it knows, and other fields: the version was not counted up.
    Changed(KindId),
    /// A kind has the id of another of this device.
    Twin(KindId),
    /// More kinds, streams or incarnations than it keeps for one device.
    Bound,
    /// Its log is full. Later there may be room.
    NoRoom,
}

impl BirthRefusal {
    const fn number(self) -> u8 {
        match self {
            BirthRefusal::Devices => 0,
            BirthRefusal::Changed(_) => 1,
            BirthRefusal::Twin(_) => 2,
            BirthRefusal::Bound => 3,
            BirthRefusal::NoRoom => 4,
        }
    }
}

impl Item<'_> for BirthRefusal {
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => BirthRefusal::Devices,
            1 => BirthRefusal::Changed(KindId::take(reader)?),
            2 => BirthRefusal::Twin(KindId::take(reader)?),
            3 => BirthRefusal::Bound,
            4 => BirthRefusal::NoRoom,
            _ => return Err(DecodeError::Value),
        })
    }

    fn put(&self, writer: &mut Writer<'_>) {
        writer.u8(self.number());
        if let BirthRefusal::Changed(id) | BirthRefusal::Twin(id) = self {
            id.put(writer);
        }
    }
}

/// A decoded message of `a/<id>`.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'a> {
    /// The birth was accepted; events may come. The list holds what the node has of the streams the birth names.
    Welcome(Welcome, List<'a, Stored>),
    /// The device may forget what this covers.
    Ack(List<'a, Stored>),
    /// No event is taken before a birth.
    BirthWanted(BirthReason),
    /// The two sides share no version; what the node speaks.
    NoVersion(Versions),
    /// An event was not taken.
    Refused(Refused),
    /// The birth was not taken, and no event will be.
    BirthRefused {
        /// Why.
        reason: BirthRefusal,
        /// How long the device waits before it comes again.
        after_ms: u32,
    },
}

impl<'a> Answer<'a> {
    /// Reads and checks a whole message.
    ///
    /// # Errors
    ///
    /// The bytes are no message of this topic.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let (detail, mut reader) = take_head(bytes)?;
        let answer = match detail {
            WELCOME => {
                let welcome = Welcome::take(&mut reader)?;
                Answer::Welcome(welcome, List::take(&mut reader)?)
            }
            ACK => Answer::Ack(List::take(&mut reader)?),
            BIRTH_WANTED => Answer::BirthWanted(BirthReason::take(&mut reader)?),
            NO_VERSION => Answer::NoVersion(Versions::take(&mut reader)?),
            REFUSED => Answer::Refused(Refused::take(&mut reader)?),
            BIRTH_REFUSED => Answer::BirthRefused {
                reason: BirthRefusal::take(&mut reader)?,
                after_ms: reader.varint32()?,
            },
            other => return Err(DecodeError::Message(other)),
        };
        reader.end()?;
        Ok(answer)
    }
}

/// Writes a welcome; the part of `into` that holds it.
///
/// # Errors
///
/// `into` is too small, or the list too long.
pub fn encode_welcome<'b>(
    welcome: &Welcome,
    stored: &[Stored],
    into: &'b mut [u8],
) -> Result<&'b [u8], EncodeError> {
    let mut writer = head(WELCOME, into);
    welcome.put(&mut writer);
    put_list(&mut writer, stored);
    writer.finish()
}

/// Writes an acknowledgement; the part of `into` that holds it.
///
/// # Errors
///
/// `into` is too small, or the list too long.
pub fn encode_ack<'b>(stored: &[Stored], into: &'b mut [u8]) -> Result<&'b [u8], EncodeError> {
    let mut writer = head(ACK, into);
    put_list(&mut writer, stored);
    writer.finish()
}

/// Writes the question for a birth; the part of `into` that holds it.
///
/// # Errors
///
/// `into` is too small.
pub fn encode_birth_wanted(reason: BirthReason, into: &mut [u8]) -> Result<&[u8], EncodeError> {
    let mut writer = head(BIRTH_WANTED, into);
    reason.put(&mut writer);
    writer.finish()
}

/// Writes that the two sides share no version; the part of `into` that holds it.
///
/// # Errors
///
/// `into` is too small.
pub fn encode_no_version(ours: Versions, into: &mut [u8]) -> Result<&[u8], EncodeError> {
    let mut writer = head(NO_VERSION, into);
    ours.put(&mut writer);
    writer.finish()
}

/// Writes that an event was not taken; the part of `into` that holds it.
///
/// # Errors
///
/// `into` is too small.
pub fn encode_refused<'b>(refused: &Refused, into: &'b mut [u8]) -> Result<&'b [u8], EncodeError> {
    let mut writer = head(REFUSED, into);
    refused.put(&mut writer);
    writer.finish()
}

/// Writes that the birth was not taken; the part of `into` that holds it.
///
/// # Errors
///
/// `into` is too small.
pub fn encode_birth_refused(
    reason: BirthRefusal,
    after_ms: u32,
    into: &mut [u8],
) -> Result<&[u8], EncodeError> {
    let mut writer = head(BIRTH_REFUSED, into);
    reason.put(&mut writer);
    writer.varint(after_ms);
    writer.finish()
}
