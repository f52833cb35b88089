//! Everything EventMesh 1.x speaks over gRPC: its protobuf messages, and how an event becomes one of them and comes back.
//!
//! ```text
//!  filters::Event ──▶ encode ──▶ proto::CloudEvent ──▶ PublisherService of a mesh, or a subscriber's stream
//!  filters::Event ◀── decode ◀── proto::CloudEvent ◀── a publisher
//! ```
//!
//! | of an event | travels as |
//! |---|---|
//! | `id`, `source`, `type` | fields of their own |
//! | `time` | a timestamp; as text where that would lose digits or the offset |
//! | `datacontenttype`, `dataschema` | attributes of these names |
//! | `subject` | `cesubject`; EventMesh's `subject` is the mesh topic |
//! | the MQTT topic on which it entered the mesh | `mqtttopic`, from there on an extension of the event |
//! | an extension with the name of an attribute of EventMesh | `x` and its name (`ttl` as `xttl`, `xttl` as `xxttl`) |
//! | any other extension | its name; the type of the value survives |
//! | no data, or empty data | JSON `null`, with `nodata` = true |
//! | data under a media type that EventMesh takes for text | `text_data` |
//! | data that is not what EventMesh takes its media type for | bytes, as `application/octet-stream` |
//! | other data | `binary_data`; `textdata` = true says that it is text |
//!
//! Where the data travels under another media type than its own, that is in `cedatacontenttype`. [`decode`] undoes all of it.
//! What a publisher says of itself (`env`, `ip`, `seqnum`, …, never `passwd`) is kept in the extension `meshsender`, so that
//! a subscriber on a mesh of nodes gets it as it was sent.
//!
//! Not the same after a hop: JSON without a media type comes back as `application/json`, empty data as none, an
//! extension of type Timestamp in UTC.

pub mod attribute;
mod data;
mod decode;
mod encode;
pub mod proto;
mod sender;
pub mod sink;
pub mod status;
mod time;
mod topic;

pub use decode::{Malformed, Received, check_header, decode};
pub use encode::{Envelope, encode, now_attribute};
pub use sender::Sender;
pub use topic::{MeshTopic, SLASH};

#[cfg(test)]
mod tests;
