//! One CloudEvent (specification 1.0), owned.

mod builder;
mod check;
mod data;
mod reader;
mod time;
mod value;

use std::collections::BTreeMap;

pub use builder::EventBuilder;
pub use check::{
    EventError, EventProblem, MAX_ATTRIBUTE_NAME_BYTES, MAX_ATTRIBUTE_VALUE_BYTES, MAX_EXTENSIONS,
    check_attribute, is_attribute_name, is_extension, without_control_characters,
};
pub(crate) use data::is_valid_json;
pub use data::{Data, is_json, is_printable, is_text};
pub use reader::EventReader;
pub use time::{timestamp_millis, timestamp_text};
pub use value::Value;

/// A CloudEvent. What this crate builds or decodes has passed [`Event::check`]; whoever fills the fields by hand calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Not empty. With `source` the identity of the event, the same on every retry and every hop.
    pub id: String,
    /// A URI reference, not empty.
    pub source: String,
    /// Not empty.
    pub r#type: String,
    /// Not empty.
    pub subject: Option<String>,
    /// RFC 3339, kept as text so that no digit is lost.
    pub time: Option<String>,
    /// A media type. `None` says the same as `application/json`, where `data` is JSON.
    pub datacontenttype: Option<String>,
    /// An absolute URI.
    pub dataschema: Option<String>,
    /// By name; see [`is_attribute_name`]. At most [`MAX_EXTENSIONS`].
    pub extensions: BTreeMap<String, Value>,
    /// The payload; see [`Data`] for how its form follows from `datacontenttype`.
    pub data: Option<Data>,
}

impl Event {
    /// One that has no more than every event has; whoever fills in the rest calls [`Event::check`].
    pub fn new(id: String, source: String, r#type: String) -> Event {
        Event {
            id,
            source,
            r#type,
            subject: None,
            time: None,
            datacontenttype: None,
            dataschema: None,
            extensions: BTreeMap::new(),
            data: None,
        }
    }

    /// Begins an event from the attributes that every event has.
    pub fn builder(
        id: impl Into<String>,
        source: impl Into<String>,
        r#type: impl Into<String>,
    ) -> EventBuilder {
        EventBuilder::new(Event::new(id.into(), source.into(), r#type.into()))
    }

    /// The value of an extension, as text whatever its type.
    pub fn extension_text(&self, name: &str) -> Option<std::borrow::Cow<'_, str>> {
        self.extensions.get(name).map(Value::text)
    }

    /// The bytes of the payload, whatever their form; empty without data.
    pub fn data_bytes(&self) -> &[u8] {
        self.data.as_ref().map_or(&[], Data::bytes)
    }
}

#[cfg(test)]
mod tests;
