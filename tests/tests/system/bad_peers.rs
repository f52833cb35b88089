//! One bad peer costs its own connection: the others go on, memory stays bounded, and the log says why without shouting.

use std::{net::SocketAddr, time::Duration};

use cloud_uplink::eventmesh::{
    attribute::STATUS_CODE,
    proto::{CloudEvent, publisher_service_client::PublisherServiceClient},
};
use rumqttc::v5::mqttbytes::v5::ConnectReturnCode;
use serde_json::json;
use tests::{Device, Refused, TestNode, wait_until, within};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What a node under these attacks may hold beside its program, at any time: 8 MiB that wait for a commit, and twice as much
/// for all the rest.
const HELD_MAX: u64 = 24 << 20;

/// How often a peer does what it must not.
const ATTEMPTS: usize = 50;

/// Without keep-alive: no silence ends the connection.
const CONNECT: &[u8] = b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x00\x00\x03bad";

/// Sends bytes and reads until the node closes; what came back. Fails if the node keeps the connection.
async fn rejected(to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let work = async {
        let mut stream = TcpStream::connect(to).await.unwrap();
        let _ = stream.write_all(bytes).await; // the node may have closed already
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await; // reset is closed too
        answer
    };
    within(
        &format!("the node closes on {:02x?}", &bytes[..bytes.len().min(40)]),
        work,
    )
    .await
}

async fn others_are_served(node: &TestNode) {
    let mut device = node.connect("sound").await;
    device.subscribe("sound/reading", 1).await;
    device.publish_readings(1..=20).await;
    device.receive_readings("sound", 1..=20).await;
}

/// The log says each of these reasons once, and nothing else; the node never held much.
async fn is_contained(node: &TestNode, reasons: &[&str]) {
    for reason in reasons {
        wait_until(reason, async || node.log().contains(reason)).await;
    }
    let log = node.log();
    let complaints: Vec<&str> = log
        .lines()
        .skip_while(|line| *line != "ready")
        .skip(1)
        .collect();
    for reason in reasons {
        let said = complaints.iter().filter(|line| line.contains(reason));
        assert_eq!(said.count(), 1, "{reason}:\n{log}");
    }
    assert_eq!(complaints.len(), reasons.len(), "{log}");
    let held = node.peak_rss() - node.program_bytes();
    assert!(held < HELD_MAX, "{held} bytes beside the program");
}

#[tokio::test]
async fn malformed_packets_close_their_own_connection() {
    let node = TestNode::start().await;
    let mut witness = node.connect("witness").await;
    let after_connect = |packet: &[u8]| [CONNECT, packet].concat();
    let bad = [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        b"\x10\xff\xff\xff\xff\x01".to_vec(), // a length of five bytes
        b"\x10\x0c\x00\x04MQTX\x04\x02\x00\x3c\x00\x00".to_vec(), // not MQTT
        b"\x10\x0f\x00\x04MQTT\x09\x02\x00\x3c\x00\x03bad".to_vec(), // version 9
        b"\x10\x0f\x00\x04MQTT\x04\x03\x00\x3c\x00\x03bad".to_vec(), // reserved flag
        b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\xffbad".to_vec(), // client id longer than the packet
        b"\x30\x05\x00\x01a12".to_vec(),                             // PUBLISH before CONNECT
        after_connect(CONNECT),                                      // CONNECT twice
        after_connect(b"\x36\x06\x00\x01a\x00\x01x"),                // QoS 3
        after_connect(b"\x32\x06\x00\x01a\x00\x00x"),                // packet id 0
        after_connect(b"\x30\x06\x00\x04a/#xy"),                     // a wildcard in a topic
        after_connect(b"\x30\x04\x00\x02\xc3\x28"),                  // not UTF-8
        after_connect(b"\x30\x05\x00\x03a\x00b"),                    // U+0000 in a topic
        after_connect(b"\x82\x02\x00\x01"),                          // SUBSCRIBE to nothing
        after_connect(b"\x80\x06\x00\x01\x00\x01a\x00"),             // SUBSCRIBE with wrong flags
        after_connect(b"\xf0\x00"),                                  // AUTH in 3.1.1
        after_connect(b"\x20\x02\x00\x00"),                          // a CONNACK from a client
    ];
    for bytes in bad.iter().cycle().take(ATTEMPTS * bad.len()) {
        rejected(node.mqtt(), bytes).await;
    }
    witness.publish_readings(1..=5).await;
    others_are_served(&node).await;
    is_contained(&node, &["what it sent is no valid packet"]).await;
}

#[tokio::test]
async fn a_topic_that_begins_with_any_letter_stops_nobody() {
    let node = TestNode::start().await;
    let mut screen = node.connect("screen").await;
    screen.subscribe("#", 1).await;
    let mut device = node.connect("pump-7").await;
    for topic in ["é", "日本/1", "🌡/room", "/", "a//b", " "] {
        device.publish(topic, "x").await.unwrap();
        assert_eq!(screen.next_message().await.unwrap().topic, topic);
    }
}

#[tokio::test]
async fn the_same_fault_a_thousand_times_is_not_a_thousand_lines() {
    let node = TestNode::start().await;
    for _ in 0..1000 {
        rejected(node.mqtt(), b"\x10\xff\xff\xff\xff\x01").await;
    }
    is_contained(&node, &["what it sent is no valid packet"]).await;
}

#[tokio::test]
async fn a_packet_above_the_bound_closes_its_connection_with_the_reason() {
    let node = TestNode::start().await;
    for _ in 0..ATTEMPTS {
        let mut device = node.connect("big").await;
        // A PUBLISH of 2 MiB is announced; the node need not wait for it.
        device.send_bytes(b"\x30\x80\x80\x80\x01").await.unwrap();
        assert!(matches!(
            device.receive().await,
            Err(Refused::Disconnect(0x95))
        ));
    }
    others_are_served(&node).await;
    is_contained(&node, &["what it sent is no valid packet"]).await;
}

#[tokio::test]
async fn connections_that_say_nothing_are_closed() {
    let node = TestNode::builder()
        .config("[mqtt]\nconnect-timeout = \"10s\"")
        .start()
        .await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(node.mqtt()).await.unwrap());
    }
    others_are_served(&node).await;
    for mut stream in silent {
        let mut byte = [0];
        assert_eq!(
            within("the node closes", stream.read(&mut byte))
                .await
                .unwrap_or(0),
            0
        );
    }
    is_contained(&node, &["no CONNECT in time"]).await;
}

#[tokio::test]
async fn endless_connects_cost_no_memory_and_leave_nothing() {
    let node = TestNode::start().await;
    for round in 0..1000 {
        let device = Device::open(node.mqtt(), &format!("c{round}"), true, 0, None)
            .await
            .unwrap();
        drop(device);
    }
    others_are_served(&node).await;
    wait_until("nothing is left of them", async || {
        let sessions = &node.status().await["sessions"];
        (&sessions["connected"], &sessions["offline"]) == (&json!(0), &json!(0))
    })
    .await;
    is_contained(&node, &[]).await;
}

#[tokio::test]
async fn endless_connects_of_ever_new_sessions_end_at_their_bound() {
    let node = TestNode::builder()
        .config("[mqtt]\nmax-sessions = 50")
        .start()
        .await;
    let mut kept = 0;
    for round in 0..1000 {
        match Device::open(node.mqtt(), &format!("c{round}"), true, 3600, None).await {
            Ok(_) => kept += 1,
            Err(refused) => assert!(
                matches!(refused, Refused::Connack(ConnectReturnCode::QuotaExceeded)),
                "{refused:?}"
            ),
        }
    }
    assert_eq!(kept, 50);
    is_contained(&node, &["too many sessions"]).await;
}

#[tokio::test]
async fn connections_above_the_bound_are_turned_away() {
    let node = TestNode::builder()
        .config("[mqtt]\nmax-connections = 20")
        .start()
        .await;
    let mut first = node.connect("first").await;
    let mut held = Vec::new();
    for number in 0..100 {
        if let Ok(device) = Device::open(node.mqtt(), &format!("c{number}"), true, 0, None).await {
            held.push(device);
        }
    }
    assert_eq!(held.len(), 19);
    first.publish_readings(1..=5).await;
    is_contained(&node, &["too many connections"]).await;
}

#[tokio::test]
async fn connections_that_say_nothing_leave_the_door_of_grpc_open() {
    let node = TestNode::builder()
        .config("[grpc]\nmax-connections = 2\nconnect-timeout = \"1s\"")
        .start()
        .await;
    let silent = [(); 2].map(|()| TcpStream::connect(node.grpc()));
    for connection in silent {
        let mut connection = connection.await.unwrap();
        tokio::spawn(async move {
            let mut byte = [0];
            // Open until the node closes it.
            while connection.read(&mut byte).await.is_ok_and(|read| read > 0) {}
        });
    }
    // It may be taken for silent itself, where it rests too long.
    let mut answer = None;
    wait_until("a client is answered", async || {
        let address = format!("http://{}", node.grpc());
        if let Ok(mut client) = PublisherServiceClient::connect(address).await {
            answer = client.publish(CloudEvent::default()).await.ok();
        }
        answer.is_some()
    })
    .await;
    let answer = answer.unwrap().into_inner();
    assert_eq!(answer.text(STATUS_CODE), Some("6"), "it names no client");
    is_contained(&node, &["a gRPC peer said nothing in time"]).await;
}

#[tokio::test]
async fn a_reader_that_stops_reading_holds_up_nobody() {
    let node = TestNode::start().await;
    let mut stuck = node.connect("stuck").await;
    stuck.subscribe("flood/#", 1).await;
    let mut stuck_too = node.connect("stuck-too").await;
    stuck_too.subscribe("flood/#", 0).await;
    let mut flood = node.connect("flood").await;
    let payload = vec![b'x'; 1024];
    for number in 0..20_000 {
        if flood.in_flight() >= 100 {
            flood.acknowledgement().await.unwrap();
        }
        flood
            .start_publish("flood/x", payload.clone(), number)
            .await
            .unwrap();
    }
    others_are_served(&node).await;
    is_contained(&node, &["it reads too slowly"]).await;
    drop((stuck, stuck_too));
}

#[tokio::test]
async fn a_subscription_bomb_ends_at_its_bound() {
    let node = TestNode::builder()
        .config("[mqtt]\nmax-subscriptions = 50")
        .start()
        .await;
    let mut bomb = node.connect("bomb").await;
    let mut granted = 0;
    for number in 0..200 {
        match bomb.subscribe(&format!("+/{number}/#"), 1).await {
            1 => granted += 1,
            code => assert_eq!(code, 0x97),
        }
    }
    assert_eq!(granted, 50);
    others_are_served(&node).await;
    is_contained(&node, &["too many subscriptions"]).await;
}

#[tokio::test]
async fn a_bomb_of_long_subscriptions_ends_at_its_bound_in_bytes() {
    let node = TestNode::builder()
        .config("[mqtt]\nsubscription-bound = \"1 MiB\"")
        .start()
        .await;
    let long = "x".repeat(10_000);
    let (mut granted, mut bombs) = (0, Vec::new());
    for number in 0..40 {
        let mut bomb = node.connect(&format!("bomb-{number}")).await;
        for number in 0..20 {
            match bomb.subscribe(&format!("{number}/{long}/#"), 1).await {
                1 => granted += 1,
                code => assert_eq!(code, 0x97),
            }
        }
        bombs.push(bomb);
    }
    assert!((20..100).contains(&granted), "{granted} of 10 KB in 1 MiB");
    others_are_served(&node).await;
    is_contained(&node, &["too many subscriptions"]).await;
}

#[tokio::test]
async fn a_flood_of_topics_costs_no_memory() {
    let node = TestNode::start().await;
    // All of them together are more than the node may hold.
    flood_of_topics(&node, 2_000, false).await;
    others_are_served(&node).await;
    is_contained(&node, &[]).await;
}

#[tokio::test]
async fn a_flood_of_retained_topics_ends_at_its_bound() {
    let node = TestNode::builder()
        .config("[mqtt]\nretained-bound = \"64 KiB\"")
        .start()
        .await;
    flood_of_topics(&node, 50, true).await;
    others_are_served(&node).await;
    let retained = node.status().await["sessions"]["retained"]
        .as_u64()
        .unwrap();
    assert!((100..1000).contains(&retained), "{retained} topics");
    is_contained(&node, &["too many topics with a retained message"]).await;
}

/// Each of its 20,000 messages has a topic of its own, a little longer than `topic_bytes`.
async fn flood_of_topics(node: &TestNode, topic_bytes: usize, retain: bool) {
    let mut flood = node.connect("flood").await;
    let filler = "x".repeat(topic_bytes);
    for number in 0..20_000 {
        if flood.in_flight() >= 100 {
            flood.acknowledgement().await.unwrap();
        }
        let topic = format!("flood/{number}/{filler}");
        let sent = if retain {
            flood.start_publish_retained(&topic, "1", number).await
        } else {
            flood.start_publish(&topic, "1", number).await
        };
        sent.unwrap();
    }
    while flood.in_flight() > 0 {
        flood.acknowledgement().await.unwrap();
    }
}

#[tokio::test]
async fn a_client_that_falls_silent_is_gone_after_its_keep_alive() {
    let node = TestNode::start().await;
    let began = std::time::Instant::now();
    let mut stream = TcpStream::connect(node.mqtt()).await.unwrap();
    // Keep-alive of one second.
    stream
        .write_all(b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x01\x00\x03bad")
        .await
        .unwrap();
    let mut answer = Vec::new();
    within("the node gives up", stream.read_to_end(&mut answer))
        .await
        .unwrap_or(0);
    assert_eq!(answer, b"\x20\x02\x00\x00");
    assert!(
        began.elapsed() >= Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn publishers_faster_than_the_disk_are_held_back_in_bounded_memory() {
    let node = TestNode::builder().start().await;
    let mut streams = Vec::new();
    for client in 0..50 {
        let mut device = node.connect(&format!("fast-{client}")).await;
        streams.push(tokio::spawn(async move {
            let payload = vec![b'x'; 16 * 1024];
            for number in 0..60 {
                device
                    .start_publish("fast", payload.clone(), number)
                    .await
                    .unwrap();
            }
            while device.in_flight() > 0 {
                device.acknowledgement().await.unwrap();
            }
        }));
    }
    for stream in streams {
        within("all is acknowledged", stream).await.unwrap();
    }
    is_contained(&node, &[]).await;
}
