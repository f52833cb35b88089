//! The HTTP binding of CloudEvents 1.0, as functions between events and headers with a body.
//!
//! In binary mode each attribute is a header `ce-NAME`, `datacontenttype` is `Content-Type`, the body is the data. In
//! structured mode and in batches the body is what [`crate::json`] reads and writes.

mod percent;

use crate::{Event, EventError, EventProblem, EventReader, Value, json};

/// How a request carries its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Attributes in headers, data in the body: [`decode`].
    Binary,
    /// One event in the body: [`json::decode`].
    Structured,
    /// Events in the body: [`json::decode_batch`].
    Batch,
}

impl Mode {
    /// The mode of a request, by the value of its `Content-Type` and whether it has a header `ce-specversion`. `None`: it
    /// carries no event, or one in a format other than JSON.
    pub fn of(content_type: Option<&str>, has_specversion: bool) -> Option<Mode> {
        let essence = content_type
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default()
            .trim();
        let prefix = "application/cloudevents";
        if essence.eq_ignore_ascii_case(json::MEDIA_TYPE) {
            Some(Mode::Structured)
        } else if essence.eq_ignore_ascii_case(json::BATCH_MEDIA_TYPE) {
            Some(Mode::Batch)
        } else if essence
            .get(..prefix.len())
            .is_some_and(|it| it.eq_ignore_ascii_case(prefix))
        {
            None
        } else {
            has_specversion.then_some(Mode::Binary)
        }
    }
}

/// The event in binary mode: headers, names in lower case and always in the same order, and the body.
pub fn encode(event: &Event) -> (Vec<(String, String)>, Vec<u8>) {
    let mut headers = vec![("ce-specversion".to_owned(), "1.0".to_owned())];
    let mut header =
        |name: &str, value: &str| headers.push((format!("ce-{name}"), percent::encode(value)));
    header("id", &event.id);
    header("source", &event.source);
    header("type", &event.r#type);
    for (name, value) in [
        ("subject", &event.subject),
        ("time", &event.time),
        ("dataschema", &event.dataschema),
    ] {
        if let Some(value) = value {
            header(name, value);
        }
    }
    for (name, value) in &event.extensions {
        header(name, &value.text());
    }
    if let Some(media_type) = &event.datacontenttype {
        headers.push(("content-type".to_owned(), media_type.clone()));
    }
    (headers, event.data_bytes().to_vec())
}

/// The event of a request in binary mode. Headers other than `ce-…` and `Content-Type` are not looked at; names are taken
/// in any case. Every extension is a string, an empty body no data.
pub fn decode<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    body: Vec<u8>,
) -> Result<Event, EventError> {
    let mut reader = EventReader::new();
    for (header, value) in headers {
        let header = header.to_ascii_lowercase();
        if header == "content-type" {
            let text = std::str::from_utf8(value)
                .map_err(|_| EventError::new("datacontenttype", EventProblem::NotUtf8))?;
            reader.set("datacontenttype", Value::String(text.trim().to_owned()))?;
        } else if let Some(name) = header.strip_prefix("ce-") {
            if name == "datacontenttype" {
                return Err(EventError::new(
                    "ce-datacontenttype",
                    EventProblem::ContentTypeHeader,
                ));
            }
            let text = percent::decode(value)
                .ok_or_else(|| EventError::new(name, EventProblem::NotUtf8))?;
            reader.set(name, Value::String(text))?;
        }
    }
    reader.finish(body)
}

#[cfg(test)]
mod tests;
