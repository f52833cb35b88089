//! Microcontrollers in QEMU: from their boot through DHCP and TCP into a node and out at its sink.

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
