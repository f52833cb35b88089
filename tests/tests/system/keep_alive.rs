//! Keep-alive, over real sockets.

use rumqttc::v5::mqttbytes::v5::{Connect, ConnectReturnCode, Packet};
use tests::{Device, Refused, TestCloud, TestNode, wait_until};

/// In seconds; a client may be silent for half as long again. Long enough that a test that rests is not silent for it.
const KEEP_ALIVE: u16 = 12;
/// Of the clients that are.
const SHORT_KEEP_ALIVE: u16 = 4;
const KEEP_ALIVE_TIMEOUT: u8 = 0x8d;
const FILLER_BYTES: usize = 32 * 1024;
/// Publishes that the smallest log has room for, at most.
const PUBLISHES_MAX: u64 = 1_000;
/// So many silent clients, one after the other, go while the one that is not read is silent: longer than it may be.
const SILENT: usize = 4;

/// A client that is read and says nothing has to go: by how often that happens the test knows how much time is over.
#[tokio::test]
async fn a_client_that_the_node_does_not_read_is_not_taken_for_silent() {
    let mut cloud = TestCloud::start().await;
    let config = "[mqtt]\nreceive-maximum = 1\n[spool]\nbound = \"16 MiB\"\nmin-free = \"0%\"";
    let node = TestNode::builder()
        .config(config)
        .uplink(&cloud)
        .start()
        .await;
    cloud.go_offline().await;

    // Whatever room is still made in the log is filled again, until none is for as long as it takes. The publish behind the one
    // that waits for room is what the node does not read.
    let mut device = connect(&node, "pump-7", KEEP_ALIVE).await;
    publish(&mut device, 1).await;
    let last = 'filled: {
        for number in 1..=PUBLISHES_MAX {
            publish(&mut device, number + 1).await;
            tokio::select! {
                answer = device.acknowledgement() => is_accepted(&answer, number),
                () = outlasts_silent_clients(&node) => break 'filled number,
            }
        }
        panic!("a log of 16 MiB takes whatever it is given");
    };

    cloud.go_online().await;
    is_accepted(&device.acknowledgement().await, last);
    is_accepted(&device.acknowledgement().await, last + 1);
}

/// Waits until the node has taken a publish and withholds its acknowledgement, and has then sent silent clients away.
async fn outlasts_silent_clients(node: &TestNode) {
    wait_until("the acknowledgement is withheld", async || {
        node.status().await["sessions"]["withheld_bytes"].as_u64() > Some(0)
    })
    .await;
    for _ in 0..SILENT {
        let mut silent = connect(node, "silent", SHORT_KEEP_ALIVE).await;
        let gone = silent.receive().await;
        assert!(
            matches!(gone, Err(Refused::Disconnect(KEEP_ALIVE_TIMEOUT))),
            "{gone:?}"
        );
    }
}

async fn publish(device: &mut Device, number: u64) {
    let payload = "x".repeat(FILLER_BYTES);
    let sent = device.start_publish("pump-7/reading", payload, number);
    sent.await.expect("the node reads");
}

fn is_accepted(answer: &Result<Option<(u64, u8)>, Refused>, number: u64) {
    let accepted = matches!(answer, Ok(Some((of, reason))) if *of == number && *reason < 0x80);
    assert!(accepted, "publish {number}: {answer:?}");
}

async fn connect(node: &TestNode, id: &str, keep_alive: u16) -> Device {
    let connect = Connect {
        keep_alive,
        client_id: id.to_owned(),
        clean_start: true,
        properties: None,
    };
    let mut device = Device::raw_named(node.mqtt(), id).await;
    let connect = Packet::Connect(connect, None, None);
    device.send(&connect).await.unwrap();
    match device.receive().await {
        Ok(Packet::ConnAck(ack)) if ack.code == ConnectReturnCode::Success => device,
        other => panic!("CONNECT is answered with {other:?}"),
    }
}
