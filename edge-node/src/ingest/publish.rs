//! An event as a PUBLISH.

use bytes::Bytes;
use filters::{Data, Event, Value, timestamp_millis};

use super::minted::{DataForm, Form, Minted, Received};
use crate::mqtt::packet::PublishPropertySet;

/// An event as a PUBLISH in binary mode: subscribers of MQTT 5 get every attribute, those of 3.1.1 the data.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishedEvent {
    /// Attributes as user properties, `datacontenttype` as Content Type, `expirytime` as message expiry interval.
    pub properties: PublishPropertySet,
    /// The data; empty without.
    pub payload: Bytes,
    /// What restores the event from the two: the types of its extensions and the form of its data.
    pub minted: Minted,
}

impl PublishedEvent {
    pub(super) fn of(event: &Event, received: Received) -> PublishedEvent {
        let data = match &event.data {
            None => DataForm::Absent,
            Some(Data::Json(_)) => DataForm::Json,
            Some(Data::Text(_)) => DataForm::Text,
            Some(Data::Binary(_)) => DataForm::Binary,
        };
        let typed = event
            .extensions
            .iter()
            .filter(|(_, value)| !matches!(value, Value::String(_)));
        let typed = typed
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let properties = PublishPropertySet {
            payload_format_indicator: matches!(data, DataForm::Json | DataForm::Text)
                .then_some(true),
            message_expiry_interval: expiry_of(event, received),
            user_properties: user_properties(event),
            content_type: event.datacontenttype.clone(),
            ..PublishPropertySet::default()
        };
        let payload = Bytes::copy_from_slice(event.data_bytes());
        PublishedEvent {
            properties,
            payload,
            minted: Minted {
                received,
                form: Form::Carried { typed, data },
            },
        }
    }
}

fn user_properties(event: &Event) -> Vec<(String, String)> {
    let property = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut properties = vec![
        property("specversion", "1.0"),
        property("id", &event.id),
        property("source", &event.source),
        property("type", &event.r#type),
    ];
    let optional = [
        ("subject", &event.subject),
        ("time", &event.time),
        ("dataschema", &event.dataschema),
    ];
    properties.extend(
        optional
            .into_iter()
            .filter_map(|(name, value)| Some(property(name, value.as_ref()?))),
    );
    properties.extend(
        event
            .extensions
            .iter()
            .map(|(name, value)| property(name, &value.text())),
    );
    properties
}

/// Whole seconds from receipt to the `expirytime` of the event, rounded up; 0 if it was over before. `None` without one,
/// or where the clock could not tell.
fn expiry_of(event: &Event, received: Received) -> Option<u32> {
    let expiry =
        timestamp_millis(&event.extension_text("expirytime")?).filter(|_| received.plausible)?;
    let left = u64::try_from(expiry)
        .unwrap_or(0)
        .saturating_sub(received.millis);
    Some(u32::try_from(left.div_ceil(1000)).unwrap_or(u32::MAX))
}
