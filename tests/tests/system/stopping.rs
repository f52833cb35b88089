//! SIGTERM: a node that is asked to stop says goodbye and keeps its word.

use rumqttc::v5::mqttbytes::v5::{Packet, PingReq};
use tests::{Refused, TestNode};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};

#[tokio::test]
async fn sigterm_tells_every_client_and_ends_with_0() {
    let mut node = TestNode::start().await;
    let mut device = node.connect("pump-7").await;
    let mut other = node.connect_durable("screen").await;

    let ended = node.stop().await;

    assert_eq!(ended.status.code(), Some(0), "{}", ended.output);
    assert!(matches!(
        device.receive().await,
        Err(Refused::Disconnect(0x8b))
    ));
    assert!(matches!(
        other.receive().await,
        Err(Refused::Disconnect(0x8b))
    ));
}

#[tokio::test]
async fn what_was_acknowledged_before_sigterm_is_there_after_it() {
    let mut node = TestNode::start().await;
    let mut screen = node.connect_durable("screen").await;
    assert_eq!(screen.subscribe("+/reading", 1).await, 1);
    screen.disconnect().await;
    let mut device = node.connect("pump-7").await;
    device.publish_readings(1..=200).await;

    node.stop().await;
    node.start_again().await;

    let mut screen = node.connect_durable("screen").await;
    assert!(screen.session_present());
    let came = screen.receive_readings("pump-7", 1..=200).await;
    assert!(
        came.values().all(|times| *times == 1),
        "a clean stop repeats nothing: {came:?}"
    );
}

#[tokio::test]
async fn a_publisher_in_full_flight_loses_nothing_to_sigterm() {
    let mut node = TestNode::start().await;
    let mut screen = node.connect_durable("screen").await;
    screen.subscribe("#", 1).await;
    screen.disconnect().await;
    let mut device = node.connect("pump-7").await;
    let publishing = async {
        let mut acknowledged = Vec::new();
        for number in 1..=2000 {
            let reading = tests::Reading {
                device: "pump-7".to_owned(),
                number,
            };
            if device
                .start_publish("pump-7/reading", reading.payload(), number)
                .await
                .is_err()
            {
                break;
            }
        }
        while let Ok(answer) = device.acknowledgement().await {
            acknowledged.extend(answer.map(|(number, _)| number));
        }
        acknowledged
    };
    let (acknowledged, ended) = tokio::join!(publishing, node.stop());
    assert_eq!(ended.status.code(), Some(0), "{}", ended.output);

    node.start_again().await;
    let mut screen = node.connect_durable("screen").await;
    screen.receive_readings("pump-7", acknowledged).await;
}

/// Receivers that never answer, a subscriber that does not read, and peers in the middle of what they say.
#[tokio::test]
async fn nobody_who_is_silent_holds_up_sigterm() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = silent.local_addr().unwrap();
    let uplink = |kind: &str| {
        format!(
            "[[uplink]]\nname = \"{kind}\"\nkind = \"{kind}\"\nendpoints = [\"http://{endpoint}\"]"
        )
    };
    let mut node = TestNode::builder()
        .config(&uplink("http"))
        .config(&uplink("eventmesh-grpc"))
        .start()
        .await;
    let mut stuck = node.connect("stuck").await;
    stuck.subscribe("#", 1).await;
    let mut device = node.connect("pump-7").await;
    device.publish_readings(1..=3).await;
    let _called = [silent.accept().await, silent.accept().await];
    let half_body =
        b"POST /events/publish?topic=t HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{";
    let mut half_said = Vec::new();
    for (door, said) in [
        (node.mqtt(), &b"\x10\x50\x00\x04MQ"[..]),
        (node.http(), b"GET /api/v1/status HTTP/1.1\r\nhost"),
        (node.http(), half_body),
        (node.grpc(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0"),
    ] {
        let mut stream = TcpStream::connect(door).await.unwrap();
        stream.write_all(said).await.unwrap();
        half_said.push(stream);
    }
    // What each of them said before this was answered has arrived too.
    device.send(&Packet::PingReq(PingReq)).await.unwrap();
    assert!(matches!(device.receive().await, Ok(Packet::PingResp(_))));

    let ended = node.stop().await;

    assert_eq!(ended.status.code(), Some(0), "{}", ended.output);
}
