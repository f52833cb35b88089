//! Decoders: payloads that are no JSON, shown as JSON.
//!
//! ```text
//!  topic, content type ─▶ Decoders ─▶ View: what conditions, stages and transforms see
//!                            │
//!                            └─▶ Births: what nodes and devices said of their data
//! ```
//!
//! What a decoder gives is a view. The payload itself stays as it came, unless the decoder says `emit = "json"`.

mod births;
mod cbor;
mod decoded;
mod decoders;
pub mod device;
mod history;
mod protobuf;
pub mod sparkplug;
#[cfg(test)]
mod tests;

pub use births::{Births, BirthsUndo, StoredBirths};
pub use cbor::{CborError, CborProblem, cbor_to_json};
pub use decoded::Decoded;
pub(crate) use decoded::as_json;
pub use decoders::{
    DecoderDefinition, DecoderError, DecoderProblem, Decoders, Decoding, Emit, Format, Incoming,
    PayloadError, View,
};
use device::DeviceError;
pub use protobuf::{DescriptorError, Protobuf, ProtobufError};

/// With the digits of its type, not those it has with 64 bits; `null` where it is no number.
fn float_json(value: f32) -> serde_json::Value {
    let text = serde_json::to_string(&value).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}
