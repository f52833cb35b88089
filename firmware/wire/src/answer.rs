//! What the node says to a device: welcome, acknowledgement, and the questions that stop it.
//! The bytes are specified in the crate's documentation.

use serde::{Deserialize, Serialize};

use crate::{
    DecodeError, EncodeError, List, Mark, Stream, Versions, end, head, list::Writer, take,
    take_head,
};

const WELCOME: u8 = 0;
const ACK: u8 = 1;
const BIRTH_WANTED: u8 = 2;
const NO_VERSION: u8 = 3;

/// Everything of a stream up to `mark` is on the node's stable storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    incarnation: [u8; 4],
    /// Which stream.
    pub stream: Stream,
    /// The last event stored.
    pub mark: Mark,
}

impl Stored {
    /// Everything of `stream` in this incarnation of the outbox up to `mark`.
    #[must_use]
    pub fn new(incarnation: u32, stream: Stream, mark: Mark) -> Self {
        Stored {
            incarnation: incarnation.to_le_bytes(),
            stream,
            mark,
        }
    }

    /// Of the outbox the events came from.
    #[must_use]
    pub fn incarnation(&self) -> u32 {
        u32::from_le_bytes(self.incarnation)
    }
}

/// What a welcome says beside its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version of the format to use from here on.
    pub version: u8,
    /// The node's time, milliseconds since 1970; `None` while its own clock is not plausible.
    pub time_ms: Option<u64>,
    /// The configuration the node has for the device; 0 for none.
    pub configuration: u32,
}

/// Why the node asks for a birth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BirthReason {
    /// It has no birth of this connection.
    Missing,
    /// An event names a kind that the birth did not announce.
    UnknownKind,
    /// A sequence jumped further than the birth announced.
    Jump,
}

/// A decoded message of `a/<id>`.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'a> {
    /// The birth was accepted; events may come. The list holds what the node has of the device.
    Welcome(Welcome, List<'a, Stored>),
    /// The device may forget what this covers.
    Ack(List<'a, Stored>),
    /// No event is taken before a birth.
    BirthWanted(BirthReason),
    /// The two sides share no version; what the node speaks.
    NoVersion(Versions),
}

impl<'a> Answer<'a> {
    /// Reads and checks a whole message.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let (detail, rest) = take_head(bytes)?;
        let (answer, rest) = match detail {
            WELCOME => {
                let (welcome, rest) = take::<Welcome>(rest)?;
                let (stored, rest) = List::take(rest, |_| Ok(()))?;
                (Answer::Welcome(welcome, stored), rest)
            }
            ACK => {
                let (stored, rest) = List::take(rest, |_| Ok(()))?;
                (Answer::Ack(stored), rest)
            }
            BIRTH_WANTED => {
                let (reason, rest) = take::<BirthReason>(rest)?;
                (Answer::BirthWanted(reason), rest)
            }
            NO_VERSION => {
                let (versions, rest) = take::<Versions>(rest)?;
                (Answer::NoVersion(versions), rest)
            }
            other => return Err(DecodeError::Message(other)),
        };
        end(rest)?;
        Ok(answer)
    }
}

/// Writes a welcome; the part of `into` that holds it.
pub fn encode_welcome<'b>(
    welcome: &Welcome,
    stored: &[Stored],
    into: &'b mut [u8],
) -> Result<&'b [u8], EncodeError> {
    let mut writer = Writer::new(into, head(WELCOME))?;
    writer.value(welcome)?;
    writer.list(stored.iter())?;
    Ok(writer.finish())
}

/// Writes an acknowledgement; the part of `into` that holds it.
pub fn encode_ack<'b>(stored: &[Stored], into: &'b mut [u8]) -> Result<&'b [u8], EncodeError> {
    let mut writer = Writer::new(into, head(ACK))?;
    writer.list(stored.iter())?;
    Ok(writer.finish())
}

/// Writes the question for a birth; the part of `into` that holds it.
pub fn encode_birth_wanted(reason: BirthReason, into: &mut [u8]) -> Result<&[u8], EncodeError> {
    let mut writer = Writer::new(into, head(BIRTH_WANTED))?;
    writer.value(&reason)?;
    Ok(writer.finish())
}

/// Writes that the two sides share no version; the part of `into` that holds it.
pub fn encode_no_version(ours: Versions, into: &mut [u8]) -> Result<&[u8], EncodeError> {
    let mut writer = Writer::new(into, head(NO_VERSION))?;
    writer.value(&ours)?;
    Ok(writer.finish())
}
