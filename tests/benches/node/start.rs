//! How long a node takes to start on what it has kept.

use std::time::Instant;

use tests::TestNode;
use tokio::task::JoinSet;

use crate::{
    Scale, flush,
    publisher::{Message, Publisher},
};

const SESSIONS: u64 = 1_000;
const RETAINED: u64 = 10_000;
const SPOOLED_BYTES: u64 = 1 << 30;
const SIZE: usize = 1024;
const PUBLISHERS: u64 = 50;
const ROUNDS: usize = 3;

pub(crate) async fn run(scale: Scale) {
    let (sessions, retained) = (scale.of(SESSIONS), scale.of(RETAINED));
    let events = scale.of(SPOOLED_BYTES) / SIZE as u64;
    // Nobody listens at port 9 (discard): the events stay in the spool.
    let away = "[[uplink]]\nname = \"cloud\"\nkind = \"http\"\nendpoints = [\"http://127.0.0.1:9/events\"]";
    let mut node = TestNode::builder().config(away).start().await;
    for session in 0..sessions {
        let mut client = node.connect_durable(&format!("screen-{session}")).await;
        let wanted = format!("screens/{session}/#");
        assert_eq!(client.subscribe(&wanted, 1).await, 1);
        client.disconnect().await;
    }
    let mut keeper = Publisher::connect(node.mqtt(), "keeper").await;
    let kept = (0..retained).map(|number| Message {
        topic: format!("state/{number}"),
        retain: true,
        ..Message::reading(0, number, 256)
    });
    keeper.publish_all(kept, 100).await;
    let mut devices = JoinSet::new();
    for device in 0..PUBLISHERS {
        let to = node.mqtt();
        devices.spawn(async move {
            let mut publisher = Publisher::connect(to, &format!("pump-{device}")).await;
            let numbers = (device..events).step_by(PUBLISHERS as usize);
            let messages = numbers.map(|number| Message::reading(device, number, SIZE));
            publisher.publish_all(messages, 100).await;
        });
    }
    while let Some(done) = devices.join_next().await {
        done.unwrap();
    }
    println!(
        "{sessions} sessions, {retained} retained messages, {events} events of {SIZE} B: {} MiB on disk",
        node.bytes_on_disk() >> 20
    );
    for _ in 0..ROUNDS {
        node.kill().await;
        println!("after kill -9: {}", time_start(&mut node).await);
        node.stop().await;
        println!("after a stop:  {}", time_start(&mut node).await);
    }
    println!("{}", flush::report(flush::measure(&node.data())));
}

async fn time_start(node: &mut TestNode) -> String {
    let start = Instant::now();
    node.start_again().await;
    let ready = start.elapsed();
    Publisher::connect(node.mqtt(), "first").await;
    format!(
        "ready after {:.0} ms, the first CONNACK after {:.0} ms, RSS {:.1} MiB",
        ready.as_secs_f64() * 1e3,
        start.elapsed().as_secs_f64() * 1e3,
        node.rss() as f64 / f64::from(1 << 20)
    )
}
