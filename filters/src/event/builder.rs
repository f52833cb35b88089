use super::{Data, Event, EventError, Value};

/// An event being put together; [`EventBuilder::build`] checks it.
#[derive(Clone, Debug)]
pub struct EventBuilder {
    event: Event,
    payload: Option<Vec<u8>>,
}

impl EventBuilder {
    pub(super) fn new(event: Event) -> EventBuilder {
        EventBuilder {
            event,
            payload: None,
        }
    }

    /// Sets `subject`.
    pub fn subject(mut self, subject: impl Into<String>) -> EventBuilder {
        self.event.subject = Some(subject.into());
        self
    }

    /// Sets `time`: RFC 3339 text, as [`super::timestamp_text`] gives it.
    pub fn time(mut self, time: impl Into<String>) -> EventBuilder {
        self.event.time = Some(time.into());
        self
    }

    /// Sets `datacontenttype`.
    pub fn datacontenttype(mut self, media_type: impl Into<String>) -> EventBuilder {
        self.event.datacontenttype = Some(media_type.into());
        self
    }

    /// Sets `dataschema`.
    pub fn dataschema(mut self, uri: impl Into<String>) -> EventBuilder {
        self.event.dataschema = Some(uri.into());
        self
    }

    /// Sets an extension; the last of one name stays.
    pub fn extension(mut self, name: impl Into<String>, value: impl Into<Value>) -> EventBuilder {
        self.event.extensions.insert(name.into(), value.into());
        self
    }

    /// Sets the payload; [`EventBuilder::build`] gives it the form that `datacontenttype` asks for.
    pub fn data(mut self, data: Data) -> EventBuilder {
        self.event.data = Some(data);
        self
    }

    /// Sets the payload of a transport that says nothing of its form: [`Data::of`], and no data where it is empty.
    pub fn payload(mut self, bytes: Vec<u8>) -> EventBuilder {
        self.payload = Some(bytes);
        self
    }

    /// The event, if every attribute is valid.
    pub fn build(self) -> Result<Event, EventError> {
        let mut event = self.event;
        let media_type = event.datacontenttype.as_deref();
        event.data = match (self.payload, event.data.take()) {
            (Some(bytes), _) => (!bytes.is_empty()).then(|| Data::of(media_type, bytes)),
            (None, Some(Data::Json(bytes))) => {
                event.data = Some(Data::Json(bytes).normalized(media_type));
                event.check_data()?;
                event.data
            }
            (None, data) => data.map(|data| data.normalized(media_type)),
        };
        event.check_attributes()?;
        Ok(event)
    }
}
