//! A client as a publisher: what it has in flight to the node, over connections and crashes.

use bytes::Bytes;
use fastrand::Rng;

use super::{Peer, Todo, payload::payload};
use crate::{
    broker::tests::harness,
    mqtt::packet::{Ack, Packet, Publish, PublishPropertySet, QoS, Topic, Version},
    simulation::model::{Draft, Message, Model},
};

/// Publishes above QoS 0 that a client has in flight at most: what the node grants.
pub(crate) const IN_FLIGHT: usize = 8;

/// Topics that are published on; one as often as it stands here. Those of alarms have a lane of their own.
pub(crate) const TOPICS: [&str; 9] = [
    "t/0", "t/1", "t/0", "t/1", "s/0", "s/1", "r/0", "r/1", "alarm/0",
];

/// A publish of this client that is not done.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) number: usize,
    id: u16,
    sent: bool,
    released: bool,
}

impl Peer {
    /// Publishes something new, if the node grants it.
    pub(crate) fn publish(&mut self, model: &mut Model, rng: &mut Rng) {
        let Some(link) = self.link.as_mut().filter(|link| link.is_greeted) else {
            return;
        };
        let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][rng.usize(..3)];
        if qos != QoS::AtMostOnce && self.outgoing.len() >= IN_FLIGHT {
            return;
        }
        let topic = TOPICS[rng.usize(..TOPICS.len())];
        let expires = self.version == Version::V5 && rng.u8(..8) == 0;
        let draft = Draft {
            topic: topic.to_owned(),
            qos,
            retain: topic.starts_with("r/"),
            expiry: expires.then(|| rng.u32(1..8)),
        };
        let number = model.publish(self.index, draft);
        if qos == QoS::AtMostOnce {
            let packet = encode(
                &model.messages[number],
                number,
                self.payload_bytes,
                0,
                false,
            );
            link.todo.push_back(Todo::Packet(packet));
            return;
        }
        loop {
            self.last_id = self.last_id % 20 + 1;
            if self.outgoing.iter().all(|one| one.id != self.last_id) {
                break;
            }
        }
        self.outgoing.push(Outgoing {
            number,
            id: self.last_id,
            sent: false,
            released: false,
        });
        link.todo.push_back(Todo::Publish(number));
    }

    /// What an outgoing publish needs next; nothing if it is done.
    pub(super) fn next_of(&mut self, model: &Model, number: usize) -> Option<Packet> {
        let link = self.link.as_mut()?;
        let one = self.outgoing.iter_mut().find(|one| one.number == number)?;
        if one.released {
            link.expected.push_back(("PUBCOMP", one.id));
            return Some(Packet::PubRel(Ack::success(harness::id(one.id))));
        }
        let dup = std::mem::replace(&mut one.sent, true);
        let message = &model.messages[number];
        link.expect_answer(message.qos, one.id);
        Some(encode(message, number, self.payload_bytes, one.id, dup))
    }

    /// PUBACK, or a PUBREC that refuses.
    pub(super) fn done(&mut self, model: &mut Model, ack: &Ack) {
        let id = ack.packet_id.0.get();
        let place = self.outgoing.iter().position(|one| one.id == id);
        let one = self.outgoing.remove(place.expect("it is in flight"));
        assert!(!ack.reason.is_error(), "{ack:?}");
        model.acknowledged(one.number);
    }

    /// PUBREC.
    pub(super) fn received_by_node(&mut self, model: &mut Model, ack: &Ack) {
        if ack.reason.is_error() {
            self.done(model, ack);
            return;
        }
        let id = ack.packet_id.0.get();
        let link = self.link.as_mut().expect("it brought a packet");
        if let Some(one) = self.outgoing.iter_mut().find(|one| one.id == id) {
            if !std::mem::replace(&mut one.released, true) {
                model.acknowledged(one.number);
            }
            link.todo.push_back(Todo::Publish(one.number));
        }
    }

    /// PUBCOMP.
    pub(super) fn completed(&mut self, ack: &Ack) {
        let id = ack.packet_id.0.get();
        self.outgoing.retain(|one| one.id != id);
    }

    /// After CONNACK: everything that is not done goes again, in its order.
    pub(super) fn resend(&mut self) {
        let link = self.link.as_mut().expect("it is connected");
        let again = self.outgoing.iter().map(|one| Todo::Publish(one.number));
        link.todo.extend(again);
    }
}

fn encode(message: &Message, number: usize, bytes: usize, id: u16, dup: bool) -> Packet {
    let properties = PublishPropertySet {
        message_expiry_interval: message.expiry,
        ..PublishPropertySet::default()
    };
    Packet::Publish(Publish {
        dup,
        qos: message.qos,
        retain: message.retain,
        topic: Topic::parse(message.topic.clone()).unwrap(),
        packet_id: (id != 0).then(|| harness::id(id)),
        properties: properties.into(),
        payload: Bytes::from(payload(number, bytes)),
    })
}
