//! What a lane without room answers: nothing yet, or a refusal, as it is configured.

use super::harness::*;
use crate::mqtt::packet::{Ack, Connect, Packet, QoS, ReasonCode, Version};

#[test]
fn a_full_lane_withholds_the_acknowledgement_and_delivers_locally_once() {
    let mut node = TestNode::with_options(|options| options.bound_bytes = Some(4 << 20));
    let mut keeper = node.connect(durable("keeper"));
    node.subscribe(&mut keeper, "fill", QoS::AtLeastOnce);
    node.drop_connection(keeper);
    let mut device = node.connect(v5("pump"));
    let filling = "x".repeat(60_000);
    let mut taken = 0;
    while node
        .publish(&mut device, "fill", &filling, QoS::AtLeastOnce, taken + 1)
        .is_some()
    {
        taken += 1;
        node.core.spool().housekeep_once(node.now());
        assert!(taken < 200, "the bound of 4 MiB holds no 12 MB");
    }
    let mut reader = node.connect(v5("reader"));
    node.subscribe(&mut reader, "live", QoS::AtLeastOnce);
    node.send(&device, publish("live", "now", QoS::AtLeastOnce, 900));
    node.settle();
    let live = reader.publishes(&mut node);
    assert_eq!(live.len(), 1, "local delivery goes on");
    assert_eq!(
        device.all(&mut node),
        [],
        "no acknowledgement without the log"
    );
    node.send(&reader, puback(&live[0]));

    let keeper = node.connect(durable("keeper"));
    let mut keeper = keeper;
    loop {
        let got = keeper.publishes(&mut node);
        if got.is_empty() {
            break;
        }
        for publish in &got {
            node.send(&keeper, puback(publish));
        }
        for _ in 0..4 {
            node.core.spool().housekeep_once(node.now());
        }
        node.settle();
    }
    let acks = device.all(&mut node);
    assert_eq!(
        acks.len(),
        2,
        "what was withheld is acknowledged once there is room: {acks:?}"
    );
    assert_eq!(reader.publishes(&mut node), [], "not delivered again");
}

/// Rejects what finds no room in a log of 4 MiB, and owes what is published on `fill`.
fn rejecting_node() -> TestNode {
    let mut node = TestNode::with_options(|options| {
        options.bound_bytes = Some(4 << 20);
        for lane in &mut options.lanes {
            lane.when_full = spool::WhenFull::Reject;
        }
    });
    let mut keeper = node.connect(durable("keeper"));
    node.subscribe(&mut keeper, "fill", QoS::AtLeastOnce);
    node.drop_connection(keeper);
    node
}

#[test]
fn reject_answers_quota_exceeded_and_counts_it() {
    let mut node = rejecting_node();
    let mut device = node.connect(v5("pump"));
    let filling = "x".repeat(60_000);
    let refused = (1..200).find_map(|n| {
        match node.publish(&mut device, "fill", &filling, QoS::AtLeastOnce, n) {
            Some(Packet::PubAck(ack)) if ack.reason == ReasonCode::Success => None,
            other => Some(other),
        }
    });
    assert!(
        matches!(&refused, Some(Some(Packet::PubAck(ack))) if ack.reason == ReasonCode::QuotaExceeded),
        "{refused:?}"
    );
    assert_eq!(node.lost(spool::LossReason::Rejected), 1);
}

/// To it any answer is the promise to keep what it sent.
#[test]
fn a_client_of_3_1_1_is_not_rejected_and_its_acknowledgement_is_withheld() {
    let mut node = rejecting_node();
    let mut device = node.connect(Connect {
        clean_start: true,
        ..Connect::new(Version::V311, "pump")
    });
    let filling = "x".repeat(60_000);
    let withheld = (1..200).find(|n| {
        let answer = node.publish(&mut device, "fill", &filling, QoS::AtLeastOnce, *n);
        answer.is_none()
    });
    let withheld = withheld.expect("the bound of 4 MiB holds no 12 MB");
    assert_eq!(node.lost(spool::LossReason::Rejected), 0);
    super::withheld::make_room(&mut node);
    let answers = device.all(&mut node);
    assert_eq!(answers, [Packet::PubAck(Ack::success(id(withheld)))]);
}
