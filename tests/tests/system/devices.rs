//! Devices that speak the compact format, on a running node.

use std::{collections::BTreeSet, path::Path, process::Command};

use tests::{Device, TestCloud, TestNode, birth_with, edge_node, wait_until};
use wire::{
    Mark, Stream,
    answer::Answer,
    birth::encode_result,
    command::{Command as Down, Outcome},
    envelope::{BatchEncoder, Head},
    kind::{Field, Kind, Scalar, Shape},
};

const READING: Kind<'static> = Kind {
    event_type: "pump.reading",
    version: 1,
    fields: &[Field {
        name: "n",
        scalar: Scalar::U8,
        shape: Shape::One,
    }],
};
fn stream() -> Stream {
    Stream::new(0).expect("0 is a stream")
}

pub(crate) fn birth() -> Vec<u8> {
    birth_with(READING)
}

fn batch(first: u8, count: u8) -> Vec<u8> {
    let head = Head {
        incarnation: None,
        stream: stream(),
        mark: Mark {
            boot: 1,
            seq: first.into(),
        },
        uptime_ms: 5_000,
        kind: READING.id(),
    };
    let mut bytes = [0; 4096];
    let mut batch = BatchEncoder::new(&head, &mut bytes).expect("a batch");
    for n in first..first + count {
        batch.push(5_000, &[n]).expect("room");
    }
    batch.finish().to_vec()
}

/// A device on a new connection, born; and how far the node says it is.
async fn born(node: &TestNode, name: &str) -> (Device, u64) {
    let mut device = node.connect(name).await;
    device.subscribe(&format!("a/{name}"), 0).await;
    device
        .publish(&format!("b/{name}"), birth())
        .await
        .expect("the node takes a birth");
    let said = device
        .next_message()
        .await
        .expect("the node says something");
    let Ok(Answer::Welcome(_, stored)) = Answer::decode(&said.payload) else {
        panic!("no welcome: {said:?}");
    };
    let mark = stored.iter().next().map_or(0, |it| it.mark.seq);
    (device, mark)
}

/// Waits until the node has everything up to `seq`.
async fn acknowledged(device: &mut Device, seq: u64) {
    loop {
        let said = device
            .next_message()
            .await
            .expect("the node says something");
        if let Ok(Answer::Ack(stored)) = Answer::decode(&said.payload)
            && stored.iter().any(|it| it.mark.seq >= seq)
        {
            return;
        }
    }
}

#[tokio::test]
async fn events_of_a_device_arrive_once_with_its_ids_through_a_kill() {
    let mut cloud = TestCloud::start().await;
    let mut node = TestNode::builder()
        .config("[devices]\n")
        .uplink(&cloud)
        .start()
        .await;
    cloud.go_offline().await;
    let (mut device, mark) = born(&node, "pump-7").await;
    assert_eq!(mark, 0);
    device
        .publish("d/pump-7", batch(1, 20))
        .await
        .expect("taken");
    acknowledged(&mut device, 20).await;

    node.restart().await;
    let (mut device, mark) = born(&node, "pump-7").await;
    assert_eq!(mark, 20, "the mark came with its events");
    // The device did not hear of it and sends half of the batch again.
    device
        .publish("d/pump-7", batch(11, 20))
        .await
        .expect("taken");
    acknowledged(&mut device, 30).await;
    let status = node.status().await;
    let counted = ["events", "repeats", "missing"].map(|it| status["devices"][it].as_u64());
    assert_eq!(counted, [Some(10), Some(10), Some(0)], "since the start");

    cloud.go_online().await;
    node.wait_until_drained("cloud").await;
    let received = cloud.received();
    let ids: BTreeSet<_> = received
        .iter()
        .map(|it| it.attribute("id").to_owned())
        .collect();
    let sent = (1..=30).map(|seq| format!("00c0ffee00000001-0-{seq}"));
    assert_eq!(ids, sent.collect());
    assert_eq!(received.len(), 30, "once each");
    let last = received
        .iter()
        .find(|it| it.attribute("id").ends_with("-30"));
    let last = last.expect("it is there");
    assert_eq!(last.data, br#"{"n":30}"#);
    assert_eq!(last.attribute("type"), "pump.reading");
    assert_eq!(last.attribute("source"), "urn:edge-device:pump-7");
}

#[tokio::test]
async fn data_goes_on_as_it_came_where_the_operator_wants_it_so() {
    let cloud = TestCloud::start().await;
    let node = TestNode::builder()
        .config("[devices]\ndata = \"postcard\"\n")
        .uplink(&cloud)
        .start()
        .await;
    let (mut device, _) = born(&node, "pump-7").await;
    device
        .publish("d/pump-7", batch(1, 1))
        .await
        .expect("taken");
    acknowledged(&mut device, 1).await;
    node.wait_until_drained("cloud").await;
    let received = cloud.received();
    assert_eq!(received[0].data, [1]);
    let said = ["datacontenttype", "dataschema"].map(|it| received[0].attribute(it));
    assert_eq!(
        said,
        ["application/x-postcard", "urn:edge-kind:pump.reading:1"]
    );
}

#[tokio::test]
async fn a_command_over_http_reaches_its_device_through_a_kill() {
    let mut node = TestNode::builder().config("[devices]\n").start().await;
    drop(born(&node, "pump-7").await);
    let ordered = run(
        &["device", "command", "pump-7", "open", "--with", "[40]"],
        &node.data(),
    );
    let id = ordered.trim();
    node.restart().await;
    let mut device = node.connect("pump-7").await;
    for channel in ["a", "c"] {
        device.subscribe(&format!("{channel}/pump-7"), 1).await;
    }
    device
        .publish("b/pump-7", birth())
        .await
        .expect("the node takes a birth");
    let command = loop {
        let said = device
            .next_message()
            .await
            .expect("the node says something");
        if said.topic == "c/pump-7" {
            break said.payload;
        }
    };
    let Ok(Down::Run {
        id: ran,
        name,
        data,
    }) = Down::decode(&command)
    else {
        panic!("no command: {command:?}");
    };
    assert_eq!(id, format!("{:08x}-{}", ran.origin, ran.seq));
    assert_eq!((name, data), ("open", &b"[40]"[..]));
    let mut bytes = [0; 64];
    let result = encode_result(ran, Outcome::Done, b"", &mut bytes).expect("a result");
    device
        .publish("b/pump-7", result.to_vec())
        .await
        .expect("the node takes it");
    let listed = run(&["device", "commands", "pump-7"], &node.data());
    let line = listed.lines().find(|line| line.starts_with(id));
    let cells: Vec<_> = line.expect(&listed).split_whitespace().collect();
    assert_eq!(cells[1..4], ["open", "ended", "done"], "{listed}");
}

#[tokio::test]
async fn an_operator_lists_shows_and_removes_devices() {
    let node = TestNode::builder().config("[devices]\n").start().await;
    let (mut device, _) = born(&node, "pump 7").await;
    device
        .publish("d/pump 7", batch(3, 2))
        .await
        .expect("taken");
    acknowledged(&mut device, 4).await;
    let listed = run(&["device", "list"], &node.data());
    let line = listed.lines().find(|line| line.starts_with("pump 7"));
    let cells: Vec<_> = line.expect(&listed).split_whitespace().collect();
    assert_eq!(cells[2], "connected", "{listed}");
    assert_eq!(cells[cells.len() - 3..], ["1.0.0", "1", "2"], "{listed}");
    let shown = run(&["device", "show", "pump 7", "--json"], &node.data());
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("it is JSON");
    assert_eq!(shown["streams"][0]["seq"], 4);
    assert_eq!(shown["kinds"][0]["type"], "pump.reading");
    let refused = run(&["device", "remove", "pump 7"], &node.data());
    assert!(refused.contains("is connected"), "{refused}");
    drop(device);
    wait_until("the device is away", async || {
        node.status().await["devices"]["connected"] == 0
    })
    .await;
    let removed = run(&["device", "remove", "pump 7"], &node.data());
    assert_eq!(removed, "pump 7 is removed\n");
    assert_eq!(node.status().await["devices"]["known"], 0);
}

/// What the command says on both of its outputs.
fn run(arguments: &[&str], data: &Path) -> String {
    let mut command = Command::new(edge_node());
    let output = command.args(arguments).arg("--data").arg(data).output();
    let output = output.expect("the command runs");
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8(said).expect("it is text")
}
