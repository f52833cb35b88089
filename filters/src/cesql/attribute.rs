use super::Value;
use crate::Event;

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

    /// Integers and booleans keep their type; everything else is the text that every protocol shows, so that a time is
    /// what its sender wrote.
    pub(crate) fn value<'a>(&self, event: &'a Event) -> Option<Value<'a>> {
        let Attribute::Extension(name) = self else {
            return self.known(event).map(|text| Value::String(text.into()));
        };
        Some(match event.extensions.get(&**name)? {
            crate::Value::Boolean(value) => Value::Boolean(*value),
            crate::Value::Integer(value) => Value::Integer(*value),
            other => Value::String(other.text()),
        })
    }

    pub(crate) fn exists(&self, event: &Event) -> bool {
        match self {
            Attribute::Extension(name) => event.extensions.contains_key(&**name),
            known => known.known(event).is_some(),
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
