//! The event of a record.

use filters::Event;
use spool::{Entry, NodeTime};

use crate::{
    ingest::{self, Minted},
    mqtt::stored,
    record::{PublishRecord, Record},
    rules::Settled,
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
    /// When it expires, on the node clock.
    pub expires: Option<NodeTime>,
    /// What rules made of it for the uplinks; nothing of that is in `event`.
    pub settled: Settled,
}

/// The event a record carries; `None` for one that carries none.
pub fn event(entry: &Entry) -> Option<Seen> {
    let Record::Publish(record) = Record::decode(&entry.body)? else {
        return None;
    };
    let event = of_record(&record);
    let settled = Settled::decode(record.settled);
    if event.is_none() || settled.is_none() {
        tracing::error!(position = entry.seq.0, "a record is no event");
    }
    Some(Seen {
        topic: record.topic.to_owned(),
        event: event?,
        origin: record.origin.to_owned(),
        expires: record.expires(entry.time),
        settled: settled?,
    })
}

/// The event of a publish; `None` where what was minted does not belong to it.
pub fn of_record(record: &PublishRecord<'_>) -> Option<Event> {
    let minted: Minted = postcard::from_bytes(record.minted).ok()?;
    let properties = stored::decode(record.properties).ok()?;
    ingest::view(record.topic, properties.set(), record.payload, &minted).ok()
}
