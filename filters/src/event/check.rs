use std::borrow::Cow;

use super::{Data, Event, Value, time};

/// Bytes of an attribute's name; the specification advises 20.
pub const MAX_ATTRIBUTE_NAME_BYTES: usize = 64;
/// Bytes of an attribute's value, as text: what a user property of MQTT can carry.
pub const MAX_ATTRIBUTE_VALUE_BYTES: usize = 65_535;
/// Extensions of one event.
pub const MAX_EXTENSIONS: usize = 256;

/// Which attribute is wrong, and how. The event is refused as a whole; its sender has to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{attribute}` {problem}")]
pub struct EventError {
    /// Its name, cut to what a log line bears.
    pub attribute: String,
    /// What is wrong with it, and how to mend it.
    pub problem: EventProblem,
}

/// What is wrong with an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventProblem {
    /// A required attribute is absent or empty.
    #[error("is missing or empty; every event has specversion, id, source and type")]
    Missing,
    /// Any other attribute is there, without content.
    #[error("is empty; give it a value or leave it out")]
    Empty,
    /// Above [`MAX_ATTRIBUTE_VALUE_BYTES`].
    #[error("is longer than {MAX_ATTRIBUTE_VALUE_BYTES} bytes; carry it in the data")]
    TooLong,
    /// Not `a`–`z`, `0`–`9`, 1 to [`MAX_ATTRIBUTE_NAME_BYTES`].
    #[error("is no attribute name; use 1 to {MAX_ATTRIBUTE_NAME_BYTES} of a-z and 0-9")]
    Name,
    /// A name that the specification keeps for itself.
    #[error("is no name for an extension; the specification keeps it for itself")]
    Reserved,
    /// The same attribute twice.
    #[error("is there twice; send it once")]
    Twice,
    /// More than [`MAX_EXTENSIONS`].
    #[error("are more than {MAX_EXTENSIONS}; carry them in the data")]
    TooMany,
    /// A control character or a code point that is no character.
    #[error("contains a control character; remove it")]
    Control,
    /// Not UTF-8, or a percent-encoding of something else.
    #[error("is not UTF-8 text; encode it so")]
    NotUtf8,
    /// Not a URI reference.
    #[error("is no URI reference (RFC 3986); percent-encode spaces and characters outside ASCII")]
    UriRef,
    /// Not an absolute URI.
    #[error(
        "is no absolute URI (RFC 3986), as `scheme:rest`; percent-encode spaces and characters outside ASCII"
    )]
    Uri,
    /// Not RFC 3339.
    #[error("is no timestamp; write it as 2026-01-31T23:59:59.5Z (RFC 3339)")]
    Timestamp,
    /// Not a media type.
    #[error("is no media type; write it as `application/json` (RFC 2046)")]
    MediaType,
    /// `datacontenttype` in a header of its own.
    #[error("is no header of the binding; send the media type as Content-Type")]
    ContentTypeHeader,
    /// Another version of CloudEvents.
    #[error("is not a version this node speaks; send 1.0")]
    Version,
    /// A value of a type that CloudEvents does not know here.
    #[error(
        "has a type it may not have; send a string (an extension may be a boolean or a 32-bit integer)"
    )]
    Type,
    /// Not base64 (RFC 4648, with padding).
    #[error("is no base64 (RFC 4648, with padding)")]
    Base64,
    /// `data` with `data_base64`.
    #[error("stands beside `data`; send one of them")]
    TwoPayloads,
    /// `data` is marked as JSON or text and is neither, or not in the form of its media type.
    #[error("has not the form its datacontenttype asks for")]
    Form,
    /// Not one JSON document of the expected shape.
    #[error("is not valid JSON of a CloudEvent: an object (an array of objects in a batch)")]
    Document,
}

impl EventError {
    pub(crate) fn new(attribute: &str, problem: EventProblem) -> EventError {
        let shown = attribute.chars().take(MAX_ATTRIBUTE_NAME_BYTES);
        let attribute = shown
            .map(|it| if it.is_control() { '\u{fffd}' } else { it })
            .collect();
        EventError { attribute, problem }
    }
}

/// Whether a name may name an attribute: 1 to [`MAX_ATTRIBUTE_NAME_BYTES`] lower-case ASCII letters and digits.
pub fn is_attribute_name(name: &str) -> bool {
    (1..=MAX_ATTRIBUTE_NAME_BYTES).contains(&name.len())
        && name
            .bytes()
            .all(|it| it.is_ascii_lowercase() || it.is_ascii_digit())
}

/// Whether an attribute of this name is an extension: not one that the specification names.
pub fn is_extension(name: &str) -> bool {
    !RESERVED.contains(&name)
}

/// The attributes that are no extensions, and `data`, which the specification keeps free.
const RESERVED: [&str; 9] = [
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "data",
];

/// Whether text may be the value of this attribute, as one that the specification names or as an extension of the type
/// String.
pub fn check_attribute(name: &str, value: &str) -> Result<(), EventError> {
    match name {
        "id" | "type" => required(name, value, |_| Ok(())),
        "source" => required(name, value, uri_reference),
        "subject" => optional(name, Some(value), |_| Ok(())),
        "time" => optional(name, Some(value), timestamp),
        "datacontenttype" => optional(name, Some(value), media_type),
        "dataschema" => optional(name, Some(value), uri),
        _ => check_name(name).and_then(|()| plain(name, value)),
    }
}

/// Text with every character that no attribute may have percent-encoded, as UTF-8; nothing else is touched.
pub fn without_control_characters(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_disallowed) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        if is_disallowed(char) {
            char.encode_utf8(&mut [0; 4])
                .bytes()
                .for_each(|byte| out.push_str(&format!("%{byte:02X}")));
        } else {
            out.push(char);
        }
    }
    out.into()
}

impl Event {
    /// Whether every attribute is valid and the data has the form its media type asks for; what is wrong first, if not.
    pub fn check(&self) -> Result<(), EventError> {
        self.check_attributes()?;
        self.check_data()
    }

    pub(super) fn check_attributes(&self) -> Result<(), EventError> {
        check_attribute("id", &self.id)?;
        check_attribute("source", &self.source)?;
        check_attribute("type", &self.r#type)?;
        for (name, value) in [
            ("subject", &self.subject),
            ("time", &self.time),
            ("datacontenttype", &self.datacontenttype),
            ("dataschema", &self.dataschema),
        ] {
            value
                .as_deref()
                .map_or(Ok(()), |value| check_attribute(name, value))?;
        }
        if self.extensions.len() > MAX_EXTENSIONS {
            return Err(EventError::new("extensions", EventProblem::TooMany));
        }
        for (name, value) in &self.extensions {
            check_extension(name, value)?;
        }
        Ok(())
    }

    pub(super) fn check_data(&self) -> Result<(), EventError> {
        let json = self.datacontenttype.as_deref().is_none_or(super::is_json);
        let fits = match &self.data {
            None => true,
            Some(Data::Json(bytes)) => json && super::data::is_valid_json(bytes),
            Some(Data::Text(_)) => !json,
            Some(Data::Binary(bytes)) => !json || !super::data::is_valid_json(bytes),
        };
        if fits {
            Ok(())
        } else {
            Err(EventError::new("data", EventProblem::Form))
        }
    }
}

fn check_name(name: &str) -> Result<(), EventError> {
    if !is_attribute_name(name) {
        Err(EventError::new(name, EventProblem::Name))
    } else if !is_extension(name) {
        Err(EventError::new(name, EventProblem::Reserved))
    } else {
        Ok(())
    }
}

fn check_extension(name: &str, value: &Value) -> Result<(), EventError> {
    check_name(name)?;
    match value {
        Value::Boolean(_) | Value::Integer(_) => Ok(()),
        // Base64 grows by a third.
        Value::Binary(bytes) if bytes.len() > MAX_ATTRIBUTE_VALUE_BYTES / 4 * 3 => {
            Err(EventError::new(name, EventProblem::TooLong))
        }
        Value::Binary(_) => Ok(()),
        Value::String(text) => plain(name, text),
        Value::Uri(text) => optional(name, Some(text), uri),
        Value::UriRef(text) => optional(name, Some(text), uri_reference),
        Value::Timestamp(text) => optional(name, Some(text), timestamp),
    }
}

type Check = fn(&str) -> Result<(), EventProblem>;

fn required(name: &str, value: &str, check: Check) -> Result<(), EventError> {
    if value.is_empty() {
        return Err(EventError::new(name, EventProblem::Missing));
    }
    optional(name, Some(value), check)
}

fn optional(name: &str, value: Option<&str>, check: Check) -> Result<(), EventError> {
    let Some(value) = value else { return Ok(()) };
    if value.is_empty() {
        return Err(EventError::new(name, EventProblem::Empty));
    }
    plain(name, value)?;
    check(value).map_err(|problem| EventError::new(name, problem))
}

/// The type String: bounded, without control characters and without what Unicode says is no character.
fn plain(name: &str, value: &str) -> Result<(), EventError> {
    if value.len() > MAX_ATTRIBUTE_VALUE_BYTES {
        return Err(EventError::new(name, EventProblem::TooLong));
    }
    let graphic = |byte: u8| (0x20..0x7f).contains(&byte);
    if value.bytes().all(graphic) || !value.chars().any(is_disallowed) {
        return Ok(());
    }
    Err(EventError::new(name, EventProblem::Control))
}

fn is_disallowed(char: char) -> bool {
    let code = u32::from(char);
    char.is_control() || (0xfdd0..=0xfdef).contains(&code) || code & 0xfffe == 0xfffe
}

fn timestamp(text: &str) -> Result<(), EventProblem> {
    if time::is_timestamp(text) {
        Ok(())
    } else {
        Err(EventProblem::Timestamp)
    }
}

fn media_type(text: &str) -> Result<(), EventProblem> {
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let token = |it: &str| !it.is_empty() && it.bytes().all(is_token);
    let valid = essence
        .trim_end()
        .split_once('/')
        .is_some_and(|(kind, subtype)| token(kind) && token(subtype));
    // Parameters are only looked at for what would break a header; quoted ones may hold nearly anything.
    if valid && parameters.is_ascii() {
        Ok(())
    } else {
        Err(EventProblem::MediaType)
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn uri(text: &str) -> Result<(), EventProblem> {
    if is_uri_text(text) && scheme(text).is_some_and(is_scheme) {
        Ok(())
    } else {
        Err(EventProblem::Uri)
    }
}

fn uri_reference(text: &str) -> Result<(), EventProblem> {
    if is_uri_text(text) && scheme(text).is_none_or(is_scheme) {
        Ok(())
    } else {
        Err(EventProblem::UriRef)
    }
}

/// What stands before the first colon of the first segment.
fn scheme(text: &str) -> Option<&str> {
    let first = text.split(['/', '?', '#']).next()?;
    first.split_once(':').map(|(scheme, _)| scheme)
}

fn is_scheme(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|it| it.is_ascii_alphabetic())
        && bytes.all(|it| it.is_ascii_alphanumeric() || b"+-.".contains(&it))
}

/// The characters of RFC 3986, whole percent-encodings and at most one `#`.
fn is_uri_text(text: &str) -> bool {
    let mut bytes = text.bytes();
    let mut fragments = 0;
    while let Some(byte) = bytes.next() {
        let valid = match byte {
            b'%' => [bytes.next(), bytes.next()]
                .iter()
                .all(|it| it.is_some_and(|it| it.is_ascii_hexdigit())),
            b'#' => {
                fragments += 1;
                fragments == 1
            }
            _ => byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=".contains(&byte),
        };
        if !valid {
            return false;
        }
    }
    true
}
