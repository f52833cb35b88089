//! What devices are told on `a/`, each thing once what it rests on is committed.

use std::sync::Arc;

use spool::{NodeTime, Seq};
use wire::{EncodeError, answer::encode_ack, topic::Channel};

use super::super::{
    Broker,
    connection::{ConnectionId, OUT_HIGH_BYTES},
    deadline::Timer,
    message::{Message, Sending},
};
use crate::mqtt::packet::QoS;

/// The longest message the node sends a device: a command with all its data, or a welcome with all its streams.
const ANSWER_BYTES: usize = 4096 + 128;
/// How soon what found no room on a connection is sent again.
const NO_ROOM_AGAIN_MS: u64 = 1_000;

impl Broker {
    /// Queues a message to a device, for when `gate` is committed.
    pub(super) fn tell(
        &mut self,
        id: ConnectionId,
        gate: Seq,
        encode: impl for<'b> FnOnce(&'b mut [u8]) -> Result<&'b [u8], EncodeError>,
    ) {
        let mut buffer = [0; ANSWER_BYTES];
        let message = encode(&mut buffer)
            .expect("bounded so that it fits")
            .to_vec();
        if let Some(link) = self.devices.links.get_mut(&id) {
            link.tell(gate, message);
        }
    }

    /// Tells the devices that wait for what is committed now.
    pub(in crate::broker) fn tell_devices(&mut self, now: NodeTime) {
        for id in std::mem::take(&mut self.devices.telling) {
            self.tell_device(id, now);
        }
    }

    /// Tells a device what may be told by now.
    pub(in crate::broker) fn tell_device(&mut self, id: ConnectionId, now: NodeTime) {
        let committed = self.committed;
        let Some(link) = self.devices.links.get_mut(&id) else {
            return;
        };
        let mut messages = Vec::new();
        while let Some(message) = link.take_message(committed) {
            messages.push(message);
        }
        match link.take_acks(committed, now) {
            Ok(stored) if stored.is_empty() => {}
            Ok(stored) => {
                let mut buffer = [0; ANSWER_BYTES];
                let ack = encode_ack(&stored, &mut buffer).expect("bounded so that it fits");
                messages.push(ack.to_vec());
            }
            Err(at) => self.timers.set_at_latest(Timer::TellDevice(id), at),
        }
        for message in messages {
            self.send_to_device(id, Channel::Answer, &message, now);
        }
        self.tell_down(id, now);
        let link = self.devices.links.get(&id);
        match link.is_some_and(|it| it.waits_for_commit(committed)) {
            true => self.devices.telling.insert(id),
            false => self.devices.telling.remove(&id),
        };
    }

    /// Sends what may go down by now.
    fn tell_down(&mut self, id: ConnectionId, now: NodeTime) {
        let committed = self.committed;
        while let Some(link) = self.devices.links.get_mut(&id)
            && let Some(what) = link.take_down(committed)
            && let Some(name) = self.device_on(id)
        {
            let mut buffer = [0; ANSWER_BYTES];
            let Some(message) = self.encode_down(&name, what, &mut buffer) else {
                continue; // it is over
            };
            if !self.send_to_device(id, Channel::Command, &message, now) {
                if let Some(link) = self.devices.links.get_mut(&id) {
                    link.put_back(what);
                }
                let again = NodeTime(now.0 + NO_ROOM_AGAIN_MS);
                self.timers.set_at_latest(Timer::TellDevice(id), again);
                return;
            }
        }
    }

    fn device_on(&self, id: ConnectionId) -> Option<Arc<str>> {
        let session = self.connections.get(id)?.session()?;
        Some(Arc::clone(&self.sessions.get(session)?.client))
    }

    /// Sends at QoS 0; what is lost with a link is said again after the next birth. False if there is no room for it now.
    fn send_to_device(
        &mut self,
        id: ConnectionId,
        channel: Channel,
        payload: &[u8],
        now: NodeTime,
    ) -> bool {
        let topic = self
            .device_on(id)
            .and_then(|name| self.topic_to(&name, channel));
        let (Some(topic), Some(connection)) = (topic, self.connections.get_mut(id)) else {
            return true;
        };
        let session = connection.session().and_then(|it| self.sessions.get(it));
        if !session.is_some_and(|it| it.kept.subscriptions.contains_key(&topic)) {
            return true;
        }
        let message = Message {
            topic: &topic,
            properties: &[],
            received: now,
            qos: QoS::AtMostOnce,
            retain: false,
            payload,
        };
        let sending = Sending {
            qos: QoS::AtMostOnce,
            id: None,
            dup: false,
            retain: false,
            identifiers: &[],
        };
        let mut out = std::mem::take(&mut connection.out);
        let has_room = out.len() < OUT_HIGH_BYTES;
        let is_sent = has_room && connection.encode_publish(&mut out, &message, sending, now);
        connection.out = out;
        if is_sent {
            self.flush(id);
        }
        has_room
    }
}
