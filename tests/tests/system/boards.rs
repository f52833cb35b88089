//! Microcontrollers in QEMU: from their boot through DHCP and TCP into a node and out at its sink.

use flash_model::{Flash, Geometry};
use serde_json::Value;
use tests::{Received, TestBoard, TestCloud, TestNode, wait_until};

#[tokio::test]
async fn readings_of_a_board_reach_the_sink_each_as_an_event_of_its_own() {
    let cloud = TestCloud::start().await;
    let node = TestNode::builder().uplink(&cloud).start().await;
    let board = TestBoard::start(&node, "pump-7");
    wait_for(&cloud, &board, 3).await;

    let events = of(&cloud, &board);
    let incarnation = incarnations(&events);
    assert_eq!(incarnation.len(), 1, "one boot, one incarnation");
    for (event, sequence) in events.iter().zip(1..) {
        assert_eq!(
            event.attribute("id"),
            format!("{}-{sequence}", incarnation[0])
        );
        assert_eq!(event.attribute("type"), "edge.reading.v1");
        assert_eq!(event.attribute("datacontenttype"), "application/json");
        assert_eq!(event.attribute("dropped"), "", "nothing was");
        let reading: Value = serde_json::from_slice(&event.data).unwrap();
        let temperature = reading["temperature"].as_f64().unwrap();
        let humidity = reading["humidity"].as_f64().unwrap();
        assert!((15.0..=30.0).contains(&temperature) && (30.0..=70.0).contains(&humidity));
    }
}

#[tokio::test]
async fn ten_boards_at_once_each_have_their_readings_at_the_sink() {
    let cloud = TestCloud::start().await;
    let node = TestNode::builder().uplink(&cloud).start().await;
    let boards: Vec<_> = (0..10)
        .map(|number| TestBoard::start(&node, &format!("pump-{number}")))
        .collect();
    let mut all = Vec::new();
    for board in &boards {
        wait_for(&cloud, board, 3).await;
        let incarnations = incarnations(&of(&cloud, board));
        assert_eq!(incarnations.len(), 1, "{}", board.id());
        all.extend(incarnations);
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 10, "each board has numbers of its own");
}

#[tokio::test]
async fn readings_taken_while_the_node_is_away_come_in_order_when_it_is_back() {
    let cloud = TestCloud::start().await;
    let mut node = TestNode::builder().uplink(&cloud).start().await;
    let board = TestBoard::start(&node, "pump-7");
    wait_for(&cloud, &board, 2).await;
    let before = board.console().matches("no link to the node").count();
    node.kill().await;
    wait_until("the board misses the node", async || {
        board.console().matches("no link to the node").count() > before
    })
    .await;
    node.start_again().await;
    let so_far = of(&cloud, &board).len();
    wait_for(&cloud, &board, so_far + 3).await;

    let events = of(&cloud, &board);
    let incarnations = incarnations(&events);
    assert_eq!(incarnations.len(), 1);
    let mut expected = 1;
    for event in &events {
        let id = event.attribute("id");
        // The reading in flight at the kill may come twice, as the same event; none is missing.
        let sequence: u32 = id.rsplit_once('-').unwrap().1.parse().unwrap();
        assert!(
            sequence == expected || sequence + 1 == expected,
            "{id} where {expected} is due"
        );
        expected = expected.max(sequence + 1);
    }
}

#[tokio::test]
async fn a_board_that_is_reset_publishes_on_under_new_ids() {
    let cloud = TestCloud::start().await;
    let node = TestNode::builder().uplink(&cloud).start().await;
    let board = TestBoard::start(&node, "pump-7");
    wait_for(&cloud, &board, 2).await;
    board.reset();
    wait_until("it publishes after its reset", async || {
        incarnations(&of(&cloud, &board)).len() == 2
    })
    .await;
    let mut ids: Vec<_> = of(&cloud, &board).iter().map(Received::identity).collect();
    let events = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), events, "no id is used twice");
}

#[tokio::test]
async fn a_board_that_was_never_provisioned_says_so_and_stops() {
    let mut board = TestBoard::start_with_block("board", &[0xff; 8192], "nobody");
    assert_eq!(board.ended().await, Some(1));
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

#[tokio::test]
async fn the_bare_image_ends_well_when_all_its_publishes_are_acknowledged() {
    let cloud = TestCloud::start().await;
    let node = TestNode::builder().uplink(&cloud).start().await;
    let mut board = TestBoard::start_image("bare", &node, "bare");
    assert_eq!(board.ended().await, Some(0), "{}", board.console());
    println!("{}", board.console());
    wait_until("all are at the cloud", async || {
        cloud.received().len() >= 2000
    })
    .await;
    assert_eq!(cloud.received().len(), 2000);
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
        of(cloud, board).len() >= count
    })
    .await;
}

/// The events of `board`, as they came.
fn of(cloud: &TestCloud, board: &TestBoard) -> Vec<Received> {
    let source = format!("/devices/{}", board.id());
    let mut events = cloud.received();
    events.retain(|event| event.attribute("source") == source);
    events
}

/// The first parts of the ids, each once, in order of appearance.
fn incarnations(events: &[Received]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for event in events {
        let id = event.attribute("id");
        let incarnation = id
            .split_once('-')
            .map_or(id, |(incarnation, _)| incarnation);
        if !found.iter().any(|known| known == incarnation) {
            found.push(incarnation.to_owned());
        }
    }
    found
}
