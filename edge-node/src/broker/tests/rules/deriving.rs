//! Stages that derive: what they hold is in the log, and what they derive of it is there once.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::{given, node_with_sink};
use crate::{
    broker::tests::{
        harness::*,
        withheld::{full_node, make_room},
    },
    mqtt::packet::{Packet, QoS},
    node::status::StageStatus,
};

mod silence;
mod topics;
mod waiting;

/// Sums three readings up.
pub(super) const SUM: &str = r#"
[[rule]]
name = "sum"
topic = "t"
[[rule.step]]
window = { count = 3, values = { sum = "sum($.data.n)" } }
"#;

/// Publishes a reading of each number on the topic, committed and acknowledged.
pub(super) fn publish_readings(
    node: &mut TestNode,
    topic: &str,
    numbers: impl IntoIterator<Item = u64>,
) {
    let mut device = node.connect(v5("device"));
    for (id, n) in (1..).zip(numbers) {
        let reading = format!("{{\"n\":{n}}}");
        let ack = node.publish(&mut device, topic, &reading, QoS::AtLeastOnce, id);
        assert!(matches!(ack, Some(Packet::PubAck(_))), "{ack:?}");
    }
    node.drop_connection(device);
}

/// Id, topic and data of all that was derived, as the sink is given it.
pub(super) fn derived(node: &TestNode) -> Vec<(String, String, Json)> {
    let given = given(node).into_iter();
    let derived = given.filter(|it| it.event.r#type.starts_with("rule."));
    derived
        .map(|it| {
            assert_eq!(it.event.source, "urn:edge-node:000000000000002a");
            let data = serde_json::from_slice(it.event.data_bytes()).unwrap();
            (it.event.id, it.topic, data)
        })
        .collect()
}

/// The value of that name of each window that was derived.
pub(super) fn values(node: &TestNode, name: &str) -> Vec<u64> {
    let derived = derived(node).into_iter();
    derived
        .filter_map(|(_, _, data)| data["values"][name].as_u64())
        .collect()
}

/// A node with a sink and these rules.
pub(super) fn node(rules: &str) -> TestNode {
    let mut node = node_with_sink();
    node.set_rules(rules);
    node.settle();
    node
}

pub(super) fn stage(node: &TestNode, rule: usize) -> StageStatus {
    let status = node.core.broker().rules().status();
    status[rule].stages[0].clone()
}

/// Takes a checkpoint and writes it.
fn cover(node: &mut TestNode) {
    node.checkpoint();
    node.core.spool().housekeep_once(node.now());
    node.settle();
}

#[test]
fn what_a_window_derives_goes_to_sinks_and_subscribers_with_an_id_made_of_its_input() {
    let mut node = node(SUM);
    let mut reader = node.connect(v5("reader"));
    node.subscribe(&mut reader, "t/sum", QoS::AtMostOnce);
    publish_readings(&mut node, "t", [1, 2, 4]);
    let [(id, topic, data)] = &derived(&node)[..] else {
        panic!("{:?}", derived(&node))
    };
    assert!(id.starts_with("sum/0/1800000000000/"), "{id}");
    assert_eq!(
        (topic.as_str(), &data["values"]["sum"]),
        ("t/sum", &7.into())
    );
    assert_eq!(given(&node).len(), 4, "the input passes on");
    let heard = reader.messages(&mut node);
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].0, "t/sum");
}

#[test]
fn a_window_holds_its_input_over_a_crash_and_a_checkpoint_wherever_they_come() {
    for restart in [TestNode::crash, TestNode::restart] {
        for (before, checkpoint) in [(1, false), (2, false), (1, true), (2, true)] {
            let mut node = node(SUM);
            publish_readings(&mut node, "t", 1..=before);
            if checkpoint {
                cover(&mut node);
            }
            let mut node = restart(node);
            assert_eq!(stage(&node, 0).keys, 1);
            publish_readings(&mut node, "t", before + 1..=3);
            assert_eq!(values(&node, "sum"), [6], "{before}, {checkpoint}");
            let node = restart(node);
            assert_eq!(values(&node, "sum"), [6], "derived once more");
        }
    }
}

#[test]
fn what_a_crash_took_is_in_no_window() {
    let mut node = node(SUM);
    publish_readings(&mut node, "t", [1, 2]);
    let device = node.connect(v5("device"));
    node.send(&device, publish("t", "{\"n\":50}", QoS::AtLeastOnce, 1));
    assert_eq!(stage(&node, 0).keys, 1);
    let mut node = node.crash();
    assert_eq!(values(&node, "sum"), [0; 0]);
    publish_readings(&mut node, "t", [4]);
    assert_eq!(values(&node, "sum"), [7]);
}

#[test]
fn every_acknowledged_event_is_in_one_window_whatever_a_seed_does_to_the_node() {
    for seed in 0..20 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut node = node(SUM);
        let mut acknowledged = 0;
        for n in 0..40 {
            match rng.u8(..8) {
                0 => node = node.crash(),
                1 => node = node.cut(),
                2 => node = node.restart(),
                3 => cover(&mut node),
                4 => drop(node.core.spool().housekeep_once(node.now())),
                _ => {}
            }
            let mut device = node.connect(v5("device"));
            node.send(&device, publish("t", "{\"n\":1}", QoS::AtLeastOnce, n + 1));
            if rng.bool() {
                node.settle();
                acknowledged += device.all(&mut node).len() as u64;
            }
        }
        let node = node.crash();
        let derived = derived(&node);
        let ids: BTreeSet<&String> = derived.iter().map(|it| &it.0).collect();
        assert_eq!(ids.len(), derived.len(), "seed {seed}: derived twice");
        assert!(derived.iter().all(|it| it.2["count"] == 3), "seed {seed}");
        let inputs = given(&node).len() - derived.len();
        assert_eq!(derived.len(), inputs / 3, "seed {seed}");
        assert!(inputs as u64 >= acknowledged, "seed {seed}");
    }
}

#[test]
fn input_that_nobody_is_owed_is_held_in_the_log_all_the_same() {
    for rule in [
        SUM.replace("count =", "consume = true, count ="),
        SUM.replace("[[rule.step]]", "drop = true\n[[rule.step]]"),
    ] {
        let mut node = node(&rule);
        publish_readings(&mut node, "t", [1, 2]);
        assert_eq!(given(&node).len(), 0);
        let mut node = node.crash();
        publish_readings(&mut node, "t", [4]);
        assert_eq!(values(&node, "sum"), [7], "{rule}");
    }
}

#[test]
fn what_is_derived_is_judged_by_the_rules_but_the_one_that_made_it() {
    let rules = r##"
        [[rule]]
        name = "sum"
        topic = "#"
        [[rule.step]]
        window = { count = 2, values = { sum = "sum($.data.n)" } }
        key = ["$.specversion"]
        emit-topic = "unused"
    "##
    .replace("        emit-topic = \"unused\"\n", "")
    .replace("values", "emit-topic = \"sums\", values");
    let also = r#"
        [[rule]]
        name = "most"
        topic = "sums"
        [[rule.step]]
        window = { count = 2, emit-topic = "most", values = { max = "max($.data.values.sum)" } }
        [[rule]]
        name = "far"
        topic = "most"
        drop = true
    "#;
    let mut node = node(&(rules + also));
    publish_readings(&mut node, "t", [1, 2, 3, 4]);
    assert_eq!(values(&node, "sum"), [3, 7]);
    let status = node.core.broker().rules().status();
    let matched: Vec<_> = status.iter().map(|it| it.matched).collect();
    assert_eq!(matched, [4, 2, 1], "`sum` was asked about its own");
    assert_eq!(derived(&node).len(), 2, "`far` drops the third");
}

#[test]
fn rules_that_feed_each_other_come_to_an_end_also_over_a_crash_and_by_time() {
    let each = |name: &str| {
        format!(
            "[[rule]]\nname = \"{name}\"\ntopic = \"#\"\n[[rule.step]]\nwindow = {{ gap = \"1s\", idle = \"1s\", emit-topic = \"x\", values = {{ n = \"count()\" }} }}\nkey = [\"topic\"]\n"
        )
    };
    let mut node = node(&["a", "b", "c"].map(each).concat());
    publish_readings(&mut node, "t", [1]);
    let mut seen = Vec::new();
    for round in 0..12 {
        node.pass(2_000);
        if round % 2 == 0 {
            node = node.crash();
        }
        seen.push(derived(&node).len());
    }
    assert_eq!(seen.first(), Some(&3));
    let last = *seen.last().unwrap();
    assert!(last > 3, "none was fed");
    assert_eq!(seen[8..], [last; 4], "{seen:?}");
}

#[test]
fn an_unchanged_stage_goes_on_wherever_its_rule_stands_and_a_changed_one_gives_what_it_holds_as_partial()
 {
    let moved = "[[rule]]\nname = \"new\"\n".to_owned() + SUM;
    let changed = SUM.replace("count = 3", "count = 2");
    for (rules, partial, sums) in [
        (moved.as_str(), None, vec![7]),
        (changed.as_str(), Some(3), vec![3]),
        ("", Some(3), vec![3]),
    ] {
        for crash in [false, true] {
            let mut node = node(SUM);
            publish_readings(&mut node, "t", [1, 2]);
            node.set_rules(rules);
            node.settle();
            let mut node = if crash { node.crash() } else { node };
            publish_readings(&mut node, "t", [4]);
            assert_eq!(values(&node, "sum"), sums, "crash: {crash}, {rules}");
            let partials = derived(&node).into_iter();
            let partials = partials.filter(|it| it.2["partial"] == true);
            let sum = partials.map(|it| it.2["values"]["sum"].as_u64()).next();
            assert_eq!(sum.flatten(), partial);
            let node = node.crash();
            assert_eq!(values(&node, "sum"), sums, "derived once more");
        }
    }
}

#[test]
fn a_stage_that_changed_while_the_node_was_down_gives_what_it_holds_as_partial() {
    for checkpoint in [false, true] {
        let mut node = node(SUM);
        publish_readings(&mut node, "t", [1, 2]);
        if checkpoint {
            cover(&mut node);
        }
        let node = node.crash_into("");
        assert_eq!(values(&node, "sum"), [3], "checkpoint: {checkpoint}");
        assert_eq!(derived(&node)[0].2["partial"], true);
        let node = node.crash();
        assert_eq!(values(&node, "sum"), [3], "derived once more");
    }
}

#[test]
fn an_event_of_a_batch_without_room_is_in_no_window() {
    let (mut node, _device) = full_node();
    node.set_rules(
        &SUM.replace("topic = \"t\"", "topic = \"fill\"")
            .replace("sum($.data.n)", "count()"),
    );
    node.settle();
    assert!(!super::offer(&mut node, &["fill", "fill"]));
    node.settle();
    assert_eq!(stage(&node, 0).keys, 0);
    make_room(&mut node);
    assert!(super::offer(&mut node, &["fill"]));
    assert_eq!(stage(&node, 0).keys, 1);
}

#[test]
fn at_its_bound_of_keys_a_window_gives_the_one_used_least_recently_as_partial_and_counts_it() {
    let mut node = node(&(SUM.replace("\"t\"", "\"+\"") + "max-keys = 2\n"));
    for topic in ["a", "b", "a", "c"] {
        publish_readings(&mut node, topic, [1]);
    }
    let node = node.crash();
    let [(_, topic, data)] = &derived(&node)[..] else {
        panic!("{:?}", derived(&node))
    };
    assert_eq!((topic.as_str(), &data["partial"]), ("b/sum", &true.into()));
    let status = stage(&node, 0);
    assert_eq!((status.keys, status.forgotten), (2, 1));
    assert!(status.bytes > 0);
}
