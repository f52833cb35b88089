//! A message on its way out, and how it is encoded for one client.

use std::num::NonZeroU16;

use bytes::BytesMut;
use spool::NodeTime;

use super::connection::Connection;
use crate::{
    mqtt::{
        encode::PublishParts,
        packet::{PacketId, QoS},
        stored,
    },
    record::PublishRecord,
};

/// A message on its way out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) topic: &'a str,
    pub(crate) properties: &'a [u8],
    /// When the node received it.
    pub(crate) received: NodeTime,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// The message of a record that was stored then.
    pub(crate) fn of(record: &PublishRecord<'a>, stored: NodeTime) -> Message<'a> {
        Message {
            topic: record.topic,
            properties: record.properties,
            received: record.received(stored),
            qos: record.qos,
            retain: record.retain,
            payload: record.payload,
        }
    }

    /// What is left of its expiry interval; `Some(0)`: it has expired.
    fn remaining_seconds(&self, now: NodeTime) -> Option<u32> {
        let waited = now.0.saturating_sub(self.received.0) / 1000;
        stored::message_expiry_interval(self.properties).map(|expiry| {
            u64::from(expiry)
                .saturating_sub(waited)
                .try_into()
                .unwrap_or(u32::MAX)
        })
    }

    pub(super) fn is_expired(&self, now: NodeTime) -> bool {
        self.remaining_seconds(now) == Some(0)
    }
}

/// How one PUBLISH goes out.
#[derive(Clone, Copy)]
pub(super) struct Sending<'a> {
    pub(super) qos: QoS,
    pub(super) id: Option<NonZeroU16>,
    pub(super) dup: bool,
    pub(super) retain: bool,
    pub(super) identifiers: &'a [u32],
}

impl Connection {
    /// Encodes a PUBLISH into `out`; false where the client would refuse its size.
    pub(super) fn encode_publish(
        &self,
        out: &mut BytesMut,
        message: &Message<'_>,
        sending: Sending<'_>,
        now: NodeTime,
    ) -> bool {
        let parts = PublishParts {
            dup: sending.dup,
            qos: sending.qos,
            retain: sending.retain,
            topic: message.topic.as_bytes(),
            packet_id: sending.id.map(PacketId),
            properties: message.properties,
            message_expiry_interval: message.remaining_seconds(now),
            topic_alias: None,
            subscription_identifiers: sending.identifiers,
            payload: message.payload,
        };
        parts.encoded_len(self.version) <= self.limits.maximum_packet_size
            && parts.encode(self.version, out).is_ok()
    }
}

pub(super) fn effective(message: QoS, granted: u8) -> QoS {
    match (message as u8).min(granted) {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
}
