//! Keep-alive, over real sockets.

use rumqttc::v5::mqttbytes::v5::{Connect, ConnectReturnCode, Packet};
use tests::{Device, Refused, TestCloud, TestNode, wait_until};

const KEEP_ALIVE_TIMEOUT: u8 = 0x8d;

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
    let filler = fill(&node).await;
    let mut device = connect(&node, "pump-7").await;
    let payload = "x".repeat(FILLER_BYTES);
    device
        .start_publish("pump-7/reading", payload, 1)
        .await
        .unwrap();

    // By when one that is read and silent has to go, the other has been silent for longer.
    let mut silent = connect(&node, "silent").await;
    assert!(matches!(
        silent.receive().await,
        Err(Refused::Disconnect(KEEP_ALIVE_TIMEOUT))
    ));

    cloud.go_online().await;
    let answer = device.acknowledgement().await;
    assert!(matches!(answer, Ok(Some((1, 0..0x80)))), "{answer:?}");
    drop(filler);
}

const FILLER_BYTES: usize = 64 * 1024;

/// Publishes until the lane has no room for more: a client whose acknowledgement is withheld.
async fn fill(node: &TestNode) -> Device {
    let mut device = node.connect("filler").await;
    let payload = "x".repeat(FILLER_BYTES);
    for number in 1..1_000 {
        device
            .start_publish("filler/reading", payload.clone(), number)
            .await
            .unwrap();
        let full = wait_until("the lane is full", async || {
            node.status().await["health"]["state"] == "degraded"
        });
        tokio::select! {
            biased;
            answer = device.acknowledgement() => assert!(answer.unwrap().unwrap().1 < 0x80),
            () = full => return device,
        }
    }
    panic!("64 MB fit 16 MiB");
}

/// One that may be silent for one and a half seconds.
async fn connect(node: &TestNode, id: &str) -> Device {
    let connect = Connect {
        keep_alive: 1,
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
