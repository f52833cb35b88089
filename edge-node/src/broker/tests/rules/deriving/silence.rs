//! What time closes: it is in the log before it has an effect, and the node's own downtime is no silence.

use super::*;

const MINUTE: u64 = 60_000;

const ABSENCE: &str = r#"
[[rule]]
name = "silence"
topic = "t"
[[rule.step]]
absence = { after = "5m", emit-topic = "health" }
"#;

/// The words of what was said of keys.
fn said(node: &TestNode) -> Vec<String> {
    let given = given(node).into_iter();
    let said = given.filter(|it| it.topic == "health");
    said.map(|it| it.event.r#type).collect()
}

#[test]
fn absence_is_said_once_and_the_return_too_over_crashes() {
    let mut node = node(ABSENCE);
    publish_readings(&mut node, "t", [1]);
    node.pass(5 * MINUTE - 1);
    assert_eq!(said(&node), [""; 0]);
    node.pass(1);
    assert_eq!(said(&node), ["rule.absent"]);
    let mut node = node.crash();
    node.pass(10 * MINUTE);
    assert_eq!(said(&node), ["rule.absent"]);
    publish_readings(&mut node, "t", [2]);
    assert_eq!(said(&node), ["rule.absent", "rule.returned"]);
    let mut node = node.crash();
    node.pass(5 * MINUTE);
    assert_eq!(said(&node), ["rule.absent", "rule.returned", "rule.absent"]);
}

#[test]
fn the_downtime_of_the_node_is_no_silence_of_a_key() {
    let crash_for = |node: TestNode, downtime| {
        node.skip(downtime);
        node.crash()
    };
    let stop: fn(TestNode, u64) -> TestNode = TestNode::stop_for;
    for down_for in [crash_for as fn(TestNode, u64) -> TestNode, stop] {
        let mut node = node(ABSENCE);
        publish_readings(&mut node, "t", [1]);
        let mut node = down_for(node, 60 * MINUTE);
        node.pass(0);
        assert_eq!(said(&node), [""; 0]);
        // Once more from the log, which tells of the downtime.
        let mut node = down_for(node, 60 * MINUTE);
        node.pass(5 * MINUTE - 1);
        assert_eq!(said(&node), [""; 0]);
        node.pass(1);
        assert_eq!(said(&node), ["rule.absent"]);
    }
}

#[test]
fn a_listed_key_is_watched_from_where_its_stage_began_and_not_anew_with_each_start() {
    let listed = ABSENCE.replace("after =", "keys = [\"t\"], after =");
    let mut node = node(&listed);
    node.pass(3 * MINUTE);
    node = node.restart();
    node.pass(2 * MINUTE);
    assert_eq!(said(&node), ["rule.absent"]);
    cover(&mut node);
    let mut node = node.crash();
    node.pass(10 * MINUTE);
    assert_eq!(said(&node), ["rule.absent"]);
}

#[test]
fn a_closing_that_a_crash_took_comes_again_with_the_same_id() {
    let mut node = node(ABSENCE);
    publish_readings(&mut node, "t", [1]);
    node.wait(5 * MINUTE);
    let ids = |node: &TestNode| -> Vec<String> {
        let derived = derived(node).into_iter();
        derived.map(|it| it.0).collect()
    };
    let mut reader = node.connect(v5("reader"));
    node.settle();
    assert!(reader.all(&mut node).is_empty());
    let before = ids(&node);
    assert_eq!(before.len(), 1);
    let mut other = self::node(ABSENCE);
    publish_readings(&mut other, "t", [1]);
    other.wait(5 * MINUTE);
    let mut other = other.crash();
    assert_eq!(ids(&other), [""; 0], "it was committed");
    other.pass(5 * MINUTE);
    assert_eq!(ids(&other), before);
}

#[test]
fn a_window_of_a_silent_key_closes_and_one_quiet_event_goes_on_as_it_came() {
    let mut node = node(
        r#"
        [[rule]]
        name = "idle"
        topic = "a"
        [[rule.step]]
        window = { size = "1h", idle = "2m", values = { sum = "sum($.data.n)" } }
        [[rule]]
        name = "quiet"
        topic = "b"
        [[rule.step]]
        debounce = { quiet = "2m" }
        "#,
    );
    publish_readings(&mut node, "a", [1, 2]);
    publish_readings(&mut node, "b", [3, 4]);
    let mut node = node.crash();
    node.pass(2 * MINUTE);
    assert_eq!(values(&node, "sum"), [3]);
    let quiet: Vec<_> = given(&node)
        .into_iter()
        .filter(|it| it.topic.starts_with('b'))
        .map(|it| {
            let named = it.event.extension_text("mqtttopic").unwrap().into_owned();
            let data = String::from_utf8_lossy(it.event.data_bytes()).into_owned();
            (it.topic, named, data)
        })
        .collect();
    let topic = || "b/quiet".to_owned();
    assert_eq!(quiet, [(topic(), topic(), "{\"n\":4}".to_owned())]);
    let mut node = node.crash();
    node.pass(10 * MINUTE);
    assert_eq!(given(&node).len(), 4, "one goes on once more");
}

#[test]
fn an_event_too_late_for_its_window_goes_out_on_a_topic_of_its_own() {
    let mut node = node(
        r#"
        [[rule]]
        name = "minutes"
        topic = "t"
        [[rule.step]]
        window = { size = "1m", lateness = "0s", late-to = "late", values = { n = "count()" } }
        "#,
    );
    let mut publish_at = |time: &str| {
        let event = filters::Event::builder(time, "/test", "reading")
            .time(format!("2026-11-21T{time}Z"))
            .build()
            .unwrap();
        let text = String::from_utf8(filters::json::encode(&event)).unwrap();
        let mut device = node.connect(v5("device"));
        node.publish(&mut device, "t", &text, QoS::AtLeastOnce, 1);
    };
    for time in ["10:00:10", "10:01:10", "10:00:20"] {
        publish_at(time);
    }
    let late = |node: &TestNode| -> Vec<String> {
        let given = given(node).into_iter();
        let late = given.filter(|it| it.topic == "late");
        late.map(|it| it.event.id).collect()
    };
    assert_eq!(late(&node), ["10:00:20"]);
    assert_eq!(stage(&node, 0).late, 1);
    let node = node.crash();
    assert_eq!((late(&node).len(), values(&node, "n")), (1, vec![1]));
}

#[test]
fn a_listed_key_that_went_at_a_bound_is_not_watched_again_after_a_recovery() {
    let listed = ABSENCE.replace("after =", "keys = [\"a\"], after =") + "max-keys = 1\n";
    let mut node = node(&listed);
    publish_readings(&mut node, "t", [1]);
    assert_eq!(said(&node), ["rule.evicted"]);
    cover(&mut node);
    let mut node = node.crash();
    node.pass(10 * MINUTE);
    assert_eq!(said(&node), ["rule.evicted", "rule.absent"]);
}
