use std::time::SystemTime;

use filters::{Event, Value};

use super::{
    attribute::{
        self, CE_DATA_CONTENT_TYPE, CE_SUBJECT, DATA_CONTENT_TYPE, DATA_SCHEMA, MESH_SENDER,
        MQTT_TOPIC, NO_DATA, SEQ_NUM, SUBJECT, TEXT_DATA, TIME, UNIQUE_ID,
    },
    data,
    proto::{CloudEvent, cloud_event::cloud_event_attribute_value::Attr},
    sender::{self, Sender},
    time,
};

/// What stands around an event on its way into a mesh or to a subscriber of this one.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// EventMesh's topic.
    pub mesh_topic: &'a str,
    /// The MQTT topic on which this node took the event, where that is not the mesh topic already. An event that came
    /// over a mesh keeps the one it has: that is where it entered.
    pub mqtt_topic: Option<&'a str>,
    /// Who sends it.
    pub sender: &'a Sender,
    /// Whether what the first publisher said of itself goes before what `sender` says: to a subscriber, not to a mesh.
    pub as_first_sent: bool,
}

/// The message an event travels as. All events have one.
pub fn encode(event: Event, envelope: &Envelope<'_>) -> CloudEvent {
    let mut message = CloudEvent {
        spec_version: "1.0".to_owned(),
        ..CloudEvent::default()
    };
    set_envelope(&mut message, &event, envelope);
    if let Some(subject) = event.subject {
        message.set_text(CE_SUBJECT, subject);
    }
    if let Some(text) = event.time {
        message.set(TIME, time::time_attribute(&text));
    }
    if let Some(uri) = event.dataschema {
        message.set(DATA_SCHEMA, Attr::CeUri(uri));
    }
    let unpack = envelope.as_first_sent;
    for (name, value) in event.extensions {
        if !(unpack && name == MESH_SENDER) {
            message.set(&attribute::escape(&name), attr(value));
        }
    }
    set_data(&mut message, event.data, event.datacontenttype.as_deref());
    message.id = event.id;
    message.source = event.source;
    message.r#type = event.r#type;
    message
}

/// The answer's attribute `time`.
pub fn now_attribute(now: SystemTime) -> Attr {
    Attr::CeTimestamp(time::wall_time(now))
}

fn set_envelope(message: &mut CloudEvent, event: &Event, envelope: &Envelope<'_>) {
    for (name, value) in envelope.sender.attributes() {
        message.set_text(name, value);
    }
    message.set_text(UNIQUE_ID, &event.id);
    message.set_text(SEQ_NUM, &event.id);
    if envelope.as_first_sent
        && let Some(packed) = event.extension_text(MESH_SENDER)
    {
        for (name, value) in sender::unpack(&packed) {
            message.set_text(name, value);
        }
    }
    message.set_text(SUBJECT, envelope.mesh_topic);
    if let Some(topic) = envelope.mqtt_topic {
        message.set_text(MQTT_TOPIC, topic);
    }
}

fn set_data(message: &mut CloudEvent, data: Option<filters::Data>, media_type: Option<&str>) {
    let sent = data::encode(data, media_type);
    if sent.no_data {
        message.set(NO_DATA, Attr::CeBoolean(true));
    }
    if sent.textual {
        message.set(TEXT_DATA, Attr::CeBoolean(true));
    }
    if let Some(own) = media_type.filter(|_| sent.disguised) {
        message.set_text(CE_DATA_CONTENT_TYPE, own);
    }
    if let Some(media_type) = sent.media_type {
        message.set_text(DATA_CONTENT_TYPE, media_type);
    }
    message.data = Some(sent.data);
}

fn attr(value: Value) -> Attr {
    match value {
        Value::Boolean(value) => Attr::CeBoolean(value),
        Value::Integer(number) => Attr::CeInteger(number),
        Value::String(text) => Attr::CeString(text),
        Value::Binary(bytes) => Attr::CeBytes(bytes),
        Value::Uri(uri) => Attr::CeUri(uri),
        Value::UriRef(uri) => Attr::CeUriRef(uri),
        Value::Timestamp(text) => time::timestamp_attribute(&text),
    }
}
