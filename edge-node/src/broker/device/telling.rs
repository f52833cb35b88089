//! What devices are told on `a/`, each thing once what it rests on is committed.

use spool::{NodeTime, Seq};
use wire::{
    EncodeError,
    answer::encode_ack,
    topic::{Channel, DeviceId, Prefix, Topic},
};

use super::super::{
    Broker,
    connection::{ConnectionId, OUT_HIGH_BYTES},
    deadline::Timer,
    message::{Message, Sending},
};
use crate::mqtt::packet::QoS;

/// The longest message the node sends a device: a welcome with all its streams.
const ANSWER_BYTES: usize = 4096;

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
            Err(at) => drop(self.timers.insert((at, Timer::TellDevice(id)))),
        }
        match link.is_told() {
            true => self.devices.telling.remove(&id),
            false => self.devices.telling.insert(id),
        };
        for message in messages {
            self.send_to_device(id, &message, now);
        }
    }

    /// Sends on `a/` at QoS 0; what is lost with a link is said again after the next birth.
    pub(super) fn send_to_device(&mut self, id: ConnectionId, payload: &[u8], now: NodeTime) {
        let (Some(served), Some(connection)) = (&self.devices.served, self.connections.get_mut(id))
        else {
            return;
        };
        let session = connection.session().and_then(|it| self.sessions.get(it));
        let Some(session) = session else {
            return;
        };
        let (Some(prefix), Some(device)) =
            (Prefix::new(&served.prefix), DeviceId::new(&session.client))
        else {
            return;
        };
        let channel = Channel::Answer;
        let topic = Topic {
            prefix,
            channel,
            device,
        }
        .to_string();
        if !session.kept.subscriptions.contains_key(&topic) {
            return;
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
        let fits = out.len() < OUT_HIGH_BYTES
            && connection.encode_publish(&mut out, &message, sending, now);
        connection.out = out;
        if fits {
            self.flush(id);
        }
    }
}
