use super::{Data, Event, EventError, Value};

/// An event being put together; [`EventBuilder::build`] checks it.
#[derive(Clone, Debug)]
pub struct EventBuilder(Event);

impl EventBuilder {
    pub(super) fn new(id: String, source: String, r#type: String) -> EventBuilder {
        EventBuilder(Event {
            id,
            source,
            r#type,
            subject: None,
            time: None,
            datacontenttype: None,
            dataschema: None,
            extensions: Default::default(),
            data: None,
        })
    }

    /// Sets `subject`.
    pub fn subject(mut self, subject: impl Into<String>) -> EventBuilder {
        self.0.subject = Some(subject.into());
        self
    }

    /// Sets `time`: RFC 3339 text, as [`super::timestamp_text`] gives it.
    pub fn time(mut self, time: impl Into<String>) -> EventBuilder {
        self.0.time = Some(time.into());
        self
    }

    /// Sets `datacontenttype`.
    pub fn datacontenttype(mut self, media_type: impl Into<String>) -> EventBuilder {
        self.0.datacontenttype = Some(media_type.into());
        self
    }

    /// Sets `dataschema`.
    pub fn dataschema(mut self, uri: impl Into<String>) -> EventBuilder {
        self.0.dataschema = Some(uri.into());
        self
    }

    /// Sets an extension; the last of one name stays.
    pub fn extension(mut self, name: impl Into<String>, value: impl Into<Value>) -> EventBuilder {
        self.0.extensions.insert(name.into(), value.into());
        self
    }

    /// Sets the payload; [`EventBuilder::build`] gives it the form that `datacontenttype` asks for.
    pub fn data(mut self, data: Data) -> EventBuilder {
        self.0.data = Some(data);
        self
    }

    /// The event, if every attribute is valid.
    pub fn build(self) -> Result<Event, EventError> {
        let mut event = self.0;
        event.data = event
            .data
            .map(|data| data.normalized(event.datacontenttype.as_deref()));
        event.check()?;
        Ok(event)
    }
}
