//! What a client of MQTT sees: two foreign clients in Rust, 3.1.1 and 5.0.

use std::time::Duration;

use rumqttc::{AsyncClient, Event, MqttOptions, NetworkOptions, Packet, QoS};
use tests::{PATIENCE, TestNode, within};

#[tokio::test]
async fn a_3_1_1_client_gets_its_own_messages_at_every_qos() {
    let node = TestNode::start().await;
    let mut options = MqttOptions::new("v4", node.mqtt().ip().to_string(), node.mqtt().port());
    options.set_keep_alive(Duration::from_secs(30));
    let (client, mut events) = AsyncClient::new(options, 10);
    let mut network = NetworkOptions::new();
    network.set_connection_timeout(PATIENCE.as_secs());
    events.set_network_options(network);
    client.subscribe("a/+", QoS::ExactlyOnce).await.unwrap();
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        client
            .publish("a/b", qos, false, format!("at {}", qos as u8))
            .await
            .unwrap();
    }

    let mut came = Vec::new();
    while came.len() < 3 {
        if let Event::Incoming(Packet::Publish(publish)) = within("a message", events.poll())
            .await
            .expect("the connection holds")
        {
            came.push((
                publish.qos as u8,
                String::from_utf8(publish.payload.to_vec()).unwrap(),
            ));
        }
    }
    came.sort();
    assert_eq!(
        came,
        [
            (0, "at 0".to_owned()),
            (1, "at 1".to_owned()),
            (2, "at 2".to_owned())
        ]
    );
}

#[tokio::test]
async fn a_5_0_client_gets_user_properties_as_they_were_sent() {
    use rumqttc::v5::{
        AsyncClient, Event, MqttOptions,
        mqttbytes::{
            QoS,
            v5::{Packet, PublishProperties},
        },
    };
    let node = TestNode::start().await;
    let mut options = MqttOptions::new("v5", node.mqtt().ip().to_string(), node.mqtt().port());
    options.set_connection_timeout(PATIENCE.as_secs());
    let (client, mut events) = AsyncClient::new(options, 10);
    client.subscribe("a/b", QoS::AtLeastOnce).await.unwrap();
    let sent = PublishProperties {
        user_properties: vec![
            ("k".to_owned(), "1".to_owned()),
            ("k".to_owned(), "2".to_owned()),
        ],
        content_type: Some("text/plain".to_owned()),
        ..Default::default()
    };
    client
        .publish_with_properties("a/b", QoS::AtLeastOnce, false, "x", sent.clone())
        .await
        .unwrap();

    loop {
        if let Event::Incoming(Packet::Publish(publish)) = within("a message", events.poll())
            .await
            .expect("the connection holds")
        {
            let came = publish.properties.expect("properties");
            assert_eq!(came.user_properties, sent.user_properties);
            assert_eq!(came.content_type, sent.content_type);
            break;
        }
    }
}

#[tokio::test]
async fn a_message_sent_at_qos_2_arrives_once_after_a_kill() {
    let mut node = TestNode::start().await;
    let mut screen = node.connect_durable("screen").await;
    assert_eq!(screen.subscribe("alarms", 2).await, 2);
    screen.disconnect().await;
    let mut device = node.connect("pump-7").await;
    for number in 0..20 {
        device
            .publish_exactly_once("alarms", format!("{number}"))
            .await
            .unwrap();
    }

    node.restart().await;

    let mut screen = node.connect_durable("screen").await;
    assert!(screen.session_present());
    for number in 0..20 {
        let message = screen.next_message().await.unwrap();
        assert_eq!(
            (message.qos, message.payload),
            (2, format!("{number}").into())
        );
    }
    // The next message is one that was sent later, so nothing came twice.
    let mut device = node.connect("pump-7").await;
    device.publish_exactly_once("alarms", "last").await.unwrap();
    assert_eq!(screen.next_message().await.unwrap().payload, "last");
}

#[tokio::test]
async fn a_retained_message_survives_a_kill() {
    let mut node = TestNode::start().await;
    let mut device = node.connect("pump-7").await;
    device.publish_retained("pump-7/state", "on").await.unwrap();
    device
        .publish_retained("pump-7/state", "off")
        .await
        .unwrap();

    node.restart().await;

    let mut screen = node.connect("screen").await;
    screen.subscribe("+/state", 1).await;
    let message = screen.next_message().await.unwrap();
    assert_eq!(
        (&*message.topic, &message.payload[..], message.retain),
        ("pump-7/state", &b"off"[..], true)
    );
}

#[tokio::test]
async fn a_retained_message_waits_for_its_subscriber_only_until_it_is_cleared() {
    let node = TestNode::start().await;
    let mut device = node.connect("pump-7").await;
    device.publish_retained("a/state", "on").await.unwrap();
    device.publish_retained("b/state", "on").await.unwrap();
    device.publish_retained("a/state", "").await.unwrap();

    let mut screen = node.connect("screen").await;
    screen.subscribe("+/state", 1).await;
    assert_eq!(screen.next_message().await.unwrap().topic, "b/state");
    device.publish("c/state", "live").await.unwrap();
    assert_eq!(screen.next_message().await.unwrap().topic, "c/state");
}

#[tokio::test]
async fn a_client_that_vanishes_leaves_its_will() {
    use rumqttc::v5::mqttbytes::{QoS, v5::LastWill};
    let node = TestNode::start().await;
    let mut screen = node.connect("screen").await;
    screen.subscribe("wills/#", 1).await;
    let will = LastWill::new("wills/pump-7", "gone", QoS::AtLeastOnce, false, None);
    let device = tests::Device::open(node.mqtt(), "pump-7", true, 0, Some(will))
        .await
        .unwrap();

    drop(device);

    let message = screen.next_message().await.unwrap();
    assert_eq!(
        (&*message.topic, &message.payload[..]),
        ("wills/pump-7", &b"gone"[..])
    );
}

#[tokio::test]
async fn a_shared_subscription_gives_each_message_to_one_member() {
    let node = TestNode::start().await;
    let mut first = node.connect("first").await;
    let mut second = node.connect("second").await;
    for member in [&mut first, &mut second] {
        assert_eq!(member.subscribe("$share/g/+/reading", 1).await, 1);
    }
    let mut device = node.connect("pump-7").await;
    device.publish_readings(1..=40).await;

    let mut numbers = Vec::new();
    while numbers.len() < 40 {
        let message = tokio::select! {
            message = first.next_message() => message,
            message = second.next_message() => message,
        };
        numbers.push(
            tests::Reading::parse(&message.unwrap().payload)
                .unwrap()
                .number,
        );
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=40).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_second_connection_of_a_client_takes_the_first_ones_place() {
    let node = TestNode::start().await;
    let mut first = node.connect_durable("screen").await;
    first.subscribe("a", 1).await;
    let second = node.connect_durable("screen").await;

    assert!(second.session_present());
    assert!(matches!(
        first.next_message().await,
        Err(tests::Refused::Disconnect(0x8e))
    ));
}
