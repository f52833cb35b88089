//! An operator has a sink given again what it had.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::{Command, Output},
};

use serde_json::Value;
use tests::{TestCloud, TestNode, edge_node, wait_until};

#[tokio::test]
async fn a_hub_is_given_a_range_again_with_the_same_identities_beside_what_is_live() {
    let cloud = TestCloud::start().await;
    let hub = TestNode::builder().uplink(&cloud).start().await;
    let node = TestNode::builder().uplink_to_node(&hub).start().await;
    let mut device = node.connect("pump-7").await;
    device.publish_readings(1..=60).await;
    cloud.wait_for_readings("pump-7", 1..=60).await;
    node.wait_until_drained("hub").await;
    let first = exported(&node);
    assert_eq!(first.len(), 60);

    let (from, to) = (first[9].0.to_string(), first[19].0.to_string());
    let answer = replay(&node, &["--sink", "hub", "--from", &from, "--to", &to]);
    assert_eq!(
        (answer["first"].to_string(), answer["last"].to_string()),
        (from, to)
    );
    assert_eq!(answer["kept_from"], Value::Null);
    device.publish_readings(61..=80).await;
    cloud.wait_for_readings("pump-7", 61..=80).await;
    wait_until("the range has arrived again", async || {
        cloud.received().len() == 91
    })
    .await;

    let mut times: BTreeMap<(String, String), usize> = BTreeMap::new();
    for event in cloud.received() {
        *times.entry(event.identity()).or_default() += 1;
    }
    let twice = times.values().filter(|times| **times == 2).count();
    assert_eq!(
        (times.len(), twice),
        (80, 11),
        "no event has a new identity"
    );
    let again: Vec<u64> = repeats(&cloud.readings("pump-7"));
    assert_eq!(again, (10..=20).collect::<Vec<_>>(), "in their order");
    wait_until("status says that it is done", async || {
        let replay = &node.sink("hub").await["replay"];
        (&replay["done"], &replay["sent"]) == (&true.into(), &11.into())
            && replay["up_to"] == replay["last"]
    })
    .await;
    let status = node.status().await;
    assert_eq!(status["ledger"], serde_json::json!([]));
}

#[tokio::test]
async fn a_range_is_found_by_time() {
    let cloud = TestCloud::start().await;
    let node = TestNode::builder().uplink(&cloud).start().await;
    let mut device = node.connect("pump-7").await;
    device.publish_readings(1..=10).await;
    let then = exported(&node)[9].1.clone();
    wait_until("a later time", async || now() > then).await;
    device.publish_readings(11..=20).await;
    let later = exported(&node)[10].1.clone();
    cloud.wait_for_readings("pump-7", 1..=20).await;

    replay(&node, &["--sink", "cloud", "--from", &later]);
    wait_until("it is done", async || {
        node.sink("cloud").await["replay"]["done"] == true
    })
    .await;
    assert_eq!(repeats(&cloud.readings("pump-7")).len(), 10);
    replay(
        &node,
        &[
            "--sink",
            "cloud",
            "--from",
            "2000-01-01T00:00:00Z",
            "--to",
            &then,
        ],
    );
    wait_until("it has arrived again", async || {
        repeats(&cloud.readings("pump-7")).len() == 20
    })
    .await;
    let again = repeats(&cloud.readings("pump-7"));
    let wanted: Vec<u64> = (11..=20).chain(1..=10).collect();
    assert_eq!(again, wanted);
}

#[tokio::test]
async fn a_replay_goes_on_after_a_crash_and_a_second_one_waits_for_it() {
    let mut cloud = TestCloud::start().await;
    let mut node = TestNode::builder().uplink(&cloud).start().await;
    node.connect("pump-7").await.publish_readings(1..=500).await;
    cloud.wait_for_readings("pump-7", 1..=500).await;
    node.wait_until_drained("cloud").await;
    cloud.go_offline().await;

    replay(&node, &["--sink", "cloud", "--from", "1"]);
    let second = command(&node, &["--sink", "cloud", "--from", "1"]);
    assert_eq!(second.status.code(), Some(1));
    let error = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(error.contains("ask once that is done"), "{error}");
    assert_eq!(node.sink("cloud").await["replay"]["done"], false);

    node.restart().await;
    cloud.go_online().await;
    wait_until("all of it has arrived again", async || {
        let again: BTreeSet<u64> = repeats(&cloud.readings("pump-7")).into_iter().collect();
        again == (1..=500).collect()
    })
    .await;
    wait_until("it is done", async || {
        node.sink("cloud").await["replay"]["done"] == true
    })
    .await;
    node.restart().await;
    assert_eq!(node.sink("cloud").await["replay"], Value::Null);
}

#[tokio::test]
async fn a_replay_that_is_stopped_stays_so_over_a_crash_and_another_may_begin() {
    let mut cloud = TestCloud::start().await;
    let mut node = TestNode::builder().uplink(&cloud).start().await;
    node.connect("pump-7").await.publish_readings(1..=500).await;
    cloud.wait_for_readings("pump-7", 1..=500).await;
    node.wait_until_drained("cloud").await;
    cloud.go_offline().await;
    let order = replay(&node, &["--sink", "cloud", "--from", "1"]);

    let stopped = command(&node, &["--sink", "cloud", "--stop"]);
    assert_eq!(stopped.status.code(), Some(0), "{stopped:?}");
    let shown = node.sink("cloud").await["replay"].clone();
    assert_eq!(
        (&shown["stopped"], &shown["done"], &shown["last"]),
        (&true.into(), &false.into(), &order["last"])
    );
    assert!(shown["up_to"].as_u64() < shown["last"].as_u64(), "{shown}");
    let again = command(&node, &["--sink", "cloud", "--stop"]);
    let error = String::from_utf8_lossy(&again.stderr).into_owned();
    assert_eq!(again.status.code(), Some(1));
    assert!(
        error.contains("`cloud` is not being given anything again"),
        "{error}"
    );

    node.restart().await;
    assert_eq!(node.sink("cloud").await["replay"], Value::Null);
    cloud.go_online().await;
    let last = exported(&node).last().unwrap().0.to_string();
    replay(&node, &["--sink", "cloud", "--from", &last]);
    wait_until("the other one is done", async || {
        node.sink("cloud").await["replay"]["done"] == true
    })
    .await;
    let readings = cloud.readings("pump-7");
    assert_eq!(
        repeats(&readings),
        [500],
        "nothing of the first one arrives"
    );
}

#[tokio::test]
async fn a_range_that_is_partly_freed_says_so() {
    let cloud = TestCloud::start().await;
    let config = "[spool]\nbound = \"16 MiB\"\nmin-free = \"0%\"";
    let node = TestNode::builder()
        .config(config)
        .uplink(&cloud)
        .start()
        .await;
    let mut device = node.connect("pump-7").await;
    let filler = "x".repeat(64 * 1024);
    for number in 1..=400 {
        let payload = serde_json::json!({ "device": "pump-7", "n": number, "filler": filler });
        let reason = device.publish("pump-7/reading", payload.to_string()).await;
        assert!(reason.unwrap() < 0x80, "reading {number}");
    }
    node.wait_until_drained("cloud").await;
    let live = cloud.readings("pump-7").len();

    let output = command(&node, &["--sink", "cloud", "--from", "1"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        text.contains("what is freed cannot be given again"),
        "{text}"
    );
    wait_until("it is done", async || {
        node.sink("cloud").await["replay"]["done"] == true
    })
    .await;
    let again: BTreeSet<u64> = cloud
        .readings("pump-7")
        .split_off(live)
        .into_iter()
        .collect();
    // The first segment may be kept for the state it holds, and what follows it freed.
    assert!(again.len() < 400, "the log cannot hold all: {again:?}");
    let newest: BTreeSet<u64> = (301..=400).collect();
    assert!(
        again.is_superset(&newest),
        "what is kept arrives: {again:?}"
    );
}

#[tokio::test]
async fn an_order_to_replay_says_what_to_do_when_no_node_runs() {
    let mut node = TestNode::start().await;
    node.stop().await;
    let output = command(&node, &["--sink", "cloud", "--from", "1"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        error.contains("no node runs on") && error.contains("edge-node run"),
        "{error}"
    );
}

fn command(node: &TestNode, arguments: &[&str]) -> Output {
    Command::new(edge_node())
        .args(["spool", "replay", "--data"])
        .arg(node.data())
        .args(arguments)
        .output()
        .unwrap()
}

fn replay(node: &TestNode, arguments: &[&str]) -> Value {
    let output = command(node, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Position and time of every event kept.
fn exported(node: &TestNode) -> Vec<(u64, String)> {
    let output = Command::new(edge_node())
        .args(["spool", "export", "--data"])
        .arg(node.data())
        .output()
        .unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let events = lines.lines().map(|line| {
        let event: Value = serde_json::from_str(line).unwrap();
        let taken = event["taken"].as_str().unwrap().to_owned();
        (event["position"].as_u64().unwrap(), taken)
    });
    events.collect()
}

/// As an export writes times.
fn now() -> String {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    filters::timestamp_text(u64::try_from(since.as_millis()).unwrap())
}

/// What came a second time or more, in the order of arrival.
fn repeats(numbers: &[u64]) -> Vec<u64> {
    let mut seen = BTreeSet::new();
    let again = numbers.iter().filter(|number| !seen.insert(**number));
    again.copied().collect()
}
