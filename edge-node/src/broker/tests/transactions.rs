//! Publishes that fit no transaction with others, and those that fit none at all.

use super::harness::*;
use crate::{
    broker::sink_cursor,
    mqtt::packet::{Ack, Connect, Packet, QoS, ReasonCode, Version},
};

/// A node whose transactions hold one publish of `LARGE` bytes, not two, and none of `TOO_LARGE`.
fn small() -> TestNode {
    TestNode::with_options(|options| {
        options.bound_bytes = Some(16 << 20);
        options.segment_bytes = Some(256 << 10);
    })
}

const LARGE: usize = 120_000;
const TOO_LARGE: usize = 200_000;

fn sized(bytes: usize, qos: QoS, id: u16) -> Packet {
    publish("t", &"x".repeat(bytes), qos, id)
}

fn clean(version: Version, name: &str) -> Connect {
    Connect {
        clean_start: true,
        ..Connect::new(version, name)
    }
}

fn puback_with(id: u16, reason: ReasonCode) -> Packet {
    Packet::PubAck(Ack::with_reason(super::harness::id(id), reason))
}

#[test]
fn a_publish_that_fits_no_transaction_with_others_is_stored_in_the_next() {
    for version in [Version::V311, Version::V5] {
        let mut node = small();
        let mut keeper = node.connect(durable("keeper"));
        node.subscribe(&mut keeper, "t", QoS::AtLeastOnce);
        node.drop_connection(keeper);
        let mut device = node.connect(clean(version, "pump"));
        let both = [
            sized(LARGE, QoS::AtMostOnce, 0),
            sized(LARGE, QoS::AtLeastOnce, 1),
        ];
        node.send_all(&device, &both);
        node.settle();

        let acknowledged = puback_with(1, ReasonCode::Success);
        assert_eq!(device.all(&mut node), [acknowledged]);
        assert_eq!(node.lost(spool::LossReason::Rejected), 0);
        let mut node = node.crash();
        let mut keeper = node.connect(durable("keeper"));
        assert_eq!(take_all(&mut node, &mut keeper).len(), 1, "{version:?}");
    }
}

/// More of QoS 0 than a transaction holds, in fewer bytes than are read at once: each record names its sender.
fn chatter(count: usize) -> Vec<Packet> {
    vec![sized(1, QoS::AtMostOnce, 0); count]
}

/// A node with a sink, and a client with a session and a long name.
fn talkative() -> (TestNode, super::harness::Client) {
    let mut node = TestNode::with_sink(1, limits(), |options| {
        options.bound_bytes = Some(16 << 20);
        options.segment_bytes = Some(256 << 10);
    });
    let device = node.connect(durable(&"n".repeat(1_000)));
    (node, device)
}

/// How many records the sink is owed.
fn owed(node: &TestNode) -> u64 {
    let cursors = node.core.spool().status().cursors;
    let of_sink = |cursor: &&spool::CursorStatus| cursor.name == sink_cursor(SINK);
    cursors.iter().find(of_sink).unwrap().pending_records
}

#[test]
fn what_one_read_brings_beyond_a_transaction_is_stored_in_the_next() {
    let (mut node, mut device) = talkative();
    let mut packets = chatter(500);
    packets.push(subscribe("t", QoS::AtLeastOnce));
    node.send_all(&device, &packets);
    assert!(!node.core.wants_input(device.id), "nothing comes meanwhile");
    node.settle();

    let answers = device.all(&mut node);
    assert!(matches!(answers[..], [Packet::SubAck(_)]), "{answers:?}");
    assert!(node.core.wants_input(device.id) && !node.is_closed(&device));
    assert_eq!(owed(&node), 500);
    assert_eq!(node.lost(spool::LossReason::Qos0NotStored), 0);
}

#[test]
fn a_receipt_behind_more_than_a_transaction_holds_is_taken_in_the_next() {
    let (mut node, mut device) = talkative();
    node.subscribe(&mut device, "own", QoS::ExactlyOnce);
    node.send(&device, publish("own", "x", QoS::ExactlyOnce, 1));
    node.settle();
    let received = device.publishes(&mut node);
    let mut packets = chatter(500);
    packets.push(pubrec(&received[0]));
    node.send_all(&device, &packets);
    node.settle();
    let released = device.all(&mut node);
    assert!(matches!(released[..], [Packet::PubRel(_)]), "{released:?}");
    assert!(!node.is_closed(&device));
}

#[test]
fn a_publish_of_qos_0_that_fits_no_transaction_with_others_is_stored_in_the_next() {
    let (mut node, device) = talkative();
    let both = [
        sized(LARGE, QoS::AtLeastOnce, 1),
        sized(LARGE, QoS::AtMostOnce, 0),
    ];
    node.send_all(&device, &both);
    node.settle();
    assert_eq!(owed(&node), 2);
    assert_eq!(node.lost(spool::LossReason::Qos0NotStored), 0);
}

/// What fits a transaction of its own, and none that has to name a route of `KEEPERS` sessions as well.
const BARELY: usize = 180_000;
const KEEPERS: usize = 60;

#[test]
fn every_connection_has_a_transaction_of_its_own_for_what_fitted_none_with_its_route() {
    let mut node = small();
    let filters = std::iter::repeat_n("+", KEEPERS).chain(["second"]);
    for (n, filter) in filters.enumerate() {
        let mut keeper = node.connect(durable(&format!("keeper-{n}")));
        node.subscribe(&mut keeper, filter, QoS::AtLeastOnce);
        node.drop_connection(keeper);
    }
    let topics = ["first", "second"];
    let mut devices = topics.map(|topic| node.connect(v5(topic)));
    for (device, topic) in devices.iter().zip(topics) {
        let barely = publish(topic, &"x".repeat(BARELY), QoS::AtLeastOnce, 1);
        node.send(device, barely);
    }
    assert_eq!(node.core.broker().withholding().len(), 2);
    // The commit has the routes.
    node.commit();
    assert_eq!(node.core.broker().withholding().len(), 0);
    node.settle();
    let acknowledged = devices.each_mut().map(|device| device.all(&mut node).len());
    assert_eq!(acknowledged, [1, 1]);
}

#[test]
fn what_is_too_large_for_any_transaction_is_refused_in_its_turn_though_it_waited_for_one() {
    for (version, said) in [
        (Version::V5, ReasonCode::QuotaExceeded),
        (Version::V311, ReasonCode::Success),
    ] {
        let mut node = small();
        let mut reader = node.connect(v5("reader"));
        node.subscribe(&mut reader, "t", QoS::AtMostOnce);
        let mut device = node.connect(clean(version, "pump"));
        let packets = [
            sized(1, QoS::AtLeastOnce, 1),
            sized(TOO_LARGE, QoS::AtLeastOnce, 2),
            sized(1, QoS::AtLeastOnce, 3),
        ];
        node.send_all(&device, &packets);
        node.settle();
        let success = |id| puback_with(id, ReasonCode::Success);
        let answers = [success(1), puback_with(2, said), success(3)];
        assert_eq!(device.all(&mut node), answers);
        assert_eq!(node.lost(spool::LossReason::Rejected), 1);
        assert_eq!(node.core.broker().sessions_status().withheld_bytes, 0);
    }
}

#[test]
fn the_identifier_of_a_refused_publish_of_qos_2_is_free() {
    let mut node = small();
    let mut device = node.connect(durable("pump"));
    let packets = [
        sized(1, QoS::AtLeastOnce, 1),
        sized(TOO_LARGE, QoS::ExactlyOnce, 2),
    ];
    node.send_all(&device, &packets);
    node.settle();
    let refused = Ack::with_reason(id(2), ReasonCode::QuotaExceeded);
    assert_eq!(device.all(&mut node).last(), Some(&Packet::PubRec(refused)));
    let stored = node.core.spool().appended();
    let taken = node.publish(&mut device, "t", "another", QoS::ExactlyOnce, 2);
    assert!(matches!(taken, Some(Packet::PubRec(_))), "{taken:?}");
    assert!(node.core.spool().appended() > stored);
}
