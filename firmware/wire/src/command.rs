//! Commands and configurations on their way down (`c/<id>`), and what becomes of them.
//! The bytes are specified in the crate's documentation.

use crate::{
    DecodeError, EncodeError, MAX_DATA, MAX_TEXT, head, list::Item, reader::Reader, take_head,
    writer::Writer,
};

const COMMAND: u8 = 0;
const CONFIGURATION: u8 = 1;

/// Names a command. Of one origin a device runs commands in the order of `seq`, each number once: it keeps the last
/// one it ran together with its effect, answers that one's repeats with the same result, and earlier ones with
/// [`Outcome::Forgotten`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId {
    /// A random number of the node's data directory, so that a node that lost its data repeats no id.
    pub origin: u32,
    /// Counts up from 1.
    pub seq: u64,
}

impl Item<'_> for CommandId {
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(CommandId {
            origin: reader.u32le()?,
            seq: reader.varint64()?,
        })
    }

    fn put(&self, writer: &mut Writer<'_>) {
        writer.u32le(self.origin).varint(self.seq);
    }
}

/// How a command ended; the numbers on the wire are their places here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was run, and did what it was to do.
    Done,
    /// It was run, and says in its data why it failed.
    Failed,
    /// The device has no command of this name.
    Unknown,
    /// Its data is not what the command takes; it was not run.
    Malformed,
    /// It was run before; the result is no longer kept.
    Forgotten,
    /// It was begun, and the device stopped before it could store that it ended: it may have taken effect.
    Interrupted,
}

impl Item<'_> for Outcome {
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Outcome::Done,
            1 => Outcome::Failed,
            2 => Outcome::Unknown,
            3 => Outcome::Malformed,
            4 => Outcome::Forgotten,
            5 => Outcome::Interrupted,
            _ => return Err(DecodeError::Value),
        })
    }

    fn put(&self, writer: &mut Writer<'_>) {
        writer.u8(*self as u8);
    }
}

/// How a configuration ended; the numbers on the wire are their places here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Configured {
    /// The device works with it.
    Applied,
    /// The device cannot read it, and works with the one before.
    Malformed,
    /// The node could not be reached under it, and the device went back to the one before.
    Undone,
}

impl Item<'_> for Configured {
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Configured::Applied,
            1 => Configured::Malformed,
            2 => Configured::Undone,
            _ => return Err(DecodeError::Value),
        })
    }

    fn put(&self, writer: &mut Writer<'_>) {
        writer.u8(*self as u8);
    }
}

/// A message of `c/<id>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// Something to do once.
    Run {
        /// Which command this is.
        id: CommandId,
        /// What to do, up to [`MAX_TEXT`] bytes.
        name: &'a str,
        /// With what; the command says in which encoding. Up to [`MAX_DATA`] bytes.
        data: &'a [u8],
    },
    /// What to work with from here on.
    Configure {
        /// Counts up from 1 with every change at the node.
        version: u32,
        /// The application says in which encoding. Up to [`MAX_DATA`] bytes.
        data: &'a [u8],
    },
}

impl<'a> Command<'a> {
    /// Reads and checks a whole message.
    ///
    /// # Errors
    ///
    /// The bytes are no message of this topic.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let (detail, mut reader) = take_head(bytes)?;
        Ok(match detail {
            COMMAND => Command::Run {
                id: CommandId::take(&mut reader)?,
                name: reader.text(MAX_TEXT)?,
                data: reader.data(MAX_DATA)?,
            },
            CONFIGURATION => Command::Configure {
                version: reader.varint32()?,
                data: reader.data(MAX_DATA)?,
            },
            other => return Err(DecodeError::Message(other)),
        })
    }

    /// Writes the message; the part of `into` that holds it.
    ///
    /// # Errors
    ///
    /// `into` is too small, or name or data are too long.
    pub fn encode<'b>(&self, into: &'b mut [u8]) -> Result<&'b [u8], EncodeError> {
        let mut writer;
        match *self {
            Command::Run { id, name, data } => {
                writer = head(COMMAND, into);
                id.put(&mut writer);
                writer.text(name, MAX_TEXT).data(data, MAX_DATA);
            }
            Command::Configure { version, data } => {
                writer = head(CONFIGURATION, into);
                writer.varint(version).data(data, MAX_DATA);
            }
        }
        writer.finish()
    }
}
