//! Losses told by events.

use serde_json::Value;
use spool::{LaneOptions, Loss, LossReason, NodeTime, Seq, WhenFull};

use super::{
    harness::*,
    rules::{counts, given, node_with_sink},
};
use crate::mqtt::packet::QoS;

const LOOK_MS: u64 = 10_000;
const TOPIC: &str = "edge/gaps";

#[test]
fn each_loss_is_told_once_and_what_is_lost_within_ten_seconds_by_one_event() {
    let mut node = telling();
    lose(&node, "pump", 3);
    lose(&node, "pump", 2);
    lose(&node, "tank", 1);
    node.pass(LOOK_MS - 1);
    assert_eq!(told(&node), []);
    node.pass(1);
    assert_eq!(told(&node), [said("pump", 5, 5), said("tank", 1, 1)]);
    lose(&node, "pump", 1);
    node.pass(LOOK_MS);
    assert_eq!(told(&node)[2..], [said("pump", 6, 1)]);
    node.pass(100 * LOOK_MS);
    assert_eq!(told(&node).len(), 3);
    let messages = node.status().messages;
    assert_eq!((messages.gaps, messages.events), (3, 0), "by no door");
}

#[test]
fn what_was_told_is_told_once_over_a_crash_and_over_a_stop_and_what_was_not_is_told_then() {
    for stops in [false, true] {
        let mut node = telling();
        lose(&node, "pump", 3);
        node.pass(LOOK_MS);
        assert_eq!(told(&node), [said("pump", 3, 3)]);
        lose(&node, "tank", 2);
        // It takes the entry along to the disk.
        let mut device = node.connect(v5("device"));
        node.publish(&mut device, "t", "x", QoS::AtLeastOnce, 1);
        let mut node = if stops { node.restart() } else { node.crash() };
        tell(&mut node);
        node.pass(0);
        node.pass(LOOK_MS);
        let all = [said("pump", 3, 3), said("tank", 2, 2)];
        assert_eq!(told(&node), all, "stopped: {stops}");
    }
}

/// The event, that it was told, and the entry of the ledger are one: a crash takes all or none.
#[test]
fn a_crash_before_the_commit_of_an_event_takes_back_that_it_was_told() {
    let mut node = telling();
    // More than one commit takes along to the disk.
    for client in 0..40 {
        lose(&node, &format!("client-{client:02}"), 3);
    }
    lose(&node, "a-pump", 3);
    node.wait(LOOK_MS);
    assert_eq!(told(&node), [], "not committed");
    let mut node = node.crash();
    tell(&mut node);
    node.pass(0);
    assert_eq!(
        told(&node),
        [],
        "and nothing is lost, as far as the disk knows"
    );

    for client in 0..40 {
        lose(&node, &format!("client-{client:02}"), 3);
    }
    lose(&node, "a-pump", 3);
    node.wait(LOOK_MS);
    node.commit();
    assert_eq!(told(&node).len(), 16);
    let mut node = node.crash();
    tell(&mut node);
    lose(&node, "a-pump", 1);
    node.pass(0);
    let again = told(&node).split_off(16);
    assert!(again.contains(&said("a-pump", 4, 1)), "{again:?}");
}

#[test]
fn many_losses_are_told_by_turns_a_few_at_a_time() {
    let mut node = telling();
    let clients: Vec<String> = (0..40)
        .map(|client| format!("client-{client:02}"))
        .collect();
    for look in 1..=3 {
        for client in &clients {
            lose(&node, client, 1);
        }
        node.pass(LOOK_MS);
        assert_eq!(told(&node).len(), 16 * look);
    }
    let all = told(&node);
    for client in &clients {
        assert!(all.iter().any(|it| it.0 == *client), "{client}: {all:?}");
    }
}

#[test]
fn without_a_topic_losses_are_in_the_ledger_alone() {
    let mut node = node_with_sink();
    lose(&node, "pump", 3);
    node.pass(100 * LOOK_MS);
    assert_eq!(told(&node), []);
    assert_eq!(node.lost(LossReason::Refused), 3);
}

#[test]
fn a_loss_that_finds_no_room_to_be_told_is_told_when_there_is_room() {
    let mut node = TestNode::with_sink(1, limits(), |options| {
        options.bound_bytes = Some(4 << 20);
    });
    tell(&mut node);
    for bytes in [60_000, 3_000, 100] {
        let mut device = node.connect(v5("device"));
        let text = "x".repeat(bytes);
        let full = (1..200).any(|n| {
            node.core.spool().housekeep_once(node.now());
            node.publish(&mut device, "t", &text, QoS::AtLeastOnce, n)
                .is_none()
        });
        assert!(full, "no end of messages of {bytes} bytes");
        node.drop_connection(device);
    }
    lose(&node, "pump", 3);
    look(&mut node, 5);
    assert_eq!(told(&node), []);
    assert_eq!(node.status().messages.gaps, 0);

    let owed: Vec<Seq> = (1..=node.core.spool().committed().0).map(Seq).collect();
    node.core.spool().ack(node.sink(), &owed);
    lose(&node, "pump", 2);
    look(&mut node, 5);
    assert_eq!(told(&node), [said("pump", 5, 5)]);
}

/// Told to it as other messages are, each would push out the oldest, of which the next would tell.
#[test]
fn a_session_that_loses_its_oldest_loses_none_to_the_events_that_tell_of_it() {
    let mut limits = limits();
    limits.session_bytes = 100_000;
    let mut node = TestNode::with_sink(1, limits, |_| {});
    tell(&mut node);
    let mut keeper = node.connect(durable("keeper"));
    node.subscribe(&mut keeper, "#", QoS::AtLeastOnce);
    node.drop_connection(keeper);
    let mut device = node.connect(v5("device"));
    // Small ones, so that any further one is above the bound.
    let text = "x".repeat(200);
    for n in 1..=600 {
        node.publish(&mut device, "t", &text, QoS::AtLeastOnce, n);
        if n % 20 == 0 {
            node.core.spool().housekeep_once(node.now());
        }
    }
    look(&mut node, 5);
    let lost = node.lost(LossReason::SessionBound);
    assert!(lost > 0);
    let all = told(&node);
    look(&mut node, 20);
    assert_eq!(node.lost(LossReason::SessionBound), lost);
    assert_eq!((told(&node), all.len()), (all, 1));
}

#[test]
fn a_live_subscriber_hears_of_losses_and_one_that_cannot_take_that_adds_none() {
    let mut node = telling();
    let mut small = node.connect(with_maximum_packet(v5("small"), 100));
    node.subscribe(&mut small, TOPIC, QoS::AtMostOnce);
    let mut reader = node.connect(v5("reader"));
    node.subscribe(&mut reader, TOPIC, QoS::AtLeastOnce);
    lose(&node, "pump", 3);
    look(&mut node, 20);
    let [(topic, text)] = &reader.messages(&mut node)[..] else {
        panic!("one message");
    };
    let data: Value = serde_json::from_str(text).unwrap();
    assert_eq!((topic.as_str(), data["count"].as_u64()), (TOPIC, Some(3)));
    assert_eq!(small.messages(&mut node), []);
    assert_eq!(node.lost(LossReason::TooLargeForSubscriber), 0);
    assert_eq!(told(&node), [said("pump", 3, 3)]);
}

#[test]
fn no_rule_judges_what_tells_of_a_loss() {
    let mut node = telling();
    node.set_rules("[[rule]]\nname = \"none\"\ndrop = true");
    lose(&node, "pump", 3);
    look(&mut node, 20);
    assert_eq!(told(&node), [said("pump", 3, 3)]);
    assert_eq!(counts(&node), [("none".to_owned(), 0, 0)]);
    assert_eq!(node.lost(LossReason::DroppedByRule), 0);
}

#[test]
fn a_full_lane_that_drops_its_oldest_comes_to_rest() {
    let mut node = TestNode::with_sink(1, limits(), |options| {
        options.bound_bytes = Some(3 << 20);
        options.lanes = vec![LaneOptions {
            name: "normal".to_owned(),
            when_full: WhenFull::DropOldest,
        }];
    });
    tell(&mut node);
    let mut device = node.connect(v5("device"));
    let text = "x".repeat(30_000);
    for n in 1..=200 {
        node.publish(&mut device, "t", &text, QoS::AtLeastOnce, n);
        node.core.spool().housekeep_once(node.now());
    }
    look(&mut node, 20);
    assert!(node.lost(LossReason::DroppedForRoom) > 0);
    let at_rest = node.status().messages.gaps;
    assert!((1..10).contains(&at_rest), "{at_rest}");
    look(&mut node, 200);
    assert_eq!(node.status().messages.gaps, at_rest);
}

/// A node with a sink that tells of losses, and has looked once.
fn telling() -> TestNode {
    let mut node = node_with_sink();
    tell(&mut node);
    node.pass(0);
    node
}

fn tell(node: &mut TestNode) {
    node.core
        .tell_losses(TOPIC.to_owned(), "test".parse().unwrap());
}

fn look(node: &mut TestNode, times: usize) {
    for _ in 0..times {
        node.pass(LOOK_MS);
        node.core.spool().housekeep_once(node.now());
    }
}

fn lose(node: &TestNode, scope: &str, count: u64) {
    node.core.spool().record_loss(Loss {
        reason: LossReason::Refused,
        scope: scope.to_owned(),
        count,
        bytes: 0,
        first: Seq::ZERO,
        last: Seq::ZERO,
        at: NodeTime(0),
    });
}

/// Scope, count and what is new of it.
fn said(scope: &str, count: u64, new: u64) -> (String, u64, u64) {
    (scope.to_owned(), count, new)
}

/// What the sink is told, once by id.
fn told(node: &TestNode) -> Vec<(String, u64, u64)> {
    let mut told = Vec::new();
    let mut ids = Vec::new();
    for gap in given(node).into_iter().filter(|it| it.topic == TOPIC) {
        let data: Value = serde_json::from_slice(gap.event.data_bytes()).unwrap();
        let number = |key: &str| data[key].as_u64().unwrap();
        let scope = data["scope"].as_str().unwrap().to_owned();
        told.push((scope, number("count"), number("new")));
        ids.push(gap.event.id);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), told.len(), "an id comes twice: {told:?}");
    told
}
