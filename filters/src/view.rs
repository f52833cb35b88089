use std::borrow::Cow;

use crate::{
    Data, Event, Value, decode::Decoded, event::is_valid_json, is_json, is_printable, is_text,
};

/// An event as rules see it: borrowed from wherever its parts are kept.
///
/// ```
/// use filters::{Attributes, DataView, EventView};
/// let mut attributes = Attributes::new();
/// attributes.push("type", "reading");
/// let event = EventView { topic: Some("plant/7"), attributes, data: DataView::Json(br#"{"temperature": 61.2}"#) };
/// assert_eq!(event.attributes.find("type").map(|it| it.text()), Some("reading".into()));
/// ```
#[derive(Clone, Debug, Default)]
pub struct EventView<'a> {
    /// The topic it came on. Without one, no rule with a topic filter matches.
    pub topic: Option<&'a str>,
    /// All attributes, `specversion` among them.
    pub attributes: Attributes<'a>,
    /// The payload.
    pub data: DataView<'a>,
}

/// The payload as conditions see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DataView<'a> {
    /// The event has none: no field of it exists.
    #[default]
    Absent,
    /// JSON text. Where it is none, it counts as [`DataView::Opaque`]; what no rule reads of it is not validated.
    Json(&'a [u8]),
    /// What begins like JSON, or is called so, and has not been looked through. Rules see what [`DataView::checked`] makes of
    /// it, but what none of them reads of a JSON text is not validated.
    Unchecked {
        /// The payload.
        bytes: &'a [u8],
        /// Whether a media type says that it is JSON. If none does, it may be a text with a bracket in front.
        is_declared: bool,
    },
    /// What a decoder made of the payload.
    Decoded(&'a Decoded),
    /// One text, the value of `data` itself.
    Text(&'a str),
    /// Bytes that nobody can read: no condition on data holds, not even that a field is missing.
    Opaque,
}

/// Attributes by name, each once.
#[derive(Clone, Debug, Default)]
pub struct Attributes<'a> {
    list: Vec<(&'a str, AttributeValue<'a>)>,
}

/// The value of one attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeValue<'a> {
    /// `true` or `false`, where the format has them.
    Boolean(bool),
    /// 32 bits, signed, where the format has numbers; in binary mode every value is text.
    Integer(i32),
    /// Everything else, in its canonical text.
    Text(Cow<'a, str>),
}

impl<'a> EventView<'a> {
    /// The view of `event`, come on `topic`.
    pub fn of(event: &'a Event, topic: Option<&'a str>) -> EventView<'a> {
        EventView {
            topic,
            attributes: Attributes::of(event),
            data: DataView::of(event.data.as_ref()),
        }
    }
}

impl<'a> DataView<'a> {
    /// The view of what [`Data::of`] makes of these.
    pub fn of_bytes(media_type: Option<&str>, bytes: &'a [u8]) -> DataView<'a> {
        match media_type {
            Some(it) if !is_json(it) && is_text(it) => {
                std::str::from_utf8(bytes).map_or(DataView::Opaque, DataView::Text)
            }
            _ if media_type.is_none_or(is_json) && is_valid_json(bytes) => DataView::Json(bytes),
            _ => DataView::Opaque,
        }
    }

    /// The same, read from its first byte to its last where nobody has done that.
    pub fn checked(self) -> DataView<'a> {
        let DataView::Unchecked { bytes, is_declared } = self else {
            return self;
        };
        if is_valid_json(bytes) {
            return DataView::Json(bytes);
        }
        let text = std::str::from_utf8(bytes).ok();
        text.filter(|it| !is_declared && is_printable(it))
            .map_or(DataView::Opaque, DataView::Text)
    }

    /// The view of an event's data.
    pub fn of(data: Option<&'a Data>) -> DataView<'a> {
        match data {
            None => DataView::Absent,
            Some(Data::Json(json)) => DataView::Json(json),
            Some(Data::Text(text)) => DataView::Text(text),
            Some(Data::Binary(_)) => DataView::Opaque,
        }
    }
}

impl<'a> Attributes<'a> {
    /// None.
    pub fn new() -> Attributes<'a> {
        Attributes::default()
    }

    /// Those of `event`.
    pub fn of(event: &'a Event) -> Attributes<'a> {
        let mut all = Attributes::new();
        all.push("specversion", "1.0");
        all.push("id", event.id.as_str());
        all.push("source", event.source.as_str());
        all.push("type", event.r#type.as_str());
        let optional = [
            ("subject", &event.subject),
            ("time", &event.time),
            ("datacontenttype", &event.datacontenttype),
            ("dataschema", &event.dataschema),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                all.push(name, value.as_str());
            }
        }
        for (name, value) in &event.extensions {
            all.push(name, value);
        }
        all
    }

    /// Adds one; its name must not be there yet.
    pub fn push(&mut self, name: &'a str, value: impl Into<AttributeValue<'a>>) {
        self.list.push((name, value.into()));
    }

    /// The value of the attribute `name`, which is in lower case.
    pub fn find(&self, name: &str) -> Option<&AttributeValue<'a>> {
        let found = self.list.iter().find(|it| it.0 == name);
        found.map(|it| &it.1)
    }

    /// All of them, in the order in which they were added.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'a str, &AttributeValue<'a>)> {
        self.list.iter().map(|(name, value)| (*name, value))
    }

    /// The one added as number `index`, from 0.
    pub(crate) fn nth(&self, index: usize) -> Option<&AttributeValue<'a>> {
        self.list.get(index).map(|it| &it.1)
    }

    /// None, in the memory of these: for whoever views one event after the other.
    pub fn recycle<'b>(mut self) -> Attributes<'b> {
        self.list.clear();
        let emptied = self
            .list
            .into_iter()
            .map(|_| ("", AttributeValue::Boolean(false)));
        Attributes {
            list: emptied.collect(),
        }
    }
}

impl AttributeValue<'_> {
    /// The canonical text, which every protocol without types carries.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            AttributeValue::Boolean(true) => "true".into(),
            AttributeValue::Boolean(false) => "false".into(),
            AttributeValue::Integer(value) => value.to_string().into(),
            AttributeValue::Text(text) => Cow::Borrowed(text),
        }
    }
}

impl<'a> From<&'a str> for AttributeValue<'a> {
    fn from(text: &'a str) -> AttributeValue<'a> {
        AttributeValue::Text(Cow::Borrowed(text))
    }
}

impl<'a> From<&'a Value> for AttributeValue<'a> {
    fn from(value: &'a Value) -> AttributeValue<'a> {
        match value {
            Value::Boolean(value) => AttributeValue::Boolean(*value),
            Value::Integer(value) => AttributeValue::Integer(*value),
            other => AttributeValue::Text(other.text()),
        }
    }
}
