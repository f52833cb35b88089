//! What 10,000 rules that read every payload leave of the first load, beside a node without rules.

use std::{fmt::Write as _, path::Path, process::Command};

use serde_json::Value as Json;
use tests::{TestNode, edge_node};

use crate::Scale;

const RULES: u64 = 10_000;
const ROUNDS: &str = "5";
const SECONDS: &str = "4";

pub(crate) async fn run(scale: Scale) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.toml");
    std::fs::write(&file, rules(scale.of(RULES))).unwrap();
    for (medium, parent, reach) in [
        ("disk", std::env::temp_dir().as_path(), 0.9),
        ("tmpfs", Path::new("/dev/shm"), 0.75),
    ] {
        let data = tempfile::tempdir_in(parent).unwrap();
        let rules = format!("[rules]\nfiles = [{file:?}]");
        let with = TestNode::builder().data(data.path().join("with"));
        let with = with.config(&rules).start().await;
        let without = TestNode::builder().data(data.path().join("without"));
        let without = without.start().await;
        let measured = measure(&with, &without, data.path()).await;
        let rate = |of: &Json| of["messages-per-second"].as_f64().unwrap_or_default();
        println!(
            "{medium}: {:.0} messages/s with {} rules, {:.0} without: {:.2} (to reach: {reach}); median flush {:.3} ms",
            rate(&measured["broker"]),
            scale.of(RULES),
            rate(&measured["vs"]),
            measured["ratio"].as_f64().unwrap(),
            measured["median-flush-ms"].as_f64().unwrap(),
        );
        let status = with.status().await;
        let matched = |it: &&Json| it["matched"].as_u64() > Some(0);
        let matching = status["rules"].as_array().unwrap().iter().filter(matched);
        assert_eq!(matching.count(), 1, "one rule matches");
    }
}

/// Rules that ask for the device, its line and a temperature, of which one holds.
fn rules(count: u64) -> String {
    let mut text = String::new();
    for device in 0..count {
        writeln!(
            text,
            "[[rule]]\nname = \"hot-{device}\"\npattern = '{{\"data\": {{\"device\": [\"pump-{device}\"], \"line\": [4], \"celsius\": [{{\"numeric\": [\">\", 60]}}]}}}}'"
        )
        .unwrap();
    }
    text
}

async fn measure(with: &TestNode, without: &TestNode, data: &Path) -> Json {
    let mut bench = Command::new(edge_node());
    bench
        .args(["bench", "--readings", "--subscriber", "--json"])
        .args(["--rounds", ROUNDS, "--secs", SECONDS])
        .args(["--addr", &with.mqtt().to_string()])
        .args(["--vs", &without.mqtt().to_string()])
        .arg("--data")
        .arg(data);
    let ended = tokio::task::spawn_blocking(move || bench.output());
    let ended = ended.await.unwrap().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    serde_json::from_slice(&ended.stdout).unwrap()
}
