//! Devices that speak the compact format: marks, acknowledgements, births, gaps.

mod commands;
mod hostile;
mod registry;
mod streams;
mod times;

use std::collections::BTreeSet;

use bytes::Bytes;
use filters::Event;
use spool::{LossReason, ReadLimits, Seq};
use wire::{
    Mark, Stream, Versions,
    answer::{Answer, BirthReason, RefusalReason},
    birth::{Device, Dropped, StreamState, encode_birth, encode_kinds},
    envelope::{BatchEncoder, Head, encode_event},
    kind::{Announced, Field, Kind, Scalar, Shape},
};

use super::{
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
            configuration: 0,
            kinds: 1,
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
    BirthRefused,
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
        Answer::BirthRefused { .. } => Said::BirthRefused,
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
fn an_acknowledgement_waits_for_the_commit() {
    let mut node = node();
    let mut pump = Pump::born(&mut node, "pump-7", &birth(7));
    pump.hear(&mut node);
    pump.send(&mut node, "d/pump-7", single((7, 1)));
    assert_eq!(pump.hear(&mut node), (vec![], vec![]));
    node.commit();
    let (acks, heard) = pump.hear(&mut node);
    assert_eq!(acks, [ReasonCode::Success]);
    assert_eq!(heard, [Said::Ack(vec![(7, 1)])]);
}

#[test]
fn a_mark_is_in_the_commit_of_its_event() {
    for committed in [false, true] {
        let mut node = node();
        let mut pump = Pump::born(&mut node, "pump-7", &birth(7));
        pump.send(&mut node, "d/pump-7", single((7, 1)));
        if committed {
            node.commit();
        }
        let mut node = node.crash();
        let mut pump = Pump::born(&mut node, "pump-7", &birth(7));
        let mark = if committed { (7, 1) } else { (0, 0) };
        assert_eq!(pump.heard(&mut node), [Said::Welcome(vec![mark])]);
        pump.send(&mut node, "d/pump-7", single((7, 1)));
        assert_eq!(pump.heard(&mut node), [Said::Ack(vec![(7, 1)])]);
        assert_eq!(ids(&node), [id(1)], "once, committed before: {committed}");
    }
}

#[test]
fn marks_survive_in_the_checkpoint() {
    let mut node = node();
    let mut pump = Pump::born(&mut node, "pump-7", &birth(7));
    pump.send(&mut node, "d/pump-7", single((7, 1)));
    node.settle();
    let mut node = node.restart();
    let mut pump = Pump::born(&mut node, "pump-7", &birth(7));
    assert_eq!(pump.heard(&mut node), [Said::Welcome(vec![(7, 1)])]);
}

#[test]
fn acknowledgements_are_cumulative_and_20_ms_apart() {
    let mut node = node();
    let mut pump = Pump::born(&mut node, "pump-7", &birth(7));
    pump.hear(&mut node);
    let mut heard = Vec::new();
    for seq in 1..=10 {
        pump.send(&mut node, "d/pump-7", single((7, seq)));
        node.pass(3);
        heard.push(pump.hear(&mut node).1);
    }
    let acks: Vec<_> = heard.concat_marks();
    assert_eq!(acks, [(7, 1), (7, 7)], "at 0 and 20 ms");
    assert_eq!(pump.heard(&mut node), [Said::Ack(vec![(7, 10)])]);
}

trait Marks {
    fn concat_marks(self) -> Vec<(u32, u64)>;
}

impl Marks for Vec<Vec<Said>> {
    fn concat_marks(self) -> Vec<(u32, u64)> {
        let marks = self.into_iter().flatten().flat_map(|said| match said {
            Said::Ack(marks) => marks,
            other => panic!("{other:?}"),
        });
        marks.collect()
    }
}

#[test]
fn a_repeat_is_dropped_and_acknowledged_again() {
    let mut node = node();
    let mut pump = Pump::born(&mut node, "pump-7", &birth(7));
    for _ in 0..3 {
        pump.send(&mut node, "d/pump-7", single((7, 1)));
        let last = pump.heard(&mut node).pop();
        assert_eq!(last, Some(Said::Ack(vec![(7, 1)])));
    }
    assert_eq!(ids(&node), [id(1)]);
    assert_eq!(node.core.broker().devices_status().repeats, 2);
}

#[test]
fn what_a_birth_does_not_name_is_a_repeat_as_long_as_there_are_places() {
    let mut node = node();
    let of = |incarnation| Birth {
        incarnation,
        ..birth(7)
    };
    for incarnation in 1..=64 {
        let mut pump = Pump::born(&mut node, "pump-7", &of(incarnation));
        pump.send(&mut node, "d/pump-7", single((7, 1)));
        node.pass(1_000);
    }
    let mut node = node.restart();
    assert_eq!(events(&node).len(), 64);
    let earlier = |incarnation| {
        let head = Head {
            incarnation: Some(incarnation),
            ..head((7, 1), 11_000)
        };
        let mut bytes = [0; 64];
        let event = encode_event(&head, &celsius(1), &mut bytes);
        event.unwrap().to_vec()
    };
    let mut pump = Pump::born(&mut node, "pump-7", &of(64));
    pump.send(&mut node, "d/pump-7", earlier(1));
    node.settle();
    assert_eq!(events(&node).len(), 64, "the first of them");
    // One outbox more needs the place of the one that was silent the longest.
    let mut pump = Pump::born(&mut node, "pump-7", &of(65));
    for incarnation in 2..=64 {
        pump.send(&mut node, "d/pump-7", earlier(incarnation));
    }
    node.settle();
    assert_eq!(events(&node).len(), 64, "all but the first");
    let streams = node
        .core
        .broker()
        .devices()
        .get("pump-7")
        .unwrap()
        .streams();
    assert_eq!(streams.count(), 64);
}

#[test]
fn of_a_batch_that_is_partly_there_the_rest_is_stored() {
    let mut node = node();
    let mut pump = Pump::born(&mut node, "pump-7", &birth(7));
    let mut local = node.connect(v5("local"));
    node.subscribe(&mut local, &format!("{DEVICES}/d/+"), QoS::AtLeastOnce);
    pump.send(&mut node, "d/pump-7", batch((7, 1), 2));
    pump.send(&mut node, "d/pump-7", batch((7, 2), 3));
    assert_eq!(pump.heard(&mut node).pop(), Some(Said::Ack(vec![(7, 4)])));
    assert_eq!(ids(&node), [1, 2, 3, 4].map(id));
    let celsius: Vec<_> = events(&node)
        .iter()
        .map(|it| it.data_bytes().to_vec())
        .collect();
    assert_eq!(celsius[3], br#"{"celsius":4}"#);
    let heard = take_publishes(&mut node, &mut local);
    let payloads: Vec<_> = heard.iter().map(|it| it.payload.to_vec()).collect();
    assert_eq!(
        payloads,
        [batch((7, 1), 2), batch((7, 2), 3)],
        "as it came, once each"
    );
}

#[test]
fn events_before_a_birth_or_of_an_unknown_kind_are_not_taken() {
    let mut node = node();
    let mut pump = Pump::connect(&mut node, "pump-7");
    pump.send(&mut node, "d/pump-7", single((7, 1)));
    assert_eq!(pump.heard(&mut node), [Said::Asked(BirthReason::Missing)]);
    pump.send(
        &mut node,
        "b/pump-7",
        Birth {
            kinds: &[],
            ..birth(7)
        }
        .bytes(),
    );
    assert_eq!(
        pump.heard(&mut node),
        [Said::Asked(BirthReason::Missing)],
        "one kind is announced and none came"
    );
    let mut bytes = [0; 256];
    let kinds = encode_kinds(&[Announced::new(OTHER)], &mut bytes)
        .unwrap()
        .to_vec();
    pump.send(&mut node, "b/pump-7", kinds);
    pump.send(
        &mut node,
        "b/pump-7",
        Birth {
            kinds: &[],
            ..birth(7)
        }
        .bytes(),
    );
    assert_eq!(pump.heard(&mut node), [Said::Welcome(vec![(0, 0)])]);
    pump.send(&mut node, "d/pump-7", single((7, 1)));
    assert_eq!(
        pump.heard(&mut node),
        [Said::Asked(BirthReason::UnknownKind)]
    );
    assert!(ids(&node).is_empty());
}

#[test]
fn behind_an_event_of_an_unknown_kind_nothing_is_taken_until_its_kind_is_announced() {
    let mut node = node();
    let mut bytes = [0; 256];
    let kinds = encode_kinds(&[Announced::new(OTHER)], &mut bytes);
    let kinds = kinds.unwrap().to_vec();
    let unannounced = Birth {
        kinds: &[],
        ..birth(7)
    };
    let mut pump = Pump::connect(&mut node, "pump-7");
    pump.send(&mut node, "b/pump-7", kinds.clone());
    pump.send(&mut node, "b/pump-7", unannounced.bytes());
    // Of an earlier boot, and of a kind that the birth left out; then one of the next boot.
    let other = Head {
        kind: OTHER.id(),
        ..head((8, 1), 11_000)
    };
    let mut bytes = [0; 64];
    let other = encode_event(&other, &[], &mut bytes).unwrap().to_vec();
    for payload in [single((7, 5)), other.clone()] {
        pump.send(&mut node, "d/pump-7", payload);
    }
    let welcome = Said::Welcome(vec![(0, 0)]);
    assert_eq!(
        pump.heard(&mut node),
        [welcome, Said::Asked(BirthReason::UnknownKind)]
    );
    assert!(ids(&node).is_empty());
    pump.send(&mut node, "b/pump-7", kinds);
    pump.send(&mut node, "b/pump-7", birth(7).bytes());
    for payload in [single((7, 5)), other] {
        pump.send(&mut node, "d/pump-7", payload);
    }
    assert_eq!(pump.heard(&mut node).pop(), Some(Said::Ack(vec![(8, 1)])));
    let expected = [id(5), format!("00c0ffee00000008-{OUTBOX}-1")];
    assert_eq!(ids(&node), expected);
}

const OTHER: Kind<'static> = Kind {
    event_type: "pump.alarm",
    version: 1,
    fields: &[],
};

#[test]
fn after_a_refusal_nothing_later_is_taken_until_the_event_returns() {
    let (mut node, _filler) = full_node();
    let mut pump = Pump::connect(&mut node, "pump-7");
    pump.send(&mut node, "b/pump-7", birth(7).bytes());
    let heard = pump.heard(&mut node);
    assert_eq!(heard, [Said::Welcome(vec![(0, 0)])]);
    pump.send(&mut node, "d/pump-7", batch((7, 1), 20));
    let (acks, heard) = {
        node.pass(100);
        pump.hear(&mut node)
    };
    assert_eq!(acks, [ReasonCode::QuotaExceeded]);
    assert_eq!(heard, [Said::Refused(RefusalReason::NoRoom, (7, 1))]);
    make_room(&mut node);
    pump.send(&mut node, "d/pump-7", single((7, 21)));
    assert_eq!(pump.heard(&mut node), [], "not before those of the batch");
    pump.send(&mut node, "d/pump-7", batch((7, 1), 20));
    pump.send(&mut node, "d/pump-7", single((7, 21)));
    assert_eq!(pump.heard(&mut node).pop(), Some(Said::Ack(vec![(7, 21)])));
    assert_eq!(node.core.broker().devices_status().events, 21);
}

#[test]
fn of_a_batch_that_is_more_than_a_transaction_holds_what_fits_is_taken_and_the_rest_returns() {
    let mut node = TestNode::with_sink(1, limits(), |options| {
        options.segment_bytes = Some(256 << 10)
    });
    node.settle();
    let mut pump = Pump::born(&mut node, "pump-7", &birth(7));
    pump.hear(&mut node);
    // Sixteen records with their data twice, and the first with the whole message: more than a segment takes at once.
    pump.send(&mut node, "d/pump-7", large_batch((7, 1), 16));
    let refused = Said::Refused(RefusalReason::NoRoom, (7, 15));
    let taken = Said::Ack(vec![(7, 14)]);
    assert_eq!(pump.heard(&mut node), [refused, taken]);
    assert_eq!(ids(&node).len(), 14);
    pump.send(&mut node, "d/pump-7", single((7, 17)));
    assert_eq!(pump.heard(&mut node), [], "not before the rest");
    pump.send(&mut node, "d/pump-7", large_batch((7, 15), 2));
    pump.send(&mut node, "d/pump-7", single((7, 17)));
    assert_eq!(pump.heard(&mut node).pop(), Some(Said::Ack(vec![(7, 17)])));
    assert_eq!(ids(&node), (1..=17).map(id).collect::<Vec<_>>());
    assert_eq!(node.lost(LossReason::LostAtDevice), 0);
}

fn large_batch(first: (u32, u64), count: u64) -> Vec<u8> {
    let mut bytes = vec![0; wire::MAX_MESSAGE];
    let mut batch = BatchEncoder::new(&head(first, 11_000), &mut bytes).unwrap();
    for _ in 0..count {
        batch.push(11_000, &[0; 4_000]).unwrap();
    }
    batch.finish().to_vec()
}

#[test]
fn what_a_birth_says_is_gone_is_in_the_ledger_once() {
    let mut node = node();
    let mut pump = Pump::born(&mut node, "pump-7", &birth(7));
    pump.send(&mut node, "d/pump-7", batch((7, 1), 3));
    node.settle();
    // Boot 7 committed 10; of these 4 to 6 are gone, and of boot 8 the first two.
    for oldest in [(7, 7), (8, 3), (8, 3)] {
        let born = Birth {
            last: (7, 10),
            oldest,
            ..birth(8)
        };
        let mut pump = Pump::born(&mut node, "pump-7", &born);
        if oldest == (7, 7) {
            pump.send(&mut node, "d/pump-7", batch((7, 7), 4));
            node.settle();
        }
    }
    assert_eq!(node.lost(LossReason::LostAtDevice), 3 + 2);
    assert_eq!(node.core.broker().devices().get("pump-7").unwrap().lost, 5);
}

/// What a node has of a stream, what the birth after it says, the events that come then, and how many are lost.
struct Loss {
    has: &'static [(u32, u64)],
    says: Birth,
    come: &'static [(u32, u64)],
    lost: u64,
}

#[test]
fn what_a_birth_announces_and_no_jump_shows_is_in_the_ledger_once() {
    let says = |last, oldest, dropped| Birth {
        last,
        oldest,
        dropped,
        ..birth(8)
    };
    let cases = [
        // Behind all that is left of the boot before.
        Loss {
            has: &[(7, 1)],
            says: says((7, 2), (7, 2), &[((7, 3), (7, 3))]),
            come: &[(7, 2), (8, 1)],
            lost: 1,
        },
        // What was being written when the power went.
        Loss {
            has: &[(7, 1)],
            says: Birth {
                reason: wire::birth::LossReason::Unreadable,
                ..says((7, 2), (7, 2), &[((7, 3), (7, 3))])
            },
            come: &[(7, 2), (8, 1)],
            lost: 0,
        },
        // Between events that come.
        Loss {
            has: &[(7, 1)],
            says: says((7, 4), (7, 2), &[((7, 3), (7, 3))]),
            come: &[(7, 2), (7, 4), (8, 1)],
            lost: 1,
        },
        // Before the oldest, of the same boot.
        Loss {
            has: &[(7, 1)],
            says: says((7, 9), (7, 5), &[((7, 2), (7, 4))]),
            come: &[(7, 5)],
            lost: 3,
        },
        // Boots of which nothing is left.
        Loss {
            has: &[(4, 10)],
            says: says(
                (7, 200),
                (7, 81),
                &[((4, 11), (4, 100)), ((5, 1), (5, 50)), ((7, 1), (7, 80))],
            ),
            come: &[(7, 81)],
            lost: 90 + 50 + 80,
        },
        // All that the last boot left.
        Loss {
            has: &[(7, 1)],
            says: says((7, 3), (8, 1), &[((7, 2), (7, 3))]),
            come: &[(8, 1)],
            lost: 2,
        },
        // Another node has what came before.
        Loss {
            has: &[],
            says: says((7, 900), (7, 501), &[]),
            come: &[(7, 501)],
            lost: 0,
        },
        Loss {
            has: &[],
            says: says((7, 900), (7, 501), &[((7, 401), (7, 500))]),
            come: &[(7, 501)],
            lost: 100,
        },
    ];
    for (number, case) in cases.into_iter().enumerate() {
        let mut node = node();
        if let Some((boot, seq)) = case.has.first().copied() {
            let mut pump = Pump::born(&mut node, "pump-7", &birth(boot));
            pump.send(&mut node, "d/pump-7", batch((boot, 1), seq));
            node.settle();
        }
        for repeat in 0..2 {
            Pump::born(&mut node, "pump-7", &case.says);
            node = match repeat {
                0 => node.crash(),
                _ => node.restart(),
            };
        }
        let mut pump = Pump::born(&mut node, "pump-7", &case.says);
        for place in case.come {
            pump.send(&mut node, "d/pump-7", single(*place));
        }
        node.settle();
        let lost = node.core.broker().devices().get("pump-7").unwrap().lost;
        let ledger = node.lost(LossReason::LostAtDevice);
        assert_eq!((lost, ledger), (case.lost, case.lost), "case {number}");
    }
}

#[test]
fn a_jump_is_counted_and_a_wide_one_asks_for_the_birth() {
    let mut node = node();
    let mut pump = Pump::born(&mut node, "pump-7", &birth(7));
    pump.hear(&mut node);
    pump.send(&mut node, "d/pump-7", single((7, 4)));
    assert_eq!(pump.heard(&mut node), [Said::Ack(vec![(7, 4)])]);
    assert_eq!(node.lost(LossReason::LostAtDevice), 3);
    let far = 5 + wire::MAX_JUMP + 1;
    pump.send(&mut node, "d/pump-7", single((7, far)));
    assert_eq!(pump.heard(&mut node), [Said::Asked(BirthReason::Jump)]);
    let announced = Birth {
        oldest: (7, far),
        ..birth(7)
    };
    let mut pump = Pump::born(&mut node, "pump-7", &announced);
    pump.send(&mut node, "d/pump-7", single((7, far)));
    assert_eq!(pump.heard(&mut node).pop(), Some(Said::Ack(vec![(7, far)])));
    assert_eq!(node.lost(LossReason::LostAtDevice), 3 + wire::MAX_JUMP + 1);
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
fn at_the_bound_a_new_device_is_refused_and_a_known_one_is_not() {
    let mut node = node();
    for name in ["one", "two"] {
        let mut device = Pump::born(&mut node, name, &birth(7));
        assert_eq!(device.heard(&mut node), [Said::Welcome(vec![(0, 0)])]);
    }
    let mut third = Pump::born(&mut node, "three", &birth(7));
    assert_eq!(third.heard(&mut node), [Said::BirthRefused]);
    let mut again = Pump::born(&mut node, "one", &birth(8));
    assert_eq!(again.heard(&mut node), [Said::Welcome(vec![(0, 0)])]);
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

#[test]
fn another_version_is_told_what_the_node_speaks() {
    let mut node = node();
    let mut pump = Pump::connect(&mut node, "pump-7");
    pump.send(&mut node, "b/pump-7", vec![0b0110_0000, 3, 4]);
    assert_eq!(pump.heard(&mut node), [Said::NoVersion]);
}
