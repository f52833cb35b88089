//! A device over the compact link: what it has committed to its outbox, and how it sends that until the node has it.

use bytes::Bytes;
use fastrand::Rng;
use spool::NodeTime;
use wire::{
    List, Mark, Stream, Versions,
    answer::{Answer, Stored},
    birth::{self, StreamState, encode_birth},
    envelope::{BatchEncoder, Head},
    kind::{Announced, Field, Kind, Scalar, Shape},
};

use super::{
    model::{Model, device::value},
    story::tell,
};
use crate::{
    broker::tests::harness::{
        ALARMS, Client, DEVICES, TestNode, change_publish, publish, subscribe, v5,
    },
    mqtt::packet::{Packet, QoS, ReasonCode, Version},
};

mod outbox;

use outbox::Outbox;

const NAME: &str = "gauge";
pub(super) const INCARNATION: u32 = 0x0000_9a9e;
/// Its streams; the events of the second are alarms.
pub(super) const STREAMS: [u8; 2] = [3, ALARMS];

const READING: Kind<'static> = Kind {
    event_type: "gauge.reading",
    version: 1,
    fields: &[Field {
        name: "celsius",
        scalar: Scalar::I16,
        shape: Shape::One,
    }],
};

/// Messages without PUBACK.
const IN_FLIGHT: usize = 4;
/// A device that hears nothing for so long sends again, or connects again.
const PATIENCE_MS: u64 = 3_000;

pub(super) struct Device {
    link: Option<Link>,
    boot: u32,
    booted_at: NodeTime,
    outboxes: [Outbox; STREAMS.len()],
}

/// One connection.
struct Link {
    client: Client,
    is_open: bool,
    /// What leads to the birth.
    todo: Vec<Packet>,
    /// Packet identifiers of messages without PUBACK, in order.
    in_flight: Vec<u16>,
    last_id: u16,
    /// Everything is sent again once nothing is in flight.
    begins_anew: bool,
    not_before: NodeTime,
    heard_at: NodeTime,
}

impl Device {
    pub(super) fn new(now: NodeTime) -> Device {
        Device {
            link: None,
            boot: 1,
            booted_at: now,
            outboxes: STREAMS.map(Outbox::new),
        }
    }

    /// One thing that a device does.
    pub(super) fn step(&mut self, node: &mut TestNode, model: &mut Model, rng: &mut Rng) {
        match rng.u8(..100) {
            0..35 => self.measure(node.now(), model, rng),
            35..65 => drop(self.send(node, rng)),
            65..94 => drop(self.receive(node, model)),
            94..96 => self.send_again(),
            96..98 => self.unplug(node),
            _ => self.reboot(node),
        }
        self.stay_connected(node);
    }

    /// Connects if it is not. False if it is.
    pub(super) fn stay_connected(&mut self, node: &mut TestNode) -> bool {
        let is_away = self.link.is_none();
        if is_away {
            self.connect(node);
        }
        is_away
    }

    /// Commits a few events to one of its streams.
    fn measure(&mut self, now: NodeTime, model: &mut Model, rng: &mut Rng) {
        let uptime_ms = now.0 - self.booted_at.0;
        let outbox = &mut self.outboxes[rng.usize(..STREAMS.len())];
        for _ in 0..rng.u8(1..6) {
            if let Some(mark) = outbox.commit(self.boot, uptime_ms) {
                model.devices.committed(outbox.stream, mark);
            }
        }
    }

    fn connect(&mut self, node: &mut TestNode) {
        let client = node.dial(Version::V5);
        tell(|| "device -> CONNECT".to_owned());
        node.send(&client, Packet::Connect(Box::new(v5(NAME))));
        self.link = Some(Link {
            client,
            is_open: false,
            todo: Vec::new(),
            in_flight: Vec::new(),
            last_id: 0,
            begins_anew: true,
            not_before: node.now(),
            heard_at: node.now(),
        });
    }

    pub(super) fn unplug(&mut self, node: &mut TestNode) {
        if let Some(link) = self.link.take() {
            tell(|| "device is gone".to_owned());
            node.hang_up(&link.client);
        }
    }

    /// The node has stopped.
    pub(super) fn lose_node(&mut self) {
        self.link = None;
    }

    /// Its power is cut; what was committed to the outbox is there.
    fn reboot(&mut self, node: &mut TestNode) {
        self.unplug(node);
        tell(|| "device boots".to_owned());
        self.boot += 1;
        self.booted_at = node.now();
        self.outboxes.iter_mut().for_each(Outbox::reboot);
    }

    fn send_again(&mut self) {
        if let Some(link) = &mut self.link {
            link.begins_anew = true;
        }
    }

    fn birth(&self, now: NodeTime) -> Vec<u8> {
        let about = birth::Device {
            versions: Versions::OURS,
            incarnation: INCARNATION,
            boot: self.boot,
            uptime_ms: now.0 - self.booted_at.0,
            firmware: "1",
            configuration: 0,
            kinds: 1,
        };
        let states: [StreamState; STREAMS.len()] =
            std::array::from_fn(|index| self.outboxes[index].state(self.boot));
        let mut bytes = [0; 512];
        let kinds = [Announced::new(READING)];
        let birth = encode_birth(&about, &states, &[], &kinds, &mut bytes);
        birth.unwrap().to_vec()
    }

    /// Sends what comes next. False if there is nothing, or the node is not to get it yet.
    pub(super) fn send(&mut self, node: &mut TestNode, rng: &mut Rng) -> bool {
        let now = node.now();
        let Some(link) = self.link.as_mut() else {
            return false;
        };
        if !node.core.wants_input(link.client.id) || link.in_flight.len() >= IN_FLIGHT {
            return false;
        }
        if !link.todo.is_empty() {
            node.send(&link.client, link.todo.remove(0));
            return true;
        }
        if !link.is_open || now < link.not_before {
            return false;
        }
        if link.begins_anew {
            if !link.in_flight.is_empty() {
                return false;
            }
            link.begins_anew = false;
            self.outboxes.iter_mut().for_each(|outbox| outbox.sent = 0);
        }
        let first = rng.usize(..STREAMS.len());
        let order = (0..STREAMS.len()).map(|index| (first + index) % STREAMS.len());
        let Some(which) = order
            .into_iter()
            .find(|which| self.outboxes[*which].waits())
        else {
            return false;
        };
        let events = self.outboxes[which].take(rng.usize(1..8));
        let payload = message(self.outboxes[which].stream, &events);
        tell(|| format!("device -> stream {which}: {events:?}"));
        self.publish(node, "d", payload);
        true
    }

    fn publish(&mut self, node: &mut TestNode, kind: &str, payload: Vec<u8>) {
        let Some(link) = self.link.as_mut() else {
            return;
        };
        link.last_id = link.last_id % 1000 + 1;
        link.in_flight.push(link.last_id);
        let packet = publish(
            &format!("{DEVICES}/{kind}/{NAME}"),
            "",
            QoS::AtLeastOnce,
            link.last_id,
        );
        let packet = change_publish(packet, |it| it.payload = Bytes::from(payload));
        node.send(&link.client, packet);
    }

    /// Takes the next packet from the node. False if there is none.
    pub(super) fn receive(&mut self, node: &mut TestNode, model: &mut Model) -> bool {
        let now = node.now();
        let Some(link) = self.link.as_mut() else {
            return false;
        };
        let Some(packet) = link.client.next(node) else {
            return self.lose_patience(node);
        };
        link.heard_at = now;
        match packet {
            Packet::ConnAck(ack) if ack.reason == ReasonCode::Success => {
                let answers = format!("{DEVICES}/a/{NAME}");
                link.todo.push(subscribe(&answers, QoS::AtMostOnce));
            }
            Packet::ConnAck(_) => self.unplug(node),
            Packet::SubAck(_) => {
                let birth = self.birth(now);
                self.publish(node, "b", birth);
            }
            Packet::PubAck(ack) => {
                let due = link.in_flight.remove(0);
                assert_eq!(ack.packet_id.0.get(), due, "answers in their order");
                link.begins_anew |= ack.reason.is_error();
            }
            Packet::Publish(publish) => self.hear(node, model, &publish.payload),
            Packet::Disconnect(_) => {}
            other => panic!("{other:?}"),
        }
        true
    }

    /// Nothing came: connects again, or sends again what the node may not have.
    fn lose_patience(&mut self, node: &mut TestNode) -> bool {
        let Some(link) = self.link.as_mut() else {
            return false;
        };
        let is_late = node.now().0 > link.heard_at.0 + PATIENCE_MS;
        if node.is_closed(&link.client) || is_late && !link.is_open {
            self.unplug(node);
            return true;
        }
        if is_late && self.outboxes.iter().any(Outbox::is_unsure) {
            link.heard_at = node.now();
            link.begins_anew = true;
        }
        false
    }

    /// The node says something on the topic of answers.
    fn hear(&mut self, node: &mut TestNode, model: &mut Model, payload: &[u8]) {
        let answer = Answer::decode(payload).unwrap();
        tell(|| format!("device <- {answer:?}"));
        let Some(link) = self.link.as_mut() else {
            return;
        };
        match answer {
            Answer::Welcome(_, stored) => {
                link.is_open = true;
                link.begins_anew = true;
                self.stored(model, stored);
            }
            Answer::Ack(stored) => self.stored(model, stored),
            Answer::BirthWanted(_) | Answer::BirthRefused { .. } => self.unplug(node),
            Answer::Refused(refused) => {
                link.begins_anew = true;
                link.not_before = NodeTime(node.now().0 + u64::from(refused.after_ms));
            }
            other => panic!("{other:?}"),
        }
    }

    fn stored(&mut self, model: &mut Model, stored: List<'_, Stored>) {
        for one in stored.iter() {
            let mut outboxes = self.outboxes.iter_mut();
            let outbox = outboxes.find(|outbox| outbox.stream == one.stream.number());
            let outbox = outbox.expect("a stream of this device");
            model.devices.acknowledged(outbox.stream, one.mark);
            outbox.acknowledged(one.mark);
        }
    }

    /// What keeps this device from rest, if anything.
    pub(super) fn unrest(&self) -> Option<String> {
        let waiting = self.outboxes.iter().map(|outbox| outbox.events.len());
        let waiting: Vec<usize> = waiting.collect();
        let rests = waiting.iter().all(|count| *count == 0);
        (!rests).then(|| format!("device: {waiting:?} events wait"))
    }
}

/// Events of one boot, one behind the other.
fn message(stream: u8, events: &[(Mark, u64)]) -> Vec<u8> {
    let (mark, uptime_ms) = events[0];
    let head = Head {
        incarnation: None,
        stream: Stream::new(stream).unwrap(),
        mark,
        uptime_ms,
        kind: READING.id(),
    };
    let mut bytes = [0; 512];
    let mut batch = BatchEncoder::new(&head, &mut bytes).unwrap();
    for (mark, uptime_ms) in events {
        let data = postcard::to_stdvec(&value(*mark)).unwrap();
        batch.push(*uptime_ms, &data).unwrap();
    }
    batch.finish().to_vec()
}
