use super::{Data, Event, EventError, EventProblem, MAX_EXTENSIONS, Value};

/// An event being read from what a sender wrote, attribute by attribute, in any order.
#[derive(Clone, Debug)]
pub struct EventReader {
    event: Event,
    has_version: bool,
}

impl EventReader {
    /// Begins without any attribute.
    #[expect(
        clippy::new_without_default,
        reason = "an event without attributes is no sensible default"
    )]
    pub fn new() -> EventReader {
        EventReader {
            event: Event::new(String::new(), String::new(), String::new()),
            has_version: false,
        }
    }

    /// Takes the attribute of this name, `specversion` among them; any name that the specification does not know is an
    /// extension. Fails for what comes twice, for another version and for one extension too many; all else is checked at
    /// the end.
    pub fn set(&mut self, name: &str, value: Value) -> Result<(), EventError> {
        let event = &mut self.event;
        let wrong = |problem| Err(EventError::new(name, problem));
        let slot = match name {
            "specversion" if self.has_version => return wrong(EventProblem::Twice),
            "specversion" if value.text() != "1.0" => return wrong(EventProblem::Version),
            "specversion" => {
                self.has_version = true;
                return Ok(());
            }
            "id" => Slot::Required(&mut event.id),
            "source" => Slot::Required(&mut event.source),
            "type" => Slot::Required(&mut event.r#type),
            "subject" => Slot::Optional(&mut event.subject),
            "time" => Slot::Optional(&mut event.time),
            "datacontenttype" => Slot::Optional(&mut event.datacontenttype),
            "dataschema" => Slot::Optional(&mut event.dataschema),
            _ if event.extensions.contains_key(name) => return wrong(EventProblem::Twice),
            _ if event.extensions.len() == MAX_EXTENSIONS => {
                return Err(EventError::new("extensions", EventProblem::TooMany));
            }
            _ => {
                event.extensions.insert(name.to_owned(), value);
                return Ok(());
            }
        };
        let text = match value {
            Value::String(text)
            | Value::Uri(text)
            | Value::UriRef(text)
            | Value::Timestamp(text) => text,
            Value::Boolean(_) | Value::Integer(_) | Value::Binary(_) => {
                return wrong(EventProblem::Type);
            }
        };
        if slot.fill(text) {
            Ok(())
        } else {
            wrong(EventProblem::Twice)
        }
    }

    /// `datacontenttype`, as far as it was read.
    pub fn media_type(&self) -> Option<&str> {
        self.event.datacontenttype.as_deref()
    }

    /// The event, if it has a version and every attribute is valid, with the payload of a transport that says nothing of
    /// its form: [`Data::of`], and no data where it is empty.
    pub fn finish(self, payload: Vec<u8>) -> Result<Event, EventError> {
        let data = (!payload.is_empty()).then(|| Data::of(self.media_type(), payload));
        self.finish_with(data)
    }

    /// The same with data whose form is known; `Data::Json` must be valid JSON.
    pub(crate) fn finish_with(mut self, data: Option<Data>) -> Result<Event, EventError> {
        if !self.has_version {
            return Err(EventError::new("specversion", EventProblem::Missing));
        }
        self.event.data = data.map(|data| data.normalized(self.event.datacontenttype.as_deref()));
        self.event.check_attributes()?;
        Ok(self.event)
    }
}

enum Slot<'a> {
    Required(&'a mut String),
    Optional(&'a mut Option<String>),
}

impl Slot<'_> {
    /// False if something stands there.
    fn fill(self, text: String) -> bool {
        match self {
            Slot::Required(slot) if slot.is_empty() => *slot = text,
            Slot::Optional(slot @ None) => *slot = Some(text),
            _ => return false,
        }
        true
    }
}
