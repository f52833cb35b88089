//! Rules at publish: what they make of an event is settled with its record.

use std::sync::Arc;

use cloud_uplink::{Outgoing, Peers, RecordSource};
use filters::{Event, TopicFilter};
use spool::{Lane, LossReason, ReadLimits, Seq};

mod decoders;
mod deriving;
mod gates;
#[cfg(feature = "jq")]
mod jq;
#[cfg(feature = "wasm")]
mod modules;

use super::{
    harness::*,
    withheld::{full_node, make_room},
};
use crate::{
    mqtt::packet::{Packet, QoS},
    node::{handle::Incoming, source::Source},
};

const NORMAL: &str = r#"{"celsius": 20}"#;
const HOT: &str = r#"{"celsius": 95}"#;

#[test]
fn every_event_is_given_in_the_form_of_its_publish_whatever_the_rules_became() {
    let mut node = node_with_sink();
    let mut device = node.connect(v5("device"));
    node.publish(&mut device, "t", NORMAL, QoS::AtLeastOnce, 1);
    node.set_rules(
        r#"
        [[rule]]
        name = "fahrenheit"
        pattern = '{"data": {"celsius": [{"exists": true}]}}'
        sink-topic = "plant/${$.data.celsius}"
        [[rule.step]]
        convert = { field = "$.data.celsius", from = "Cel", to = "[degF]" }
        "#,
    );
    node.publish(&mut device, "t", NORMAL, QoS::AtLeastOnce, 2);
    node.set_rules("");
    node.publish(&mut device, "t", NORMAL, QoS::AtLeastOnce, 3);
    let mut node = node.crash();
    node.set_rules("[[rule]]\nname = \"none\"\ndrop = true");
    let seen = given(&node);
    let form = |it: &Outgoing| {
        let data = String::from_utf8_lossy(it.event.data_bytes()).into_owned();
        (data, it.sink_topic.clone())
    };
    assert_eq!(
        seen.iter().map(form).collect::<Vec<_>>(),
        [
            (NORMAL.to_owned(), None),
            (r#"{"celsius":68}"#.to_owned(), Some("plant/68".to_owned())),
            (NORMAL.to_owned(), None),
        ]
    );
}

#[test]
fn a_dropped_event_that_nobody_hears_is_acknowledged_and_in_no_record_but_in_the_ledger() {
    let mut node = node_with_sink();
    node.set_rules(
        "[[rule]]\nname = \"all\"\n[[rule]]\nname = \"debug\"\ntopic = \"debug/#\"\ndrop = true",
    );
    let mut device = node.connect(v5("device"));
    node.publish(&mut device, "other", "1", QoS::AtLeastOnce, 1);
    let before = node.core.spool().status().appended;
    let ack = node.publish(&mut device, "debug/1", "x", QoS::AtLeastOnce, 2);
    assert!(matches!(ack, Some(Packet::PubAck(_))), "{ack:?}");
    assert_eq!(node.core.spool().status().appended, before);
    let ledger = node.core.spool().status().ledger;
    let [loss] = &ledger[..] else {
        panic!("{ledger:?}")
    };
    assert_eq!(
        (loss.reason, loss.scope.as_str(), loss.count),
        (LossReason::DroppedByRule, "debug", 1)
    );
    assert_eq!(
        counts(&node),
        [("all".to_owned(), 2, 0), ("debug".to_owned(), 1, 1)]
    );
}

#[test]
fn what_a_rule_drops_is_no_history_for_a_sink_added_later() {
    let mut node = TestNode::new();
    node.set_rules("[[rule]]\nname = \"debug\"\ntopic = \"debug\"\ndrop = true");
    let mut device = node.connect(v5("device"));
    let before = node.core.spool().status().appended;
    for (id, topic) in [(1, "debug"), (2, "t")] {
        node.publish(&mut device, topic, "x", QoS::AtLeastOnce, id);
    }
    assert_eq!(node.core.spool().status().appended.0, before.0 + 1);
}

#[test]
fn a_dropped_event_is_kept_for_its_subscribers_as_it_came_and_owed_to_no_sink() {
    let mut node = node_with_sink();
    node.set_rules("[[rule]]\nname = \"local\"\ndrop = true");
    let mut keeper = node.connect(durable("keeper"));
    node.subscribe(&mut keeper, "t", QoS::AtLeastOnce);
    node.drop_connection(keeper);
    let mut device = node.connect(v5("device"));
    node.publish(&mut device, "t", NORMAL, QoS::AtLeastOnce, 1);
    let mut node = node.crash();
    let mut keeper = node.connect(durable("keeper"));
    assert_eq!(take_all(&mut node, &mut keeper), [NORMAL]);
    assert_eq!(given(&node), []);
    assert_eq!(owed(&node), 0);
}

#[test]
fn a_sink_that_a_rule_names_is_owed_the_event_and_no_other_is() {
    let mut node = node_with_sink();
    node.set_rules("[[rule]]\nname = \"elsewhere\"\ntopic = \"a\"\nsinks = []\n[[rule]]\nname = \"here\"\ntopic = \"b\"\nsinks = [\"mesh\"]",
    );
    let mut keeper = node.connect(durable("keeper"));
    node.subscribe(&mut keeper, "#", QoS::AtLeastOnce);
    let mut device = node.connect(v5("device"));
    for (id, topic) in [(1, "a"), (2, "b"), (3, "c")] {
        node.publish(&mut device, topic, "x", QoS::AtLeastOnce, id);
    }
    let topics: Vec<_> = given(&node).into_iter().map(|it| it.topic).collect();
    assert_eq!(topics, ["b", "c"]);
    assert_eq!(owed(&node), 2);
}

#[test]
fn a_rule_moves_an_event_to_a_lane_with_room_past_one_that_waits() {
    let (mut node, mut device) = full_node();
    node.set_rules(
        r#"
        [[rule]]
        name = "overheating"
        pattern = '{"data": {"celsius": [{"numeric": [">", 90]}]}}'
        lane = "alarm"
        "#,
    );
    let mut keeper = node.connect(durable("other"));
    node.subscribe(&mut keeper, "t", QoS::AtLeastOnce);
    node.drop_connection(keeper);
    assert_eq!(
        node.publish(&mut device, "t", NORMAL, QoS::AtLeastOnce, 901),
        None
    );
    let mut hot = node.connect(v5("hot"));
    let ack = node.publish(&mut hot, "t", HOT, QoS::AtLeastOnce, 1);
    assert!(matches!(ack, Some(Packet::PubAck(_))), "{ack:?}");
    assert_eq!(counts(&node), [("overheating".to_owned(), 1, 0)]);
    let last = node.core.spool().status().committed;
    let entry = node.core.spool().read_at(last).unwrap().unwrap();
    assert_eq!(entry.lane, Lane(0));
}

#[test]
fn a_publish_that_finds_no_room_is_counted_once_it_does() {
    let (mut node, mut device) = full_node();
    node.set_rules("[[rule]]\nname = \"all\"");
    let mut other = node.connect(durable("other"));
    node.subscribe(&mut other, "t", QoS::AtLeastOnce);
    node.drop_connection(other);
    assert_eq!(
        node.publish(&mut device, "t", NORMAL, QoS::AtLeastOnce, 901),
        None
    );
    node.core.handle_commit();
    assert_eq!(counts(&node), [("all".to_owned(), 0, 0)]);
    make_room(&mut node);
    assert_eq!(device.all(&mut node).len(), 2);
    assert_eq!(counts(&node), [("all".to_owned(), 2, 0)]);
}

#[test]
fn a_step_that_fails_leaves_the_event_drops_it_or_makes_it_a_dead_letter_as_the_rule_says() {
    let mut node = node_with_sink();
    let rule = |topic, on_error| {
        format!(
            "[[rule]]\nname = \"{on_error}\"\ntopic = \"{topic}\"\non-error = \"{on_error}\"\n[[rule.step]]\nscale = {{ field = \"$.data.celsius\", factor = 2 }}\n"
        )
    };
    node.set_rules(
        &[
            rule("p", "pass"),
            rule("d", "drop"),
            rule("l", "dead-letter"),
        ]
        .concat(),
    );
    let mut device = node.connect(v5("device"));
    for (id, topic) in [(1, "p"), (2, "d"), (3, "l")] {
        node.publish(&mut device, topic, "no number", QoS::AtLeastOnce, id);
    }
    let seen: Vec<_> = given(&node)
        .into_iter()
        .map(|it| (it.topic, it.unfit))
        .collect();
    let [(passed, None), (dead, Some(reason))] = &seen[..] else {
        panic!("{seen:?}")
    };
    assert_eq!((passed.as_str(), dead.as_str()), ("p", "l"));
    assert!(reason.starts_with("rule `dead-letter`: "), "{reason}");
    assert_eq!(node.lost(LossReason::DroppedByRule), 1);
    let mut counted = node.core.broker().rules().status().into_iter();
    let of_data = [("data".to_owned(), 1)].into();
    assert!(counted.all(|it| it.errors == 1 && it.errors_by_class == of_data));
}

#[test]
fn rules_see_the_attributes_that_a_plain_publish_is_minted_and_its_data_beside_them() {
    let conditions = [
        r#"sql = "subject = 't'""#,
        r#"pattern = '{"source": [{"suffix": ":device"}]}'"#,
        r#"filter = { exact = { type = "mqtt.publish" } }"#,
        r#"pattern = '{"data": {"celsius": [95]}}'"#,
        r#"pattern = '{"source": [{"suffix": ":other"}]}'"#,
    ];
    let rule =
        |(name, condition): (usize, &str)| format!("[[rule]]\nname = \"{name}\"\n{condition}\n");
    let matched = |conditions: &[&str]| {
        let mut node = node_with_sink();
        let rules: String = conditions.iter().copied().enumerate().map(rule).collect();
        node.set_rules(&rules);
        let mut device = node.connect(v5("device"));
        node.publish(&mut device, "t", HOT, QoS::AtLeastOnce, 1);
        let counts = counts(&node).into_iter();
        counts.map(|(_, matched, _)| matched).collect::<Vec<_>>()
    };
    assert_eq!(matched(&conditions), [1, 1, 1, 1, 0]);
    for (condition, expected) in conditions.iter().zip([1, 1, 1, 1, 0]) {
        assert_eq!(matched(&[condition]), [expected], "{condition}");
    }
}

#[test]
fn events_of_other_doors_are_judged_and_a_batch_without_room_leaves_no_trace() {
    let mut node = node_with_sink();
    node.set_rules("[[rule]]\nname = \"local\"\ntopic = \"a\"\ndrop = true");
    assert!(offer(&mut node, &["a", "b"]));
    node.settle();
    let topics: Vec<_> = given(&node).into_iter().map(|it| it.topic).collect();
    assert_eq!(topics, ["b"]);
    let (mut full, _device) = full_node();
    full.set_rules("[[rule]]\nname = \"all\"");
    assert!(!offer(&mut full, &["fill", "fill"]));
    assert_eq!(counts(&full), [("all".to_owned(), 0, 0)]);
}

pub(in crate::broker::tests) fn node_with_sink() -> TestNode {
    let mut node = TestNode::with_sink(1, limits(), |_| {});
    node.settle();
    node
}

/// One of which no transaction takes more than 3 MiB.
fn with_small_transactions() -> TestNode {
    let mut node = TestNode::with_sink(1, limits(), |it| it.segment_bytes = Some(4 << 20));
    node.settle();
    node
}

/// What the sink is given of all that is in the log.
pub(in crate::broker::tests) fn given(node: &TestNode) -> Vec<Outgoing> {
    let source = Source::new(
        SINK,
        node.core.spool().clone(),
        node.clock(),
        vec![TopicFilter::parse("#").unwrap()],
        u32::MAX,
        Arc::new(Peers::new("me")),
        Vec::new(),
        node.graveyard_of(SINK),
    );
    let limits = ReadLimits {
        records: 1000,
        bytes: 64 << 20,
        lanes: u32::MAX,
    };
    let (mut given, mut next) = (Vec::new(), Seq(1));
    loop {
        let batch = node.core.spool().scan(next, limits).unwrap();
        given.extend(batch.entries.iter().filter_map(|it| source.event(it)));
        if batch.at_end {
            return given;
        }
        next = batch.next;
    }
}

/// Records that the sink has yet to take.
fn owed(node: &TestNode) -> u64 {
    let status = node.core.spool().cursor_status(node.sink());
    status.unwrap().pending_records
}

/// The rules, with how often each matched and dropped.
pub(super) fn counts(node: &TestNode) -> Vec<(String, u64, u64)> {
    let status = node.core.broker().rules().status();
    let rules = status.into_iter();
    rules.map(|it| (it.name, it.matched, it.dropped)).collect()
}

/// Publishes events over HTTP; whether they are taken.
pub(super) fn offer(node: &mut TestNode, topics: &[&str]) -> bool {
    let event = |topic: &&str| {
        let data = filters::Data::Text("x".repeat(100_000));
        let event = Event::builder("1", "/test", "test")
            .datacontenttype("text/plain")
            .data(data);
        Incoming::on((*topic).to_owned(), event.build().unwrap())
    };
    node.post(topics.iter().map(event).collect()).is_ok()
}
