use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};

/// A value of the CloudEvents type system.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub enum Value {
    /// `true` or `false`.
    Boolean(bool),
    /// 32 bits, signed.
    Integer(i32),
    /// Text without control characters.
    String(String),
    /// Shown as base64 where only text is possible.
    Binary(Vec<u8>),
    /// An absolute URI.
    Uri(String),
    /// A URI reference.
    UriRef(String),
    /// RFC 3339 text.
    Timestamp(String),
}

impl Value {
    /// The canonical text, which every protocol without types carries.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Value::Boolean(true) => "true".into(),
            Value::Boolean(false) => "false".into(),
            Value::Integer(number) => number.to_string().into(),
            Value::Binary(bytes) => STANDARD.encode(bytes).into(),
            Value::String(text)
            | Value::Uri(text)
            | Value::UriRef(text)
            | Value::Timestamp(text) => text.into(),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::String(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Boolean(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Value {
        Value::Integer(value)
    }
}
