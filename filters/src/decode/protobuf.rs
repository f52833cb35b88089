//! Protobuf as JSON, by the descriptors of its messages.
//!
//! | protobuf | JSON |
//! |---|---|
//! | integers of any size | numbers |
//! | floats | numbers; NaN and infinities `null` |
//! | enumerations | the name, which conditions find by its number too; the number where the descriptor has no name for it |
//! | bytes | strings: base64 |
//! | messages, maps, repeated fields | objects, objects, arrays |
//! | `google.protobuf.Timestamp` | strings: RFC 3339 in UTC |
//! | wrappers, `Struct`, `Value`, `ListValue` | what they hold |
//!
//! Fields have the names of the descriptor. A field that was not set has its default value, or is absent where its presence is tracked (`optional`, messages,
//! `oneof`).

mod json;
#[cfg(test)]
mod tests;

use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};

use super::Decoded;
use crate::transform::MAX_RESULT_BYTES;
use json::Output;

/// The largest payload that is decoded: a message takes many times its bytes in memory while it is.
const MAX_PAYLOAD_BYTES: usize = 256 * 1024;

/// Shows the messages of one type.
#[derive(Clone, Debug)]
pub struct Protobuf {
    message: MessageDescriptor,
}

/// A set of descriptors that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescriptorError {
    /// The bytes are no descriptor set, as `protoc --include_imports --descriptor_set_out` writes one.
    #[error("not a descriptor set, or an import is missing from it: {0}")]
    Invalid(String),
    /// It has no such message.
    #[error("no message {name:?} in the descriptor set{}", did_you_mean(.other.as_deref()))]
    UnknownMessage {
        /// What was asked for.
        name: String,
        /// The message it has under that name in another package.
        other: Option<String>,
    },
}

/// A payload that is not a message of the type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtobufError {
    /// What the decoder says of it.
    #[error("not a message of this type: {0}")]
    Malformed(String),
    /// More than is decoded.
    #[error("{0} bytes are more than the {MAX_PAYLOAD_BYTES} that are decoded")]
    TooLarge(usize),
    /// More would be made of it than of any payload.
    #[error("it would take more than {MAX_RESULT_BYTES} bytes as JSON")]
    TooMuch,
}

impl Protobuf {
    /// For messages of this full name, such as `plant.v1.Reading`.
    ///
    /// # Errors
    ///
    /// The descriptors are none, or have no such message.
    pub fn new(descriptor_set: &[u8], message: &str) -> Result<Protobuf, DescriptorError> {
        let pool = DescriptorPool::decode(descriptor_set)
            .map_err(|error| DescriptorError::Invalid(error.to_string()))?;
        let found = pool.get_message_by_name(message);
        let message = found.ok_or_else(|| DescriptorError::UnknownMessage {
            name: message.to_owned(),
            other: same_name_elsewhere(&pool, message),
        })?;
        Ok(Protobuf { message })
    }

    /// One message as JSON.
    ///
    /// # Errors
    ///
    /// The bytes are not a message of the type, or too many.
    pub fn decode(&self, payload: &[u8]) -> Result<Decoded, ProtobufError> {
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(ProtobufError::TooLarge(payload.len()));
        }
        let message = DynamicMessage::decode(self.message.clone(), payload)
            .map_err(|error| ProtobufError::Malformed(error.to_string()))?;
        let mut out = Output {
            json: Vec::with_capacity(payload.len() * 4),
            named: Vec::new(),
        };
        json::put_message(&mut out, &message);
        if out.is_too_much() {
            return Err(ProtobufError::TooMuch);
        }
        Ok(Decoded::new(out.json, out.named))
    }
}

/// Who misnames a message mostly forgets its package.
fn same_name_elsewhere(pool: &DescriptorPool, message: &str) -> Option<String> {
    let name = message.rsplit('.').next()?;
    let mut all = pool.all_messages();
    let found = all.find(|it| it.name().eq_ignore_ascii_case(name))?;
    Some(found.full_name().to_owned())
}

fn did_you_mean(other: Option<&str>) -> String {
    other.map_or_else(String::new, |it| format!("; did you mean {it:?}?"))
}
