//! One CloudEvent (specification 1.0), owned.

use std::collections::BTreeMap;

/// A CloudEvent with checked attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub id: String,
    pub source: String,
    pub r#type: String,
    pub subject: Option<String>,
    /// RFC 3339, kept as text so that no digit is lost.
    pub time: Option<String>,
    pub datacontenttype: Option<String>,
    pub dataschema: Option<String>,
    /// Names are lower-case ASCII letters and digits, 1 to 20 long by advice, 64 at most here.
    pub extensions: BTreeMap<String, Value>,
    pub data: Option<Data>,
}

/// A value of the CloudEvents type system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Boolean(bool),
    Integer(i32),
    String(String),
    Binary(Vec<u8>),
    Uri(String),
    UriRef(String),
    /// RFC 3339 text.
    Timestamp(String),
}

/// The payload and how it may be shown. `bytes::Bytes` is not used: events are short-lived views.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// Valid JSON text, by its content type.
    Json(Vec<u8>),
    /// UTF-8 text.
    Text(String),
    Binary(Vec<u8>),
}
