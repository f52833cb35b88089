//! Wills over a stop of the node, and at the end of their session.

use super::{
    harness::*,
    rules::{given, node_with_sink},
    withheld::{full_node, make_room},
};
use crate::mqtt::packet::QoS;

/// When, in seconds after a crash of the node, the will of a durable session with this delay is published.
fn published_after(delay_seconds: u32) -> u64 {
    let mut node = TestNode::new();
    node.connect(with_will(durable("pump"), "will", delay_seconds));
    let mut node = node.crash();
    let mut reader = node.connect(v5("reader"));
    node.subscribe(&mut reader, "will", QoS::AtLeastOnce);
    let published = (1..=100).find(|_| {
        node.pass(1_000);
        !reader.messages(&mut node).is_empty()
    });
    published.unwrap()
}

#[test]
fn after_an_unclean_stop_a_will_waits_for_its_delay_and_for_half_a_minute_at_least() {
    assert_eq!(published_after(10), 30);
    assert_eq!(published_after(45), 45);
}

#[test]
fn after_an_unclean_stop_the_will_of_a_client_that_is_back_in_time_is_not_published() {
    let mut node = TestNode::new();
    node.connect(with_will(durable("pump"), "will", 0));
    let mut node = node.crash();
    let mut reader = node.connect(v5("reader"));
    node.subscribe(&mut reader, "will", QoS::AtLeastOnce);
    node.pass(29_000);
    let _back = node.connect(with_will(durable("pump"), "will", 0));
    node.pass(120_000);
    assert_eq!(reader.messages(&mut node), []);
}

#[test]
fn a_will_goes_through_ingest_and_is_an_event_for_the_sinks() {
    let mut node = node_with_sink();
    node.connect(with_will(durable("pump"), "alarm/pump", 0));
    let mut node = node.crash();
    node.pass(30_000);
    let events = given(&node);
    let [will] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(
        (will.topic.as_str(), will.event.r#type.as_str()),
        ("alarm/pump", "mqtt.publish")
    );
    assert_eq!(will.event.data_bytes(), b"gone");
    assert_eq!(node.status().spool.lanes[0].pending_records, 1, "alarm");
}

#[test]
fn a_will_that_finds_no_room_when_its_session_ends_is_in_the_ledger() {
    let (mut node, _filler) = full_node();
    let mut connect = with_will(v5("pump"), "will", 0);
    connect.will.as_mut().unwrap().payload = vec![b'x'; 60_000].into();
    let client = node.connect(connect);
    let before = node.lost(spool::LossReason::SessionEnded);
    node.drop_connection(client);
    assert_eq!(node.lost(spool::LossReason::SessionEnded), before + 1);
    let mut reader = node.connect(v5("reader"));
    node.subscribe(&mut reader, "will", QoS::AtMostOnce);
    make_room(&mut node);
    node.pass(5_000);
    assert_eq!(reader.messages(&mut node), [], "counted as lost");
}

/// The smallest: a transaction holds some 32 KiB.
fn small_log() -> TestNode {
    let mut node = TestNode::with_sink(1, limits(), |options| {
        options.bound_bytes = Some(16 << 20);
        options.segment_bytes = Some(64 << 10);
    });
    node.settle();
    node
}

#[test]
fn wills_that_are_due_at_once_with_the_end_of_their_sessions_are_all_published() {
    let mut node = small_log();
    let clients = ["a", "b", "c", "d"].map(|client| {
        let mut connect = with_will(durable(client), "will", 1);
        connect.session_expiry_interval = Some(1);
        // Two of them fit no transaction.
        connect.will.as_mut().unwrap().payload = vec![b'x'; 20_000].into();
        node.connect(connect)
    });
    for client in clients {
        node.drop_connection(client);
    }
    node.skip(1_000);
    for _ in 0..10 {
        node.pass(1_000);
    }
    assert_eq!(given(&node).len(), 4);
    assert_eq!(node.lost(spool::LossReason::SessionEnded), 0);
    assert_eq!(node.status().sessions.offline, 0);
}

#[test]
fn the_will_of_a_clean_session_waits_for_what_is_being_committed() {
    let mut node = TestNode::with_sink(1, limits(), |options| options.waiting_bytes = 1_000);
    node.settle();
    let client = node.connect(with_will(v5("pump"), "will", 0));
    let filler = node.connect(v5("filler"));
    node.send(
        &filler,
        publish("t", &"x".repeat(1_000), QoS::AtLeastOnce, 1),
    );
    node.drop_connection(client);
    for _ in 0..5 {
        node.pass(1_000);
    }
    let topics: Vec<_> = given(&node).into_iter().map(|it| it.topic).collect();
    assert_eq!(topics, ["t", "will"]);
    assert_eq!(node.lost(spool::LossReason::SessionEnded), 0);
}

#[test]
fn a_session_that_waits_with_its_will_is_none_for_its_client() {
    let mut node = TestNode::with_sink(1, limits(), |options| options.waiting_bytes = 1_000);
    node.settle();
    let client = node.connect(with_will(v5("pump"), "will", 0));
    let publisher = node.connect(v5("publisher"));
    let filler = publish("filler", &"x".repeat(1_000), QoS::AtLeastOnce, 1);
    node.send(&publisher, filler);
    node.drop_connection(client);
    assert!(node.holds_offline("pump"), "its will waits");
    node.settle();
    let mut pump = node.connect(durable("pump"));
    node.subscribe(&mut pump, "t", QoS::AtLeastOnce);
    node.drop_connection(pump);
    node.send(&publisher, publish("t", "x", QoS::AtLeastOnce, 2));
    node.settle();
    let mut node = node.cut();
    let mut pump = node.connect(durable("pump"));
    assert_eq!(pump.messages(&mut node), [("t".to_owned(), "x".to_owned())]);
}

/// Fits a transaction of the smallest log as a will, and none as an event.
const BARELY: usize = 32_700;

#[test]
fn a_will_that_is_larger_than_the_log_takes_at_once_is_in_the_ledger_once() {
    let mut node = small_log();
    let client = node.connect(durable("pump"));
    node.drop_connection(client);
    let mut connect = with_will(durable("pump"), "will", 0);
    connect.will.as_mut().unwrap().payload = vec![b'x'; BARELY].into();
    let client = node.connect(connect);
    node.drop_connection(client);
    for _ in 0..5 {
        node.pass(1_000);
    }
    assert_eq!(node.lost(spool::LossReason::Rejected), 1);
    let mut node = node.crash();
    node.pass(60_000);
    assert_eq!(node.lost(spool::LossReason::Rejected), 1);
    assert_eq!(given(&node).len(), 0);
}
