//! Devices that speak the compact format: marks, acknowledgements, births, gaps.

mod births;
mod commands;
mod gaps;
mod hostile;
mod leaving;
mod marks;
mod refusals;
mod registry;
mod streams;
mod tables;
mod times;

use std::collections::BTreeSet;

use bytes::Bytes;
use filters::Event;
use spool::{LossReason, ReadLimits, Seq};
use wire::{
    Mark, Stream, Versions,
    answer::{Answer, BirthReason, BirthRefusal, RefusalReason},
    birth::{Device, Dropped, StreamState, encode_birth, encode_kinds},
    envelope::{BatchEncoder, Head, encode_event},
    kind::{Announced, Field, Kind, Scalar, Shape},
};

use super::{
    full_log,
    harness::*,
    withheld::{full_node, make_room},
};
use crate::{
    mqtt::packet::{Packet, QoS, ReasonCode},
    node::view,
};

const READING: Kind<'static> = Kind {
    event_type: "pump.reading",
    version: 1,
    fields: &[Field {
        name: "celsius",
        scalar: Scalar::I16,
        shape: Shape::One,
    }],
};
const INCARNATION: u32 = 0x00c0_ffee;
const OUTBOX: u8 = 3;

/// Boot and sequence.
type Place = (u32, u64);

/// What a device says of itself; the rest is as it comes.
struct Birth {
    incarnation: u32,
    boot: u32,
    uptime_ms: u64,
    last: (u32, u64),
    oldest: (u32, u64),
    dropped: &'static [(Place, Place)],
    /// Why.
    reason: wire::birth::LossReason,
    kinds: &'static [Announced<'static>],
    /// It works with.
    configuration: u32,
}

const KINDS: &[Announced<'static>] = &[Announced::new(READING)];

fn birth(boot: u32) -> Birth {
    Birth {
        incarnation: INCARNATION,
        boot,
        uptime_ms: 10_000,
        last: (0, 0),
        oldest: (boot, 1),
        dropped: &[],
        reason: wire::birth::LossReason::Outbox,
        kinds: KINDS,
        configuration: 0,
    }
}

fn stream() -> Stream {
    Stream::new(OUTBOX).unwrap()
}

fn mark((boot, seq): (u32, u64)) -> Mark {
    Mark { boot, seq }
}

impl Birth {
    fn bytes(&self) -> Vec<u8> {
        let device = Device {
            versions: Versions::OURS,
            incarnation: self.incarnation,
            boot: self.boot,
            uptime_ms: self.uptime_ms,
            firmware: "1.4.2",
            configuration: self.configuration,
            kinds: self.kinds.len().max(1) as u8,
        };
        let state = StreamState {
            incarnation: self.incarnation,
            stream: stream(),
            last: mark(self.last),
            oldest: mark(self.oldest),
        };
        let dropped = self.dropped.iter().map(|(from, to)| Dropped {
            incarnation: self.incarnation,
            stream: stream(),
            from: mark(*from),
            to: mark(*to),
            reason: self.reason,
        });
        let dropped: Vec<_> = dropped.collect();
        let mut bytes = [0; 512];
        let birth = encode_birth(&device, &[state], &dropped, self.kinds, &mut bytes);
        birth.unwrap().to_vec()
    }
}

fn head(place: (u32, u64), uptime_ms: u64) -> Head {
    Head {
        incarnation: None,
        stream: stream(),
        mark: mark(place),
        uptime_ms,
        kind: READING.id(),
    }
}

fn celsius(value: i16) -> Vec<u8> {
    postcard::to_stdvec(&value).unwrap()
}

fn single(place: (u32, u64)) -> Vec<u8> {
    let mut bytes = [0; 512];
    let data = celsius(place.1 as i16);
    let event = encode_event(&head(place, 11_000), &data, &mut bytes);
    event.unwrap().to_vec()
}

fn batch(first: (u32, u64), count: u64) -> Vec<u8> {
    let mut bytes = [0; 512];
    let mut batch = BatchEncoder::new(&head(first, 11_000), &mut bytes).unwrap();
    for index in 0..count {
        let data = celsius((first.1 + index) as i16);
        batch.push(11_000 + 250 * index, &data).unwrap();
    }
    batch.finish().to_vec()
}

/// A device with its connection.
struct Pump {
    client: Client,
    next_packet: u16,
}

/// What the node said on `a/`, in words.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Welcome(Vec<(u32, u64)>),
    Ack(Vec<(u32, u64)>),
    Asked(BirthReason),
    Refused(RefusalReason, (u32, u64)),
    /// Why, and for how many milliseconds.
    BirthRefused(BirthRefusal, u32),
    NoVersion,
}

fn said(payload: &[u8]) -> Said {
    let marks = |list: wire::List<'_, wire::answer::Stored>| {
        list.iter().map(|it| (it.mark.boot, it.mark.seq)).collect()
    };
    match Answer::decode(payload).unwrap() {
        Answer::Welcome(_, stored) => Said::Welcome(marks(stored)),
        Answer::Ack(stored) => Said::Ack(marks(stored)),
        Answer::BirthWanted(reason) => Said::Asked(reason),
        Answer::Refused(it) => Said::Refused(it.reason, (it.mark.boot, it.mark.seq)),
        Answer::BirthRefused { reason, after_ms } => Said::BirthRefused(reason, after_ms),
        Answer::NoVersion(_) => Said::NoVersion,
    }
}

impl Pump {
    /// Connects and subscribes, without a birth.
    fn connect(node: &mut TestNode, name: &str) -> Pump {
        let mut client = node.connect(v5(name));
        node.subscribe(&mut client, &format!("{DEVICES}/a/{name}"), QoS::AtMostOnce);
        Pump {
            client,
            next_packet: 1,
        }
    }

    fn born(node: &mut TestNode, name: &str, birth: &Birth) -> Pump {
        let mut pump = Pump::connect(node, name);
        pump.send(node, &format!("b/{name}"), birth.bytes());
        node.pass(100);
        pump
    }

    /// Sends without letting anything be committed.
    fn send(&mut self, node: &mut TestNode, topic: &str, payload: Vec<u8>) {
        let packet = publish(
            &format!("{DEVICES}/{topic}"),
            "",
            QoS::AtLeastOnce,
            self.next_packet,
        );
        self.next_packet += 1;
        let packet = change_publish(packet, |it| it.payload = Bytes::from(payload));
        node.send(&self.client, packet);
    }

    /// What came: PUBACKs' reasons, and what was said.
    fn hear(&mut self, node: &mut TestNode) -> (Vec<ReasonCode>, Vec<Said>) {
        let (mut acks, mut heard) = (Vec::new(), Vec::new());
        for packet in self.client.all(node) {
            match packet {
                Packet::PubAck(ack) => acks.push(ack.reason),
                Packet::Publish(publish) => heard.push(said(&publish.payload)),
                other => panic!("{other:?}"),
            }
        }
        (acks, heard)
    }

    fn heard(&mut self, node: &mut TestNode) -> Vec<Said> {
        node.pass(100);
        self.hear(node).1
    }
}

/// The events of devices in the log.
fn events(node: &TestNode) -> Vec<Event> {
    let limits = ReadLimits {
        records: 1000,
        bytes: 1 << 20,
        lanes: u32::MAX,
    };
    let batch = node
        .core
        .spool()
        .read(node.sink(), Seq::ZERO, limits)
        .unwrap();
    let seen = batch.entries.iter().filter_map(view::event);
    seen.map(|seen| seen.event).collect()
}

fn ids(node: &TestNode) -> Vec<String> {
    events(node).into_iter().map(|event| event.id).collect()
}

fn id(seq: u64) -> String {
    format!("00c0ffee00000007-{OUTBOX}-{seq}")
}

fn node() -> TestNode {
    let mut node = TestNode::with_sink(1, limits(), |_| {});
    node.settle();
    node
}

#[test]
fn an_event_of_a_device_is_expanded_by_its_table_and_keeps_its_identity() {
    let mut node = node();
    let mut pump = Pump::born(&mut node, "pump-7", &birth(7));
    assert_eq!(pump.hear(&mut node).1, [Said::Welcome(vec![(0, 0)])]);
    pump.send(&mut node, "d/pump-7", single((7, 1)));
    assert_eq!(pump.heard(&mut node), [Said::Ack(vec![(7, 1)])]);
    let event = events(&node).remove(0);
    assert_eq!(event.id, id(1));
    assert_eq!(event.source, "urn:edge-device:pump-7");
    assert_eq!(event.r#type, "pump.reading");
    assert_eq!(event.data_bytes(), br#"{"celsius":1}"#);
    // The birth came at uptime 10 s, 100 ms before; the event says 11 s, which cannot be yet.
    let time = filters::timestamp_millis(event.time.as_deref().unwrap()).unwrap();
    assert_eq!(u64::try_from(time).unwrap() + 100, node.now().0);
}

#[test]
fn a_device_speaks_for_itself_alone() {
    let mut node = node();
    let mut pump = Pump::born(&mut node, "pump-7", &birth(7));
    pump.hear(&mut node);
    for topic in ["d/pump-8", "b/pump-8", "a/pump-7", "c/pump-7"] {
        pump.send(&mut node, topic, single((7, 1)));
        node.pass(100);
        assert_eq!(
            pump.hear(&mut node).0,
            [ReasonCode::NotAuthorized],
            "{topic}"
        );
    }
    for (filter, may) in [
        ("a/pump-8", false),
        ("c/+", false),
        ("a/#", false),
        ("c/pump-7", true),
        ("d/pump-8", true),
    ] {
        node.send(
            &pump.client,
            subscribe(&format!("{DEVICES}/{filter}"), QoS::AtMostOnce),
        );
        node.settle();
        let reasons = pump
            .client
            .all(&mut node)
            .into_iter()
            .find_map(|packet| match packet {
                Packet::SubAck(ack) => Some(ack.reasons),
                _ => None,
            });
        let denied = reasons.unwrap() == [ReasonCode::NotAuthorized];
        assert_eq!(!denied, may, "{filter}");
    }
}

#[test]
fn data_that_is_not_what_its_kind_says_is_kept_as_it_came() {
    let mut node = node();
    let mut pump = Pump::born(&mut node, "pump-7", &birth(7));
    let mut bytes = [0; 64];
    let event = encode_event(&head((7, 1), 11_000), b"too long", &mut bytes);
    pump.send(&mut node, "d/pump-7", event.unwrap().to_vec());
    assert_eq!(pump.heard(&mut node).pop(), Some(Said::Ack(vec![(7, 1)])));
    let event = events(&node).remove(0);
    assert_eq!(event.data_bytes(), b"too long");
    assert!(event.extension_text("invalidreason").is_some());
}
