use std::{borrow::Cow, fmt};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::{EventError, EventProblem, MAX_EXTENSIONS, Value};

/// Members beyond this are not even looked at: extensions, the attributes and the two kinds of data.
const MAX_MEMBERS: usize = MAX_EXTENSIONS + 10;

/// The members of one object, unparsed, in their order.
pub(super) struct Members<'a> {
    list: Vec<(Cow<'a, str>, &'a RawValue)>,
    too_many: bool,
}

impl<'a> Members<'a> {
    pub(super) fn contains(&self, name: &str) -> bool {
        self.list.iter().any(|it| it.0 == name)
    }

    /// All of them, if an event may have so many.
    pub(super) fn list(self) -> Result<Vec<(Cow<'a, str>, &'a RawValue)>, EventError> {
        if self.too_many {
            Err(EventError::new("extensions", EventProblem::TooMany))
        } else {
            Ok(self.list)
        }
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Members<'de>, D::Error> {
        from.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an event as a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Members {
            list: Vec::with_capacity(16),
            too_many: false,
        };
        while let Some((Name(name), raw)) = map.next_entry()? {
            if members.list.len() < MAX_MEMBERS {
                members.list.push((name, raw));
            } else {
                members.too_many = true;
            }
        }
        Ok(members)
    }
}

/// A member's name, borrowed where it has no escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Name<'de>, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        from.deserialize_str(NameVisitor)
    }
}

/// The value of a member that is an attribute.
pub(super) enum Member {
    Null,
    Value(Value),
    /// Its digits: no integer of 32 bits.
    OtherNumber(String),
}

impl Member {
    pub(super) fn of(name: &str, raw: &RawValue) -> Result<Member, EventError> {
        let text = raw.get();
        Ok(match text.as_bytes().first() {
            Some(b'n') => Member::Null,
            Some(b't') => Member::Value(Value::Boolean(true)),
            Some(b'f') => Member::Value(Value::Boolean(false)),
            // A lone surrogate is JSON, but no text.
            Some(b'"') => match serde_json::from_str(text) {
                Ok(text) => Member::Value(Value::String(text)),
                Err(_) => return Err(EventError::new(name, EventProblem::NotUtf8)),
            },
            Some(b'-' | b'0'..=b'9') => match text.parse() {
                Ok(integer) => Member::Value(Value::Integer(integer)),
                Err(_) => Member::OtherNumber(text.to_owned()),
            },
            _ => return Err(EventError::new(name, EventProblem::Type)),
        })
    }
}
