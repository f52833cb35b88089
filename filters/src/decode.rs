//! Decoders: payloads that are no JSON, shown as JSON.
//!
//! What a decoder gives is a view for conditions, stages and transforms. The payload itself stays as it came.

mod cbor;
mod decoded;
mod history;
mod protobuf;
pub mod sparkplug;

pub use cbor::{CborError, CborProblem, cbor_to_json};
pub use decoded::Decoded;
pub use protobuf::{DescriptorError, Protobuf, ProtobufError};
