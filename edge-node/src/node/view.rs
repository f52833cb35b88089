//! The event of a record.

use filters::Event;
use spool::Entry;

use crate::{
    ingest::{self, Minted},
    mqtt::stored,
    record::Record,
};

/// A record seen as an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The topic it was published on.
    pub topic: String,
    /// The event.
    pub event: Event,
    /// The door and the peer it came from; empty for MQTT.
    pub origin: String,
    /// Message expiry interval in seconds from the record's time.
    pub expiry_seconds: Option<u32>,
}

/// The event a record carries; `None` for one that carries none.
pub fn event(entry: &Entry) -> Option<Seen> {
    let Record::Publish(record) = Record::decode(&entry.body)? else {
        return None;
    };
    let minted: Minted = postcard::from_bytes(record.minted).ok()?;
    let properties = stored::decode(record.properties).ok()?;
    match ingest::view(record.topic, properties.set(), record.payload, &minted) {
        Ok(event) => Some(Seen {
            topic: record.topic.to_owned(),
            event,
            origin: record.origin.to_owned(),
            expiry_seconds: record.expiry_seconds(),
        }),
        Err(error) => {
            tracing::error!(position = entry.seq.0, %error, "a record is no event");
            None
        }
    }
}
