use std::{borrow::Cow, cell::OnceCell, collections::HashMap, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, de};
use serde_json::{Value as Json, value::RawValue};

use crate::{
    Event, Number,
    cesql::{EventRef, Value, attribute::Attribute},
    hash::hash,
    stage::Reading,
    transform::{JsonPath, PathError, Root, Step, element},
    without_control_characters,
};

/// Bytes of a field in a key; of a longer one its beginning and its hash stand there, so that one event cannot fill what a stage keeps.
const MAX_KEY_FIELD_BYTES: usize = 256;

/// Between the parts of a key. A field that holds it stands there as one that is too long does.
const SEPARATOR: char = '\u{1f}';
/// Before the hash of a field.
const HASHED: char = '\u{1e}';

/// Where a stage finds a value: a path such as `$.data.temperature` or `$.subject`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field(JsonPath);

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

impl<'a> Payload<'a> {
    fn json(&self) -> Option<&'a Json> {
        let read = || match (self.json_text(), &self.event.data) {
            (Some(text), _) => serde_json::from_slice(text).ok(),
            (None, Some(crate::Data::Text(text))) => Some(Json::String(text.clone())),
            _ => None,
        };
        self.json.get_or_init(read).as_ref()
    }

    fn json_text(&self) -> Option<&'a [u8]> {
        match &self.event.data {
            _ if self.decoded.is_some() => self.decoded,
            Some(crate::Data::Json(bytes)) => Some(bytes),
            _ => None,
        }
    }
}

impl Field {
    /// Its value as stages take it; `None` where there is none, or where it is an object or a list.
    pub(super) fn reading(&self, payload: Payload<'_>) -> Option<Reading> {
        match &self.0.root {
            Root::Event => None,
            Root::Attribute(name) => {
                let value = Attribute::named(name).value(EventRef::Event(payload.event))?;
                Some(reading_of_attribute(&value))
            }
            Root::Data => reading_of_json(self.member_of(payload)?),
        }
    }

    fn member_of<'a>(&self, payload: Payload<'a>) -> Option<&'a Json> {
        self.0.steps.iter().try_fold(payload.json()?, member)
    }
}

impl Field {
    /// Its value as it stands in keys. Attributes stand there as they came: two that are one number are still two.
    fn key_text<'a>(&self, payload: Payload<'a>) -> Cow<'a, str> {
        if let Root::Attribute(name) = &self.0.root {
            return match Attribute::named(name).value(EventRef::Event(payload.event)) {
                Some(Value::String(text)) => text,
                Some(Value::Integer(number)) => number.to_string().into(),
                Some(Value::Boolean(value)) => value.to_string().into(),
                None => Cow::default(),
            };
        }
        match self.reading(payload) {
            Some(Reading::Integer(number)) => number.to_string().into(),
            Some(Reading::Float(number)) => self.exact_text(number, payload).into(),
            Some(Reading::Other(text)) => String::from(text).into(),
            None => Cow::default(),
        }
    }

    /// The text of a number in the data that was read as `nearest`: that one's, if it is no other number.
    fn exact_text(&self, nearest: f64, payload: Payload<'_>) -> String {
        let nearest = nearest.to_string();
        let digits = payload.json_text().and_then(|it| raw_text(it, &self.0));
        match digits.and_then(Number::parse) {
            Some(exact) if Number::parse(&nearest).as_ref() != Some(&exact) => exact.to_string(),
            _ => nearest,
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
                // Of a topic, what is derived needs all.
                KeyPart::Topic => {
                    text.push_str(&topic.unwrap_or_default().replace(SEPARATOR, "%1F"))
                }
                KeyPart::Field(field) => put_field(&mut text, &field.key_text(payload)),
            }
        }
        text
    }

    /// Whether the topic is a part of it.
    pub(super) fn has_topic(&self) -> bool {
        self.0.contains(&KeyPart::Topic)
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
        let part = |path: &str| KeyPart::Field(path.parse().expect("a path to an attribute"));
        Key(vec![part("$.source"), part("$.id")])
    }
}

fn member<'a>(value: &'a Json, step: &Step) -> Option<&'a Json> {
    match step {
        Step::Key(key) => value.get(&**key),
        Step::Index(place) => {
            let list = value.as_array()?;
            list.get(element(list.len(), *place)?)
        }
    }
}

/// What stands at `path` in a JSON text, as it stands there.
fn raw_text<'a>(json: &'a [u8], path: &JsonPath) -> Option<&'a str> {
    let root: &RawValue = serde_json::from_slice(json).ok()?;
    let value = path.steps.iter().try_fold(root, raw_member)?;
    Some(value.get())
}

fn raw_member<'a>(value: &'a RawValue, step: &Step) -> Option<&'a RawValue> {
    match step {
        Step::Key(key) => {
            let members: HashMap<String, _> = serde_json::from_str(value.get()).ok()?;
            members.get(&**key).copied()
        }
        Step::Index(place) => {
            let list: Vec<_> = serde_json::from_str(value.get()).ok()?;
            list.get(element(list.len(), *place)?).copied()
        }
    }
}

/// Attributes that come as text may be numbers: in binary mode all are text.
fn reading_of_attribute(value: &Value<'_>) -> Reading {
    match value {
        Value::Integer(number) => Reading::Integer(i64::from(*number)),
        Value::Boolean(value) => Reading::Other(value.to_string().into()),
        Value::String(text) => {
            let number = text.parse::<serde_json::Number>().ok();
            let reading = number.as_ref().and_then(reading_of_number);
            reading.unwrap_or_else(|| Reading::Other(text.as_ref().into()))
        }
    }
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

/// Two fields stand in a key as one only if they are, or if 128 bits of their hashes are the same.
fn put_field(key: &mut String, text: &str) {
    if text.len() <= MAX_KEY_FIELD_BYTES && !text.contains([SEPARATOR, HASHED]) {
        return key.push_str(text);
    }
    let mut ends = (0..=MAX_KEY_FIELD_BYTES).rev();
    let beginning = ends.find_map(|end| text.get(..end)).unwrap_or_default();
    key.push_str(&without_control_characters(beginning));
    let [first, second] = [0, 1].map(|seed| hash(seed, text.as_bytes()));
    key.push_str(&format!("{HASHED}{first:016x}{second:016x}"));
}

impl FromStr for Field {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Field, PathError> {
        JsonPath::parse(text).map(Field)
    }
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
