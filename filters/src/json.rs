//! The JSON format of CloudEvents 1.0: one event as an object (`application/cloudevents+json`), several as an array
//! (`application/cloudevents-batch+json`).
//!
//! JSON data stands in the object as it came, so that numbers keep their digits and objects their order; only white space
//! around it is lost. The format has strings, integers of 32 bits and booleans: an extension of another type is written as
//! its text, and comes back as a string.

mod members;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::value::RawValue;

use crate::{Data, Event, EventError, EventProblem, EventReader, Value, is_extension, is_json};
use members::{Member, Members};

/// The media type of one event.
pub const MEDIA_TYPE: &str = "application/cloudevents+json";
/// The media type of a batch.
pub const BATCH_MEDIA_TYPE: &str = "application/cloudevents-batch+json";

/// Which event of a batch is wrong, and how; nothing of the batch was decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {index}: {error}")]
pub struct BatchError {
    /// Its place in the batch, from 0; 0 too when the batch as a whole is no array of objects.
    pub index: usize,
    /// What is wrong with it.
    pub error: EventError,
}

/// The event as one JSON object, members always in the same order.
pub fn encode(event: &Event) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 + event.data_bytes().len());
    encode_into(event, &mut out);
    out
}

/// [`encode`], appended to what `out` holds.
pub fn encode_into(event: &Event, out: &mut Vec<u8>) {
    debug_assert_eq!(
        event.check(),
        Ok(()),
        "what is filled by hand is checked by hand"
    );
    out.extend_from_slice(b"{\"specversion\":\"1.0\"");
    let optional = [
        ("subject", &event.subject),
        ("time", &event.time),
        ("datacontenttype", &event.datacontenttype),
        ("dataschema", &event.dataschema),
    ];
    text_member(out, "id", &event.id);
    text_member(out, "source", &event.source);
    text_member(out, "type", &event.r#type);
    for (name, value) in optional {
        if let Some(value) = value {
            text_member(out, name, value);
        }
    }
    for (name, value) in &event.extensions {
        match value {
            Value::Boolean(_) | Value::Integer(_) => raw_member(out, name, value.text().as_bytes()),
            _ => text_member(out, name, &value.text()),
        }
    }
    match &event.data {
        None => {}
        Some(Data::Json(json)) => raw_member(out, "data", json),
        Some(Data::Text(text)) => text_member(out, "data", text),
        Some(Data::Binary(bytes)) => text_member(out, "data_base64", &STANDARD.encode(bytes)),
    }
    out.push(b'}');
}

/// The events as one JSON array, in their order.
pub fn encode_batch<'a>(events: impl IntoIterator<Item = &'a Event>) -> Vec<u8> {
    let mut out = vec![b'['];
    for (index, event) in events.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        encode_into(event, &mut out);
    }
    out.push(b']');
    out
}

/// The event of one JSON object.
///
/// A member that is `null` is absent, save `data`, where `null` is JSON data. A number that is no integer of 32 bits is
/// no CloudEvents value; it is kept as the string of its digits rather than refused.
pub fn decode(bytes: &[u8]) -> Result<Event, EventError> {
    let text =
        std::str::from_utf8(bytes).map_err(|_| EventError::new("event", EventProblem::NotUtf8))?;
    decode_text(text)
}

/// The events of one JSON array; all or none.
pub fn decode_batch(bytes: &[u8]) -> Result<Vec<Event>, BatchError> {
    let whole = |problem| BatchError {
        index: 0,
        error: EventError::new("batch", problem),
    };
    let text = std::str::from_utf8(bytes).map_err(|_| whole(EventProblem::NotUtf8))?;
    let events: Vec<&RawValue> =
        serde_json::from_str(text).map_err(|_| whole(EventProblem::Document))?;
    let decoded = events.into_iter().enumerate();
    decoded
        .map(|(index, raw)| decode_text(raw.get()).map_err(|error| BatchError { index, error }))
        .collect()
}

/// Whether bytes are one JSON object with a member `specversion`, its name written without escapes: what a payload is asked where no media type
/// says that it is an event. Costs nothing where the payload does not begin as an object.
pub fn is_structured(bytes: &[u8]) -> bool {
    if bytes.iter().find(|it| !it.is_ascii_whitespace()) != Some(&b'{') {
        return false;
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    text.contains("\"specversion\"")
        && serde_json::from_str::<Members>(text)
            .is_ok_and(|members| members.contains("specversion"))
}

fn decode_text(text: &str) -> Result<Event, EventError> {
    let document = EventError::new("event", EventProblem::Document);
    let members: Members = serde_json::from_str(text).map_err(|_| document)?;
    let mut reader = EventReader::new();
    let (mut data, mut base64) = (None, None);
    for (name, raw) in members.list()? {
        match name.as_ref() {
            "data" if data.is_some() => return Err(EventError::new("data", EventProblem::Twice)),
            "data" => data = Some(raw),
            "data_base64" if base64.is_some() => {
                return Err(EventError::new("data_base64", EventProblem::Twice));
            }
            "data_base64" => base64 = base64_of(raw)?,
            name => match Member::of(name, raw)? {
                Member::Null => {}
                Member::Value(value) => reader.set(name, value)?,
                Member::OtherNumber(digits) if is_extension(name) => {
                    reader.set(name, Value::String(digits))?
                }
                Member::OtherNumber(_) => return Err(EventError::new(name, EventProblem::Type)),
            },
        }
    }
    let data = match (data, base64) {
        (Some(_), Some(_)) => {
            return Err(EventError::new("data_base64", EventProblem::TwoPayloads));
        }
        (Some(raw), None) => payload(raw, reader.media_type().is_none_or(is_json))?,
        (None, base64) => base64.map(Data::Binary),
    };
    reader.finish_with(data)
}

fn base64_of(raw: &RawValue) -> Result<Option<Vec<u8>>, EventError> {
    match Member::of("data_base64", raw)? {
        Member::Null => Ok(None),
        Member::Value(Value::String(text)) => STANDARD
            .decode(text)
            .map(Some)
            .map_err(|_| EventError::new("data_base64", EventProblem::Base64)),
        _ => Err(EventError::new("data_base64", EventProblem::Base64)),
    }
}

/// Under a media type that is not JSON a string is the text it says; any other JSON is taken as the text it stands in.
fn payload(raw: &RawValue, is_json: bool) -> Result<Option<Data>, EventError> {
    if is_json {
        return Ok(Some(Data::Json(raw.get().into())));
    }
    match raw.get().as_bytes().first() {
        Some(b'n') => Ok(None),
        Some(b'"') => serde_json::from_str(raw.get())
            .map(|text| Some(Data::Text(text)))
            .map_err(|_| EventError::new("data", EventProblem::NotUtf8)),
        _ => Ok(Some(Data::Text(raw.get().to_owned()))),
    }
}

fn text_member(out: &mut Vec<u8>, name: &str, text: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    serde_json::to_writer(out, text).expect("text can be written into memory");
}

fn raw_member(out: &mut Vec<u8>, name: &str, json: &[u8]) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    out.extend_from_slice(json);
}

#[cfg(test)]
mod tests;
