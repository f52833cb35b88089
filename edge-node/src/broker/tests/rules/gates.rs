//! Gates: what they remember moves with the commit of the event that moved it, and with nothing else.

use super::{counts, given, node_with_sink};
use crate::{
    broker::tests::{
        harness::*,
        withheld::{full_node, make_room},
    },
    mqtt::packet::{Packet, QoS},
};

/// Each with a rule of one gate that lets the first of two readings of 95 pass, and not the second.
const GATES: [(&str, &str); 4] = [
    (
        "dedupe",
        "dedupe = { within = \"1h\" }\nkey = [\"$.data.celsius\"]",
    ),
    (
        "deadband",
        "deadband = { field = \"$.data.celsius\", absolute = 1 }",
    ),
    ("throttle", "throttle = { per = \"1h\" }"),
    (
        "threshold",
        "threshold = { field = \"$.data.celsius\", above = 90 }",
    ),
];

const HOT: &str = r#"{"celsius": 95}"#;

fn rule(name: &str, gate: &str) -> String {
    format!("[[rule]]\nname = {name:?}\n[[rule.step]]\n{gate}\n")
}

/// A node with a sink and one gate.
fn node(gate: &str) -> TestNode {
    let mut node = node_with_sink();
    node.set_rules(&rule("gate", gate));
    node.settle();
    node
}

/// Publishes a reading, committed; it is acknowledged whatever becomes of it.
fn publish_hot(node: &mut TestNode) {
    let mut device = node.connect(v5("device"));
    let ack = node.publish(&mut device, "t", HOT, QoS::AtLeastOnce, 1);
    assert!(matches!(ack, Some(Packet::PubAck(_))), "{ack:?}");
}

#[test]
fn what_a_gate_let_pass_is_remembered_over_a_crash_and_in_a_checkpoint() {
    for (name, gate) in GATES {
        for checkpoint in [false, true] {
            let mut node = node(gate);
            publish_hot(&mut node);
            if checkpoint {
                node.checkpoint();
                node.core.spool().housekeep_once(node.now());
                node.settle();
            }
            let mut node = node.crash();
            publish_hot(&mut node);
            assert_eq!(given(&node).len(), 1, "{name}, checkpoint: {checkpoint}");
            assert_eq!(counts(&node), [("gate".to_owned(), 1, 1)], "{name}");
        }
    }
}

#[test]
fn an_event_that_a_crash_took_leaves_no_trace_and_its_retry_passes() {
    for (name, gate) in GATES {
        let mut node = node(gate);
        let device = node.connect(v5("device"));
        node.send(&device, publish("t", HOT, QoS::AtLeastOnce, 1));
        assert_eq!(counts(&node), [("gate".to_owned(), 1, 0)], "{name}");
        let mut node = node.crash();
        assert_eq!(given(&node).len(), 0, "{name}: it was committed");
        publish_hot(&mut node);
        assert_eq!(given(&node).len(), 1, "{name}");
    }
}

#[test]
fn an_event_without_room_leaves_no_trace_and_its_retry_passes() {
    for (name, gate) in GATES {
        let (mut node, mut device) = full_node();
        let mut other = node.connect(durable("other"));
        node.subscribe(&mut other, "t", QoS::AtLeastOnce);
        node.drop_connection(other);
        let with_topic =
            format!("[[rule]]\nname = \"gate\"\ntopic = \"t\"\n[[rule.step]]\n{gate}\n");
        node.set_rules(&with_topic);
        node.send(&device, publish("t", HOT, QoS::AtMostOnce, 0));
        let held = node.publish(&mut device, "t", HOT, QoS::AtLeastOnce, 901);
        assert_eq!(held, None, "{name}: there is room");
        make_room(&mut node);
        assert_eq!(device.all(&mut node).len(), 2, "{name}");
        assert_eq!(counts(&node), [("gate".to_owned(), 1, 0)], "{name}");
    }
}

#[test]
fn the_answer_to_a_repeat_waits_for_the_commit_of_what_it_repeats() {
    let mut node = node(GATES[0].1);
    let (mut first, mut second) = (node.connect(v5("first")), node.connect(v5("second")));
    node.send(&first, publish("t", HOT, QoS::AtLeastOnce, 1));
    node.send(&second, publish("t", HOT, QoS::AtLeastOnce, 1));
    assert_eq!(counts(&node), [("gate".to_owned(), 2, 1)]);
    assert_eq!(second.next(&mut node), None);
    node.commit();
    for client in [&mut first, &mut second] {
        assert!(matches!(client.next(&mut node), Some(Packet::PubAck(_))));
    }
}

#[test]
fn what_a_gate_has_to_remember_of_an_event_that_nobody_is_owed_survives() {
    let mut node = node("threshold = { field = \"$.data.celsius\", above = 90, for = \"10s\" }");
    publish_hot(&mut node);
    assert_eq!(given(&node).len(), 0, "not alarming for long enough");
    let mut node = node.crash();
    node.pass(10_000);
    publish_hot(&mut node);
    assert_eq!(given(&node).len(), 1);
}

#[test]
fn a_gate_goes_on_remembering_wherever_its_rule_stands_and_forgets_when_it_changes() {
    let (_, gate) = GATES[0];
    let moved = rule("new", "original = {}") + &rule("gate", gate);
    let changed = rule("gate", &gate.replace("1h", "2h"));
    for (rules, given_then) in [(moved, 1), (changed, 2)] {
        for crash in [false, true] {
            let mut node = node(gate);
            publish_hot(&mut node);
            node.set_rules(&rules);
            node.settle();
            let mut node = if crash { node.crash() } else { node };
            publish_hot(&mut node);
            assert_eq!(given(&node).len(), given_then, "crash: {crash}, {rules}");
        }
    }
}

#[test]
fn a_gate_that_was_gone_for_a_while_remembers_nothing_of_before() {
    for crash in [false, true] {
        let (_, gate) = GATES[0];
        let mut node = node(gate);
        publish_hot(&mut node);
        for rules in [String::new(), rule("gate", gate)] {
            node.set_rules(&rules);
            node.settle();
        }
        let mut node = if crash { node.crash() } else { node };
        publish_hot(&mut node);
        assert_eq!(given(&node).len(), 2, "crash: {crash}");
    }
}
