//! The properties of a PUBLISH as they are stored beside it: the bytes of MQTT 5, without the length before them.
//!
//! ```text
//! [0x02 message expiry interval: u32]   first, if it is there, so that delivery can put what is left in its place
//! [properties as in MQTT 5.0, 3.3.2.3]  without topic alias and subscription identifiers, which belong to a connection
//! ```

use super::decode::DecodeError;
use super::decode::reader::Reader;
use super::encode::{EncodeError, message_properties};
use super::packet::{PublishProperties, PublishPropertySet};
use super::property;

/// Nothing for no properties.
///
/// # Errors
/// A text over 65,535 bytes or with U+0000, which no decoded packet holds.
pub fn encode(properties: &PublishProperties) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = Vec::new();
    if let Some(set) = properties.set() {
        message_properties(set, &mut bytes)?;
    }
    Ok(bytes)
}

/// The reverse of [`encode`].
///
/// # Errors
/// For bytes that `encode` does not give.
pub fn decode(bytes: &[u8]) -> Result<PublishProperties, DecodeError> {
    let mut set = PublishPropertySet::default();
    let mut reader = Reader::new("stored PUBLISH", bytes);
    while !reader.is_empty() {
        let identifier = reader.variable("property identifier")?;
        reader.message_property(identifier, &mut set)?;
    }
    Ok(PublishProperties::from(set))
}

/// The message expiry interval in seconds, without decoding the rest.
pub fn message_expiry_interval(bytes: &[u8]) -> Option<u32> {
    let (identifier, rest) = bytes.split_first()?;
    let interval = rest.first_chunk()?;
    (u32::from(*identifier) == property::MESSAGE_EXPIRY_INTERVAL)
        .then(|| u32::from_be_bytes(*interval))
}

pub(super) fn without_expiry(bytes: &[u8]) -> &[u8] {
    match message_expiry_interval(bytes) {
        None => bytes,
        Some(_) => bytes.get(5..).unwrap_or_default(),
    }
}
