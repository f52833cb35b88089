//! What a node says of itself, field by field: in status, in metrics, and as an operator reads it.

use std::process::Command;

use serde_json::Value;
use tests::{TestCloud, TestNode, edge_node, get, wait_until};

const LANES: &str = "[[ingest]]\ntopic = \"alarm/#\"\nlane = \"alarm\"";

#[tokio::test]
async fn status_metrics_and_command_tell_each_field_of_a_running_node() {
    let mut cloud = TestCloud::start().await;
    cloud.go_offline().await;
    let node = TestNode::builder()
        .config(LANES)
        .uplink(&cloud)
        .start()
        .await;
    let mut device = node.connect("pump-7").await;
    let _other = node.connect("pump-8").await;
    device.publish_readings(1..=5).await;
    device.publish("alarm/pump-7", "hot").await.unwrap();

    let mut status = Value::Null;
    wait_until("the sink has tried and waits", async || {
        status = node.status().await;
        status["sinks"][0]["next_retry_ms"].is_u64()
    })
    .await;
    assert_listeners(&node, &status);
    assert_lanes(&status["spool"]);
    let sink = &status["sinks"][0];
    assert_eq!(sink["name"], "cloud", "{sink}");
    assert_eq!(sink["kind"], "http", "{sink}");
    assert_eq!(sink["state"], "backing-off", "{sink}");
    assert_eq!(sink["pending_records"], 6, "{sink}");
    assert!(sink["pending_bytes"].as_u64() > Some(6 * 5), "{sink}");
    assert!(sink["oldest_age_ms"].is_u64(), "{sink}");
    assert_eq!(sink["acknowledged"], 0, "{sink}");
    let error = sink["last_error"]["error"].as_str().unwrap().to_owned();
    assert!(error.contains("refused"), "{sink}");
    assert!(sink["last_error"]["age_ms"].is_u64(), "{sink}");
    assert_eq!(status["ledger"], Value::Array(Vec::new()));
    assert_eq!(status["health"]["state"], "degraded", "{status}");
    let reasons = status["health"]["reasons"].to_string();
    assert!(reasons.contains("sink cloud is backing-off"), "{reasons}");
    assert_eq!(status["messages"]["received"], serde_json::json!([0, 6, 0]));
    assert_eq!(status["messages"]["acknowledged"], 6);

    assert_metrics(
        &node,
        &[
            "edge_node_connections{door=\"mqtt\"} 2",
            "edge_node_lane_pending_records{lane=\"alarm\"} 1",
            "edge_node_lane_pending_records{lane=\"normal\"} 5",
            "edge_node_sink_pending_records{sink=\"cloud\"} 6",
            "edge_node_sink_acknowledged_total{sink=\"cloud\"} 0",
            "edge_node_acknowledged_total 6",
        ],
    )
    .await;
    // While the sink tries again the node is not degraded.
    wait_until("the command shows all of it", async || {
        let shown = command(&node, &["status"]);
        let parts = ["cloud", "alarm", "normal", "bulk", "degraded", &error];
        parts.iter().all(|part| shown.contains(part))
    })
    .await;

    cloud.go_online().await;
    cloud.wait_for_readings("pump-7", 1..=5).await;
    let mut sink = Value::Null;
    wait_until("the sink says that it has caught up", async || {
        sink = node.sink("cloud").await;
        sink["pending_records"] == 0
    })
    .await;
    assert_eq!(sink["state"], "connected", "{sink}");
    assert_eq!(sink["acknowledged"], 6, "{sink}");
    assert_eq!(sink["catch_up_ms"], 0, "{sink}");
    assert_eq!(sink["next_retry_ms"], Value::Null, "{sink}");
    assert_eq!(sink["oldest_age_ms"], Value::Null, "{sink}");
    assert_eq!(sink["last_error"]["error"], error.as_str(), "kept: {sink}");
    assert_metrics(
        &node,
        &[
            "edge_node_sink_pending_records{sink=\"cloud\"} 0",
            "edge_node_sink_acknowledged_total{sink=\"cloud\"} 6",
            "edge_node_sink_state{sink=\"cloud\",state=\"connected\"} 1",
            "edge_node_sink_catch_up_seconds{sink=\"cloud\"} 0.000",
        ],
    )
    .await;
}

fn assert_listeners(node: &TestNode, status: &Value) {
    let listeners = status["listeners"].as_array().unwrap().iter();
    let seen: Vec<(&str, &str)> = listeners
        .map(|it| {
            let text = |key| it[key].as_str().unwrap();
            (text("door"), text("address"))
        })
        .collect();
    let (mqtt, http, grpc) = (node.mqtt(), node.http(), node.grpc());
    let [mqtt, http, grpc] = [mqtt, http, grpc].map(|address| address.to_string());
    assert_eq!(
        seen,
        [
            ("mqtt", mqtt.as_str()),
            ("http", http.as_str()),
            ("grpc", grpc.as_str())
        ]
    );
    let connections = &status["listeners"][0]["connections"];
    assert_eq!(connections, 2, "{status}");
    assert_eq!(status["sessions"]["connected"], 2, "{status}");
}

fn assert_lanes(spool: &Value) {
    let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{spool}"));
    assert!(number(&spool["used_bytes"]) > 0, "{spool}");
    assert!(
        number(&spool["used_bytes"]) <= number(&spool["bound_bytes"]),
        "{spool}"
    );
    let lanes = spool["lanes"].as_array().unwrap();
    let names: Vec<_> = lanes.iter().map(|lane| &lane["name"]).collect();
    assert_eq!(names, ["alarm", "normal", "bulk"]);
    let pending: Vec<_> = lanes.iter().map(|lane| &lane["pending_records"]).collect();
    assert_eq!(pending, [1, 5, 0]);
    for lane in &lanes[..2] {
        assert!(number(&lane["pending_bytes"]) > 0, "{lane}");
        assert!(lane["oldest_age_ms"].is_u64(), "{lane}");
    }
    assert_eq!(lanes[2]["oldest_age_ms"], Value::Null, "{spool}");
    let bounds: Vec<u64> = lanes
        .iter()
        .map(|lane| number(&lane["bound_bytes"]))
        .collect();
    assert!(
        bounds[0] > bounds[1] && bounds[1] > bounds[2] && bounds[2] > 0,
        "a part is kept for the lane above: {bounds:?}"
    );
}

async fn assert_metrics(node: &TestNode, lines: &[&str]) {
    let metrics = get(node.http(), "/metrics").await.body;
    for line in lines {
        assert!(
            metrics.lines().any(|it| it == *line),
            "{line} is not in\n{metrics}"
        );
    }
}

fn command(node: &TestNode, arguments: &[&str]) -> String {
    let mut command = Command::new(edge_node());
    let output = command.args(arguments).arg("--data").arg(node.data());
    let output = output.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Nobody publishes: what says that the link stands is an event of the node's own.
#[tokio::test]
async fn an_idle_sink_with_a_canary_is_connected_only_while_its_receiver_acknowledges() {
    let mut cloud = TestCloud::start().await;
    let endpoint = cloud.url();
    let node = TestNode::builder()
        .config(&format!(
            "[node]\nid = \"gate\"\n[[uplink]]\nname = \"cloud\"\nkind = \"http\"\nendpoints = [\"{endpoint}\"]\n\
             canary-every = \"1s\""
        ))
        .start()
        .await;
    wait_until_sink_is(&node, "connected").await;
    cloud.go_offline().await;
    wait_until_sink_is(&node, "backing-off").await;
    cloud.go_online().await;
    wait_until_sink_is(&node, "connected").await;
    wait_until("there was a second canary", async || {
        cloud.received().len() >= 2
    })
    .await;

    let canaries = cloud.received();
    let mut identities: Vec<_> = canaries.iter().map(|it| it.identity()).collect();
    assert!(
        canaries
            .iter()
            .all(|it| it.attribute("type") == "edge-node.canary"
                && it.attribute("source") == "urn:edge-node:gate"),
        "{canaries:?}"
    );
    identities.sort();
    identities.dedup();
    assert_eq!(
        identities.len(),
        canaries.len(),
        "each has an id of its own"
    );
    let status = node.status().await;
    assert_eq!(status["sinks"][0]["pending_records"], 0, "{status}");
    assert_eq!(status["messages"]["events"], 0, "no canary is in the log");
}

async fn wait_until_sink_is(node: &TestNode, state: &str) {
    wait_until(&format!("the sink is {state}"), async || {
        node.sink("cloud").await["state"] == state
    })
    .await;
}
