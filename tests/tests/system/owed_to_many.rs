//! What is owed to many takes little more room than what is owed to one.

use std::{path::Path, process::Command};

use serde_json::Value;
use tests::{TestNode, edge_node};

const SESSIONS: u64 = 100;
const READINGS: u64 = 5_000;
const PAGE: usize = 4096;
/// Of a frame, before its records.
const FRAME_HEAD: usize = 128;
/// Nobody listens at port 9 (discard): the events stay owed.
const AWAY: &str =
    "[[uplink]]\nname = \"cloud\"\nkind = \"http\"\nendpoints = [\"http://127.0.0.1:9/events\"]";

#[tokio::test]
async fn a_hundred_offline_sessions_add_at_most_a_tenth_to_the_bytes_of_a_record() {
    let alone = bytes_per_record(0).await;
    let shared = bytes_per_record(SESSIONS).await;
    println!(
        "{alone:.1} bytes per record owed to a sink; {shared:.1} owed to {SESSIONS} sessions too"
    );
    assert!(alone > 50.0, "{alone} bytes hold no reading");
    assert!(shared <= alone * 1.1, "{alone} and {shared}");
}

/// By which the data directory grows for each record of a device, owed to a sink and so many offline sessions, with all
/// that a clean stop keeps of what is owed. Without the heads of frames: how many there are is for the disk to say.
async fn bytes_per_record(sessions: u64) -> f64 {
    let mut node = TestNode::builder().config(AWAY).start().await;
    for session in 0..sessions {
        let mut client = node.connect_durable(&format!("screen-{session}")).await;
        assert_eq!(client.subscribe("#", 1).await, 1);
        client.disconnect().await;
    }
    node.stop().await;
    // Of a node that rests: one that runs makes and removes files while they are read.
    let before = bytes_held(&node);
    node.start_again().await;
    let mut device = node.connect("pump-7").await;
    device.publish_readings(1..=READINGS).await;
    device.disconnect().await;
    let status = node.status().await;
    let owed = &status["sessions"]["pending_records"];
    assert_eq!(owed.as_u64(), Some(sessions * READINGS), "{status}");
    assert_eq!(node.sink("cloud").await["pending_records"], READINGS);
    node.stop().await;
    let grown = bytes_held(&node) - before;
    grown as f64 / READINGS as f64
}

/// Of all files, without the heads of frames and the room that is kept empty at the end of pages.
fn bytes_held(node: &TestNode) -> usize {
    let data = node.data();
    let files = std::fs::read_dir(&data).unwrap();
    let bytes = files.map(|file| {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        bytes.chunks(PAGE).map(held).sum::<usize>()
    });
    bytes.sum::<usize>() - frames(&data) * FRAME_HEAD
}

fn frames(data: &Path) -> usize {
    let verify = Command::new(edge_node())
        .args(["spool", "verify", "--json", "--data"])
        .arg(data)
        .output()
        .unwrap();
    let verified: Value = serde_json::from_slice(&verify.stdout).unwrap();
    usize::try_from(verified["frames"].as_u64().unwrap()).unwrap()
}

fn held(page: &[u8]) -> usize {
    page.iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1)
}
