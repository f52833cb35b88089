//! A storage that stalls for seconds, as SD cards do: nobody is disconnected, nothing is lost, memory stays bounded.
//!
//! The node is as it is shipped; `strace` holds every system call of it that changes a file, from outside. A frozen file
//! system would stall the node alike, and the whole machine with it when nobody is left to thaw it: what waits for one
//! cannot be killed. What `strace` holds can be, and goes on when `strace` ends, however it ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    process::{Child, ChildStderr, Command, Stdio},
    time::{Duration, Instant},
};

use rumqttc::v5::mqttbytes::v5::{Connect, ConnectReturnCode, Packet, PingReq};
use rustix::process::{Pid, Signal, kill_process_group};
use tests::{Device, PATIENCE, Reading, Refused, TestCloud, TestNode, is_as_shipped, wait_until};
use tokio::{
    sync::watch,
    task::{JoinSet, spawn_blocking},
    time::{interval, sleep},
};

/// The system calls that change a file or make it durable.
const CHANGES: &str = "pwrite64,pwritev,pwritev2,fsync,fdatasync,fallocate,ftruncate,renameat,renameat2,unlink,unlinkat,mkdirat";
/// Below a stall, as clients may have it: an idle one has to be answered during it. A publisher that is not read is silent for
/// less than half as long again here; that it is not taken for gone however long it is, `keep_alive` shows.
const KEEP_ALIVE_S: u16 = 6;
/// At least; until an idle client was answered a few times.
const STALL: Duration = Duration::from_secs(10);
const ANSWERS: usize = 3;
/// From the end of a stall to the next: more often than the cards do it.
const BETWEEN: Duration = Duration::from_secs(4);
const STALLS: usize = 2;
const PUBLISHERS: usize = 50;
/// In one stall the publishers send more than may wait for a commit (8 MiB), within the receive maximum of each.
const PUBLISH_EVERY: Duration = Duration::from_millis(200);
const WINDOW: usize = 256;
const FILLER_BYTES: usize = 9000;
/// All memory of the program as it is shipped, the program itself with it.
const MEMORY_MAX: u64 = 40_000_000;
/// What that leaves beside the program, which takes 10 MB as it is shipped. A build for tests is several times as large, and
/// is held to this.
const BESIDE_PROGRAM_MAX: u64 = 30_000_000;

#[tokio::test]
async fn a_disk_that_stalls_disconnects_nobody_and_loses_nothing() {
    if can_stall() {
        stalls_under_load().await;
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
    let (answered, answers) = watch::channel(0);
    let mut screens = JoinSet::new();
    screens.spawn(ping(screen, answered, stopped));

    for _ in 0..STALLS {
        let pid = node.process_id();
        let stall = spawn_blocking(move || Stall::begin(pid));
        let stall = stall.await.unwrap().expect("it could before");
        let (began, before) = (Instant::now(), *answers.borrow());
        wait_until("an idle client is answered all the while", async || {
            began.elapsed() >= STALL && *answers.borrow() >= before + ANSWERS
        })
        .await;
        drop(stall);
        sleep(BETWEEN).await;
    }
    stop.send_replace(true);

    screens.join_next().await.unwrap().unwrap();
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
    let (held, bound) = match is_as_shipped() {
        true => (memory, MEMORY_MAX),
        false => (memory - program, BESIDE_PROGRAM_MAX),
    };
    println!(
        "{} messages acknowledged, {:.1} s at most; {:.1} MB of memory at most, {:.1} of them the program",
        acknowledged.values().map(BTreeSet::len).sum::<usize>(),
        longest.as_secs_f64(),
        memory as f64 / 1e6,
        program as f64 / 1e6
    );
    assert!(
        held < bound,
        "{held} bytes of memory, {program} of {memory} the program"
    );
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

/// Says each second that it is there; counts the answers.
async fn ping(mut device: Device, answered: watch::Sender<usize>, stopped: watch::Receiver<bool>) {
    let mut ticks = interval(Duration::from_secs(1));
    while !*stopped.borrow() {
        ticks.tick().await;
        device.send(&Packet::PingReq(PingReq)).await.unwrap();
        match device.receive().await {
            Ok(Packet::PingResp(_)) => answered.send_modify(|count| *count += 1),
            other => panic!("a ping is answered with {other:?}"),
        }
    }
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

/// Holds every change of a file that another process begins, until it is dropped.
struct Stall {
    /// `timeout`, which leads a process group with `strace` in it and ends that in any case.
    strace: Child,
    /// Held open for what `strace` has to say.
    _errors: BufReader<ChildStderr>,
}

impl Stall {
    /// Returns when it holds; what `strace` said where it may not.
    fn begin(pid: u32) -> Result<Stall, String> {
        let hold = format!("inject={CHANGES}:delay_enter={}", 2 * PATIENCE.as_micros());
        let mut strace = Command::new("timeout");
        strace.args(["--signal=KILL", &(2 * PATIENCE).as_secs().to_string()]);
        strace.args(["strace", "--follow-forks", "--output=/dev/null"]);
        strace.args(["-e", &format!("trace={CHANGES}"), "-e", &hold]);
        strace.args(["--attach", &pid.to_string()]);
        strace.stdin(Stdio::null()).stderr(Stdio::piped());
        strace.process_group(0);
        let mut strace = strace.spawn().map_err(|error| error.to_string())?;
        let mut errors = BufReader::new(strace.stderr.take().expect("piped"));
        let mut said = String::new();
        while !said.contains(" attached") {
            if errors.read_line(&mut said).is_ok_and(|bytes| bytes > 0) {
                continue;
            }
            let _ = strace.wait(); // reaps it
            return Err(said);
        }
        Ok(Stall {
            strace,
            _errors: errors,
        })
    }
}

impl Drop for Stall {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.strace), Signal::KILL); // it may have ended by itself
        let _ = self.strace.wait(); // reaps it
    }
}

/// Whether a process may hold what another does; says why, where not.
fn can_stall() -> bool {
    let mut idle = Command::new("sleep").arg("600").spawn().unwrap();
    let tried = Stall::begin(idle.id()).map(drop);
    idle.kill().unwrap();
    idle.wait().unwrap();
    if let Err(said) = &tried {
        println!("NOT TESTED: strace is not here, or may not attach: {said}");
    }
    tried.is_ok()
}
