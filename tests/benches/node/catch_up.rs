//! A receiver comes back to a million events, while devices go on publishing.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tests::TestNode;
use tokio::task::JoinSet;

use crate::{
    Scale, flush,
    publisher::{Latencies, Message, Publisher},
    receiver::{Receiver, Receiving},
};

const EVENTS: u64 = 1_000_000;
const SIZE: usize = 256;
const DEVICES: u64 = 50;
const LIVE_DEVICES: u64 = 10;
const LIVE_PER_SECOND: u32 = 100;
/// Batches the uplink has in flight by default.
const IN_FLIGHT: usize = 4;

pub(crate) async fn run(scale: Scale) {
    let events = scale.of(EVENTS);
    let receiver = Receiver::bind(events);
    let uplink = format!(
        "[[uplink]]\nname = \"cloud\"\nkind = \"http\"\nendpoints = [\"http://{}/events\"]",
        receiver.address
    );
    // Nobody listens at port 9 (discard): the events stay in the spool.
    let away = "[[uplink]]\nname = \"cloud\"\nkind = \"http\"\nendpoints = [\"http://127.0.0.1:9/events\"]";
    let mut node = TestNode::builder().config(away).start().await;
    let spooling = Instant::now();
    spool(&node, events).await;
    println!(
        "spooled {events} events of {SIZE} B in {:.1} s",
        spooling.elapsed().as_secs_f64()
    );
    node.stop().await;
    let mut flushes = flush::measure(&node.data());

    let receiving = receiver.serve();
    node.configure(&uplink);
    node.start_again().await;
    let idle = node.rss();
    let latencies = Latencies::default();
    let live = publish_live(&node, events, &latencies);
    complete(&receiving).await;
    drop(live);
    let rate = report(&receiving, events);
    let mut latencies = std::mem::take(&mut *latencies.lock().unwrap());
    latencies.sort();
    let quantile = |share: f64| {
        let index = (latencies.len() as f64 * share) as usize;
        latencies[index.min(latencies.len() - 1)].as_secs_f64() * 1e3
    };
    println!(
        "live QoS 1 meanwhile: {} messages, acknowledged p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
        latencies.len(),
        quantile(0.5),
        quantile(0.99),
        quantile(1.0)
    );
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "RSS {:.1} MiB at the start, {:.1} MiB at most",
        mib(idle),
        mib(node.peak_rss())
    );
    node.stop().await;
    flushes.extend(flush::measure(&node.data()));
    let limit = receiving.limit(IN_FLIGHT, Duration::from_secs(3)).await;
    println!(
        "a bare client that sends the same bodies: {limit:.0} events/s, of which the node reaches {:.2}; {}",
        rate / limit,
        flush::report(flushes)
    );
}

async fn spool(node: &TestNode, events: u64) {
    let mut devices = JoinSet::new();
    for device in 0..DEVICES {
        let to = node.mqtt();
        devices.spawn(async move {
            let mut publisher = Publisher::connect(to, &format!("pump-{device}")).await;
            let numbers = (device..events).step_by(DEVICES as usize);
            let messages = numbers.map(|number| Message::reading(device, number, SIZE));
            publisher.publish_all(messages, 100).await;
        });
    }
    while let Some(done) = devices.join_next().await {
        done.unwrap();
    }
}

/// Publishes readings above those awaited, until the set is dropped.
fn publish_live(node: &TestNode, first: u64, latencies: &Latencies) -> JoinSet<()> {
    let mut devices = JoinSet::new();
    for device in 0..LIVE_DEVICES {
        let (to, latencies) = (node.mqtt(), Arc::clone(latencies));
        let mut numbers = (first + device..).step_by(LIVE_DEVICES as usize);
        devices.spawn(async move {
            let publisher = Publisher::connect(to, &format!("live-{device}")).await;
            let mut message = || {
                let number = numbers.next().expect("numbers do not end");
                Message::reading(DEVICES + device, number, SIZE)
            };
            publisher
                .publish_steadily(LIVE_PER_SECOND, &mut message, &latencies)
                .await;
        });
    }
    devices
}

async fn complete(receiving: &Receiving) {
    while receiving.seen().complete.is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Events per second.
fn report(receiving: &Receiving, events: u64) -> f64 {
    let seen = receiving.seen();
    let took = seen.complete.unwrap() - seen.first.unwrap();
    let rate = events as f64 / took.as_secs_f64();
    println!(
        "caught up in {:.2} s: {rate:.0} events/s in {} requests; {} came more than once",
        took.as_secs_f64(),
        seen.requests,
        seen.repeats
    );
    rate
}
