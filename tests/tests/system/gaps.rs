//! What a node loses is told to the mesh by events.

use std::collections::BTreeMap;

use serde_json::Value;
use tests::{TestCloud, TestNode, wait_until};

/// Node, hub, and what the hub sends on to: an event keeps its identity at every hop.
#[tokio::test]
async fn a_hub_hears_what_an_offline_session_lost_once_by_id_over_a_kill() {
    let cloud = TestCloud::start().await;
    let hub = TestNode::builder().uplink(&cloud).start().await;
    // A session is held to its bound whenever the log begins another segment.
    let config = "[node]\nid = \"plant-7\"\ngap-topic = \"edge/gaps\"\n[spool]\nbound = \"16 MiB\"\nmin-free = \"0%\"\n\
                  [mqtt]\nsession-bound = \"256 KiB\"";
    let mut node = TestNode::builder()
        .config(config)
        .uplink_to_node(&hub)
        .start()
        .await;
    let mut keeper = node.connect_durable("keeper").await;
    keeper.subscribe("+/reading", 1).await;
    keeper.disconnect().await;

    publish(&node, "pump-7").await;
    wait_until("the first loss is told", async || !gaps(&cloud).is_empty()).await;
    node.restart().await;
    publish(&node, "pump-8").await;

    let mut told = BTreeMap::new();
    wait_until("all is told", async || {
        told = gaps(&cloud);
        let of = |key| told.values().map(move |gap| gap[key].as_u64().unwrap());
        let (new, all): (u64, Vec<u64>) = (of("new").sum(), of("count").collect());
        // The last says how many in all.
        lost(&node)
            .await
            .is_some_and(|lost| lost == new && all.contains(&lost) && told.len() > 1)
    })
    .await;
}

/// As much as begins some segments.
async fn publish(node: &TestNode, device: &str) {
    let mut device = node.connect(device).await;
    let filler = "x".repeat(64 << 10);
    for _ in 0..24 {
        let taken = device.publish("pump/reading", filler.clone()).await;
        assert!(taken.unwrap() < 0x80);
    }
}

/// What the ledger says of the session.
async fn lost(node: &TestNode) -> Option<u64> {
    let status = node.status().await;
    let ledger = status["ledger"].as_array().unwrap();
    let entry = ledger
        .iter()
        .find(|entry| entry["scope"] == "session/keeper")?;
    assert_eq!(entry["reason"], "session-bound");
    entry["count"].as_u64()
}

/// What arrived of that, by id; a repeat is the same event.
fn gaps(cloud: &TestCloud) -> BTreeMap<String, Value> {
    let mut gaps = BTreeMap::new();
    for event in cloud.received() {
        if event.attribute("type") != "edge-node.gap" {
            continue;
        }
        assert_eq!(event.attribute("source"), "urn:edge-node:plant-7");
        let data: Value = serde_json::from_slice(&event.data).unwrap();
        if data["scope"] != "session/keeper" {
            continue;
        }
        let id = event.attribute("id").to_owned();
        let count = &data["count"];
        assert_eq!(id, format!("gap/session-bound/session%2Fkeeper/{count}"));
        if let Some(before) = gaps.insert(id, data.clone()) {
            assert_eq!(before, data, "one id, one event");
        }
    }
    gaps
}
