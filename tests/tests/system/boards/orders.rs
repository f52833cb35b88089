//! What goes down to a board: commands and configurations.

use base64::{Engine, engine::general_purpose::STANDARD};
use configuration::{COPY_BYTES, encode};
use serde_json::{Value, json};
use tests::{Detour, TestBoard, TestCloud, TestNode, board_settings, get, request, wait_until};

use super::{node_for_devices, wait_for};

#[tokio::test]
async fn a_command_over_http_runs_once_through_repeats_and_resets_before_its_reply() {
    let cloud = TestCloud::start().await;
    let node = node_for_devices(&cloud).await;
    let detour = Detour::to(&node);
    let board = TestBoard::start_over(&detour, "pump-7");
    wait_for(&cloud, &board, 1).await;

    detour.lose_replies(true);
    let id = order(&node, &json!({ "name": "echo", "data": "hello" })).await;
    replies_lost(&detour, 1).await;
    board.reset();
    replies_lost(&detour, 2).await;
    detour.lose_replies(false);
    board.reset();
    let ended = ended(&node, &id).await;
    assert_eq!(ended["outcome"], "done");
    assert_eq!(ended["data_base64"], STANDARD.encode("\"hello\""));
    assert_eq!(said(&board, "an echo of 7 bytes"), 1, "{}", board.console());
    assert_eq!(said(&board, " of incarnation "), 3, "{}", board.console());
}

#[tokio::test]
async fn what_a_command_sets_is_set_once_and_outlives_resets() {
    let cloud = TestCloud::start().await;
    let node = node_for_devices(&cloud).await;
    let detour = Detour::to(&node);
    let board = TestBoard::start_over(&detour, "pump-7");
    wait_for(&cloud, &board, 1).await;

    detour.lose_replies(true);
    let id = order(&node, &json!({ "name": "period", "data": 250 })).await;
    replies_lost(&detour, 1).await;
    detour.lose_replies(false);
    board.reset();
    assert_eq!(ended(&node, &id).await["outcome"], "done");
    let times = said(&board, "a reading every 250 ms");
    assert_eq!(
        times,
        2,
        "by the command, and at the start: {}",
        board.console()
    );

    for (data, outcome) in [(json!(99), "malformed"), (json!("fast"), "malformed")] {
        let id = order(&node, &json!({ "name": "period", "data": data })).await;
        assert_eq!(ended(&node, &id).await["outcome"], outcome);
    }
    let id = order(&node, &json!({ "name": "fly" })).await;
    assert_eq!(ended(&node, &id).await["outcome"], "unknown");
    assert_eq!(said(&board, "a reading every "), 2);
}

#[tokio::test]
async fn a_configuration_holds_once_it_reached_the_node_and_is_undone_where_it_did_not() {
    let cloud = TestCloud::start().await;
    let node = node_for_devices(&cloud).await;
    let board = TestBoard::start(&node, "pump-7");
    wait_for(&cloud, &board, 1).await;

    let detour = Detour::to(&node);
    configure(&node, detour.address().port()).await;
    wanted(&node, "applied").await;
    assert!(detour.connections() >= 1, "{}", board.console());
    assert_eq!(device(&node).await["configuration"], 1);

    configure(&node, NOBODY).await;
    wait_until("it is tried", async || {
        said(&board, "configuration 2 is to be tried") == 1
    })
    .await;
    wait_until("it is undone", async || {
        said(&board, "configuration 2 is undone") == 1
    })
    .await;
    wanted(&node, "undone").await;
    assert_eq!(device(&node).await["configuration"], 1, "the one before");
    let before = detour.connections();
    board.reset();
    wait_until("it is there again on the same way", async || {
        detour.connections() > before
    })
    .await;
    assert_eq!(said(&board, "is to be tried"), 2, "once each");
}

/// A port that nobody listens on.
const NOBODY: u16 = 1;

async fn order(node: &TestNode, command: &Value) -> String {
    let path = "/api/v1/devices/pump-7/commands";
    let answer = send(node, "POST", path, command).await;
    answer["id"].as_str().unwrap().to_owned()
}

/// Has the board look for its node on another port.
async fn configure(node: &TestNode, port: u16) {
    let mut copy = [0; COPY_BYTES];
    encode(&board_settings(port, "pump-7"), 1, &mut copy).unwrap();
    let body = json!({ "data_base64": STANDARD.encode(copy) });
    send(node, "PUT", "/api/v1/devices/pump-7/configuration", &body).await;
}

async fn send(node: &TestNode, method: &str, path: &str, body: &Value) -> Value {
    let body = body.to_string();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let answer = request(node.http(), &head, body.as_bytes()).await;
    assert_eq!(answer.code, 202, "{}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

/// The command once it is over.
async fn ended(node: &TestNode, id: &str) -> Value {
    let path = format!("/api/v1/devices/pump-7/commands/{id}");
    let mut command = Value::Null;
    wait_until("the command is over", async || {
        command = serde_json::from_str(&get(node.http(), &path).await.body).unwrap();
        command["state"] == "ended"
    })
    .await;
    command
}

/// Waits until the board has said this of the configuration it was given.
async fn wanted(node: &TestNode, state: &str) {
    wait_until(
        "the board says what became of its configuration",
        async || device(node).await["wanted"]["state"] == state,
    )
    .await;
}

async fn device(node: &TestNode) -> Value {
    let answer = get(node.http(), "/api/v1/devices/pump-7").await;
    serde_json::from_str(&answer.body).unwrap()
}

async fn replies_lost(detour: &Detour, count: usize) {
    wait_until("a reply is lost", async || detour.lost_replies() >= count).await;
}

fn said(board: &TestBoard, what: &str) -> usize {
    board.console().matches(what).count()
}
