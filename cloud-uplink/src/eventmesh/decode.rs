use std::collections::BTreeMap;

use filters::{Event, EventError, EventProblem, Value};

use super::{
    attribute::{
        self, CE_DATA_CONTENT_TYPE, CE_SUBJECT, DATA_CONTENT_TYPE, DATA_SCHEMA, ENV, IDC, IP,
        LANGUAGE, MESH_SENDER, NO_DATA, PASSWD, PID, PRODUCER_GROUP, REQ_MESH_TO_CLIENT,
        REQ_MQ_TO_MESH, SEQ_NUM, SUBJECT, SYS, TEXT_DATA, TIME, TTL, UNIQUE_ID, USERNAME,
    },
    data,
    proto::{
        CloudEvent,
        cloud_event::{Data as WireData, cloud_event_attribute_value::Attr},
    },
    sender,
};

/// An event that a publisher sent, with what its envelope said restored.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// The mesh topic: EventMesh's `subject`.
    pub mesh_topic: String,
    /// The event as it was before it became a message; checked.
    pub event: Event,
}

/// Why a message is no event. The sender has to mend it; a repeat is refused again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// What every request says of its sender is missing or not text.
    #[error("`{0}` is missing, or not text as it has to be")]
    Header(&'static str),
    /// A part of the event itself is missing or not what it has to be.
    #[error("{0}")]
    Body(String),
    /// The name of an attribute.
    #[error("Invalid extensions name: {0}")]
    Name(String),
    /// The value of an attribute.
    #[error("Invalid attribute/extension value: {0}")]
    Value(EventError),
}

/// Whether a request says of its sender what every request has to.
///
/// # Errors
/// [`Malformed::Header`] names the first attribute that is missing, empty or not text.
pub fn check_header(message: &CloudEvent) -> Result<(), Malformed> {
    for name in [ENV, IDC, IP, SYS, USERNAME, PASSWD, LANGUAGE] {
        if message.text(name).is_none_or(str::is_empty) {
            return Err(Malformed::Header(name));
        }
    }
    let digits = |it: &str| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit());
    if message.text(PID).is_some_and(digits) {
        Ok(())
    } else {
        Err(Malformed::Header(PID))
    }
}

/// The event in a publisher's message. The message may come from anyone.
///
/// # Errors
/// It is no event, or lacks what EventMesh requires around one.
pub fn decode(message: CloudEvent) -> Result<Received, Malformed> {
    check_header(&message)?;
    check_body(&message)?;
    let mut parts = Parts::new(message.id, message.source, message.r#type);
    for (name, value) in message.attributes {
        let Some(value) = value.attr.map(value_of) else {
            return Err(Malformed::Value(problem(&name, EventProblem::Empty)));
        };
        parts.take(name, value)?;
    }
    parts.finish(message.data)
}

fn check_body(message: &CloudEvent) -> Result<(), Malformed> {
    for name in [SUBJECT, UNIQUE_ID, PRODUCER_GROUP, TTL] {
        if message.text(name).is_none_or(str::is_empty) {
            return Err(Malformed::Body(format!("`{name}` is missing, or not text")));
        }
    }
    for (name, value) in [
        ("id", &message.id),
        ("source", &message.source),
        ("type", &message.r#type),
    ] {
        if value.is_empty() {
            return Err(Malformed::Body(format!("`{name}` is missing")));
        }
    }
    if message.spec_version != "1.0" {
        return Err(Malformed::Body("`spec_version` is not 1.0".to_owned()));
    }
    let textual = message.text(DATA_CONTENT_TYPE).is_some_and(data::is_text);
    let fits = match &message.data {
        None => false,
        Some(WireData::TextData(text)) => textual && !text.is_empty(),
        Some(WireData::BinaryData(bytes)) => !textual && !bytes.is_empty(),
        Some(WireData::ProtoData(any)) => !textual && *any != prost_types::Any::default(),
    };
    if fits {
        Ok(())
    } else {
        Err(Malformed::Body(
            "the data is missing, or not in the field that its datacontenttype asks for".to_owned(),
        ))
    }
}

/// A message being taken apart.
struct Parts {
    mesh_topic: String,
    event: Event,
    /// The media type the event had before it travelled, where the data travelled under another.
    own_media_type: Option<String>,
    no_data: bool,
    text_data: bool,
    sender: BTreeMap<String, String>,
}

impl Parts {
    fn new(id: String, source: String, r#type: String) -> Parts {
        Parts {
            mesh_topic: String::new(),
            event: Event::new(id, source, r#type),
            own_media_type: None,
            no_data: false,
            text_data: false,
            sender: BTreeMap::new(),
        }
    }

    fn take(&mut self, name: String, value: Value) -> Result<(), Malformed> {
        let text = |value: Value| value.text().into_owned();
        match (name.as_str(), value) {
            (SUBJECT, value) => self.mesh_topic = text(value),
            (CE_SUBJECT, value) => self.event.subject = Some(text(value)),
            (TIME, value) => self.event.time = Some(text(value)),
            (DATA_SCHEMA, value) => self.event.dataschema = Some(text(value)),
            (DATA_CONTENT_TYPE, value) => self.event.datacontenttype = Some(text(value)),
            (CE_DATA_CONTENT_TYPE, value) => self.own_media_type = Some(text(value)),
            (NO_DATA, Value::Boolean(true)) => self.no_data = true,
            (TEXT_DATA, Value::Boolean(true)) => self.text_data = true,
            // What the mesh says of one delivery is no part of the event, and a password is nobody's business.
            (REQ_MQ_TO_MESH | REQ_MESH_TO_CLIENT | PASSWD, _) => {}
            (reserved, value) if attribute::is_reserved(reserved) => {
                self.sender.insert(name, text(value));
            }
            (other, value) => {
                let name = attribute::unescape(other);
                if !filters::is_attribute_name(name) {
                    let problem = problem(name, EventProblem::Name);
                    return Err(Malformed::Name(problem.attribute));
                }
                self.event.extensions.insert(name.to_owned(), value);
            }
        }
        Ok(())
    }

    fn finish(mut self, data: Option<WireData>) -> Result<Received, Malformed> {
        let nothing = self.no_data && matches!(&data, Some(WireData::TextData(it)) if it == "null");
        let disguised = nothing
            || self.event.datacontenttype.as_deref() == Some(data::OCTET_STREAM)
                && self.own_media_type.is_some();
        if disguised {
            self.event.datacontenttype = self.own_media_type.take();
        }
        if !nothing {
            let media_type = self.event.datacontenttype.as_deref();
            self.event.data = data.map(|it| data::decode(it, media_type, self.text_data));
        }
        self.keep_sender();
        self.event.check().map_err(|error| match error.problem {
            EventProblem::Name | EventProblem::Reserved => Malformed::Name(error.attribute),
            _ => Malformed::Value(error),
        })?;
        Ok(Received {
            mesh_topic: self.mesh_topic,
            event: self.event,
        })
    }

    /// What every node says of itself anyway is left out; what an earlier mesh kept stays.
    fn keep_sender(&mut self) {
        let id = &self.event.id;
        self.sender.retain(|name, value| match name.as_str() {
            SEQ_NUM | UNIQUE_ID => value != id,
            name => !sender::is_usual(name, value),
        });
        if !self.sender.is_empty() {
            self.event
                .extensions
                .entry(MESH_SENDER.to_owned())
                .or_insert_with(|| Value::String(sender::pack(&self.sender)));
        }
    }
}

fn problem(attribute: &str, problem: EventProblem) -> EventError {
    let shown = attribute.chars().take(filters::MAX_ATTRIBUTE_NAME_BYTES);
    let attribute = shown
        .map(|it| if it.is_control() { '\u{fffd}' } else { it })
        .collect();
    EventError { attribute, problem }
}

fn value_of(attr: Attr) -> Value {
    match attr {
        Attr::CeBoolean(value) => Value::Boolean(value),
        Attr::CeInteger(number) => Value::Integer(number),
        Attr::CeString(text) => Value::String(text),
        Attr::CeBytes(bytes) => Value::Binary(bytes),
        Attr::CeUri(uri) => Value::Uri(uri),
        Attr::CeUriRef(uri) => Value::UriRef(uri),
        Attr::CeTimestamp(timestamp) => Value::Timestamp(timestamp.to_string()),
    }
}
