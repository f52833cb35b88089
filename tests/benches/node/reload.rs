//! Sets of rules replace each other while devices publish: what that costs acknowledgements and memory.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tests::TestNode;
use tokio::task::JoinSet;

use crate::{
    Scale, flush,
    publisher::{Latencies, Message, Publisher},
    receiver::Receiver,
};

const RELOADS: u64 = 1_000;
const RULES: usize = 10_000;
/// Reloads, and rests without any, take turns.
const TURNS: u64 = 10;
const REST: Duration = Duration::from_secs(6);
const DEVICES: u64 = 50;
const PER_SECOND: u32 = 100;
const SIZE: usize = 256;

/// How often events were marked by two sets, and by how many sets any was.
#[derive(Default)]
struct Marks {
    events: u64,
    by_two: u64,
    sets: BTreeSet<String>,
}

pub(crate) async fn run(scale: Scale) {
    let marks = Arc::new(Mutex::new(Marks::default()));
    let receiver = Receiver::bind(0);
    let address = receiver.address;
    let noted = Arc::clone(&marks);
    receiver.serve_and(move |body| noted.lock().unwrap().note(body));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.toml");
    let others: Arc<str> = others().into();
    write_set(&file, 0, &others).await;
    let node = TestNode::builder()
        .config(&format!("[rules]\nfiles = [{file:?}]"))
        .config(&format!(
            "[[uplink]]\nname = \"cloud\"\nkind = \"http\"\nendpoints = [\"http://{address}/events\"]"
        ))
        .start()
        .await;
    let mut flushes = flush::measure(&node.data());
    let latencies = Latencies::default();
    let load = publish(&node, &latencies);
    tokio::time::sleep(REST).await;
    let start = node.rss();
    latencies.lock().unwrap().clear();

    let (mut resting, mut reloading) = (Vec::new(), Vec::new());
    let mut took = Vec::new();
    for turn in 0..TURNS {
        tokio::time::sleep(REST).await;
        resting.append(&mut latencies.lock().unwrap());
        let each = scale.of(RELOADS) / TURNS;
        for number in turn * each..(turn + 1) * each {
            write_set(&file, number + 1, &others).await;
            let before = Instant::now();
            reload(&node).await;
            took.push(before.elapsed());
        }
        reloading.append(&mut latencies.lock().unwrap());
    }
    tokio::time::sleep(REST).await;
    let (end, most) = (node.rss(), node.peak_rss());
    drop(load);
    node.wait_until_drained("cloud").await;
    flushes.extend(flush::measure(&node.data()));

    let reloads = took.len();
    println!(
        "{reloads} reloads of {RULES} rules, each in {}; {}",
        spread(&mut took),
        flush::report(flushes)
    );
    println!("acknowledged without reloads: {}", spread(&mut resting));
    println!("acknowledged under reloads:   {}", spread(&mut reloading));
    println!(
        "p99 under reloads / without: {:.2} (to reach: 2)",
        quantile(&reloading, 0.99).as_secs_f64() / quantile(&resting, 0.99).as_secs_f64()
    );
    let marks = marks.lock().unwrap();
    println!(
        "{} events judged by {} sets, {} of them by two at once (to reach: 0)",
        marks.events,
        marks.sets.len(),
        marks.by_two
    );
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "RSS {:.1} MiB under load before the first, {:.1} after the last, {:.1} at most",
        mib(start),
        mib(end),
        mib(most)
    );
}

/// Two rules that mark every event with the number of their set, and the others.
async fn write_set(file: &Path, number: u64, others: &Arc<str>) {
    let (file, others) = (file.to_owned(), Arc::clone(others));
    // In another thread, since this one publishes.
    let written = tokio::task::spawn_blocking(move || {
        let mark = |name: &str| {
            format!(
                "[[rule]]\nname = \"{name}\"\n[[rule.step]]\nset = {{ attributes = {{ {name} = \"{number}\" }} }}\n"
            )
        };
        std::fs::write(file, mark("first") + &mark("second") + &others)
    });
    written.await.unwrap().unwrap();
}

/// Rules that read every payload and hold for none.
fn others() -> String {
    let rules = (2..RULES).map(|it| {
        format!(
            "[[rule]]\nname = \"too-hot-{it}\"\npattern = '{{\"data\": {{\"device\": [\"valve-{it}\"], \"status\": [\"running\"], \"temperature\": [{{\"numeric\": [\">\", {}.5]}}]}}}}'\ndrop = true\n",
            it % 50
        )
    });
    rules.collect()
}

async fn reload(node: &TestNode) {
    let head = "POST /api/v1/rules/reload HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n";
    let answer = tests::request(node.http(), head, b"{}").await;
    assert_eq!(answer.code, 200, "{}", answer.body);
}

fn publish(node: &TestNode, latencies: &Latencies) -> JoinSet<()> {
    let mut devices = JoinSet::new();
    for device in 0..DEVICES {
        let (to, latencies) = (node.mqtt(), Arc::clone(latencies));
        let mut numbers = 0..;
        devices.spawn(async move {
            let publisher = Publisher::connect(to, &format!("pump-{device}")).await;
            let mut message = || {
                let number = numbers.next().expect("numbers do not end");
                Message::reading(device, number, SIZE)
            };
            publisher
                .publish_steadily(PER_SECOND, &mut message, &latencies)
                .await;
        });
    }
    devices
}

/// Sorts them, and says how they are spread.
fn spread(times: &mut [Duration]) -> String {
    times.sort();
    let millis = |share| quantile(times, share).as_secs_f64() * 1e3;
    format!(
        "p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms of {}",
        millis(0.5),
        millis(0.99),
        millis(1.0),
        times.len()
    )
}

/// Of sorted times.
fn quantile(times: &[Duration], share: f64) -> Duration {
    let index = (times.len() as f64 * share) as usize;
    times[index.min(times.len() - 1)]
}

impl Marks {
    /// Takes the marks of a batch of events.
    fn note(&mut self, body: &[u8]) {
        let events: Vec<serde_json::Value> = serde_json::from_slice(body).unwrap();
        for event in events {
            self.events += 1;
            let mark = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
            let (first, second) = (mark("first"), mark("second"));
            self.by_two += u64::from(first != second || first.is_empty());
            self.sets.insert(first);
        }
    }
}
