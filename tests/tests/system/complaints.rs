//! What users of other edge software complain about, each with its test here. The numbers are those of the list the
//! project was designed against; a few stand in other files: 14 in `refusals`, 15 in `certificates`, 7 and 11 also in the
//! spool's simulation.

use std::{
    collections::BTreeSet,
    io::{Seek, SeekFrom, Write},
    path::PathBuf,
    time::{Duration, Instant},
};

use tests::{Answer, Reading, TestCloud, TestNode, wait_until};

use crate::full_disk::acknowledged_or_full;

const BUSY: Answer = Answer {
    code: 503,
    retry_after: None,
};

/// Complaint 1: a cached message is deleted before it was sent, a failed send is not taken up again.
#[tokio::test]
async fn a_failed_send_is_kept_and_sent_again() {
    let cloud = TestCloud::start().await;
    cloud.answer([BUSY; 4]);
    let node = TestNode::builder().uplink(&cloud).start().await;
    node.connect("pump-7").await.publish_readings(1..=30).await;
    cloud.wait_for_readings("pump-7", 1..=30).await;
}

/// Complaint 2: "connected" but forwarding nothing.
#[tokio::test]
async fn a_sink_is_connected_only_once_its_receiver_has_acknowledged() {
    let cloud = TestCloud::start().await;
    cloud.refuse("\"device\"", 500);
    let node = TestNode::builder().uplink(&cloud).start().await;
    node.connect("pump-7").await.publish_readings(1..=3).await;
    wait_until("the sink tried", async || cloud.requests() > 0).await;
    wait_until("the sink says so", async || {
        node.sink("cloud").await["state"] == "backing-off"
    })
    .await;
    assert_eq!(node.sink("cloud").await["acknowledged"], 0);

    cloud.refuse("nothing", 500);
    cloud.wait_for_readings("pump-7", 1..=3).await;
    wait_until("the sink says so", async || {
        node.sink("cloud").await["state"] == "connected"
    })
    .await;
}

/// Complaint 3: a backlog is released only when a new message is published, or at one per 5 s.
#[tokio::test]
async fn a_backlog_drains_by_itself_and_at_once() {
    let mut cloud = TestCloud::start().await;
    let node = TestNode::builder().uplink(&cloud).start().await;
    cloud.go_offline().await;
    node.connect("pump-7")
        .await
        .publish_readings(1..=2000)
        .await;
    wait_until("the sink noticed", async || {
        node.sink("cloud").await["state"] == "backing-off"
    })
    .await;
    cloud.go_online().await;

    // One per 5 s would take hours.
    cloud.wait_for_readings("pump-7", 1..=2000).await;
}

/// Complaint 4: it never reconnects on a mobile link; offline data is never synchronised.
#[tokio::test]
async fn a_link_that_flaps_loses_nothing() {
    let mut cloud = TestCloud::start().await;
    let node = TestNode::builder().uplink(&cloud).start().await;
    let mut device = node.connect("pump-7").await;
    for flap in 0..8 {
        cloud.go_offline().await;
        device
            .publish_readings(flap * 20 + 1..=flap * 20 + 10)
            .await;
        cloud.go_online().await;
        device
            .publish_readings(flap * 20 + 11..=flap * 20 + 20)
            .await;
    }
    cloud.wait_for_readings("pump-7", 1..=160).await;
}

/// Complaint 5: silent drops while offline.
#[tokio::test]
async fn what_is_dropped_while_offline_is_in_the_ledger_to_the_last_one() {
    let mut cloud = TestCloud::start().await;
    let config = "[spool]\nbound = \"16 MiB\"\nmin-free = \"0%\"\n\
                  lanes = [{ name = \"normal\", when-full = \"drop-oldest\" }]";
    let node = TestNode::builder()
        .config(config)
        .uplink(&cloud)
        .start()
        .await;
    cloud.go_offline().await;
    let mut device = node.connect("pump-7").await;
    let filler = "x".repeat(64 * 1024);
    for number in 1..=600 {
        let payload = serde_json::json!({ "device": "pump-7", "n": number, "filler": filler });
        assert!(
            device
                .publish("pump-7/reading", payload.to_string())
                .await
                .unwrap()
                < 0x80
        );
    }
    cloud.go_online().await;
    node.wait_until_drained("cloud").await;

    let arrived: BTreeSet<u64> = cloud.readings("pump-7").into_iter().collect();
    let status = node.status().await;
    let ledger = status["ledger"].as_array().unwrap();
    let dropped: u64 = ledger
        .iter()
        .filter(|entry| entry["reason"] == "dropped-for-room")
        .map(|entry| entry["count"].as_u64().unwrap())
        .sum();
    assert!(dropped > 0, "38 MB fit 16 MiB: {status}");
    // What the sink had in hand when the log gave it up has arrived all the same.
    let missing = 600 - arrived.len() as u64;
    assert!(
        (missing..missing + 1024).contains(&dropped),
        "{missing} are missing: {ledger:?}"
    );
    assert!(arrived.contains(&600), "the newest is kept");
}

/// Complaint 6: after the queue limit was reached, it never sends again.
#[tokio::test]
async fn a_spool_that_was_full_takes_and_sends_again() {
    let mut cloud = TestCloud::start().await;
    let config = "[spool]\nbound = \"16 MiB\"\nmin-free = \"0%\"";
    let node = TestNode::builder()
        .config(config)
        .uplink(&cloud)
        .start()
        .await;
    cloud.go_offline().await;
    let mut device = node.connect("pump-7").await;
    let filler = "x".repeat(64 * 1024);
    let mut sent = 0;
    loop {
        sent += 1;
        let payload = serde_json::json!({ "device": "pump-7", "n": sent, "filler": filler });
        device
            .start_publish("pump-7/reading", payload.to_string(), sent)
            .await
            .unwrap();
        match acknowledged_or_full(&node, &mut device).await {
            Some((_, reason)) => assert!(reason < 0x80, "the default is to withhold"),
            None => break,
        }
        assert!(sent < 1000, "64 MB fit 16 MiB");
    }

    cloud.go_online().await;
    let (number, reason) = device.acknowledgement().await.unwrap().unwrap();
    assert_eq!((number, reason < 0x80), (sent, true));
    device.publish_readings(sent + 1..=sent + 50).await;
    cloud.wait_for_readings("pump-7", 1..=sent + 50).await;
}

/// Complaint 7: a power cut corrupts the database, and the broker refuses to start.
#[tokio::test]
async fn a_torn_tail_does_not_stop_the_start() {
    let mut node = TestNode::start().await;
    let mut keeper = node.connect_durable("keeper").await;
    keeper.subscribe("+/reading", 1).await;
    keeper.disconnect().await;
    node.connect("pump-7").await.publish_readings(1..=100).await;
    node.kill().await;

    for file in log_files(&node) {
        let mut file = std::fs::OpenOptions::new().append(true).open(file).unwrap();
        file.write_all(&[0xa5; 777]).unwrap();
    }
    node.start_again().await;

    let mut keeper = node.connect_durable("keeper").await;
    assert!(keeper.session_present());
    keeper.receive_readings("pump-7", 1..=100).await;
}

/// Complaint 8: an SD card worn out. (The pinned ten idle minutes are the same promise, watched for a shorter time.)
#[tokio::test]
async fn an_idle_node_writes_nothing() {
    let cloud = TestCloud::start().await;
    let node = TestNode::builder().uplink(&cloud).start().await;
    let device = node.connect("pump-7").await;
    let mut publisher = node.connect("pump-8").await;
    publisher.publish_readings(1..=100).await;
    cloud.wait_for_readings("pump-8", 1..=100).await;
    // What is lazy is saved within a second or so of a machine that is quick, and then there is nothing left to do.
    let (mut since, mut written) = (Instant::now(), node.bytes_written());
    wait_until("nothing is written for so long", async || {
        let now = node.bytes_written();
        if now != written {
            (since, written) = (Instant::now(), now);
        }
        since.elapsed() >= Duration::from_secs(11)
    })
    .await;
    drop(device);
}

/// Complaint 9: the disk grows past its bound.
#[tokio::test]
async fn the_disk_stays_within_its_bound() {
    let config = "[spool]\nbound = \"16 MiB\"\nmin-free = \"0%\"";
    let node = TestNode::builder().config(config).start().await;
    let mut device = node.connect("pump-7").await;
    let payload = vec![b'x'; 64 * 1024];
    for number in 0..1000 {
        device
            .start_publish("history", payload.clone(), number)
            .await
            .unwrap();
        let (_, reason) = device.acknowledgement().await.unwrap().unwrap();
        assert!(reason < 0x80, "history is never a reason to refuse");
        if number % 20 == 0 {
            let bytes = node.at_rest(TestNode::bytes_on_disk);
            assert!(bytes <= 16 << 20, "{bytes} bytes after {number} publishes");
        }
    }
}

/// Complaint 9, second half: an offline session has its own bound, loses its oldest, and stops nobody.
#[tokio::test]
async fn an_offline_session_loses_its_oldest_in_the_ledger_and_stops_nobody() {
    let config = "[spool]\nbound = \"16 MiB\"\nmin-free = \"0%\"";
    let node = TestNode::builder().config(config).start().await;
    let mut keeper = node.connect_durable("keeper").await;
    keeper.subscribe("+/reading", 1).await;
    keeper.disconnect().await;
    let mut device = node.connect("pump-7").await;
    let filler = "x".repeat(64 * 1024);
    for number in 1..=600 {
        let payload = serde_json::json!({ "device": "pump-7", "n": number, "filler": filler });
        let reason = device.publish("pump-7/reading", payload.to_string()).await;
        assert!(reason.unwrap() < 0x80, "reading {number}");
    }

    let mut keeper = node.connect_durable("keeper").await;
    let mut arrived = BTreeSet::new();
    while !arrived.contains(&600) {
        let message = keeper.next_message().await.unwrap();
        arrived.insert(Reading::parse(&message.payload).unwrap().number);
    }
    let newest: BTreeSet<u64> = (581..=600).collect();
    assert!(arrived.is_superset(&newest), "{arrived:?}");
    // Until then a session is held to its bound, connected as it is.
    wait_until("nothing is owed any more", async || {
        node.status().await["sessions"]["pending_records"] == 0
    })
    .await;
    let status = node.status().await;
    let ledger = status["ledger"].as_array().unwrap();
    let lost: u64 = ledger
        .iter()
        .filter(|entry| entry["reason"] == "session-bound")
        .map(|entry| entry["count"].as_u64().unwrap())
        .sum();
    // What was on its way to the client when the log gave it up has arrived all the same.
    let missing = 600 - arrived.len() as u64;
    assert!(missing > 0, "38 MB fit a session of 4 MiB");
    assert!(
        (missing..missing + 64).contains(&lost),
        "{missing} are missing: {ledger:?}"
    );
}

/// Complaint 10: memory grows on an unstable link.
#[tokio::test]
async fn memory_stays_flat_while_the_link_flaps() {
    let mut cloud = TestCloud::start().await;
    let node = TestNode::builder().uplink(&cloud).start().await;
    let mut device = node.connect("pump-7").await;
    let mut after = Vec::new();
    let mut next = 1;
    for _ in 0..6 {
        cloud.go_offline().await;
        device.publish_readings(next..next + 1000).await;
        cloud.go_online().await;
        next += 1000;
        node.wait_until_drained("cloud").await;
        after.push(node.rss());
    }
    let grown = after[5].saturating_sub(after[1]);
    assert!(grown < 8 << 20, "memory after each outage: {after:?}");
}

/// Complaint 11: it cannot start with a big or damaged backlog.
#[tokio::test]
async fn damage_in_the_middle_is_reported_and_the_rest_is_served() {
    let mut node = TestNode::start().await;
    let mut keeper = node.connect_durable("keeper").await;
    keeper.subscribe("+/reading", 1).await;
    keeper.disconnect().await;
    let mut device = node.connect("pump-7").await;
    for number in 1..=200 {
        device.publish_readings([number]).await; // one at a time, so that there are many frames
    }
    node.kill().await;

    let marker = b"\"n\":100}";
    let (file, at) = log_files(&node)
        .into_iter()
        .find_map(|file| {
            let bytes = std::fs::read(&file).unwrap();
            bytes
                .windows(marker.len())
                .position(|window| window == marker)
                .map(|at| (file, at))
        })
        .expect("the record is in the log");
    let mut file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    file.seek(SeekFrom::Start(at as u64)).unwrap();
    file.write_all(b"damage").unwrap();
    node.start_again().await;

    let mut keeper = node.connect_durable("keeper").await;
    assert!(keeper.session_present());
    let others = (1..100).chain(101..=200);
    let came = keeper.receive_readings("pump-7", others).await;
    assert!(!came.contains_key(&100), "damage is never served");
    let status = node.status().await;
    let ledger = status["ledger"].as_array().unwrap();
    assert!(
        ledger.iter().any(|entry| entry["reason"] == "damaged"),
        "{ledger:?}"
    );
    wait_until("the damaged segment is kept aside", async || {
        let files = node.private_files();
        files.iter().any(|file| file.starts_with("quarantine-"))
    })
    .await;
}

/// Complaint 12: storms of repeats on reconnect; receive maximum ignored.
#[tokio::test]
async fn a_subscriber_gets_no_more_at_once_than_it_can_take() {
    use rumqttc::v5::mqttbytes::v5::{Connect, ConnectProperties, Packet, PubAck};
    let node = TestNode::start().await;
    let mut keeper = node.connect_durable("keeper").await;
    keeper.subscribe("+/reading", 1).await;
    keeper.disconnect().await;
    node.connect("pump-7").await.publish_readings(1..=100).await;

    let mut properties = ConnectProperties::new();
    properties.session_expiry_interval = Some(3600);
    properties.receive_maximum = Some(5);
    let connect = Connect {
        keep_alive: 60,
        client_id: "keeper".to_owned(),
        clean_start: false,
        properties: Some(properties),
    };
    let mut keeper = tests::Device::raw(node.mqtt()).await;
    keeper
        .send(&Packet::Connect(connect, None, None))
        .await
        .unwrap();
    assert!(matches!(keeper.receive().await, Ok(Packet::ConnAck(ack)) if ack.session_present));

    let mut numbers = Vec::new();
    let mut held = std::collections::VecDeque::new();
    while numbers.len() < 100 {
        // A ping is answered after what the node had to send before it.
        keeper
            .send(&Packet::PingReq(rumqttc::v5::mqttbytes::v5::PingReq))
            .await
            .unwrap();
        loop {
            match keeper.receive().await.unwrap() {
                Packet::Publish(publish) => {
                    numbers.push(Reading::parse(&publish.payload).unwrap().number);
                    held.push_back(publish.pkid);
                }
                Packet::PingResp(_) => break,
                other => panic!("unexpected {other:?}"),
            }
        }
        assert!(
            held.len() <= 5,
            "{} unacknowledged, 5 were allowed",
            held.len()
        );
        if let Some(pkid) = held.pop_front() {
            keeper
                .send(&Packet::PubAck(PubAck::new(pkid, None)))
                .await
                .unwrap();
        }
    }
    assert_eq!(
        numbers,
        (1..=100).collect::<Vec<_>>(),
        "each once, in order"
    );
}

/// Complaint 13: one poison message loops for ever.
#[tokio::test]
async fn a_poison_event_does_not_stop_those_behind_it() {
    let cloud = TestCloud::start().await;
    cloud.refuse("\"n\":7}", 400);
    let node = TestNode::builder().uplink(&cloud).start().await;
    let mut device = node.connect("pump-7").await;
    device.publish_readings(1..=20).await;
    let others = (1..7).chain(8..=20);
    cloud.wait_for_readings("pump-7", others).await;
    wait_until("it is put aside", async || {
        node.sink("cloud").await["dead_letters"] == 1
    })
    .await;
    node.wait_until_drained("cloud").await;
}

/// Complaint 13, second half: booting offline never recovers.
#[tokio::test]
async fn a_node_that_starts_offline_delivers_once_the_link_is_there() {
    let mut cloud = TestCloud::start().await;
    cloud.go_offline().await;
    let node = TestNode::builder().uplink(&cloud).start().await;
    node.connect("pump-7").await.publish_readings(1..=10).await;
    wait_until("the sink tried", async || {
        node.sink("cloud").await["state"] == "backing-off"
    })
    .await;
    cloud.go_online().await;
    cloud.wait_for_readings("pump-7", 1..=10).await;
}

/// Files of the log, which are all that holds records.
fn log_files(node: &TestNode) -> Vec<PathBuf> {
    let files = std::fs::read_dir(node.data())
        .unwrap()
        .map(|file| file.unwrap().path());
    files
        .filter(|file| {
            file.extension()
                .is_some_and(|extension| extension == "segment")
        })
        .collect()
}
