//! kill -9 under load, again and again: every acknowledged message arrives, at an offline subscriber and over an uplink.
//!
//! `EDGE_STORM_ROUNDS=n` chooses the rounds (20 by default), `EDGE_STORM_SEED=n` the moments of the kills.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use tests::{Device, PATIENCE, Reading, TestNode, wait_for_progress, within};
use tokio::{sync::Notify, task::JoinSet};

const PUBLISHERS: u64 = 4;
const WINDOW: usize = 25;

/// What publishers were told, over all rounds.
#[derive(Default)]
struct Books {
    sent: AtomicU64,
    acknowledged: Mutex<BTreeSet<Reading>>,
    /// Acknowledgements until the node is to be killed.
    until_kill: AtomicU64,
    kill: Notify,
}

/// What a durable subscriber has got.
#[derive(Default)]
struct Got {
    times: BTreeMap<Reading, usize>,
    /// The newest of each publisher, to see that first comings are in order.
    newest: BTreeMap<String, u64>,
    out_of_order: u64,
}

#[tokio::test]
async fn what_was_acknowledged_before_kill_9_arrives_at_subscriber_and_hub() {
    let rounds: u64 = number("EDGE_STORM_ROUNDS").unwrap_or(20);
    let seed = number("EDGE_STORM_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("EDGE_STORM_ROUNDS={rounds} EDGE_STORM_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);

    let mut hub = TestNode::start().await;
    let mut node = TestNode::builder().uplink_to_node(&hub).start().await;
    subscribe_and_leave(&node, "storm/#").await;
    // EventMesh has no levels: the sink sends `storm/p0` as `storm-p0`.
    subscribe_and_leave(&hub, "#").await;
    let books = Arc::new(Books::default());
    let (mut at_node, mut at_hub) = (Got::default(), Got::default());

    for round in 1..=rounds {
        books.until_kill.store(random.u64(1..1500), Relaxed);
        let mut publishers = JoinSet::new();
        for publisher in 0..PUBLISHERS {
            let device = node.connect(&format!("p{publisher}")).await;
            publishers.spawn(publish_until_cut(device, round, Arc::clone(&books)));
        }
        tokio::select! {
            () = books.kill.notified() => {}
            () = stands_still(&books) => {}
        }
        node.kill().await;
        within("publishers notice", async {
            while publishers.join_next().await.is_some() {}
        })
        .await;
        if round % 4 == 0 {
            hub.restart().await;
        }
        node.start_again().await;
        // Not every time, so that a backlog outlives several kills.
        if round % 3 == 0 || round == rounds {
            receive_all(&node, &books, &mut at_node).await;
        }
    }
    receive_all(&hub, &books, &mut at_hub).await;

    let acknowledged = books.acknowledged.lock().unwrap();
    println!(
        "{rounds} kills: sent {}, acknowledged {}, lost 0; subscriber got {} ({} again), hub got {} ({} again)",
        books.sent.load(Relaxed),
        acknowledged.len(),
        at_node.times.len(),
        at_node.repeats(),
        at_hub.times.len(),
        at_hub.repeats(),
    );
    assert_eq!(
        at_node.out_of_order, 0,
        "a publisher's messages come first in the order in which it sent them"
    );
    assert!(acknowledged.len() as u64 >= rounds, "the storm was a calm");
}

/// Fails once nothing more is acknowledged.
async fn stands_still(books: &Books) {
    wait_for_progress("enough is acknowledged", async || {
        ControlFlow::Continue(books.until_kill.load(Relaxed))
    })
    .await;
}

async fn subscribe_and_leave(node: &TestNode, topic_filter: &str) {
    let mut subscriber = node.connect_durable("offline").await;
    assert_eq!(subscriber.subscribe(topic_filter, 1).await, 1);
    subscriber.disconnect().await;
}

/// Keeps a window full until the connection breaks; writes down what was acknowledged.
async fn publish_until_cut(mut device: Device, round: u64, books: Arc<Books>) {
    let topic = format!("storm/{}", device.id());
    for number in round * 1_000_000.. {
        let reading = Reading {
            device: device.id().to_owned(),
            number,
        };
        books.sent.fetch_add(1, Relaxed);
        if device
            .start_publish(&topic, reading.payload(), number)
            .await
            .is_err()
        {
            break;
        }
        if device.in_flight() >= WINDOW && write_down_one(&mut device, &books).await.is_none() {
            return;
        }
    }
    while write_down_one(&mut device, &books).await.is_some() {}
}

async fn write_down_one(device: &mut Device, books: &Books) -> Option<()> {
    if let (number, 0x00..0x80) = device.acknowledgement().await.ok()?? {
        let reading = Reading {
            device: device.id().to_owned(),
            number,
        };
        books.acknowledged.lock().unwrap().insert(reading);
        if books.until_kill.fetch_sub(1, Relaxed) == 1 {
            books.kill.notify_one();
        }
    }
    Some(())
}

async fn receive_all(node: &TestNode, books: &Books, got: &mut Got) {
    let mut missing = books.acknowledged.lock().unwrap().clone();
    missing.retain(|reading| !got.times.contains_key(reading));
    let mut subscriber = node.connect_durable("offline").await;
    assert!(subscriber.session_present(), "a durable session survives");
    while let Some(first) = missing.first().cloned() {
        let message = tokio::time::timeout(PATIENCE / 2, subscriber.next_message()).await;
        let count = missing.len();
        let message = message.unwrap_or_else(|_| {
            panic!("{count} were acknowledged and are lost, {first:?} among them")
        });
        missing.remove(&got.take(&message.expect("the stream goes on").payload));
    }
    subscriber.disconnect().await;
}

impl Got {
    fn take(&mut self, payload: &[u8]) -> Reading {
        let reading = Reading::parse(payload).expect("only readings were published");
        let times = self.times.entry(reading.clone()).or_insert(0);
        *times += 1;
        if *times == 1 {
            let newest = self.newest.entry(reading.device.clone()).or_insert(0);
            self.out_of_order += u64::from(reading.number < *newest);
            *newest = reading.number.max(*newest);
        }
        reading
    }

    fn repeats(&self) -> usize {
        self.times.values().map(|times| times - 1).sum()
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().expect("a number"))
}
