//! SIGTERM: a node that is asked to stop says goodbye and keeps its word.

use tests::{Refused, TestNode};

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
