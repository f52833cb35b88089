//! Microcontrollers without hardware: boards in QEMU, a node on this machine, and what arrives behind it. One board is
//! reset, and one loses its link for a while. Status 0 if every reading that was in flash arrived, in order.
//!
//! ```sh
//! cargo run -p tests --features boards --example boards -- 3     # how many boards, 2 to 20
//! ```
#![expect(clippy::print_stdout, reason = "it talks to whoever runs it")]

use std::process::ExitCode;

use tests::{Boot, Received, TestBoard, TestCloud, TestNode, wait_until};

const BOARDS: usize = 3;
const MOST_BOARDS: usize = 20;
/// How many readings go to flash while something is amiss.
const SOME: u64 = 3;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let asked = std::env::args().nth(1);
    let count = asked.map_or(Ok(BOARDS), |asked| asked.parse());
    let Some(count) = count.ok().filter(|it| (2..=MOST_BOARDS).contains(it)) else {
        println!("how many boards? A number from 2 to {MOST_BOARDS}");
        return ExitCode::from(2);
    };
    println!("building the node and the image for the boards (minutes, the first time) …");
    let cloud = TestCloud::start().await;
    let node = TestNode::builder().config("[devices]\n").uplink(&cloud);
    let node = node.start().await;
    let boards: Vec<_> = (1..=count)
        .map(|number| TestBoard::start(&node, &format!("pump-{number}")))
        .collect();
    println!(
        "{count} boards (mps2-an385 in QEMU) publish to the node at {}",
        node.mqtt()
    );
    for board in &boards {
        wait_until("its first reading is at the cloud", async || {
            !board.arrived(&cloud).is_empty()
        })
        .await;
        board.arrived(&cloud).first().into_iter().for_each(show);
    }
    if let [first, second, ..] = boards.as_slice() {
        println!(
            "the link of {} is cut, and {} is reset …",
            second.id(),
            first.id()
        );
        second.cut_link();
        first.reset();
        wait_for_commits(second, SOME).await;
        wait_for_commits(first, SOME).await;
        second.mend_link();
        println!("… and mended: what was measured meanwhile comes late");
    }
    tell(&cloud, &boards).await
}

async fn wait_for_commits(board: &TestBoard, count: u64) {
    let before: u64 = board.commits().iter().sum();
    wait_until("more readings are in flash", async || {
        board.commits().iter().sum::<u64>() >= before + count
    })
    .await;
}

fn show(event: &Received) {
    println!(
        "  CloudEvent type={} source={} id={} data={}",
        event.attribute("type"),
        event.attribute("source"),
        event.attribute("id"),
        String::from_utf8_lossy(&event.data),
    );
}

/// Whether each boot has what was in flash of it.
fn has(boots: &[Boot], committed: &[u64]) -> bool {
    let mut both = boots.iter().zip(committed);
    boots.len() == committed.len() && both.all(|(boot, committed)| boot.last >= *committed)
}

/// The table at the end: what was in flash by now, and what of it arrived.
async fn tell(cloud: &TestCloud, boards: &[TestBoard]) -> ExitCode {
    println!("\nboard      boot  in flash  arrived");
    let mut is_whole = true;
    for board in boards {
        let committed = board.commits();
        wait_until("what is in flash is at the cloud", async || {
            Boot::all(&board.arrived(cloud)).map_or(true, |boots| has(&boots, &committed))
        })
        .await;
        match Boot::all(&board.arrived(cloud)) {
            Ok(boots) => {
                is_whole &= has(&boots, &committed);
                for (boot, committed) in boots.iter().zip(committed) {
                    println!(
                        "{:<10} {:>4} {committed:>9} {:>8}",
                        board.id(),
                        boot.boot,
                        boot.last
                    );
                }
            }
            Err(why) => {
                println!("{:<10} {why}", board.id());
                is_whole = false;
            }
        }
    }
    if is_whole {
        println!("\nevery reading arrived, in order");
        ExitCode::SUCCESS
    } else {
        println!("\nreadings are missing or out of order");
        ExitCode::FAILURE
    }
}
