//! A storage that stalls for seconds, as SD cards do: nobody is disconnected, nothing is lost, memory stays bounded.
//!
//! The node's data is on a file system of its own (ext4 over a loop device), which is frozen as a whole: every write and
//! every flush on it waits until it is thawed, in the kernel, under the node as it is shipped.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::process::CommandExt,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use rumqttc::v5::mqttbytes::v5::{Connect, ConnectReturnCode, Packet, PingReq};
use tests::{Device, Reading, Refused, TestCloud, TestNode};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{interval, timeout},
};

/// Shorter than a stall: a client that is not answered within it may leave.
const KEEP_ALIVE_S: u16 = 3;
const STALL: Duration = Duration::from_secs(5);
/// From one stall to the next: more often than the cards do it.
const CYCLE: Duration = Duration::from_secs(9);
const STALLS: usize = 3;
const PUBLISHERS: usize = 50;
/// In one stall the publishers send more than may wait for a commit (8 MiB), within the receive maximum of each.
const PUBLISH_EVERY: Duration = Duration::from_millis(25);
const WINDOW: usize = 256;
const FILLER_BYTES: usize = 1000;
/// 40 MiB with the program itself, of which the build that is shipped holds up to 8 MiB in memory; a build for tests is larger.
const MEMORY_MAX: u64 = (40 - 8) << 20;

#[tokio::test]
async fn a_disk_that_stalls_disconnects_nobody_and_loses_nothing() {
    let Some(disk) = StallingDisk::mount("1G") else {
        return;
    };
    let cloud = TestCloud::start().await;
    let node = TestNode::builder()
        .uplink(&cloud)
        .data(disk.path().join("data"))
        .start()
        .await;
    let (stop, stopped) = watch::channel(false);
    let mut publishers = JoinSet::new();
    for index in 0..PUBLISHERS {
        let device = connect(&node, &format!("pump-{index}")).await;
        publishers.spawn(publish(device, stopped.clone()));
    }
    let screen = connect(&node, "screen").await;
    let screen = tokio::spawn(ping(screen, stopped));

    let mut most_waiting = Duration::ZERO;
    for _ in 0..STALLS {
        let next = Instant::now() + CYCLE;
        let mut stall = disk.stall();
        let began = Instant::now();
        let waited = tokio::task::spawn_blocking(move || stall.wait());
        assert!(waited.await.unwrap().unwrap().success());
        most_waiting = most_waiting.max(began.elapsed());
        tokio::time::sleep_until(next.into()).await;
    }
    assert!(most_waiting >= STALL, "the disk stalled {most_waiting:?}");
    stop.send_replace(true);

    let pings = screen.await.unwrap();
    assert!(
        pings > 2 * STALLS,
        "an idle client was answered {pings} times"
    );
    let mut acknowledged = BTreeMap::new();
    let mut longest = Duration::ZERO;
    while let Some(published) = publishers.join_next().await {
        let published = published.unwrap();
        longest = longest.max(published.longest);
        acknowledged.insert(published.device, published.acknowledged);
    }
    assert!(
        longest >= STALL / 2,
        "acknowledgements wait for the disk: {longest:?}"
    );
    node.wait_until_drained("cloud").await;
    let mut arrived: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for event in cloud.received() {
        let reading = Reading::parse(&event.data).unwrap();
        arrived
            .entry(reading.device)
            .or_default()
            .insert(reading.number);
    }
    for (device, numbers) in &acknowledged {
        assert!(!numbers.is_empty());
        assert!(
            arrived[device].is_superset(numbers),
            "{device} lost acknowledged readings"
        );
    }
    let memory = node.peak_rss() - node.program_bytes();
    println!(
        "{} messages acknowledged, {:.1} s at most; memory at most {:.1} MiB beside the program",
        acknowledged.values().map(BTreeSet::len).sum::<usize>(),
        longest.as_secs_f64(),
        memory as f64 / f64::from(1 << 20)
    );
    assert!(memory < MEMORY_MAX, "{memory} bytes of memory");
}

struct Published {
    device: String,
    acknowledged: BTreeSet<u64>,
    /// The longest any message waited for its acknowledgement.
    longest: Duration,
}

/// Publishes at a steady pace, as far as its window allows, and panics when it is disconnected.
async fn publish(mut device: Device, stopped: watch::Receiver<bool>) -> Published {
    let topic = format!("plant/{}", device.id());
    let filler = "x".repeat(FILLER_BYTES);
    let mut published = Published {
        device: device.id().to_owned(),
        acknowledged: BTreeSet::new(),
        longest: Duration::ZERO,
    };
    let mut sent = BTreeMap::new();
    let mut ticks = interval(PUBLISH_EVERY);
    while !*stopped.borrow() || device.in_flight() > 0 {
        tokio::select! {
            _ = ticks.tick(), if device.in_flight() < WINDOW && !*stopped.borrow() => {
                let number = sent.last_key_value().map_or(0, |(number, _)| number + 1).max(
                    published.acknowledged.last().map_or(0, |number| number + 1),
                );
                let payload = serde_json::json!({ "device": device.id(), "n": number, "filler": filler });
                sent.insert(number, Instant::now());
                device.start_publish(&topic, payload.to_string(), number).await.expect("the node reads");
            }
            answer = device.acknowledgement() => {
                let (number, reason) = answer.expect("nobody is disconnected").expect("an acknowledgement of a message");
                assert!(reason < 0x80, "{topic}: {reason:#x}");
                let waited = sent.remove(&number).expect("it was sent").elapsed();
                published.longest = published.longest.max(waited);
                published.acknowledged.insert(number);
            }
        }
    }
    published
}

/// Says each second that it is there; how often it was answered in time.
async fn ping(mut device: Device, stopped: watch::Receiver<bool>) -> usize {
    let mut ticks = interval(Duration::from_secs(1));
    let mut answers = 0;
    while !*stopped.borrow() {
        ticks.tick().await;
        device.send(&Packet::PingReq(PingReq)).await.unwrap();
        let answer = timeout(
            Duration::from_secs(u64::from(KEEP_ALIVE_S)),
            device.receive(),
        );
        match answer.await.expect("an idle client is answered in time") {
            Ok(Packet::PingResp(_)) => answers += 1,
            other => panic!("a ping is answered with {other:?}"),
        }
    }
    answers
}

async fn connect(node: &TestNode, id: &str) -> Device {
    let connect = Connect {
        keep_alive: KEEP_ALIVE_S,
        client_id: id.to_owned(),
        clean_start: true,
        properties: None,
    };
    let mut device = Device::raw_named(node.mqtt(), id).await;
    device
        .send(&Packet::Connect(connect, None, None))
        .await
        .unwrap();
    match device.receive().await {
        Ok(Packet::ConnAck(ack)) if ack.code == ConnectReturnCode::Success => device,
        Ok(other) => panic!("CONNECT is answered with {other:?}"),
        Err(refused @ (Refused::Ended | Refused::Disconnect(_) | Refused::Connack(_))) => {
            panic!("{id} is not let in: {refused:?}")
        }
    }
}

/// A file system that can be frozen.
struct StallingDisk {
    folder: tempfile::TempDir,
}

impl StallingDisk {
    /// `None`, with a word why, where nothing may be mounted or frozen.
    fn mount(size: &str) -> Option<StallingDisk> {
        let folder = tempfile::tempdir().unwrap();
        let disk = StallingDisk { folder };
        std::fs::create_dir(disk.path()).unwrap();
        let script = "truncate -s \"$2\" \"$1/image\" && mkfs.ext4 -q -F \"$1/image\" \
                      && mount -o loop \"$1/image\" \"$1/disk\" \
                      && fsfreeze --freeze \"$1/disk\"; fsfreeze --unfreeze \"$1/disk\"";
        let output = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(disk.folder.path())
            .arg(size)
            .output()
            .unwrap();
        if output.status.success() {
            return Some(disk);
        }
        println!("NOT TESTED: only root can mount and freeze a file system: {output:?}");
        None
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("disk")
    }

    /// Freezes it now and thaws it after [`STALL`], in a process group of its own, so that it is thawed whatever becomes of
    /// this process and its group meanwhile: what waits for a frozen file system cannot be killed.
    fn stall(&self) -> std::process::Child {
        let script = "fsfreeze --freeze \"$1\" && sleep \"$2\"; fsfreeze --unfreeze \"$1\"";
        Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(self.path())
            .arg(STALL.as_secs().to_string())
            .process_group(0)
            .spawn()
            .unwrap()
    }
}

impl Drop for StallingDisk {
    fn drop(&mut self) {
        unmount(&self.path());
    }
}

/// Lazily: a node that is still open on it is killed by its own drop.
fn unmount(path: &Path) {
    let _ = Command::new("umount").arg("-l").arg(path).status();
}
