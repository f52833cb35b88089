//! JSON that is changed in places: what no step touches keeps its text, every digit and blank of it.

use std::{borrow::Cow, fmt};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{TransformError, path::Step};

/// A JSON value, opened as far as it was looked into.
#[derive(Clone, Debug)]
pub(super) enum Document<'a> {
    /// Valid JSON.
    Raw(Cow<'a, str>),
    /// Keys decoded; the last of equal ones.
    Object(Vec<(Cow<'a, str>, Document<'a>)>),
    Array(Vec<Document<'a>>),
}

impl<'a> Document<'a> {
    pub(super) fn raw(json: &'a str) -> Document<'a> {
        Document::Raw(json.trim_ascii().into())
    }

    pub(super) fn owned(json: String) -> Document<'a> {
        Document::Raw(json.into())
    }

    pub(super) fn empty() -> Document<'a> {
        Document::Object(Vec::new())
    }

    /// The value at the end of these steps, if there is one.
    pub(super) fn find(
        &mut self,
        steps: &[Step],
    ) -> Result<Option<&mut Document<'a>>, TransformError> {
        let mut here = self;
        for step in steps {
            here.open()?;
            let next = match (here, step) {
                (Document::Object(members), Step::Key(key)) => members
                    .iter_mut()
                    .find(|(name, _)| **name == **key)
                    .map(|(_, value)| value),
                (Document::Array(elements), Step::Index(place)) => {
                    let place = element(elements.len(), *place);
                    place.and_then(|place| elements.get_mut(place))
                }
                _ => None,
            };
            match next {
                Some(next) => here = next,
                None => return Ok(None),
            }
        }
        Ok(Some(here))
    }

    /// Puts a value at the end of these steps. Objects on the way are made where they are missing; the elements of a list
    /// are not. An object keeps the place of a member that it has.
    pub(super) fn insert(
        &mut self,
        steps: &[Step],
        value: Document<'a>,
    ) -> Result<(), TransformError> {
        let Some((last, way)) = steps.split_last() else {
            *self = value;
            return Ok(());
        };
        let mut here = self;
        for step in way {
            here = here.enter(step)?;
        }
        *here.enter(last)? = value;
        Ok(())
    }

    /// Takes a member out of its object. Elements of lists stay where they are.
    pub(super) fn remove(
        &mut self,
        steps: &[Step],
    ) -> Result<Option<Document<'a>>, TransformError> {
        let Some((Step::Key(key), way)) = steps.split_last() else {
            return Ok(None);
        };
        let Some(parent) = self.find(way)? else {
            return Ok(None);
        };
        parent.open()?;
        let Document::Object(members) = parent else {
            return Ok(None);
        };
        let place = members.iter().position(|(name, _)| **name == **key);
        Ok(place.map(|place| members.remove(place).1))
    }

    /// The member or element of that step, made as `null` if an object has none; the value that stood there last.
    fn enter(&mut self, step: &Step) -> Result<&mut Document<'a>, TransformError> {
        self.open()?;
        if let (Document::Raw(text), Step::Key(_)) = (&*self, step)
            && &**text == "null"
        {
            *self = Document::empty();
        }
        match (self, step) {
            (Document::Object(members), Step::Key(key)) => {
                let place = members.iter().position(|(name, _)| **name == **key);
                let place = place.unwrap_or_else(|| {
                    let null = Document::Raw("null".into());
                    members.push((key.to_string().into(), null));
                    members.len() - 1
                });
                let member = members.get_mut(place).map(|(_, value)| value);
                member.ok_or(TransformError::NoPlace)
            }
            (Document::Array(elements), Step::Index(place)) => element(elements.len(), *place)
                .and_then(|place| elements.get_mut(place))
                .ok_or(TransformError::NoPlace),
            _ => Err(TransformError::NoPlace),
        }
    }

    fn open(&mut self) -> Result<(), TransformError> {
        let Document::Raw(text) = self else {
            return Ok(());
        };
        let opened = match text {
            Cow::Borrowed(text) => Level::of(text)?.map(|level| level.map(|raw| raw.into())),
            Cow::Owned(text) => {
                Level::of(text)?.map(|level| level.map(|raw| raw.to_owned().into()))
            }
        };
        if let Some(opened) = opened {
            *self = opened;
        }
        Ok(())
    }

    /// The JSON text.
    pub(super) fn to_json(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Document::Raw(text) => out.push_str(text),
            Document::Object(members) => {
                out.push('{');
                for (index, (name, value)) in members.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    out.push_str(&quoted(name));
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
            Document::Array(elements) => {
                out.push('[');
                for (index, value) in elements.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    value.write(out);
                }
                out.push(']');
            }
        }
    }
}

/// A text as a JSON string.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The text of a JSON string; `None` for every other value, and for a string that is no Unicode text.
pub(super) fn unquoted(json: &str) -> Option<String> {
    json.starts_with('"')
        .then(|| serde_json::from_str(json).ok())?
}

/// The place of an element, counted from the end if `place` is negative. It may lie behind the end.
pub(crate) fn element(length: usize, place: i32) -> Option<usize> {
    let distance = place.unsigned_abs() as usize;
    if place < 0 {
        length.checked_sub(distance)
    } else {
        Some(distance)
    }
}

/// One level of an object or a list, its parts unread.
enum Level<'a> {
    Object(Vec<(Cow<'a, str>, &'a str)>),
    Array(Vec<&'a str>),
}

impl<'a> Level<'a> {
    /// `None` for what has no parts.
    fn of(text: &'a str) -> Result<Option<Level<'a>>, TransformError> {
        if !text.starts_with(['{', '[']) {
            return Ok(None);
        }
        serde_json::from_str(text)
            .map(Some)
            .map_err(|_| TransformError::NotJson)
    }

    fn map<'b>(self, text: impl Fn(&'a str) -> Cow<'b, str>) -> Document<'b> {
        let raw = |json: &'a str| Document::Raw(text(json));
        match self {
            Level::Array(elements) => Document::Array(elements.into_iter().map(raw).collect()),
            Level::Object(members) => {
                let own = |name: Cow<'a, str>| match name {
                    Cow::Borrowed(name) => text(name),
                    Cow::Owned(name) => name.into(),
                };
                let members = members.into_iter();
                Document::Object(members.map(|(name, json)| (own(name), raw(json))).collect())
            }
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Level<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Level<'a>, D::Error> {
        from.deserialize_any(LevelVisitor)
    }
}

struct LevelVisitor;

impl<'de> Visitor<'de> for LevelVisitor {
    type Value = Level<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Level<'de>, A::Error> {
        let mut members: Vec<(Cow<'de, str>, &'de str)> = Vec::new();
        let mut places = std::collections::BTreeMap::new();
        while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
            match places.get(&name) {
                Some(&place) => {
                    if let Some(member) = members.get_mut(place) {
                        *member = (name, value.get());
                    }
                }
                None => {
                    places.insert(name.clone(), members.len());
                    members.push((name, value.get()));
                }
            }
        }
        Ok(Level::Object(members))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Level<'de>, A::Error> {
        let mut elements = Vec::new();
        while let Some(value) = list.next_element::<&'de RawValue>()? {
            elements.push(value.get());
        }
        Ok(Level::Array(elements))
    }
}

/// A key, borrowed where it has no escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Name<'a>, D::Error> {
        from.deserialize_str(NameVisitor).map(Name)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(text.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(text.to_owned().into())
    }
}

#[cfg(test)]
mod tests {
    use super::{Document, Step};

    const JSON: &str =
        r#" {"a": 1.50, "b": {"c" : [1e3, "x\u00e9", {"d":null}]}, "a": 30.10,"k\n": 1} "#;

    fn steps(path: &str) -> Vec<Step> {
        let each = path.split_terminator('.');
        each.map(|it| {
            it.parse()
                .map_or_else(|_| Step::Key(it.into()), Step::Index)
        })
        .collect()
    }

    fn changed(change: impl FnOnce(&mut Document<'_>)) -> String {
        let mut document = Document::raw(JSON);
        change(&mut document);
        document.to_json()
    }

    #[test]
    fn values_are_found_with_their_text() {
        let mut document = Document::raw(JSON);
        for (path, expected) in [
            ("", Some(JSON.trim())),
            ("a", Some("30.10")),
            ("b.c.0", Some("1e3")),
            ("b.c.-2", Some(r#""x\u00e9""#)),
            ("b.c.2.d", Some("null")),
            ("b.c.3", None),
            ("b.c.-4", None),
            ("b.x", None),
            ("a.x", None),
            ("b.0", None),
            ("b.c.x", None),
            ("k\n", Some("1")),
        ] {
            let mut fresh = Document::raw(JSON);
            let found = fresh
                .find(&steps(path))
                .expect("JSON")
                .map(|it| it.to_json());
            assert_eq!(found.as_deref(), expected, "{path}");
            if !path.is_empty() {
                let found = document
                    .find(&steps(path))
                    .expect("JSON")
                    .map(|it| it.to_json());
                assert_eq!(found.as_deref(), expected, "{path}, in an opened document");
            }
        }
    }

    #[test]
    fn what_is_not_touched_keeps_its_text() {
        let value = || Document::owned("7".to_owned());
        for (path, expected) in [
            (
                "a",
                r#"{"a":7,"b":{"c" : [1e3, "x\u00e9", {"d":null}]},"k\n":1}"#,
            ),
            (
                "b.c.2.d",
                r#"{"a":30.10,"b":{"c":[1e3,"x\u00e9",{"d":7}]},"k\n":1}"#,
            ),
            (
                "b.c.2.d.e",
                r#"{"a":30.10,"b":{"c":[1e3,"x\u00e9",{"d":{"e":7}}]},"k\n":1}"#,
            ),
            (
                "n.m",
                r#"{"a":30.10,"b":{"c" : [1e3, "x\u00e9", {"d":null}]},"k\n":1,"n":{"m":7}}"#,
            ),
            ("", "7"),
        ] {
            let inserted = changed(|it| it.insert(&steps(path), value()).expect("a place"));
            assert_eq!(inserted, expected, "{path}");
        }
        for path in ["a.b", "b.c.9", "b.c.x", "b.0"] {
            let mut document = Document::raw(JSON);
            document.insert(&steps(path), value()).expect_err(path);
        }
    }

    #[test]
    fn members_are_taken_out() {
        let removed = changed(|it| {
            let taken = it.remove(&steps("b")).expect("JSON").expect("it is there");
            assert!(taken.to_json().starts_with("{\"c\""));
            assert!(it.remove(&steps("x.y")).expect("JSON").is_none());
        });
        assert_eq!(removed, r#"{"a":30.10,"k\n":1}"#);
    }
}
