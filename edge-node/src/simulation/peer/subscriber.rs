//! A client as a subscriber: what it asks for, and what it gets.

use fastrand::Rng;
use spool::NodeTime;

use super::{Peer, Todo, payload::number_in};
use crate::{
    broker::tests::harness::{self, request},
    mqtt::packet::{Ack, Packet, Publish, QoS, SubAck, Subscribe, Unsubscribe, Version},
    simulation::model::{Delivery, Model},
};

/// Packet identifiers of SUBSCRIBE and UNSUBSCRIBE begin here, those of publishes end before.
const CONTROL_IDS: u16 = 60_000;

/// A topic filter that a client subscribes to, always at the same QoS.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) filter: &'static str,
    qos: QoS,
    /// SUBACK came, and the session has not ended since.
    pub(super) held: bool,
    pub(super) ever: bool,
}

impl Wish {
    /// What a client may come to want.
    pub(super) fn all(rng: &mut Rng) -> Vec<Wish> {
        let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
        let filters: &[&str] = if rng.bool() {
            &["t/#", "r/#", "$share/g/s/#", "w/#", "alarm/#"]
        } else {
            &["t/0", "t/1", "$share/g/s/#", "r/0", "alarm/0"]
        };
        let wish = |filter: &&'static str| {
            // A member of a group that takes QoS 0 may lose what the others are owed.
            let least = usize::from(rng.u8(..4) > 0 || filter.starts_with("$share"));
            Wish {
                filter,
                qos: qos[rng.usize(least..3)],
                held: false,
                ever: false,
            }
        };
        filters.iter().map(wish).collect()
    }
}

impl Peer {
    /// Whether this client knows that messages above QoS 0 on this topic are for it.
    pub(crate) fn holds(&self, topic: &str) -> bool {
        let covers = |wish: &Wish| wish.held && wish.qos != QoS::AtMostOnce;
        let mut wishes = self.wishes.iter();
        wishes.any(|wish| covers(wish) && matches(wish.filter, topic))
    }

    /// Asks for a subscription, or takes it back.
    pub(crate) fn wish(&mut self, model: &mut Model, rng: &mut Rng) {
        let which = rng.usize(..self.wishes.len());
        let identifier = self.identifier();
        let Some(link) = self.link.as_mut().filter(|link| link.is_greeted) else {
            return;
        };
        self.last_control = (self.last_control + 1) % 5000;
        let id = CONTROL_IDS + self.last_control;
        let wish = &mut self.wishes[which];
        let subscribes = !wish.held || rng.u8(..3) > 0;
        link.control.insert(id, (which, subscribes));
        let packet = if subscribes {
            wish.ever = true;
            Packet::Subscribe(Subscribe {
                packet_id: harness::id(id),
                subscription_identifier: identifier,
                user_properties: Vec::new(),
                requests: vec![request(wish.filter, wish.qos)],
            })
        } else {
            wish.held = false;
            let filter = wish.filter;
            let is_durable = self.is_durable;
            model.unsubscribed(self.index, is_durable, |topic| matches(filter, topic));
            Packet::Unsubscribe(Unsubscribe {
                packet_id: harness::id(id),
                user_properties: Vec::new(),
                filters: vec![wish.filter.into()],
            })
        };
        link.todo.push_back(Todo::Packet(packet));
    }

    /// What its subscriptions are known by, so that nothing comes under another's.
    fn identifier(&self) -> Option<u32> {
        let own = u32::try_from(self.index).expect("a few clients") + 1;
        (self.version == Version::V5).then_some(own)
    }

    /// SUBACK or UNSUBACK.
    pub(super) fn granted(&mut self, ack: &SubAck) {
        let link = self.link.as_mut().expect("it brought a packet");
        let question = link.control.remove(&ack.packet_id.0.get());
        let (which, subscribes) = question.expect("an answer to a question");
        let granted = ack.reasons.iter().all(|reason| !reason.is_error());
        assert!(granted, "{ack:?}");
        // Only if nothing else about it is under way.
        if link.control.values().all(|(other, _)| *other != which) {
            self.wishes[which].held = subscribes;
        }
    }

    /// A PUBLISH came.
    pub(super) fn take(&mut self, model: &mut Model, publish: &Publish, now: NodeTime) {
        let identifier = self.identifier();
        let link = self.link.as_mut().expect("it brought a packet");
        let topic = publish.topic.as_str();
        let is_wished = |wish: &Wish| wish.ever && matches(wish.filter, topic);
        assert!(
            self.wishes.iter().any(is_wished),
            "client {} never subscribed to {topic}",
            self.index
        );
        let identifiers = publish
            .properties
            .set()
            .map(|set| &set.subscription_identifiers);
        for found in identifiers.into_iter().flatten() {
            assert_eq!(
                Some(*found),
                identifier,
                "client {}: {publish:?}",
                self.index
            );
        }
        if let Some(id) = publish.packet_id {
            link.take_place(self.index, id);
            let answer = if publish.qos == QoS::AtLeastOnce {
                Packet::PubAck(Ack::success(id))
            } else {
                Packet::PubRec(Ack::success(id))
            };
            link.todo.push_back(Todo::Packet(answer));
            if publish.qos == QoS::ExactlyOnce && !self.received.insert(id) {
                return;
            }
        }
        let properties = publish.properties.set();
        model.delivered(Delivery {
            client: self.index,
            number: number_in(&publish.payload),
            topic,
            qos: publish.qos,
            retain: publish.retain,
            dup: publish.dup,
            expiry: properties.and_then(|set| set.message_expiry_interval),
            // What is to come once is decided before its identifier is committed.
            after: match publish.qos {
                QoS::ExactlyOnce => link.settled_at,
                QoS::AtMostOnce | QoS::AtLeastOnce => link.emptied_at,
            },
            now,
        });
    }
}

pub(super) fn matches(filter: &str, topic: &str) -> bool {
    let filter = filter.strip_prefix("$share/g/").unwrap_or(filter);
    filter
        .strip_suffix('#')
        .map_or(filter == topic, |start| topic.starts_with(start))
}
