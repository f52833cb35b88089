//! Publishes that fit no transaction with others, and those that fit none at all.

use super::harness::*;
use crate::mqtt::packet::{Ack, Connect, Packet, QoS, ReasonCode, Version};

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

#[test]
fn every_connection_has_a_transaction_of_its_own_for_what_fitted_none_with_others() {
    let mut node = small();
    let mut devices = ["first", "second"].map(|name| node.connect(v5(name)));
    let packets = [
        sized(LARGE, QoS::AtMostOnce, 0),
        sized(LARGE, QoS::AtLeastOnce, 1),
        sized(LARGE, QoS::AtLeastOnce, 2),
    ];
    for device in &devices {
        node.send_all(device, &packets);
    }
    let mut acknowledged = [0; 2];
    while acknowledged[1] == 0 {
        node.commit();
        for (device, count) in devices.iter_mut().zip(&mut acknowledged) {
            *count += device.all(&mut node).len();
        }
        assert!(acknowledged[0] < 2, "the other has waited as long");
    }
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
