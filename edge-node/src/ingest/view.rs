//! A stored PUBLISH as its event.

use std::borrow::Cow;

use filters::{
    Data, DataView, Event, EventError, EventReader, MAX_ATTRIBUTE_VALUE_BYTES, MAX_EXTENSIONS,
    Value, is_attribute_name, is_json, timestamp_text, without_control_characters,
};

use super::{
    DEFAULT_TYPE, INVALID_TYPE,
    minted::{Attributes, DataForm, DeviceData, DeviceEvent, Form, Minted, Received},
    template,
};
use crate::mqtt::packet::PublishPropertySet;

/// The media type of a device's data as it came.
const POSTCARD_TYPE: &str = "application/x-postcard";

/// The event of a stored PUBLISH: the same each time.
///
/// # Errors
///
/// The PUBLISH and what was minted for it do not belong together; what [`super::Ingest`] gave out never does this.
pub fn view(
    topic: &str,
    properties: Option<&PublishPropertySet>,
    payload: &[u8],
    minted: &Minted,
) -> Result<Event, EventError> {
    let (mut event, partitionkey) = match &minted.form {
        Form::Plain(attributes) => (
            plain(topic, properties, payload, attributes, minted.received),
            &attributes.partitionkey,
        ),
        Form::Invalid { attributes, reason } => (
            invalid(
                topic,
                properties,
                payload,
                attributes,
                reason,
                minted.received,
            ),
            &attributes.partitionkey,
        ),
        Form::Binary { partitionkey } => (binary(properties, payload.to_vec())?, partitionkey),
        Form::Structured { partitionkey } => (filters::json::decode(payload)?, partitionkey),
        Form::Carried { typed, data } => return carried(properties, payload, typed, *data),
        Form::Device(event) => (of_device(event), &None),
    };
    let expiry = properties
        .and_then(|it| it.message_expiry_interval)
        .filter(|_| minted.received.plausible);
    if let Some(seconds) = expiry {
        let millis = minted
            .received
            .millis
            .saturating_add(u64::from(seconds) * 1000);
        add(
            &mut event,
            "expirytime",
            Value::Timestamp(timestamp_text(millis)),
        );
    }
    if let Some(key) = partitionkey {
        add(&mut event, "partitionkey", Value::String(key.clone()));
    }
    if let Some(topic) = attribute_text(topic) {
        add(&mut event, "mqtttopic", Value::String(topic.into_owned()));
    }
    Ok(event)
}

/// What decoders look at of a stored PUBLISH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecoded<'a> {
    /// The payload, with the content type of the event.
    Payload(Option<&'a str>),
    /// The data within the event that is the payload.
    InEvent,
    /// Nothing: the node decoded it when it came.
    Nothing,
}

/// What decoders look at of a stored PUBLISH.
pub fn undecoded<'a>(
    properties: Option<&'a PublishPropertySet>,
    minted: &'a Minted,
) -> Undecoded<'a> {
    let declared = properties.and_then(|it| it.content_type.as_deref());
    match &minted.form {
        Form::Plain(attributes) => {
            Undecoded::Payload(attributes.datacontenttype.as_deref().or(declared))
        }
        Form::Binary { .. } | Form::Carried { .. } | Form::Invalid { .. } => {
            Undecoded::Payload(declared)
        }
        Form::Structured { .. } => Undecoded::InEvent,
        Form::Device(_) => Undecoded::Nothing,
    }
}

/// The data of the event of a stored PUBLISH as rules see them, without the event and, where they may be JSON, without a look
/// at them; `None` where that takes the event.
pub fn data_view<'a>(
    properties: Option<&PublishPropertySet>,
    payload: &'a [u8],
    minted: &Minted,
) -> Option<DataView<'a>> {
    let Form::Plain(attributes) = &minted.form else {
        return None;
    };
    if payload.is_empty() {
        return Some(DataView::Absent);
    }
    let declared = attributes
        .datacontenttype
        .as_ref()
        .or(properties.and_then(|it| it.content_type.as_ref()));
    let unchecked = |is_declared| DataView::Unchecked {
        bytes: payload,
        is_declared,
    };
    match declared {
        Some(media_type) if is_json(media_type) => Some(unchecked(true)),
        Some(media_type) => Some(DataView::of_bytes(Some(media_type), payload)),
        None => {
            let is_text = properties.is_some_and(|it| it.payload_format_indicator == Some(true));
            (!is_text && begins_like_json(payload)).then(|| unchecked(false))
        }
    }
}

/// Whether a PUBLISH is an event in binary mode.
pub(super) fn is_binary(properties: Option<&PublishPropertySet>) -> bool {
    properties.is_some_and(|it| {
        it.user_properties
            .iter()
            .any(|(name, _)| name == "specversion")
    })
}

/// Whether the attributes of a PUBLISH in binary mode are those of an event.
pub(super) fn check_binary(properties: Option<&PublishPropertySet>) -> Result<(), EventError> {
    binary(properties, Vec::new()).map(drop)
}

fn binary(properties: Option<&PublishPropertySet>, payload: Vec<u8>) -> Result<Event, EventError> {
    let mut reader = EventReader::new();
    let mut extensions = Vec::new();
    if let Some(media_type) = properties.and_then(|it| it.content_type.as_ref()) {
        reader.set("datacontenttype", Value::String(media_type.clone()))?;
    }
    for (name, value) in properties.iter().flat_map(|it| &it.user_properties) {
        if name != "data" && !filters::is_extension(name) {
            reader.set(name, Value::String(value.clone()))?;
        } else {
            extensions.extend(extension(name, value));
        }
    }
    let mut event = reader.finish(payload)?;
    for (name, value) in extensions {
        add(&mut event, &name, value);
    }
    Ok(event)
}

/// What was put into a PUBLISH by `PublishedEvent`, as it was.
fn carried(
    properties: Option<&PublishPropertySet>,
    payload: &[u8],
    typed: &[(String, Value)],
    data: DataForm,
) -> Result<Event, EventError> {
    let mut event = binary(properties, Vec::new())?;
    for (name, value) in typed {
        event.extensions.insert(name.clone(), value.clone());
    }
    let text = || String::from_utf8(payload.to_vec()).unwrap_or_default();
    event.data = match data {
        DataForm::Absent => None,
        DataForm::Json => Some(Data::Json(payload.to_vec())),
        DataForm::Text => Some(Data::Text(text())),
        DataForm::Binary => Some(Data::Binary(payload.to_vec())),
    };
    Ok(event)
}

/// Its `source` names the device and no node, so that it is the same event whichever node takes it.
fn of_device(event: &DeviceEvent) -> Event {
    let mut source = "urn:edge-device:".to_owned();
    template::push_for_uri(&mut source, &event.device, "");
    let (media_type, data, reason) = match &event.data {
        DeviceData::Json(json) => ("application/json", Data::Json(json.clone()), None),
        DeviceData::Invalid(bytes, reason) => (
            "application/octet-stream",
            Data::Binary(bytes.clone()),
            Some(reason),
        ),
        DeviceData::Postcard { bytes, .. } => (POSTCARD_TYPE, Data::Binary(bytes.clone()), None),
    };
    let mut shown = Event {
        id: event.id.clone(),
        source,
        r#type: event.r#type.clone(),
        subject: attribute_text(&event.device).map(Cow::into_owned),
        time: Some(timestamp_text(event.time_ms)),
        datacontenttype: Some(media_type.to_owned()),
        dataschema: kind_of(event),
        extensions: Default::default(),
        data: Some(data),
    };
    let unsynced = (!event.is_synced).then_some("unsynced");
    for (name, value) in [
        ("timequality", unsynced),
        ("invalidreason", reason.map(String::as_str)),
    ] {
        if let Some(value) = value {
            add(&mut shown, name, Value::String(value.to_owned()));
        }
    }
    shown
}

/// What data that goes on as it came follows: the type and version of its kind.
fn kind_of(event: &DeviceEvent) -> Option<String> {
    let DeviceData::Postcard { version, .. } = &event.data else {
        return None;
    };
    let mut kind = "urn:edge-kind:".to_owned();
    template::push_for_uri(&mut kind, &event.r#type, "");
    Some(format!("{kind}:{version}"))
}

fn plain(
    topic: &str,
    properties: Option<&PublishPropertySet>,
    payload: &[u8],
    attributes: &Attributes,
    received: Received,
) -> Event {
    let declared = attributes
        .datacontenttype
        .as_ref()
        .or(properties.and_then(|it| it.content_type.as_ref()));
    let (datacontenttype, data) = match declared {
        _ if payload.is_empty() => (declared.cloned(), None),
        Some(media_type) => (
            declared.cloned(),
            Some(Data::of(Some(media_type), payload.to_vec())),
        ),
        None => {
            let is_text = properties.is_some_and(|it| it.payload_format_indicator == Some(true));
            let (media_type, data) = sniffed(payload, is_text);
            (Some(media_type.to_owned()), Some(data))
        }
    };
    let event = minted(topic, properties, attributes, received, DEFAULT_TYPE);
    Event {
        datacontenttype,
        data,
        ..event
    }
}

fn invalid(
    topic: &str,
    properties: Option<&PublishPropertySet>,
    payload: &[u8],
    attributes: &Attributes,
    reason: &str,
    received: Received,
) -> Event {
    let mut event = minted(topic, properties, attributes, received, INVALID_TYPE);
    event.datacontenttype = Some("application/octet-stream".to_owned());
    event.data = (!payload.is_empty()).then(|| Data::Binary(payload.to_vec()));
    if event.extensions.len() == MAX_EXTENSIONS {
        event.extensions.pop_last();
    }
    event.extensions.insert(
        "invalidreason".to_owned(),
        Value::String(without_control_characters(reason).into_owned()),
    );
    event
}

/// The event of a PUBLISH that is none itself, still without data.
fn minted(
    topic: &str,
    properties: Option<&PublishPropertySet>,
    attributes: &Attributes,
    received: Received,
    default_type: &str,
) -> Event {
    let mut event = Event {
        id: attributes.id.text(),
        source: attributes.source.clone(),
        r#type: attributes
            .r#type
            .clone()
            .unwrap_or_else(|| default_type.to_owned()),
        subject: attributes
            .subject
            .clone()
            .or_else(|| attribute_text(topic).map(Cow::into_owned)),
        time: attributes
            .time
            .clone()
            .or_else(|| Some(timestamp_text(received.millis))),
        datacontenttype: None,
        dataschema: None,
        extensions: Default::default(),
        data: None,
    };
    if attributes.time.is_none() && !received.plausible {
        add(
            &mut event,
            "timequality",
            Value::String("unsynced".to_owned()),
        );
    }
    for (name, value) in properties.iter().flat_map(|it| &it.user_properties) {
        if let Some((name, value)) = extension(name, value) {
            add(&mut event, &name, value);
        }
    }
    event
}

/// A user property as an extension, if one can have its name, in lower case if need be.
fn extension<'a>(name: &'a str, value: &str) -> Option<(Cow<'a, str>, Value)> {
    let name = match is_attribute_name(name) {
        true => Cow::Borrowed(name),
        false => Cow::Owned(name.to_ascii_lowercase()),
    };
    let usable = is_attribute_name(&name) && filters::is_extension(&name);
    let value = attribute_text(value).filter(|_| usable)?;
    Some((name, Value::String(value.into_owned())))
}

/// Adds an extension that the event has not, if there is room for one more.
fn add(event: &mut Event, name: &str, value: Value) {
    if event.extensions.len() < MAX_EXTENSIONS && !event.extensions.contains_key(name) {
        event.extensions.insert(name.to_owned(), value);
    }
}

/// Text of MQTT as an attribute may have it; `None` if it is too long for one.
fn attribute_text(text: &str) -> Option<Cow<'_, str>> {
    let text = without_control_characters(text);
    (text.len() <= MAX_ATTRIBUTE_VALUE_BYTES).then_some(text)
}

fn begins_like_json(payload: &[u8]) -> bool {
    let first = payload.iter().find(|it| !it.is_ascii_whitespace());
    matches!(first, Some(b'{' | b'['))
}

/// What a payload is of which nothing is said.
fn sniffed(payload: &[u8], is_text: bool) -> (&'static str, Data) {
    let data = match begins_like_json(payload) {
        true => Data::of(Some("application/json"), payload.to_vec()),
        false => Data::Binary(payload.to_vec()),
    };
    let Data::Binary(bytes) = data else {
        return ("application/json", data);
    };
    let printable = |text: &str| is_text || filters::is_printable(text);
    match String::from_utf8(bytes) {
        Ok(text) if printable(&text) => ("text/plain; charset=utf-8", Data::Text(text)),
        Ok(text) => ("application/octet-stream", Data::Binary(text.into_bytes())),
        Err(error) => ("application/octet-stream", Data::Binary(error.into_bytes())),
    }
}
