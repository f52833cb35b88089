use bytes::Bytes;
use filters::Event;
use spool::Lane;

use super::journal::Journal;
use crate::{
    mqtt::{packet::QoS, stored},
    record::PublishRecord,
};

/// An event that no client published over MQTT: it came through another door, or a rule derived it.
pub(super) struct Carried {
    /// The lane its mapping names.
    pub(super) lane: Lane,
    properties: Vec<u8>,
    minted: Vec<u8>,
    payload: Bytes,
}

impl Carried {
    pub(super) fn mint(journal: &mut Journal<'_>, topic: &str, event: &Event) -> Carried {
        let (published, minted) = journal.mint_event(topic, event);
        Carried {
            lane: minted.lane,
            // Of checked texts.
            properties: stored::encode(&published.properties.into()).unwrap_or_default(),
            minted: minted.bytes,
            payload: published.payload,
        }
    }

    pub(super) fn record<'a>(&'a self, origin: &'a str, topic: &'a str) -> PublishRecord<'a> {
        PublishRecord {
            qos: QoS::AtLeastOnce,
            retain: false,
            will: false,
            packet_id: None,
            waited_ms: 0,
            place: None,
            sender: "",
            origin,
            topic,
            properties: &self.properties,
            minted: &self.minted,
            settled: &[],
            payload: &self.payload,
        }
    }
}
