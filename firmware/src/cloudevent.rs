//! Events as CloudEvents: what the node makes of the compact format, made by the device. The same event has the same `id`,
//! `source`, `type`, `subject` and data either way.

mod json;
mod text;

use core::fmt::Write;

use heapless::{String, Vec};
use wire::{
    EncodeError, EventId,
    kind::Table,
    topic::{DeviceId, Prefix},
};

use crate::mqtt::{self, Attributes};
use json::Invalid;
use text::Text;

/// How a CloudEvent stands in a PUBLISH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// The attributes are user properties, the data is the payload.
    Binary,
    /// The payload is one JSON object with all of it.
    Structured,
}

/// The longest JSON of an event's data, in bytes. What is longer goes as it is, with `invalidreason`.
pub const MAX_JSON: usize = 1280;
/// The most that stands beside the data: topic, attributes and their names, in either encoding, in bytes.
pub(crate) const MAX_HEAD: usize = 960;
/// The longest payload, in bytes.
pub(crate) const MAX_PAYLOAD: usize = MAX_JSON + MAX_HEAD;

const SOURCE: &str = "urn:edge-device:";
const STRUCTURED: &str = "application/cloudevents+json; charset=utf-8";
const JSON: &str = "application/json";
const BYTES: &str = "application/octet-stream";

/// An event with what is known of it.
pub(crate) struct CloudEvent<'a> {
    pub(crate) id: EventId,
    pub(crate) device: DeviceId<'a>,
    pub(crate) time: Time,
    /// Of its kind; `None` if the flash does not hold it any more.
    pub(crate) table: Option<&'a Table<'a>>,
    pub(crate) data: &'a [u8],
}

/// When something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Time {
    /// Milliseconds since 1970, if anybody told the device the time.
    pub(crate) time_ms: Option<u64>,
    /// Whether that is right within a second.
    pub(crate) is_synced: bool,
}

/// A PUBLISH in two parts that follow each other.
pub(crate) struct Packet<'b> {
    pub(crate) head: &'b [u8],
    pub(crate) payload: &'b [u8],
}

impl CloudEvent<'_> {
    /// Writes the PUBLISH that brings this event to `<under>/<device>`, into buffers of [`MAX_HEAD`] and [`MAX_PAYLOAD`].
    ///
    /// # Errors
    ///
    /// A buffer is too small.
    pub(crate) fn encode<'b>(
        &self,
        (under, packet_id): (Prefix<'_>, u16),
        encoding: Encoding,
        head: &'b mut [u8],
        payload: &'b mut [u8],
    ) -> Result<Packet<'b>, EncodeError> {
        let topic = self.topic(under)?;
        let texts = Texts::of(self)?;
        let mut user = texts.attributes(self);
        let mut text = Text::new(payload);
        let attributes = match encoding {
            Encoding::Structured => {
                self.structured(&user, &mut text);
                Attributes {
                    content_type: STRUCTURED,
                    user: &[],
                }
            }
            Encoding::Binary => {
                let content_type = match self.json(&mut text) {
                    Ok(()) => JSON,
                    Err(invalid) => {
                        text.bytes(self.data);
                        // There is a place for each.
                        let _ = user.push(("invalidreason", invalid.reason()));
                        BYTES
                    }
                };
                Attributes {
                    content_type,
                    user: &user,
                }
            }
        };
        let payload = text.finish()?;
        let head = mqtt::encode_head(&topic, packet_id, &attributes, payload.len(), head)?;
        Ok(Packet { head, payload })
    }

    fn topic(&self, under: Prefix<'_>) -> Result<String<TOPIC>, EncodeError> {
        let slash = if under.as_str().is_empty() { "" } else { "/" };
        let mut topic = String::new();
        for part in [under.as_str(), slash, self.device.as_str()] {
            topic.push_str(part).map_err(|_| EncodeError::Room)?;
        }
        Ok(topic)
    }

    fn structured(&self, attributes: &[(&str, &str)], text: &mut Text<'_>) {
        for (index, (name, value)) in attributes.iter().enumerate() {
            text.str(if index == 0 { "{" } else { "," });
            text.member(name).quoted(value);
        }
        text.str(",");
        let before = text.len();
        text.member("datacontenttype").quoted(JSON).str(",");
        text.member("data");
        if let Err(invalid) = self.json(text) {
            text.truncate(before);
            text.member("datacontenttype").quoted(BYTES).str(",");
            text.member("invalidreason").quoted(invalid.reason());
            text.str(",").member("data_base64").base64(self.data);
        }
        text.str("}");
    }

    /// Writes the data, all or nothing.
    fn json(&self, text: &mut Text<'_>) -> Result<(), Invalid> {
        let table = self.table.ok_or(Invalid::Kind)?;
        json::put_data(&table.fields, self.data, text, MAX_JSON)
    }
}

const TOPIC: usize = Prefix::MAX_LEN + 1 + DeviceId::MAX_LEN;

/// The attributes that have to be written down first.
struct Texts {
    id: String<{ EventId::MAX_LEN }>,
    /// Each byte of a device's name takes at most three.
    source: String<{ SOURCE.len() + 3 * DeviceId::MAX_LEN }>,
    time: Option<String<{ text::TIMESTAMP }>>,
}

impl Texts {
    fn of(event: &CloudEvent<'_>) -> Result<Self, EncodeError> {
        let mut texts = Texts {
            id: String::new(),
            source: String::new(),
            time: event.time.time_ms.map(|_| String::new()),
        };
        let written = write!(texts.id, "{}", event.id)
            .and_then(|()| texts.source.write_str(SOURCE))
            .and_then(|()| text::percent(event.device.as_str(), &mut texts.source))
            .and_then(|()| match (&mut texts.time, event.time.time_ms) {
                (Some(time), Some(time_ms)) => text::timestamp(time_ms, time),
                _ => Ok(()),
            });
        written.map_err(|_| EncodeError::Room).map(|()| texts)
    }

    fn attributes<'a>(&'a self, event: &CloudEvent<'a>) -> Vec<(&'static str, &'a str), 8> {
        let quality = (!event.time.is_synced).then_some("unsynced");
        [
            ("specversion", Some("1.0")),
            ("id", Some(self.id.as_str())),
            ("source", Some(self.source.as_str())),
            (
                "type",
                Some(event.table.map_or(UNKNOWN, |it| it.event_type)),
            ),
            ("subject", Some(event.device.as_str())),
            ("time", self.time.as_deref()),
            ("timequality", quality),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }
}

/// The type of an event whose kind is not known any more.
const UNKNOWN: &str = "edge.unknown-kind.v1";

#[cfg(test)]
mod tests;
