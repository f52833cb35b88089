//! A log without room for what a QoS 2 delivery has to record first: it is tried again after a second, and never at once.

use spool::{CursorId, Full, Head, Kind, Lane, RouteId};

use super::harness::*;
use crate::mqtt::packet::{Packet, QoS};

const REST_MS: u64 = 1_000;

#[test]
fn a_delivery_at_qos_2_that_finds_the_log_full_rests_a_second_and_comes_once_there_is_room() {
    let mut node = small();
    let mut reader = node.connect(with_receive_maximum(durable("reader"), 1));
    node.subscribe(&mut reader, "t", QoS::ExactlyOnce);
    let mut device = node.connect(v5("pump"));
    node.publish(&mut device, "t", "1", QoS::AtLeastOnce, 1);
    node.publish(&mut device, "t", "2", QoS::ExactlyOnce, 2);
    let first = reader.publishes(&mut node);
    assert_eq!(payloads(&first), ["1"]);

    node.send(&reader, puback(&first[0]));
    node.commit();
    fill(&node);
    node.settle();
    rests(&mut node, &mut reader);
    make_room(&node);
    node.pass(REST_MS);
    assert_eq!(payloads(&reader.publishes(&mut node)), ["2"]);
}

#[test]
fn a_retained_message_at_qos_2_that_finds_the_log_full_rests_a_second_and_comes_once_there_is_room()
{
    let mut node = small();
    let mut device = node.connect(v5("pump"));
    let retained = change_publish(publish("t", "on", QoS::ExactlyOnce, 1), |publish| {
        publish.retain = true;
    });
    node.send(&device, retained);
    node.settle();
    assert_eq!(device.all(&mut node).len(), 1);
    let mut reader = node.connect(durable("reader"));
    node.send(&reader, subscribe("t", QoS::ExactlyOnce));
    node.commit();
    let granted = reader.next(&mut node);
    assert!(matches!(granted, Some(Packet::SubAck(_))), "{granted:?}");

    fill(&node);
    node.settle();
    rests(&mut node, &mut reader);
    make_room(&node);
    node.pass(REST_MS);
    assert_eq!(payloads(&reader.publishes(&mut node)), ["on"]);
}

/// Nothing is read for it, whatever is committed meanwhile, but once a second.
fn rests(node: &mut TestNode, reader: &mut Client) {
    for _ in 0..3 {
        for _ in 0..3 {
            commit_something(node);
            assert_eq!(node.take_readings().len(), 0, "nothing is read at once");
        }
        node.wait(REST_MS - 1);
        assert_eq!(
            node.take_readings().len(),
            0,
            "nor before the second is over"
        );
        fill(node);
        node.wait(1);
        assert!(node.read(), "then it is tried again");
        assert_eq!(reader.publishes(node), []);
    }
}

/// A commit though the log is full: an acknowledgement is never refused, and this one is nobody's.
fn commit_something(node: &mut TestNode) {
    let before = node.core.spool().committed();
    let mut transaction = node.core.spool().transaction(node.now());
    transaction.ack(CursorId(u32::MAX), before);
    transaction.finish();
    node.commit();
    assert!(node.core.spool().committed() > before);
}

pub(super) fn small() -> TestNode {
    TestNode::with_options(|options| {
        options.bound_bytes = Some(16 << 20);
        options.segment_bytes = Some(256 << 10);
    })
}

/// Fills the log with state to the last byte that it takes.
pub(super) fn fill(node: &TestNode) {
    let head = Head {
        kind: Kind::State,
        lane: Lane(0),
        route: RouteId::NOBODY,
    };
    let append = |len: usize| {
        let mut transaction = node.core.spool().transaction(node.now());
        let appended = transaction.append(head, |bytes| bytes.resize(bytes.len() + len, 0));
        transaction.finish();
        node.core.spool().commit_once();
        appended
    };
    for len in [50_000, 1_000, 1] {
        let refused = loop {
            if let Err(full) = append(len) {
                break full;
            }
        };
        assert!(matches!(refused, Full::Bound { .. }), "{refused:?}");
    }
}

/// State that both checkpoints cover is freed.
pub(super) fn make_room(node: &TestNode) {
    for _ in 0..3 {
        node.checkpoint();
        node.core.spool().housekeep_once(node.now());
    }
}
