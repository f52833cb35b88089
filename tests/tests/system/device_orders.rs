//! Commands to devices that others than an operator order: events of the mesh, and callers that ask again.

use serde_json::Value;
use tests::{Device, TestCloud, TestNode, get, request, wait_until};
use wire::{
    birth::encode_result,
    command::{Command, CommandId, Outcome},
};

use super::devices::birth;

/// The hub forwards orders to the node at the edge, and the edge the replies to the hub.
#[tokio::test]
async fn an_event_of_the_mesh_orders_a_command_once_and_its_reply_comes_back_as_an_event() {
    let cloud = TestCloud::start().await;
    let mut hub = TestNode::start().await;
    let back = uplink("hub", "eventmesh-http", hub.http(), "reply/#");
    let edge = TestNode::builder().config("[devices]\ncommand-events = true\n");
    let mut edge = edge.config(&back).start().await;
    let up = format!(
        "[[uplink]]\nname = \"cloud\"\nkind = \"http\"\nendpoints = [\"{}\"]\nfrom = [\"reply/#\"]\n",
        cloud.url()
    );
    hub.configure(&(uplink("edge", "eventmesh-grpc", edge.grpc(), "command/#") + &up));
    hub.stop().await;
    hub.start_again().await;

    drop(ready(&edge).await);
    for _ in 0..2 {
        order(&hub, "order-1").await;
    }
    wait_until("the order is at the edge", async || {
        !commands(&edge).await.is_empty()
    })
    .await;
    hub.wait_until_drained("edge").await;
    edge.restart().await;
    let mut device = ready(&edge).await;
    let id = command(&mut device).await;
    let mut bytes = [0; 64];
    let result = encode_result(id, Outcome::Done, b"40 %", &mut bytes).unwrap();
    device.publish("b/pump-7", result.to_vec()).await.unwrap();
    order(&hub, "order-1").await;
    edge.wait_until_drained("hub").await;
    hub.wait_until_drained("edge").await;
    hub.wait_until_drained("cloud").await;

    let kept = commands(&edge).await;
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(kept[0]["outcome"], "done");
    let replies = cloud.received();
    assert_eq!(replies.len(), 1, "{replies:?}");
    let attributes = ["type", "source", "correlationid", "id"].map(|it| replies[0].attribute(it));
    let called = format!("{:08x}-{}", id.origin, id.seq);
    let source = "urn:edge-device:pump-7";
    assert_eq!(
        attributes,
        ["edge.command.reply.v1", source, "order-1", &called]
    );
    let said: Value = serde_json::from_slice(&replies[0].data).unwrap();
    assert_eq!(said["state"], "ended");
    assert_eq!(said["data_base64"], "NDAgJQ==");
}

#[tokio::test]
async fn a_request_that_is_sent_again_with_its_key_makes_one_command() {
    let mut node = TestNode::builder().config("[devices]\n").start().await;
    drop(ready(&node).await);
    let first = ask(&node, "valve-1").await;
    assert_eq!(ask(&node, "valve-1").await, first);
    node.kill().await;
    node.start_again().await;
    assert_eq!(ask(&node, "valve-1").await, first);
    assert_ne!(ask(&node, "valve-2").await, first);
    assert_eq!(commands(&node).await.len(), 2);
}

fn uplink(name: &str, kind: &str, to: std::net::SocketAddr, from: &str) -> String {
    format!(
        "[[uplink]]\nname = \"{name}\"\nkind = \"{kind}\"\nendpoints = [\"http://{to}\"]\nfrom = [\"{from}\"]\n"
    )
}

/// Publishes an event that has pump-7 open.
async fn order(hub: &TestNode, id: &str) {
    let headers =
        format!("ce-specversion: 1.0\r\nce-id: {id}\r\nce-source: /cloud\r\nce-type: order\r\n");
    let path = "/events/publish?topic=command/pump-7";
    post(hub, path, &headers, r#"{"name":"open"}"#).await;
}

/// What the command is called.
async fn ask(node: &TestNode, key: &str) -> Value {
    let headers = format!("idempotency-key: {key}\r\n");
    let path = "/api/v1/devices/pump-7/commands";
    let answer = post(node, path, &headers, r#"{"name":"open"}"#).await;
    serde_json::from_str::<Value>(&answer).unwrap()["id"].take()
}

async fn post(node: &TestNode, path: &str, headers: &str, body: &str) -> String {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let answer = request(node.http(), &head, body.as_bytes()).await;
    assert_eq!(answer.code, 202, "{}", answer.body);
    answer.body
}

async fn commands(node: &TestNode) -> Vec<Value> {
    let answer = get(node.http(), "/api/v1/devices/pump-7/commands").await;
    serde_json::from_str(&answer.body).unwrap()
}

/// The device on a new connection on which it hears commands, born.
async fn ready(node: &TestNode) -> Device {
    let mut device = node.connect("pump-7").await;
    for channel in ["a", "c"] {
        device.subscribe(&format!("{channel}/pump-7"), 0).await;
    }
    device.publish("b/pump-7", birth()).await.unwrap();
    device
}

/// The next command that comes down.
async fn command(device: &mut Device) -> CommandId {
    loop {
        let said = device.next_message().await.unwrap();
        if said.topic == "c/pump-7" {
            match Command::decode(&said.payload) {
                Ok(Command::Run { id, .. }) => return id,
                other => panic!("no command: {other:?}"),
            }
        }
    }
}
