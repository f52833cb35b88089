//! A storage that stalls for seconds, as SD cards do: nobody is disconnected, nothing is lost, memory stays bounded.
//!
//! The node is as it is shipped; `strace` holds every system call of it that changes a file, from outside. A frozen file
//! system would stall the node alike, and the whole machine with it when nobody is left to thaw it: what waits for one
//! cannot be killed. What `strace` holds can be, and goes on when `strace` ends, however it ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::process::ExitStatusExt,
    process::{Command, Output},
    time::{Duration, Instant},
};

use rumqttc::v5::mqttbytes::v5::{Connect, ConnectReturnCode, Packet, PingReq};
use tests::{Device, Reading, Refused, TestCloud, TestNode, is_as_shipped};
use tokio::{
    sync::watch,
    task::{JoinSet, spawn_blocking},
    time::{interval, timeout},
};

/// The system calls that change a file or make it durable.
const CHANGES: &str = "pwrite64,pwritev,pwritev2,fsync,fdatasync,fallocate,ftruncate,renameat,renameat2,unlink,unlinkat,mkdirat";
/// Shorter than a stall: a client that is not answered within it may leave.
const KEEP_ALIVE_S: u16 = 3;
const STALL: Duration = Duration::from_secs(5);
/// From one stall to the next: more often than the cards do it.
const CYCLE: Duration = Duration::from_secs(9);
const STALLS: usize = 3;
/// All of it, on a slow machine.
const AT_MOST: Duration = Duration::from_secs(90);
const PUBLISHERS: usize = 50;
/// In one stall the publishers send more than may wait for a commit (8 MiB), within the receive maximum of each.
const PUBLISH_EVERY: Duration = Duration::from_millis(200);
const WINDOW: usize = 256;
/// The signal that no process survives.
const KILL: i32 = 9;
const FILLER_BYTES: usize = 9000;
/// All memory of the program as it is shipped, the program itself with it. A build for tests is several times as large,
/// and is held to it without that.
const MEMORY_MAX: u64 = 40_000_000;

#[tokio::test]
async fn a_disk_that_stalls_disconnects_nobody_and_loses_nothing() {
    if can_stall() {
        let scenario = timeout(AT_MOST, stalls_under_load());
        scenario.await.expect("it ends in time");
    }
}

async fn stalls_under_load() {
    let cloud = TestCloud::start().await;
    let node = TestNode::builder().uplink(&cloud).start().await;
    let (stop, stopped) = watch::channel(false);
    let mut publishers = JoinSet::new();
    for index in 0..PUBLISHERS {
        let device = connect(&node, &format!("pump-{index}")).await;
        publishers.spawn(publish(device, stopped.clone()));
    }
    let screen = connect(&node, "screen").await;
    let mut screens = JoinSet::new();
    screens.spawn(ping(screen, stopped));

    for _ in 0..STALLS {
        let next = Instant::now() + CYCLE;
        let pid = node.process_id();
        let stall = spawn_blocking(move || hold_changes(pid, STALL));
        let stall = stall.await.unwrap();
        assert!(held_to_the_end(&stall), "{stall:?}");
        tokio::time::sleep_until(next.into()).await;
    }
    stop.send_replace(true);

    let pings = screens.join_next().await.unwrap().unwrap();
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
    assert_all_arrived(&cloud, &acknowledged);
    let (memory, program) = (node.peak_rss(), node.program_bytes());
    println!(
        "{} messages acknowledged, {:.1} s at most; {:.1} MB of memory at most, {:.1} of them the program",
        acknowledged.values().map(BTreeSet::len).sum::<usize>(),
        longest.as_secs_f64(),
        memory as f64 / 1e6,
        program as f64 / 1e6
    );
    let held = if is_as_shipped() {
        memory
    } else {
        memory - program
    };
    assert!(held < MEMORY_MAX, "{held} bytes of memory");
}

fn assert_all_arrived(cloud: &TestCloud, acknowledged: &BTreeMap<String, BTreeSet<u64>>) {
    let mut arrived: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for event in cloud.received() {
        let reading = Reading::parse(&event.data).unwrap();
        arrived
            .entry(reading.device)
            .or_default()
            .insert(reading.number);
    }
    for (device, numbers) in acknowledged {
        assert!(!numbers.is_empty());
        assert!(
            arrived[device].is_superset(numbers),
            "{device} lost acknowledged readings"
        );
    }
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

/// Holds every change of a file that the process begins from here on until `time` is over; then all of them go on. Ends by
/// itself, whatever becomes of this process and of the other.
fn hold_changes(pid: u32, time: Duration) -> Output {
    let hold = format!("inject={CHANGES}:delay_enter={}", time.as_micros());
    Command::new("timeout")
        .args(["--signal=KILL", &time.as_secs_f64().to_string()])
        .args([
            "strace",
            "--quiet=all",
            "--follow-forks",
            "--output=/dev/null",
        ])
        .args(["-e", &format!("trace={CHANGES}"), "-e", &hold])
        .args(["--attach", &pid.to_string()])
        .output()
        .unwrap()
}

/// `timeout` ends by the signal that it had to send.
fn held_to_the_end(hold: &Output) -> bool {
    hold.status.signal() == Some(KILL)
}

/// Whether a process may hold what another does; says why, where not.
fn can_stall() -> bool {
    let mut idle = Command::new("sleep").arg("60").spawn().unwrap();
    let tried = hold_changes(idle.id(), Duration::from_millis(300));
    idle.kill().unwrap();
    idle.wait().unwrap();
    let able = held_to_the_end(&tried);
    if !able {
        println!("NOT TESTED: strace is not here, or may not attach: {tried:?}");
    }
    able
}
