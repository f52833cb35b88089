//! An operator sees to what an uplink could not deliver.

use std::{
    collections::BTreeSet,
    process::{Command, Output},
};

use serde_json::{Value, json};
use tests::{TestCloud, TestNode, edge_node, wait_until};

#[tokio::test]
async fn dead_letters_are_shown_over_restarts_sent_again_as_they_were_and_given_up() {
    let cloud = TestCloud::start().await;
    let config = format!(
        "[[uplink]]\nname = \"cloud\"\nkind = \"http\"\nendpoints = [\"{}\"]\nrefused-tries = 1",
        cloud.url()
    );
    let mut node = TestNode::builder().config(&config).start().await;
    cloud.refuse("\"n\":7}", 422);
    let mut device = node.connect("pump-7").await;
    device.publish_readings(1..=20).await;
    cloud
        .wait_for_readings("pump-7", (1..7).chain(8..=20))
        .await;
    kept(&node, 1).await;
    let [dead] = &listed(&node)[..] else {
        panic!("{:?}", listed(&node))
    };
    assert_eq!(dead["event"]["data"]["n"], 7);
    assert_eq!(dead["topic"], "pump-7/reading");
    let reason = dead["reason"].as_str().unwrap();
    assert!(reason.contains("422"), "{reason}");
    assert!(dead["tries"].as_u64() >= Some(1), "{dead}");
    drop(device);

    node.restart().await;
    let sink = node.sink("cloud").await;
    assert_eq!(
        (&sink["dead_letters"], &sink["dead_lettered"]),
        (&json!(1), &json!(0))
    );
    assert!(sink["dead_letter_bytes"].as_u64() > Some(0), "{sink}");
    assert_eq!(listed(&node), std::slice::from_ref(dead));
    let output = command(&node, &["status"]);
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("dead letters"), "{shown}");

    // What has come before may come again after a crash, and is acknowledged before the order is given.
    node.wait_until_drained("cloud").await;
    let had: BTreeSet<u64> = cloud.readings("pump-7").into_iter().collect();
    assert!(!had.contains(&7), "{had:?}");
    cloud.refuse("nothing of the kind", 422);
    let before = cloud.received().len();
    let output = command(&node, &["dead", "retry", "cloud"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "1 dead letters are sent to cloud again\n"
    );
    wait_until("it has arrived", async || {
        cloud.readings("pump-7").contains(&7)
    })
    .await;
    node.wait_until_drained("cloud").await;
    let again = cloud.received().split_off(before);
    assert_eq!(again.len(), 1, "it alone: {again:?}");
    assert_eq!(again[0].attribute("id"), dead["event"]["id"]);
    assert_eq!(again[0].attribute("source"), dead["event"]["source"]);
    node.restart().await;
    kept(&node, 0).await;
    assert_eq!(listed(&node), [] as [Value; 0]);

    cloud.refuse("\"n\":21}", 422);
    let mut device = node.connect("pump-7").await;
    device.publish_readings(21..=22).await;
    kept(&node, 1).await;
    let output = command(&node, &["dead", "drop", "cloud"]);
    assert!(output.status.success(), "{output:?}");
    kept(&node, 0).await;
    assert_eq!(listed(&node), [] as [Value; 0]);
    let ledger = &node.status().await["ledger"];
    let loss = ["reason", "scope", "count"].map(|key| ledger[0][key].clone());
    assert_eq!(
        loss,
        [json!("cursor-removed"), json!("dead/cloud"), json!(1)]
    );
}

#[tokio::test]
async fn an_order_for_the_dead_letters_of_no_sink_names_those_there_are() {
    let cloud = TestCloud::start().await;
    let node = TestNode::builder().uplink(&cloud).start().await;
    for (order, error) in [
        ("retry", "there is no sink `clout`; there is: cloud"),
        (
            "list",
            "has no dead letters of a sink `clout`: it knows cloud",
        ),
    ] {
        let output = command(&node, &["dead", order, "clout"]);
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(error), "{said}");
    }
}

async fn kept(node: &TestNode, count: u64) {
    wait_until("so many dead letters are kept", async || {
        node.sink("cloud").await["dead_letters"] == count
    })
    .await;
}

fn listed(node: &TestNode) -> Vec<Value> {
    let output = command(node, &["dead", "list", "cloud"]);
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

fn command(node: &TestNode, arguments: &[&str]) -> Output {
    Command::new(edge_node())
        .args(arguments)
        .arg("--data")
        .arg(node.data())
        .output()
        .unwrap()
}
