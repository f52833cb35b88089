//! JSON pointers (RFC 6901) into payloads.

use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

/// A path into a JSON document. Finding follows the path alone: what lies beside it is checked, not built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pointer(Vec<String>);

/// Steps of a path; each costs one level of recursion.
const MAX_STEPS: usize = 32;

impl Pointer {
    /// `/a/0`: empty, or steps each after a slash, with `~1` for `/` and `~0` for `~`.
    pub(super) fn parse(text: &str) -> Option<Pointer> {
        if text.is_empty() {
            return Some(Pointer(Vec::new()));
        }
        let steps: Vec<_> = text
            .strip_prefix('/')?
            .split('/')
            .map(|it| it.replace("~1", "/").replace("~0", "~"))
            .collect();
        (steps.len() <= MAX_STEPS).then_some(Pointer(steps))
    }

    /// The text, number (with its digits as they stand there) or boolean at this place of the document; `None` if the
    /// payload is no JSON or has none there.
    pub(super) fn find(&self, payload: &[u8]) -> Option<String> {
        let text = std::str::from_utf8(payload).ok()?;
        let mut document = serde_json::Deserializer::from_str(text);
        let found = Below(&self.0).deserialize(&mut document).ok()?;
        document.end().ok()?;
        found
    }
}

/// Deserializes what lies at a path below here.
#[derive(Clone, Copy)]
struct Below<'a>(&'a [String]);

impl<'de> DeserializeSeed<'de> for Below<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Option<String>, D::Error> {
        if self.0.is_empty() {
            return <&RawValue>::deserialize(from).map(|raw| scalar(raw.get()));
        }
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Below<'_> {
    type Value = Option<String>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object or an array on the way to the value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<String>, A::Error> {
        let Some((step, below)) = self.0.split_first() else {
            return Ok(None);
        };
        let mut found = None;
        while let Some(name) = map.next_key::<std::borrow::Cow<'_, str>>()? {
            if name == step.as_str() {
                found = map.next_value_seed(Below(below))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Option<String>, A::Error> {
        let Some((step, below)) = self.0.split_first() else {
            return Ok(None);
        };
        let wanted = step.parse::<usize>().ok();
        let mut found = None;
        for index in 0.. {
            if wanted == Some(index) {
                let Some(value) = list.next_element_seed(Below(below))? else {
                    break;
                };
                found = value;
            } else if list.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
        }
        Ok(found)
    }
}

fn scalar(json: &str) -> Option<String> {
    match json.as_bytes().first()? {
        b'"' => serde_json::from_str(json).ok(),
        b'n' | b'{' | b'[' => None,
        _ => Some(json.to_owned()),
    }
}
