//! A simulated client: what it keeps over connections and crashes of the node, and how it speaks the protocol.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    num::NonZeroU16,
};

use bytes::Bytes;
use fastrand::Rng;

use super::model::Model;
use crate::{
    broker::tests::harness::{self, Client, TestNode},
    mqtt::packet::{
        Ack, Connect, Packet, PacketId, Publish, PublishPropertySet, QoS, ReasonCode,
        RetainHandling, Subscribe, SubscriptionRequest, Topic, Unsubscribe, Version,
    },
};

/// Publishes above QoS 0 that a client has in flight at most: what the node grants.
pub(super) const IN_FLIGHT: usize = 8;
/// Packet identifiers of SUBSCRIBE and UNSUBSCRIBE begin here, those of publishes end before.
const CONTROL_IDS: u16 = 60_000;

/// A topic filter that a client subscribes to, always at the same QoS.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) filter: &'static str,
    pub(super) qos: QoS,
    /// SUBACK came, and the session has not ended since.
    pub(super) held: bool,
    ever: bool,
}

/// A publish of this client that is not done.
#[derive(Debug)]
struct Outgoing {
    number: usize,
    id: u16,
    sent: bool,
    released: bool,
}

/// What waits to leave on the present connection.
#[derive(Debug)]
enum Todo {
    /// An outgoing publish, first or again.
    Publish(usize),
    Packet(Packet),
}

pub(super) struct Link {
    pub(super) client: Client,
    is_greeted: bool,
    receive_maximum: usize,
    /// Packet identifiers of the node's publishes that this client has not done with.
    open: BTreeSet<PacketId>,
    /// The acknowledgements that the node owes, in order.
    expected: VecDeque<(&'static str, u16)>,
    todo: VecDeque<Todo>,
    control: BTreeMap<u16, (usize, bool)>,
}

pub(super) struct Peer {
    index: usize,
    version: Version,
    is_durable: bool,
    pub(super) wishes: Vec<Wish>,
    pub(super) link: Option<Link>,
    /// Connections that another one took over and the node still has to hear the end of.
    pub(super) stale: Vec<Client>,
    outgoing: Vec<Outgoing>,
    received: BTreeSet<PacketId>,
    last_id: u16,
    last_control: u16,
    /// Counts sessions of this client.
    session: u32,
    /// What CONNACK must say of the session, if the client knows.
    is_present: Option<bool>,
    must_clean: bool,
    /// The session ends with the connection: it is not durable, or a clean one of 3.1.1.
    is_brief: bool,
    /// The same at every CONNECT.
    receive_maximum: usize,
}

impl Peer {
    pub(super) fn new(index: usize, rng: &mut Rng) -> Peer {
        let (version, is_durable) = match index {
            0 => (Version::V5, true),
            1 => (Version::V311, true),
            _ => (Version::V5, rng.u8(..4) == 0),
        };
        let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
        let filters: &[&str] = if rng.bool() {
            &["t/#", "r/#", "$share/g/s/#"]
        } else {
            &["t/0", "t/1", "$share/g/s/#"]
        };
        let wishes = filters.iter().map(|filter| {
            let least = usize::from(rng.u8(..4) > 0);
            Wish {
                filter,
                qos: qos[rng.usize(least..3)],
                held: false,
                ever: false,
            }
        });
        let wishes = wishes.collect();
        Peer {
            index,
            version,
            is_durable,
            wishes,
            link: None,
            stale: Vec::new(),
            outgoing: Vec::new(),
            received: BTreeSet::new(),
            last_id: 0,
            last_control: 0,
            session: 0,
            is_present: Some(false),
            must_clean: false,
            is_brief: !is_durable,
            receive_maximum: rng.usize(1..12),
        }
    }

    pub(super) fn holds(&self, topic: &str) -> bool {
        let covers = |wish: &Wish| wish.held && wish.qos != QoS::AtMostOnce;
        self.wishes
            .iter()
            .any(|wish| covers(wish) && matches(wish.filter, topic))
    }

    /// Opens a connection, over one that may be there.
    pub(super) fn connect(&mut self, node: &mut TestNode, model: &mut Model, clean: bool) {
        let taken_over = self.unplug(model);
        self.stale.extend(taken_over);
        let clean = clean || self.must_clean || !self.is_durable;
        let mut connect = Connect::new(self.version, format!("client-{}", self.index));
        connect.clean_start = clean;
        let mut receive_maximum = usize::from(u16::MAX);
        if self.version == Version::V5 {
            connect.session_expiry_interval = self.is_durable.then_some(3600);
            receive_maximum = self.receive_maximum;
            connect.receive_maximum = NonZeroU16::new(receive_maximum as u16);
        }
        self.is_brief = !self.is_durable || clean && self.version == Version::V311;
        if clean {
            self.must_clean = true;
            self.is_present = Some(false);
            self.end_session(model);
        }
        let client = node.dial(self.version);
        node.send(&client, Packet::Connect(Box::new(connect)));
        self.link = Some(Link {
            client,
            is_greeted: false,
            receive_maximum,
            open: BTreeSet::new(),
            expected: VecDeque::new(),
            todo: VecDeque::new(),
            control: BTreeMap::new(),
        });
        if self.is_present == Some(false) && !clean {
            self.is_present = None;
        }
    }

    fn end_session(&mut self, model: &mut Model) {
        self.session += 1;
        self.received.clear();
        self.outgoing.clear();
        for wish in &mut self.wishes {
            wish.held = false;
            wish.ever = false;
        }
        model.session_ended(self.index);
    }

    /// The connection is gone.
    pub(super) fn unplug(&mut self, model: &mut Model) -> Option<Client> {
        let link = self.link.take()?;
        if self.is_brief {
            self.end_session(model);
        }
        Some(link.client)
    }

    /// Asks for a subscription, or takes it back.
    pub(super) fn wish(&mut self, model: &mut Model, rng: &mut Rng) {
        let which = rng.usize(..self.wishes.len());
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
                subscription_identifier: None,
                user_properties: Vec::new(),
                requests: vec![SubscriptionRequest {
                    filter: wish.filter.into(),
                    qos: wish.qos,
                    no_local: false,
                    retain_as_published: false,
                    retain_handling: RetainHandling::Send,
                }],
            })
        } else {
            wish.held = false;
            let filter = wish.filter;
            model.unsubscribed(self.index, |topic| matches(filter, topic));
            Packet::Unsubscribe(Unsubscribe {
                packet_id: harness::id(id),
                user_properties: Vec::new(),
                filters: vec![wish.filter.into()],
            })
        };
        link.todo.push_back(Todo::Packet(packet));
    }

    /// Publishes something new, if the node grants it.
    pub(super) fn publish(&mut self, model: &mut Model, rng: &mut Rng) {
        let Some(link) = self.link.as_mut().filter(|link| link.is_greeted) else {
            return;
        };
        let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][rng.usize(..3)];
        if qos != QoS::AtMostOnce && self.outgoing.len() >= IN_FLIGHT {
            return;
        }
        let topics = ["t/0", "t/1", "t/0", "t/1", "s/0", "s/1", "r/0", "r/1"];
        let topic = topics[rng.usize(..topics.len())];
        let retain = topic.starts_with("r/");
        let number = model.publish(self.index, topic.to_owned(), qos, retain);
        if qos == QoS::AtMostOnce {
            let packet = publish(model, number, 0, false);
            link.todo.push_back(Todo::Packet(packet));
            return;
        }
        loop {
            self.last_id = self.last_id % 20 + 1;
            if self.outgoing.iter().all(|one| one.id != self.last_id) {
                break;
            }
        }
        let id = self.last_id;
        self.outgoing.push(Outgoing {
            number,
            id,
            sent: false,
            released: false,
        });
        link.todo.push_back(Todo::Publish(number));
    }

    /// Sends the oldest of what waits. False if nothing does.
    pub(super) fn send(
        &mut self,
        node: &mut TestNode,
        model: &mut Model,
        subscribed: impl FnOnce(&str) -> BTreeSet<usize>,
    ) -> bool {
        let Some(link) = &mut self.link else {
            return false;
        };
        if !node.core.wants_input(link.client.id) {
            return false;
        }
        let Some(todo) = link.todo.pop_front() else {
            return false;
        };
        let packet = match todo {
            Todo::Packet(packet) => packet,
            Todo::Publish(number) => {
                let Some(one) = self.outgoing.iter_mut().find(|one| one.number == number) else {
                    return true;
                };
                if one.released {
                    Packet::PubRel(Ack::success(harness::id(one.id)))
                } else {
                    let dup = std::mem::replace(&mut one.sent, true);
                    let qos = model.messages[number].qos;
                    let name = if qos == QoS::AtLeastOnce {
                        "PUBACK"
                    } else {
                        "PUBREC"
                    };
                    link.expected.push_back((name, one.id));
                    publish(model, number, one.id, dup)
                }
            }
        };
        match &packet {
            Packet::Publish(publish) => {
                let number = number_of(publish);
                model.sent(number, subscribed(publish.topic.as_str()));
            }
            Packet::PubRel(ack) => link.expected.push_back(("PUBCOMP", ack.packet_id.0.get())),
            Packet::PubAck(ack) | Packet::PubComp(ack) => drop(link.open.remove(&ack.packet_id)),
            _ => {}
        }
        node.send(&link.client, packet);
        true
    }

    /// Takes the next packet from the node. False if there is none.
    pub(super) fn receive(&mut self, node: &mut TestNode, model: &mut Model) -> bool {
        let Some(link) = &mut self.link else {
            return false;
        };
        let Some(packet) = link.client.next(node) else {
            return false;
        };
        match packet {
            Packet::ConnAck(ack) => {
                if ack.reason != ReasonCode::Success {
                    let no_room = [ReasonCode::ServerUnavailable, ReasonCode::QuotaExceeded];
                    assert!(no_room.contains(&ack.reason), "{ack:?}");
                    return true;
                }
                assert!(
                    self.is_present
                        .is_none_or(|known| known == ack.session_present),
                    "client {}: session present: {}",
                    self.index,
                    ack.session_present
                );
                link.is_greeted = true;
                self.must_clean = false;
                self.is_present = Some(!self.is_brief);
                if !ack.session_present {
                    self.end_session(model);
                }
                self.resend();
            }
            Packet::Publish(publish) => self.take(model, &publish),
            Packet::PubRel(ack) => {
                self.received.remove(&ack.packet_id);
                link.todo
                    .push_back(Todo::Packet(Packet::PubComp(Ack::success(ack.packet_id))));
            }
            Packet::PubAck(ack) => {
                self.expect("PUBACK", &ack);
                self.done(model, &ack);
            }
            Packet::PubRec(ack) => {
                self.expect("PUBREC", &ack);
                self.received_by_node(model, &ack);
            }
            Packet::PubComp(ack) => {
                self.expect("PUBCOMP", &ack);
                let id = ack.packet_id.0.get();
                self.outgoing.retain(|one| one.id != id);
            }
            Packet::SubAck(ack) | Packet::UnsubAck(ack) => {
                let which = link.control.remove(&ack.packet_id.0.get());
                let (which, subscribes) = which.expect("an answer to a question");
                let granted = ack.reasons.iter().all(|reason| !reason.is_error());
                assert!(granted, "{ack:?}");
                // Only if nothing else about it is under way.
                let is_last = link.control.values().all(|(other, _)| *other != which);
                if is_last {
                    self.wishes[which].held = subscribes;
                }
            }
            Packet::Disconnect(disconnect) => assert!(
                matches!(
                    disconnect.reason,
                    ReasonCode::SessionTakenOver
                        | ReasonCode::QuotaExceeded
                        | ReasonCode::ServerBusy
                ),
                "{disconnect:?}"
            ),
            other => panic!("{other:?}"),
        }
        true
    }

    fn expect(&mut self, name: &'static str, ack: &Ack) {
        let link = self.link.as_mut().expect("it brought a packet");
        let expected = link.expected.pop_front();
        assert_eq!(
            Some((name, ack.packet_id.0.get())),
            expected,
            "client {}: acknowledgements in the order of their causes",
            self.index
        );
    }

    fn done(&mut self, model: &mut Model, ack: &Ack) {
        let id = ack.packet_id.0.get();
        let place = self.outgoing.iter().position(|one| one.id == id);
        let one = self.outgoing.remove(place.expect("it is in flight"));
        assert!(!ack.reason.is_error(), "{ack:?}");
        model.acknowledged(one.number);
    }

    fn received_by_node(&mut self, model: &mut Model, ack: &Ack) {
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

    fn resend(&mut self) {
        let link = self.link.as_mut().expect("it is connected");
        link.todo
            .extend(self.outgoing.iter().map(|one| Todo::Publish(one.number)));
    }

    fn take(&mut self, model: &mut Model, publish: &Publish) {
        let link = self.link.as_mut().expect("it brought a packet");
        let topic = publish.topic.as_str();
        let is_wished = |wish: &Wish| wish.ever && matches(wish.filter, topic);
        assert!(
            self.wishes.iter().any(is_wished),
            "client {} never subscribed to {topic}",
            self.index
        );
        let mut is_new = true;
        if let Some(id) = publish.packet_id {
            let free = link.open.insert(id);
            assert!(free, "client {}: {id:?} is in use", self.index);
            assert!(
                link.open.len() <= link.receive_maximum,
                "client {} got {} publishes and takes {}",
                self.index,
                link.open.len(),
                link.receive_maximum
            );
            let answer = if publish.qos == QoS::AtLeastOnce {
                Packet::PubAck(Ack::success(id))
            } else {
                is_new = self.received.insert(id);
                Packet::PubRec(Ack::success(id))
            };
            link.todo.push_back(Todo::Packet(answer));
        }
        if is_new {
            model.delivered(
                self.index,
                self.session,
                number_of(publish),
                topic,
                publish.qos,
            );
        }
    }

    /// What keeps this client from rest, if anything.
    pub(super) fn unrest(&self) -> Option<String> {
        let link = self.link.as_ref()?;
        let rests = self.outgoing.is_empty()
            && self.received.is_empty()
            && link.open.is_empty()
            && link.expected.is_empty()
            && link.control.is_empty()
            && link.todo.is_empty();
        (!rests).then(|| {
            format!(
                "client {}: outgoing {:?}, received {:?}, open {:?}, expected {:?}, todo {:?}",
                self.index, self.outgoing, self.received, link.open, link.expected, link.todo
            )
        })
    }
}

fn publish(model: &Model, number: usize, id: u16, dup: bool) -> Packet {
    let message = &model.messages[number];
    let mut payload = number.to_string().into_bytes();
    payload.resize(payload.len() + number * 37 % 900, b' ');
    Packet::Publish(Publish {
        dup,
        qos: message.qos,
        retain: message.retain,
        topic: Topic::parse(message.topic.clone()).unwrap(),
        packet_id: (id != 0).then(|| harness::id(id)),
        properties: PublishPropertySet::default().into(),
        payload: Bytes::from(payload),
    })
}

fn number_of(publish: &Publish) -> usize {
    number_in(&publish.payload)
}

/// The number of the message that this payload carries.
pub(super) fn number_in(payload: &[u8]) -> usize {
    let text = std::str::from_utf8(payload).expect("a payload as published");
    text.trim_end().parse().expect("a payload as published")
}

fn matches(filter: &str, topic: &str) -> bool {
    let filter = filter.strip_prefix("$share/g/").unwrap_or(filter);
    filter
        .strip_suffix('#')
        .map_or(filter == topic, |start| topic.starts_with(start))
}
