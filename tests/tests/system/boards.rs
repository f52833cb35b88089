//! Microcontrollers in QEMU: from their boot through DHCP and TCP into a node and out at its sink.

mod orders;
mod storm;

use std::{collections::BTreeSet, ops::ControlFlow};

use flash_model::{Flash, Geometry};
use serde_json::Value;
use tests::{Boot, ImageSize, TestBoard, TestCloud, TestNode, wait_for_progress, wait_until};

#[tokio::test]
async fn readings_of_a_board_reach_the_sink_each_as_an_event_of_its_own() {
    let cloud = TestCloud::start().await;
    let node = node_for_devices(&cloud).await;
    let board = TestBoard::start(&node, "pump-7");
    wait_for(&cloud, &board, 3).await;

    for event in board.arrived(&cloud) {
        assert_eq!(event.attribute("type"), "edge.reading.v1");
        assert_eq!(event.attribute("datacontenttype"), "application/json");
        let reading: Value = serde_json::from_slice(&event.data).unwrap();
        let temperature = reading["temperature"].as_f64().unwrap();
        let humidity = reading["humidity"].as_f64().unwrap();
        assert!((15.0..=30.0).contains(&temperature) && (30.0..=70.0).contains(&humidity));
    }
    let boots = Boot::all(&board.arrived(&cloud)).unwrap();
    assert_eq!(boots.len(), 1, "{boots:?}");
    assert_eq!(boots[0].boot, 1);
}

#[tokio::test]
async fn ten_boards_at_once_each_have_their_readings_at_the_sink() {
    let cloud = TestCloud::start().await;
    let node = node_for_devices(&cloud).await;
    let boards: Vec<_> = (0..10)
        .map(|number| TestBoard::start(&node, &format!("pump-{number}")))
        .collect();
    let mut incarnations = BTreeSet::new();
    for board in &boards {
        wait_for(&cloud, board, 3).await;
        let boots = Boot::all(&board.arrived(&cloud)).unwrap();
        assert_eq!(boots.len(), 1, "{}: {boots:?}", board.id());
        incarnations.insert(boots[0].incarnation);
    }
    assert_eq!(incarnations.len(), 10, "each board has numbers of its own");
}

/// What is said to be in flash is the oracle: the board says it behind each commit.
#[tokio::test]
async fn each_reading_in_flash_arrives_once_in_order_through_resets_a_kill_and_a_cut_link() {
    let cloud = TestCloud::start().await;
    let mut node = node_for_devices(&cloud).await;
    let board = TestBoard::start(&node, "pump-7");
    wait_for(&cloud, &board, 2).await;

    node.kill().await;
    wait_until("the board misses the node", async || {
        board.console().contains("the link to the node is lost")
    })
    .await;
    wait_for_commits(&board, 2).await;
    board.reset();
    wait_for_commits(&board, 2).await;
    node.start_again().await;
    wait_for_commits(&board, 1).await;
    all_arrived(&cloud, &board, 2).await;

    board.cut_link();
    wait_for_commits(&board, 2).await;
    board.reset();
    wait_for_commits(&board, 2).await;
    board.mend_link();
    wait_for_commits(&board, 1).await;
    all_arrived(&cloud, &board, 3).await;
}

#[tokio::test]
async fn what_the_node_has_acknowledged_is_not_sent_again_after_a_reset() {
    let cloud = TestCloud::start().await;
    let node = node_for_devices(&cloud).await;
    // More patient than the application: an answer that comes late has a board send again what is stored already.
    let board = TestBoard::start_image("least", &node, "pump-7");
    wait_for(&cloud, &board, 3).await;
    board.reset();
    wait_until("the board is up again", async || {
        Boot::all(&board.arrived(&cloud)).unwrap().len() >= 2
    })
    .await;
    assert_eq!(node.status().await["devices"]["repeats"], 0);
}

#[tokio::test]
async fn a_board_that_was_never_provisioned_says_so_and_stops() {
    let mut board = TestBoard::start_with_block("board", &[0xff; 8192], "nobody");
    assert_eq!(board.ended(|| ()).await, Some(1));
    let said = board.console();
    assert!(
        said.contains("write one with `provision` and flash it"),
        "{said}"
    );
}

/// The oracle is the flash model on the host: given the memory at the reset and the board's seed, it says what the board
/// must find. Reset until a write and an erase were cut.
#[tokio::test]
async fn a_flash_keeps_its_pages_over_a_reset_and_the_operation_in_flight_is_done_in_part() {
    let board = TestBoard::start_with_block("flash", &[0xff; 8192], "flash");
    let mut cut = [0; 3];
    let mut in_part = 0;
    for boot in (1..MOST_BOOTS).step_by(2) {
        seed_of(&board, boot).await;
        board.pause();
        let before = board.memory(FLASH, FLASH_MEMORY);
        board.reset();
        let seed = seed_of(&board, boot + 1).await;
        let after = board.memory(FLASH, FLASH_MEMORY);

        let expected = OnHost::power_on(before.clone(), seed).into_memory();
        assert!(
            after == expected,
            "boot {boot}: what is there is not what the cut left"
        );
        in_part += usize::from(before[..FLASH_DATA] != after[..FLASH_DATA]);
        cut[usize::from(before[FLASH_JOURNAL])] += 1;
        if cut[1] > 0 && cut[2] > 0 && in_part > 1 {
            println!("resets between operations, in writes, in erases: {cut:?}");
            return;
        }
        board.reset();
    }
    panic!("no reset came at the right time: {cut:?}, {in_part} left something in part");
}

/// About every fifth reset meets an operation.
const MOST_BOOTS: u32 = 200;

type OnHost = Flash<Vec<u8>, 4096, 4>;

/// Where `firmware/boards/mps2/src/flash.rs` has the model's memory.
const FLASH: u32 = 0x2110_0010;
const FLASH_DATA: usize = 64 * 4096;
const FLASH_MEMORY: usize = Geometry::<4096, 4>::memory_len(64);
/// The model's note of what is in flight: its head of 8 bytes and two words are last.
const FLASH_JOURNAL: usize = FLASH_MEMORY - 16;

/// The seed that the board said at this boot; waits for it.
async fn seed_of(board: &TestBoard, boot: u32) -> u64 {
    let said = format!("boot {boot}, seed ");
    let mut seed = None;
    wait_until("the board is on", async || {
        let console = board.console();
        let lines = console.split_inclusive('\n');
        let mut found =
            lines.filter_map(|line| line.strip_suffix('\n')?.trim().strip_prefix(&said));
        seed = found.next_back().map(|seed| seed.parse().unwrap());
        seed.is_some()
    })
    .await;
    seed.unwrap()
}

/// Executor, network, DHCP, TCP, MQTT 5, every part of the client, and the model that stands for a flash driver.
const PRODUCT: Most = Most {
    flash: 88_000,
    above_network: 56_000,
    ram: 20_000,
};
/// The same for `least`: nothing but the outbox, the compact encoding and the link. To reach are 72,000, 40,000 and 16,000:
/// docs/proof.md names it as open.
const LEAST: Most = Most {
    flash: 81_500,
    above_network: 45_600,
    ram: 18_500,
};

/// What an image may take, in bytes.
struct Most {
    flash: u64,
    /// Of the flash, what `below` does not take.
    above_network: u64,
    /// With the stack.
    ram: u64,
}

#[tokio::test]
async fn the_product_keeps_within_its_flash_and_its_ram_with_stack() {
    keeps_within("board", &PRODUCT).await;
}

#[tokio::test]
async fn the_least_client_keeps_within_its_flash_and_its_ram_with_stack() {
    keeps_within("least", &LEAST).await;
}

async fn keeps_within(image: &str, most: &Most) {
    let (size, below) = (ImageSize::of_product(image), ImageSize::of_product("below"));
    let cloud = TestCloud::start().await;
    let mut node = node_for_devices(&cloud).await;
    let board = TestBoard::start_product(image, &node, "pump-7");
    wait_for(&cloud, &board, 2).await;
    // The deepest calls: an outbox that is opened with readings in it, a birth, and a table.
    node.kill().await;
    board.reset();
    node.start_again().await;
    wait_until("it publishes after its reset", async || {
        Boot::all(&board.arrived(&cloud)).unwrap().len() >= 2
    })
    .await;
    board.pause();

    // QEMU's memory is zero until it is written to.
    let ram = board.memory(RAM_END - 0x1_0000, 0x1_0000);
    let untouched = ram.iter().take_while(|byte| **byte == 0).count();
    let stack = (ram.len() - untouched) as u64;
    let above_network = size.flash - below.flash;
    println!("{image}: {size:?}, {stack} of stack, {above_network} of the flash above the network");
    assert!(stack > 0, "there is a stack where it was looked for");
    assert!(size.flash <= most.flash, "{size:?}");
    assert!(above_network <= most.above_network, "{size:?}, {below:?}");
    assert!(size.ram + stack <= most.ram, "{size:?}, {stack} of stack");
}

/// The stack begins here and grows down.
const RAM_END: u32 = 0x2040_0000;

#[tokio::test]
async fn the_bare_image_ends_well_when_all_its_publishes_are_acknowledged() {
    let cloud = TestCloud::start().await;
    let node = TestNode::builder().uplink(&cloud).start().await;
    let mut board = TestBoard::start_image("bare", &node, "bare");
    let ended = board.ended(|| cloud.requests()).await;
    assert_eq!(ended, Some(0), "{}", board.console());
    println!("{}", board.console());
    wait_for_progress("all are at the cloud", async || {
        match cloud.received().len() {
            2000.. => ControlFlow::Break(()),
            fewer => ControlFlow::Continue(fewer),
        }
    })
    .await;
    assert_eq!(cloud.received().len(), 2000);
}

/// What `load` publishes: the first event, 2,000 one in a message, and 300 messages of twenty.
const LOAD: u64 = 1 + 2_000 + 300 * 20;

#[tokio::test]
async fn the_client_under_load_loses_nothing_and_repeats_nothing() {
    let cloud = TestCloud::start().await;
    let node = node_for_devices(&cloud).await;
    let mut board = TestBoard::start_image("load", &node, "load");
    let ended = board.ended(|| cloud.requests()).await;
    assert_eq!(ended, Some(0), "{}", board.console());
    wait_for_progress("all are at the cloud", async || {
        let boots = Boot::all(&board.arrived(&cloud)).unwrap();
        match boots.first().map_or(0, |boot| boot.last) {
            LOAD.. => ControlFlow::Break(()),
            fewer => ControlFlow::Continue(fewer),
        }
    })
    .await;
    let boots = Boot::all(&board.arrived(&cloud)).unwrap();
    assert_eq!((boots.len(), boots[0].last), (1, LOAD));
    assert_eq!(node.status().await["devices"]["repeats"], 0);
}

/// Waits until `count` events of `board` are at the cloud; if they do not come, tells what the board said.
async fn wait_for(cloud: &TestCloud, board: &TestBoard, count: usize) {
    struct Told<'a>(&'a TestBoard);
    impl Drop for Told<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                println!("{}:\n{}", self.0.id(), self.0.console());
            }
        }
    }
    let _told = Told(board);
    wait_until("the board's readings are at the cloud", async || {
        board.arrived(cloud).len() >= count
    })
    .await;
}

/// A node that forwards what devices publish.
async fn node_for_devices(cloud: &TestCloud) -> TestNode {
    TestNode::builder()
        .config("[devices]\n")
        .uplink(cloud)
        .start()
        .await
}

/// Waits until so many more readings are in flash of the board's newest boot.
async fn wait_for_commits(board: &TestBoard, count: u64) {
    let total = || {
        (
            board.commits().len(),
            board.commits().last().copied().unwrap_or(0),
        )
    };
    let (boot, before) = total();
    wait_until("more readings are in flash", async || {
        let (newest, committed) = total();
        committed >= count + if newest > boot { 0 } else { before }
    })
    .await;
}

/// Waits until all that the board has said to be in flash is at the cloud, of so many boots; and nothing beside it but
/// the reading of each boot that a reset kept from being said.
async fn all_arrived(cloud: &TestCloud, board: &TestBoard, count: usize) {
    let committed = board.commits();
    assert_eq!(committed.len(), count, "{}", board.console());
    let due = committed[count - 1];
    wait_until("all of the newest boot is at the cloud", async || {
        let boots = Boot::all(&board.arrived(cloud)).unwrap();
        boots.len() == count && boots[count - 1].last >= due
    })
    .await;
    let boots = Boot::all(&board.arrived(cloud)).unwrap();
    let (_, earlier) = boots.split_last().expect("there is one");
    for (boot, committed) in earlier.iter().zip(committed) {
        let unsaid = boot.last - committed;
        assert!(unsaid <= 1, "{boot:?}, {committed} said to be in flash");
    }
    let incarnations: BTreeSet<_> = boots.iter().map(|boot| boot.incarnation).collect();
    assert_eq!(incarnations.len(), 1, "{boots:?}");
}
