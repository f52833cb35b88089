//! What an operator meets: a sink taken out of the configuration, a disk with little room, directories that cannot be used.

use std::{
    path::Path,
    process::{Command, Output},
};

use crate::full_disk::SmallDisk;
use serde_json::Value;
use tests::{TestCloud, TestNode, edge_node, wait_until};

#[tokio::test]
async fn a_sink_that_left_the_configuration_is_listed_until_it_is_removed() {
    let mut cloud = TestCloud::start().await;
    cloud.go_offline().await;
    let data = tempfile::tempdir().unwrap();
    let mut node = TestNode::builder()
        .data(data.path())
        .uplink(&cloud)
        .start()
        .await;
    node.connect("pump-7").await.publish_readings(1..=10).await;
    let refused = run(&["sink", "remove", "cloud"], data.path());
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        error(&refused).contains("is in the configuration"),
        "{refused:?}"
    );
    node.stop().await;

    let node = TestNode::builder().data(data.path()).start().await;
    let sink = node.sink("cloud").await;
    assert_eq!(
        (&sink["state"], &sink["pending_records"]),
        (&"removed".into(), &10.into())
    );
    let done = run(&["sink", "remove", "cloud"], data.path());
    assert!(done.status.success(), "{done:?}");
    assert_eq!(node.sink("cloud").await, Value::Null);
    let ledger = node.status().await["ledger"].clone();
    assert_eq!(ledger[0]["reason"], "cursor-removed", "{ledger}");
    assert_eq!(
        (&ledger[0]["scope"], &ledger[0]["count"]),
        (&"uplink/cloud".into(), &10.into())
    );

    let again = run(&["sink", "remove", "cloud"], data.path());
    assert_eq!(again.status.code(), Some(1));
    assert!(
        error(&again).contains("nothing is held for a sink `cloud`"),
        "{again:?}"
    );
}

#[tokio::test]
async fn a_node_on_a_disk_that_others_filled_starts_and_hands_out_what_it_holds() {
    let Some(disk) = SmallDisk::mount("64m") else {
        return;
    };
    let mut cloud = TestCloud::start().await;
    cloud.go_offline().await;
    let builder = TestNode::builder()
        .data(disk.path().join("data"))
        .uplink(&cloud);
    let mut node = builder.start().await;
    let mut device = node.connect("pump-7").await;
    device.publish_readings(1..=500).await;
    node.kill().await;
    disk.fill();

    node.start_again().await;
    let status = node.status().await;
    assert_ne!(status["health"]["state"], "ok", "{status}");
    let reasons = status["health"]["reasons"].to_string();
    assert!(reasons.contains("min-free"), "{status}");
    cloud.go_online().await;
    cloud.wait_for_readings("pump-7", 1..=500).await;
    node.wait_until_drained("cloud").await;

    disk.empty();
    let mut device = node.connect("pump-7").await;
    device.publish_readings(501..=510).await;
    cloud.wait_for_readings("pump-7", 501..=510).await;
    let log = node.log();
    let said = log.matches("takes no message before there is room").count();
    assert!(said <= 1, "{log}");
}

#[tokio::test]
async fn a_new_log_without_room_is_refused_with_what_is_free_and_what_to_do() {
    let Some(disk) = SmallDisk::mount("64m") else {
        return;
    };
    disk.fill_but(2 << 20);
    for (config, parts) in [
        (
            "[spool]\nbound = \"16 MiB\"",
            [" free, and `min-free`", "(5%)", "free some space"],
        ),
        ("", ["is too small", "raise the bound", "free space"]),
    ] {
        let data = tempfile::tempdir_in(disk.path()).unwrap();
        let builder = TestNode::builder().config(config).data(data.path());
        let ended = builder.refuses_to_start().await;
        assert_eq!(ended.status.code(), Some(1));
        for part in parts {
            assert!(ended.output.contains(part), "{part}: {}", ended.output);
        }
    }
}

#[tokio::test]
async fn a_sink_added_later_gets_what_was_there_before_it() {
    let data = tempfile::tempdir().unwrap();
    let mut node = TestNode::builder().data(data.path()).start().await;
    node.connect("pump-7").await.publish_readings(1..=100).await;
    node.stop().await;
    let cloud = TestCloud::start().await;
    let node = TestNode::builder()
        .data(data.path())
        .uplink(&cloud)
        .start()
        .await;
    cloud.wait_for_readings("pump-7", 1..=100).await;
    wait_until("the sink says so", async || {
        node.sink("cloud").await["acknowledged"] == 100
    })
    .await;
}

#[tokio::test]
async fn what_a_node_writes_is_for_its_owner_alone() {
    let cloud = TestCloud::start().await;
    let mut node = TestNode::builder().uplink(&cloud).start().await;
    node.connect("pump-7").await.publish_readings(1..=100).await;
    node.wait_until_drained("cloud").await;
    let running = node.private_files();
    for name in ["endpoints.json", "lanes.json", "lock"] {
        assert!(running.contains(name), "{name}: {running:?}");
    }
    assert!(running.iter().any(|file| file.ends_with(".segment")));
    node.stop().await;
    let stopped = node.private_files();
    assert!(stopped.contains("cursors"), "{stopped:?}");
    assert!(stopped.iter().any(|file| file.starts_with("checkpoint-")));
}

fn run(arguments: &[&str], data: &Path) -> Output {
    let mut command = Command::new(edge_node());
    command.args(arguments).arg("--data").arg(data);
    command.output().unwrap()
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn status_says_what_offline_sessions_are_owed() {
    let node = TestNode::start().await;
    let mut keeper = node.connect_durable("keeper").await;
    keeper.subscribe("+/reading", 1).await;
    keeper.disconnect().await;
    node.connect("pump-7").await.publish_readings(1..=10).await;
    let sessions = node.status().await["sessions"].clone();
    assert_eq!(
        (&sessions["offline"], &sessions["pending_records"]),
        (&1.into(), &10.into())
    );
    assert!(sessions["pending_bytes"].as_u64() > Some(100), "{sessions}");
}
