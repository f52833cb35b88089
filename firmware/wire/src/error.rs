use core::fmt;

/// Bytes that are no message of this format. Nothing was kept of them; the sender is at fault, not the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The bytes end within the message.
    Short,
    /// Another version of the format.
    Version(u8),
    /// No message of this number on this topic.
    Message(u8),
    /// A value out of its range, text that is not UTF-8, or a number too large for its type.
    Value,
    /// A text, data or a message that is longer than it may be.
    Bound,
    /// A list with more items than it may have, a batch of none, or a list that names something twice.
    Count,
    /// A sequence or a time that runs over the end of its type.
    Overflow,
    /// Bytes after the end of the message.
    Trailing,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Short => f.write_str("the message ends too early"),
            DecodeError::Version(version) => {
                write!(f, "version {version} of the format is not spoken here")
            }
            DecodeError::Message(number) => {
                write!(f, "no message has the number {number} on this topic")
            }
            DecodeError::Value => f.write_str("a value is out of its range"),
            DecodeError::Bound => f.write_str("a text, data or the message is too long"),
            DecodeError::Count => f.write_str("a list has too many items, none, or one twice"),
            DecodeError::Overflow => f.write_str("a sequence or a time is too large"),
            DecodeError::Trailing => f.write_str("bytes follow the end of the message"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// A message that could not be written. What the buffer holds after it is not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// The buffer is too small.
    Room,
    /// A list, a text, data or a batch is longer than the format allows, or a value is out of its range.
    Bound,
    /// An event of a batch is older than the one before it.
    Order,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EncodeError::Room => "the buffer is too small for the message",
            EncodeError::Bound => "a list, a text, data or a batch is longer than it may be",
            EncodeError::Order => "an event of a batch is older than the one before it",
        })
    }
}

impl core::error::Error for EncodeError {}
