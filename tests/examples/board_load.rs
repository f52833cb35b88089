//! What a board in QEMU brings to a node with the device client, beside a bare loop of minimq, both one after the other and
//! several times: `cargo run -p tests --features boards --example board_load`. `EDGE_NODE_BIN` names the node to use.
//!
//! Both speak MQTT 5 at QoS 1 to the same node, with 8 messages in flight, over the same stack, socket and memory for it, and a
//! single event of the client is a PUBLISH about as long as one of minimq (27 bytes of data under a short topic). The client does
//! more for it: it keeps the event in memory until the node has acknowledged it by a message of its own, every 20 ms. A batch
//! is a message as any other, of which as many are in flight.
#![expect(
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark prints, and stops at its own fault"
)]

use tests::{TestBoard, TestNode};

const ROUNDS: usize = 7;

/// What each image says, and what it is in the table.
const BARE: [(&str, &str); 3] = [
    ("connected after ", "bare: DHCP and CONNECT, us"),
    (
        "first acknowledgement after ",
        "bare: first acknowledgement, us",
    ),
    ("publishes acknowledged, ", "bare: publishes in a second"),
];
const LOAD: [(&str, &str); 3] = [
    (
        "first acknowledgement after ",
        "client: first event acknowledged, us",
    ),
    (
        "events acknowledged: ",
        "client: events in a second, one in a message",
    ),
    (
        "events acknowledged: ",
        "client: events in a second, twenty in a message",
    ),
];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let node = TestNode::builder().config("[devices]\n").start().await;
    let mut numbers = vec![Vec::new(); BARE.len() + LOAD.len()];
    for round in 0..ROUNDS {
        let bare = said(&node, "bare", &format!("bare-{round}")).await;
        let load = said(&node, "load", &format!("load-{round}")).await;
        for (index, (what, _)) in BARE.into_iter().enumerate() {
            numbers[index].push(number(&bare, what, 0));
        }
        for (index, (what, _)) in LOAD.into_iter().enumerate() {
            let number = number(&load, what, index.saturating_sub(1));
            numbers[BARE.len() + index].push(number);
        }
    }
    let (bare, load) = (&numbers[BARE.len() - 1], &numbers[BARE.len() + 1..]);
    for (what, load) in ["single", "batches"].into_iter().zip(load) {
        let ratios = load.iter().zip(bare).map(|(load, bare)| load * 100 / bare);
        println!("{:>7}% of bare: {what}", median(ratios.collect()));
    }
    for ((_, what), numbers) in BARE.into_iter().chain(LOAD).zip(numbers) {
        println!("{:>8}  {what}  {numbers:?}", median(numbers.clone()));
    }
}

fn median(mut numbers: Vec<u64>) -> u64 {
    numbers.sort_unstable();
    numbers[ROUNDS / 2]
}

async fn said(node: &TestNode, image: &str, id: &str) -> String {
    let mut board = TestBoard::start_image(image, node, id);
    let ended = board.ended(|| ()).await;
    assert_eq!(ended, Some(0), "{}", board.console());
    board.console()
}

/// The number behind these words, where they stand for the `skip`th time.
fn number(console: &str, words: &str, skip: usize) -> u64 {
    let mut found = console.split(words).skip(1 + skip);
    let digits = found.next().and_then(|rest| rest.split(' ').next());
    digits.and_then(|it| it.parse().ok()).expect(console)
}
