use std::{borrow::Cow, cell::OnceCell, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, de};
use serde_json::Value as Json;

use crate::{Event, Path, Value, stage::Reading};

/// Bytes of a field in a key; a longer one is cut, so that one event cannot fill what a stage keeps.
const MAX_KEY_FIELD_BYTES: usize = 256;

/// Between the parts of a key: no topic and no attribute has it.
const SEPARATOR: char = '\u{1f}';

/// Where a step finds a value: `subject`, `data.temperature`, `data."a.b".c`; `data` itself is the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field(Path);

/// Text that names no field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names no field; accepted: an attribute such as `subject`, or a path such as `data.temperature`, where a key with other characters than letters, \
     digits, `-` and `_` stands in double quotes"
)]
pub struct FieldError(String);

/// What tells the things apart that a stage remembers: fields, or the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(pub Vec<KeyPart>);

/// A part of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPart {
    /// The topic on which the event came; written `topic`.
    Topic,
    /// A field; one that is missing counts as empty.
    Field(Field),
}

/// An event whose payload is read when first asked for.
#[derive(Clone, Copy)]
pub(super) struct Payload<'a> {
    pub(super) event: &'a Event,
    /// The payload as a decoder shows it, if one does.
    pub(super) decoded: Option<&'a [u8]>,
    /// What was read of it, if anything was.
    pub(super) json: &'a OnceCell<Option<Json>>,
}

impl Payload<'_> {
    fn json(&self) -> Option<&Json> {
        let read = || match &self.event.data {
            _ if self.decoded.is_some() => serde_json::from_slice(self.decoded?).ok(),
            Some(crate::Data::Json(bytes)) => serde_json::from_slice(bytes).ok(),
            Some(crate::Data::Text(text)) => Some(Json::String(text.clone())),
            _ => None,
        };
        self.json.get_or_init(read).as_ref()
    }
}

impl Field {
    /// The field at this path.
    pub fn new(path: Path) -> Field {
        Field(path)
    }

    /// Its value as stages take it; `None` where there is none, or where it is an object or a list.
    pub(super) fn reading(&self, payload: Payload<'_>) -> Option<Reading> {
        match &self.0 {
            Path::Attribute(name) => {
                let value = attribute(payload.event, name)?;
                reading_of_attribute(&value)
            }
            Path::Data(keys) => {
                let root = payload.json()?;
                let value = keys.iter().try_fold(root, |value, key| value.get(&**key))?;
                reading_of_json(value)
            }
        }
    }
}

impl Key {
    /// The key of an event.
    pub(super) fn of(&self, payload: Payload<'_>, topic: Option<&str>) -> String {
        let mut text = String::new();
        for (index, part) in self.0.iter().enumerate() {
            if index > 0 {
                text.push(SEPARATOR);
            }
            match part {
                KeyPart::Topic => text.push_str(topic.unwrap_or_default()),
                KeyPart::Field(field) => match field.reading(payload) {
                    Some(Reading::Integer(number)) => text.push_str(&number.to_string()),
                    Some(Reading::Float(number)) => text.push_str(&number.to_string()),
                    Some(Reading::Other(other)) => text.push_str(cut(&other)),
                    None => {}
                },
            }
        }
        text
    }

    /// The topic in a key of this form.
    pub(super) fn topic_in<'a>(&self, key: &'a str) -> Option<&'a str> {
        let place = self.0.iter().position(|it| *it == KeyPart::Topic)?;
        key.split(SEPARATOR).nth(place)
    }

    /// One memory for each topic.
    pub(super) fn topic() -> Key {
        Key(vec![KeyPart::Topic])
    }

    /// What makes two events the same one.
    pub(super) fn identity() -> Key {
        let part = |name: &str| KeyPart::Field(Field(Path::Attribute(name.into())));
        Key(vec![part("source"), part("id")])
    }
}

fn attribute<'a>(event: &'a Event, name: &str) -> Option<Cow<'a, Value>> {
    let text = |text: &str| Some(Cow::Owned(Value::String(text.to_owned())));
    match name {
        "id" => text(&event.id),
        "source" => text(&event.source),
        "type" => text(&event.r#type),
        "specversion" => text("1.0"),
        "subject" => text(event.subject.as_deref()?),
        "time" => text(event.time.as_deref()?),
        "datacontenttype" => text(event.datacontenttype.as_deref()?),
        "dataschema" => text(event.dataschema.as_deref()?),
        _ => event.extensions.get(name).map(Cow::Borrowed),
    }
}

/// Attributes that come as text may be numbers: in binary mode all are text.
fn reading_of_attribute(value: &Value) -> Option<Reading> {
    if let Value::Integer(number) = value {
        return Some(Reading::Integer(i64::from(*number)));
    }
    let text = value.text();
    let number = text.parse::<serde_json::Number>().ok();
    let reading = number.as_ref().and_then(reading_of_number);
    Some(reading.unwrap_or_else(|| Reading::Other(text.into())))
}

fn reading_of_json(value: &Json) -> Option<Reading> {
    match value {
        Json::Number(number) => reading_of_number(number),
        Json::String(text) => Some(Reading::Other(text.as_str().into())),
        Json::Bool(_) | Json::Null => Some(Reading::Other(value.to_string().into())),
        Json::Array(_) | Json::Object(_) => None,
    }
}

fn reading_of_number(number: &serde_json::Number) -> Option<Reading> {
    let whole = number.as_i64().map(Reading::Integer);
    whole.or_else(|| number.as_f64().map(Reading::Float))
}

fn cut(text: &str) -> &str {
    if text.len() <= MAX_KEY_FIELD_BYTES {
        return text;
    }
    let mut ends = (0..=MAX_KEY_FIELD_BYTES).rev();
    ends.find_map(|end| text.get(..end)).unwrap_or_default()
}

impl FromStr for Field {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Field, FieldError> {
        parse(text)
            .map(Field)
            .ok_or_else(|| FieldError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Path> {
    let Some(mut rest) = text
        .strip_prefix("data")
        .filter(|it| it.is_empty() || it.starts_with('.'))
    else {
        return crate::is_attribute_name(text).then(|| Path::Attribute(text.into()));
    };
    let mut keys = Vec::new();
    while let Some(key_on) = rest.strip_prefix('.') {
        let (key, after) = if key_on.starts_with('"') {
            quoted(key_on)?
        } else {
            bare(key_on)?
        };
        keys.push(key);
        rest = after;
    }
    rest.is_empty().then_some(Path::Data(keys))
}

fn bare(text: &str) -> Option<(Box<str>, &str)> {
    let is_bare = |it: char| it.is_alphanumeric() || matches!(it, '-' | '_' | '$');
    let end = text.find(|it| !is_bare(it)).unwrap_or(text.len());
    let (key, rest) = text.split_at_checked(end)?;
    (!key.is_empty()).then(|| (key.into(), rest))
}

/// A JSON string.
fn quoted(text: &str) -> Option<(Box<str>, &str)> {
    let mut strings = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let key = strings.next()?.ok()?;
    let rest = text.get(strings.byte_offset()..)?;
    Some((key.into(), rest))
}

impl fmt::Display for Field {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Field, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for KeyPart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<KeyPart, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "topic" {
            return Ok(KeyPart::Topic);
        }
        text.parse().map(KeyPart::Field).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error> {
        Vec::deserialize(deserializer).map(Key)
    }
}
