use std::borrow::Cow;

use super::Value;
use crate::{AttributeValue, Event, EventView};

/// The event that an expression or a filter is held against: one's own, or one that rules see.
#[derive(Clone, Copy, Debug)]
pub enum EventRef<'a> {
    /// With all it owns.
    Event(&'a Event),
    /// Borrowed from wherever its parts are kept.
    View(&'a EventView<'a>),
}

impl<'a> From<&'a Event> for EventRef<'a> {
    fn from(event: &'a Event) -> EventRef<'a> {
        EventRef::Event(event)
    }
}

impl<'a> From<&'a EventView<'_>> for EventRef<'a> {
    fn from(view: &'a EventView<'_>) -> EventRef<'a> {
        EventRef::View(view)
    }
}

/// An attribute of an event, found once by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Attribute {
    SpecVersion,
    Id,
    Source,
    Type,
    Subject,
    Time,
    DataContentType,
    DataSchema,
    Extension(Box<str>),
}

impl Attribute {
    /// In lower case, as events write names.
    pub(crate) fn named(name: &str) -> Attribute {
        match name {
            "specversion" => Attribute::SpecVersion,
            "id" => Attribute::Id,
            "source" => Attribute::Source,
            "type" => Attribute::Type,
            "subject" => Attribute::Subject,
            "time" => Attribute::Time,
            "datacontenttype" => Attribute::DataContentType,
            "dataschema" => Attribute::DataSchema,
            _ => Attribute::Extension(name.into()),
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Attribute::SpecVersion => "specversion",
            Attribute::Id => "id",
            Attribute::Source => "source",
            Attribute::Type => "type",
            Attribute::Subject => "subject",
            Attribute::Time => "time",
            Attribute::DataContentType => "datacontenttype",
            Attribute::DataSchema => "dataschema",
            Attribute::Extension(name) => name,
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Attribute::Extension(name) => name.len(),
            _ => 0,
        }
    }

    /// Whether an event without it is no event.
    pub(crate) fn is_required(&self) -> bool {
        use Attribute::{Id, Source, SpecVersion, Type};
        matches!(self, SpecVersion | Id | Source | Type)
    }

    /// Integers and booleans keep their type; everything else is the text that every protocol shows, so that a time is
    /// what its sender wrote.
    pub(crate) fn value<'a>(&self, event: EventRef<'a>) -> Option<Value<'a>> {
        let event = match event {
            EventRef::Event(event) => event,
            EventRef::View(view) => {
                return Some(match view.attributes.find(self.name())? {
                    AttributeValue::Boolean(value) => Value::Boolean(*value),
                    AttributeValue::Integer(value) => Value::Integer(*value),
                    AttributeValue::Text(text) => Value::String(Cow::Borrowed(text)),
                });
            }
        };
        let Attribute::Extension(name) = self else {
            return self.known(event).map(|text| Value::String(text.into()));
        };
        Some(match event.extensions.get(&**name)? {
            crate::Value::Boolean(value) => Value::Boolean(*value),
            crate::Value::Integer(value) => Value::Integer(*value),
            other => Value::String(other.text()),
        })
    }

    pub(crate) fn exists(&self, event: EventRef<'_>) -> bool {
        match (event, self) {
            (EventRef::View(view), _) => view.attributes.find(self.name()).is_some(),
            (EventRef::Event(event), Attribute::Extension(name)) => {
                event.extensions.contains_key(&**name)
            }
            (EventRef::Event(event), known) => known.known(event).is_some(),
        }
    }

    fn known<'a>(&self, event: &'a Event) -> Option<&'a str> {
        match self {
            Attribute::SpecVersion => Some("1.0"),
            Attribute::Id => Some(&event.id),
            Attribute::Source => Some(&event.source),
            Attribute::Type => Some(&event.r#type),
            Attribute::Subject => event.subject.as_deref(),
            Attribute::Time => event.time.as_deref(),
            Attribute::DataContentType => event.datacontenttype.as_deref(),
            Attribute::DataSchema => event.dataschema.as_deref(),
            Attribute::Extension(_) => None,
        }
    }
}
