//! Conversions from and to the events of `cloudevents-sdk`, for programs that use it.
//!
//! The SDK keeps less: `time` loses its offset and all below a nanosecond, JSON is parsed (numbers beyond 64 bits lose
//! digits), an extension is a string, a boolean or an integer of 64 bits, a dataschema must be a URL.

use cloudevents::{
    AttributesReader, AttributesWriter, EventBuilder as _, EventBuilderV10,
    event::{EventBuilderError, ExtensionValue},
};

use crate::{Data, Event, EventError, EventProblem, Value};

impl TryFrom<Event> for cloudevents::Event {
    type Error = EventError;

    /// Fails where the SDK refuses `time` or `dataschema`. JSON that it cannot parse (nested too deep, a number too large)
    /// becomes binary data.
    fn try_from(event: Event) -> Result<cloudevents::Event, EventError> {
        let mut builder = EventBuilderV10::new()
            .id(event.id)
            .source(event.source)
            .ty(event.r#type);
        if let Some(subject) = event.subject {
            builder = builder.subject(subject);
        }
        if let Some(time) = event.time {
            builder = builder.time(time);
        }
        for (name, value) in event.extensions {
            builder = builder.extension(&name, sdk_value(value));
        }
        if let Some(schema) = event.dataschema {
            // The builder alone takes a schema as text, with data that makes room for the event's own below.
            builder = builder.data_with_schema("", schema, "");
        }
        let mut converted = builder.build().map_err(|error| match error {
            EventBuilderError::ParseUrlError { .. } => {
                EventError::new("dataschema", EventProblem::Uri)
            }
            _ => EventError::new("time", EventProblem::Timestamp),
        })?;
        let (_, schema, _) = converted.take_data();
        converted.set_dataschema(schema);
        converted.set_datacontenttype(event.datacontenttype);
        if let Some(data) = event.data {
            converted.set_data_unchecked(sdk_data(data));
        }
        Ok(converted)
    }
}

impl TryFrom<cloudevents::Event> for Event {
    type Error = EventError;

    /// Fails where the SDK took an attribute that the specification does not allow. An integer beyond 32 bits becomes the
    /// string of its digits.
    fn try_from(mut event: cloudevents::Event) -> Result<Event, EventError> {
        let (media_type, schema, data) = event.take_data();
        let mut builder = Event::builder(event.id(), event.source(), event.ty());
        if let Some(subject) = event.subject() {
            builder = builder.subject(subject);
        }
        if let Some(time) = event.time() {
            builder = builder.time(time.to_rfc3339().replace("+00:00", "Z"));
        }
        if let Some(media_type) = media_type {
            builder = builder.datacontenttype(media_type);
        }
        if let Some(schema) = schema {
            builder = builder.dataschema(schema);
        }
        for (name, value) in event.iter_extensions() {
            builder = builder.extension(name, own_value(value));
        }
        if let Some(data) = data {
            builder = builder.data(own_data(data));
        }
        builder.build()
    }
}

fn sdk_value(value: Value) -> ExtensionValue {
    match value {
        Value::Boolean(value) => ExtensionValue::Boolean(value),
        Value::Integer(value) => ExtensionValue::Integer(value.into()),
        other => ExtensionValue::String(other.text().into_owned()),
    }
}

fn own_value(value: &ExtensionValue) -> Value {
    match value {
        ExtensionValue::String(text) => Value::String(text.clone()),
        ExtensionValue::Boolean(value) => Value::Boolean(*value),
        ExtensionValue::Integer(value) => {
            i32::try_from(*value).map_or_else(|_| Value::String(value.to_string()), Value::Integer)
        }
    }
}

fn sdk_data(data: Data) -> cloudevents::Data {
    match data {
        Data::Json(bytes) => match serde_json::from_slice(&bytes) {
            Ok(json) => cloudevents::Data::Json(json),
            Err(_) => cloudevents::Data::Binary(bytes),
        },
        Data::Text(text) => cloudevents::Data::String(text),
        Data::Binary(bytes) => cloudevents::Data::Binary(bytes),
    }
}

fn own_data(data: cloudevents::Data) -> Data {
    match data {
        cloudevents::Data::Json(json) => Data::Json(json.to_string().into_bytes()),
        cloudevents::Data::String(text) => Data::Text(text),
        cloudevents::Data::Binary(bytes) => Data::Binary(bytes),
    }
}

#[cfg(test)]
mod tests;
