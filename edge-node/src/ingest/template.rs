//! The templates of `[[ingest]]`: text with variables that a PUBLISH fills in.

use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{PublishView, pointer::Pointer};

/// Text with variables; [`crate::config::IngestConfig`] lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Node,
    Client,
    Topic,
    Level(usize),
    Property(String),
    Payload(Pointer),
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Nothing to say.
    #[error("it is empty; leave the key out to have the default")]
    Empty,
    /// `{` without `}`, or the reverse.
    #[error("a brace stands alone; write `{{{{` or `}}}}` for the brace itself")]
    Brace,
    /// Not one of those there are.
    #[error(
        "there is no variable `{0}`; accepted: node, client, topic, topic[NUMBER], property:NAME, payload:/JSON/POINTER"
    )]
    Variable(String),
}

/// What variables are filled from.
pub(super) struct Given<'a> {
    pub(super) node: &'a str,
    pub(super) publish: &'a PublishView<'a>,
}

impl Template {
    /// The text with its variables filled in; `None` if one of them has no value, or nothing is left.
    pub(super) fn resolve(&self, given: &Given<'_>) -> Option<String> {
        self.fill(given, |out, value, _| out.push_str(value))
    }

    /// The same with the values percent-encoded.
    pub(super) fn resolve_for_uri(&self, given: &Given<'_>) -> Option<String> {
        self.fill(given, |out, value, part| {
            push_for_uri(out, value, if *part == Part::Topic { "/" } else { "" })
        })
    }

    fn fill(&self, given: &Given<'_>, push: impl Fn(&mut String, &str, &Part)) -> Option<String> {
        let mut out = String::with_capacity(self.text.len() + 32);
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.push_str(text),
                _ => push(&mut out, &part.value(given)?, part),
            }
        }
        (!out.is_empty()).then_some(out)
    }
}

impl Part {
    fn value<'a>(&'a self, given: &Given<'a>) -> Option<Cow<'a, str>> {
        let publish = given.publish;
        match self {
            Part::Literal(text) => Some(text.into()),
            Part::Node => Some(given.node.into()),
            Part::Client => Some(publish.client.into()),
            Part::Topic => Some(publish.topic.into()),
            Part::Level(index) => publish.topic.split('/').nth(*index).map(Cow::from),
            Part::Property(name) => {
                let mut properties = publish.properties?.user_properties.iter();
                properties
                    .find(|property| property.0 == *name)
                    .map(|property| property.1.as_str().into())
            }
            Part::Payload(pointer) => pointer.find(publish.payload).map(Cow::from),
        }
    }

    fn parse(variable: &str) -> Result<Part, TemplateError> {
        let unknown = || TemplateError::Variable(variable.to_owned());
        let level = variable
            .strip_prefix("topic[")
            .and_then(|it| it.strip_suffix(']'));
        match (variable, variable.split_once(':')) {
            ("node", _) => Ok(Part::Node),
            ("client", _) => Ok(Part::Client),
            ("topic", _) => Ok(Part::Topic),
            (_, Some(("property", name))) if !name.is_empty() => {
                Ok(Part::Property(name.to_owned()))
            }
            (_, Some(("payload", path))) => {
                Pointer::parse(path).map(Part::Payload).ok_or_else(unknown)
            }
            _ => level
                .and_then(|it| it.parse().ok())
                .map(Part::Level)
                .ok_or_else(unknown),
        }
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Template, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            literal.push_str(before);
            if let Some(after) = brace
                .strip_prefix("{{")
                .or_else(|| brace.strip_prefix("}}"))
            {
                literal.extend(brace.chars().next());
                rest = after;
                continue;
            }
            let (variable, after) = brace
                .strip_prefix('{')
                .and_then(|it| it.split_once('}'))
                .ok_or(TemplateError::Brace)?;
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(Part::parse(variable)?);
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        if parts.is_empty() {
            Err(TemplateError::Empty)
        } else {
            Ok(Template {
                text: text.to_owned(),
                parts,
            })
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Template, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(|error| {
            serde::de::Error::custom(format_args!("`{text}` is no template: {error}"))
        })
    }
}

/// Percent-encodes all but RFC 3986's unreserved characters and those in `keep`.
pub(super) fn push_for_uri(out: &mut String, text: &str, keep: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let stays = |byte: u8| {
        byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || keep.as_bytes().contains(&byte)
    };
    if text.bytes().all(stays) {
        return out.push_str(text);
    }
    for byte in text.bytes() {
        if stays(byte) {
            out.push(char::from(byte));
        } else {
            let digits = [byte >> 4, byte & 0xf]
                .map(|it| HEX.get(usize::from(it)).map_or('0', |it| char::from(*it)));
            out.push('%');
            out.extend(digits);
        }
    }
}

/// An integer since 1970, in seconds or from 10^11 on in milliseconds, as RFC 3339; any other text as it is.
pub(super) fn timestamp_of(text: String) -> String {
    const FIRST_MILLIS: u64 = 100_000_000_000;
    match text.parse::<u64>() {
        Ok(seconds @ ..FIRST_MILLIS) => filters::timestamp_text(seconds * 1000),
        Ok(millis) => filters::timestamp_text(millis),
        Err(_) => text,
    }
}
