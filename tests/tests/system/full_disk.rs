//! A disk that is full: no false acknowledgement, what needs no disk goes on, and it recovers without a restart.

use std::{path::Path, process::Command, time::Duration};

use tests::{Device, Reading, TestNode, wait_until};
use tokio::time::timeout;

/// A file system of its own, so that it can be filled.
pub(crate) struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    /// `None`, with a word why, where nothing may be mounted.
    pub(crate) fn mount(size: &str) -> Option<SmallDisk> {
        let folder = tempfile::tempdir().unwrap();
        let output = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={size},mode=0700"),
                "tmpfs",
            ])
            .arg(folder.path())
            .output();
        match output {
            Ok(output) if output.status.success() => Some(SmallDisk { folder }),
            other => {
                println!("NOT TESTED: only root can mount a small file system: {other:?}");
                None
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves no byte.
    pub(crate) fn fill(&self) {
        let filler = std::fs::File::create(self.path().join("filler")).unwrap();
        let chunk = [0; 4096];
        while std::io::Write::write_all(&mut &filler, &chunk).is_ok() {}
    }

    /// Leaves only so many bytes.
    pub(crate) fn fill_but(&self, bytes: u64) {
        self.fill();
        let path = self.path().join("filler");
        let filler = std::fs::File::options().write(true).open(path).unwrap();
        let length = filler.metadata().unwrap().len();
        filler.set_len(length - bytes).unwrap();
    }

    pub(crate) fn empty(&self) {
        std::fs::remove_file(self.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a node that is still open on it is killed by its own drop.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// The next acknowledgement with its reason code; `None` once the node says that it has no room instead.
pub(crate) async fn acknowledged_or_full(
    node: &TestNode,
    device: &mut Device,
) -> Option<(u64, u8)> {
    const SOON: Duration = Duration::from_secs(1);
    const NO_ROOM: [&str; 3] = ["lane normal is full", "min-free", "the disk does not take"];
    let mut acknowledged = None;
    wait_until("the message is acknowledged or has no room", async || {
        if let Ok(answer) = timeout(SOON, device.acknowledgement()).await {
            let answer = answer.expect("the connection holds");
            acknowledged = Some(answer.expect("only what was sent is acknowledged"));
            return true;
        }
        let reasons = node.status().await["health"]["reasons"].to_string();
        NO_ROOM.iter().any(|reason| reasons.contains(reason))
    })
    .await;
    acknowledged
}

/// Bounds that a small disk cannot reach, so that the disk itself is what stops the node.
const BEYOND_THE_DISK: &str = "[spool]\nbound = \"1 GiB\"\nmin-free = \"0%\"\nsegment-size = \"1 MiB\"\n\
                               [mqtt]\nsession-bound = \"512 MiB\"";

#[tokio::test]
async fn a_full_disk_withholds_acknowledgements_and_recovers_without_a_restart() {
    fill_and_recover(BEYOND_THE_DISK, 100_000).await;
}

#[tokio::test]
async fn a_disk_filled_by_others_withholds_acknowledgements_and_recovers_without_a_restart() {
    // As nobody configured it. What is lost of an offline session at its bound is in the ledger, so only the newest are
    // certain to be there.
    fill_and_recover("", 200).await;
}

/// The newest `certain` acknowledged messages are expected at the end.
async fn fill_and_recover(config: &str, certain: usize) {
    let Some(disk) = SmallDisk::mount("64m") else {
        return;
    };
    let mut node = TestNode::builder()
        .config(config)
        .data(disk.path().join("data"))
        .start()
        .await;
    let mut keeper = node.connect_durable("keeper").await;
    keeper.subscribe("pump-7/reading", 1).await;
    keeper.disconnect().await;
    let mut screen = node.connect("screen").await;
    screen.subscribe("live", 0).await;
    let mut device = node.connect("pump-7").await;
    device.publish_readings(1..=100).await;

    disk.fill();
    // More than the files the log has already prepared can take.
    let filler = "x".repeat(8 * 1024);
    let mut withheld = Vec::new();
    let mut acknowledged: Vec<u64> = (1..=100).collect();
    let payload = |number| {
        serde_json::json!({ "device": "pump-7", "n": number, "filler": filler }).to_string()
    };
    let mut next = 101;
    let stalled = loop {
        let number = next;
        next += 1;
        device
            .start_publish("pump-7/reading", payload(number), number)
            .await
            .unwrap();
        withheld.push(number);
        match acknowledged_or_full(&node, &mut device).await {
            Some((number, reason)) => {
                assert!(
                    reason < 0x80,
                    "refused with {reason:#x}, where the rule is to withhold"
                );
                withheld.retain(|other| *other != number);
                acknowledged.push(number);
            }
            None => break number,
        }
        assert!(next < 20_000, "a disk without a free byte takes everything");
    };
    assert_eq!(withheld, [stalled]);

    // QoS 0 and local delivery need no disk.
    let mut other = node.connect("other").await;
    other.publish_and_forget("live", "still here").await;
    assert_eq!(screen.next_message().await.unwrap().payload, "still here");

    disk.empty();
    let (number, _) = device.acknowledgement().await.unwrap().unwrap();
    assert_eq!(
        number, stalled,
        "what was withheld is acknowledged once there is room"
    );
    acknowledged.push(number);
    device.publish_readings(next..next + 50).await;
    acknowledged.extend(next..next + 50);

    node.restart().await;
    let mut keeper = node.connect_durable("keeper").await;
    assert!(keeper.session_present());
    acknowledged.sort_unstable();
    let newest = acknowledged.split_off(acknowledged.len().saturating_sub(certain));
    keeper.receive_readings("pump-7", newest).await;
}

#[tokio::test]
async fn a_node_starts_on_a_full_disk_or_says_that_it_is_full() {
    let Some(disk) = SmallDisk::mount("64m") else {
        return;
    };
    let data = disk.path().join("data");
    let mut node = TestNode::builder().data(&data).start().await;
    let mut keeper = node.connect_durable("keeper").await;
    keeper.subscribe("pump-7/reading", 1).await;
    keeper.disconnect().await;
    node.connect("pump-7").await.publish_readings(1..=50).await;
    node.kill().await;

    disk.fill();
    // Either is sound; what is not is a loss.
    let started = node.try_start_again().await;
    disk.empty();
    if let Err(ended) = started {
        assert_eq!(ended.status.code(), Some(1), "{}", ended.output);
        node.start_again().await;
    }
    let mut keeper = node.connect_durable("keeper").await;
    assert!(keeper.session_present());
    keeper.receive_readings("pump-7", 1..=50).await;
    let reading = Reading {
        device: "pump-7".to_owned(),
        number: 51,
    };
    node.connect("pump-7")
        .await
        .publish("pump-7/reading", reading.payload())
        .await
        .unwrap();
}
