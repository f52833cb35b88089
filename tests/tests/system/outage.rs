//! The link goes, the node goes, both come back: what was acknowledged arrives.

use tests::{Answer, TestCloud, TestNode};

#[tokio::test]
async fn events_survive_an_outage_and_a_kill_in_order() {
    let mut cloud = TestCloud::start().await;
    let mut node = TestNode::builder().uplink(&cloud).start().await;
    let mut device = node.connect("pump-7").await;

    cloud.go_offline().await;
    device.publish_readings(1..=100).await;
    node.restart().await;
    cloud.go_online().await;

    cloud.wait_for_readings("pump-7", 1..=100).await;
}

#[tokio::test]
async fn an_event_keeps_its_identity_on_every_retry() {
    let cloud = TestCloud::start().await;
    let mut node = TestNode::builder().uplink(&cloud).start().await;
    let mut device = node.connect("pump-7").await;
    device.publish_readings(1..=20).await;
    cloud.wait_for_readings("pump-7", 1..=20).await;
    // What the sink's cursor had not saved comes again, and must come as the same events; others have ids of their own.
    node.restart().await;
    let mut device = node.connect("pump-7").await;
    device.publish_readings(21..=40).await;
    cloud.wait_for_readings("pump-7", 1..=40).await;
    node.wait_until_drained("cloud").await;

    let mut identities: std::collections::BTreeMap<_, Vec<_>> = std::collections::BTreeMap::new();
    for event in cloud.received() {
        identities
            .entry(event.data.clone())
            .or_default()
            .push(event.identity());
    }
    assert_eq!(identities.len(), 40);
    let mut all = std::collections::BTreeSet::new();
    for (data, seen) in identities {
        assert!(
            seen.iter().all(|identity| *identity == seen[0]),
            "{data:?} changed its identity: {seen:?}"
        );
        assert!(
            all.insert(seen[0].clone()),
            "two events share {:?}",
            seen[0]
        );
    }
}

#[tokio::test]
async fn a_sink_waits_as_long_as_its_receiver_asks() {
    let cloud = TestCloud::start().await;
    cloud.answer([Answer {
        code: 429,
        retry_after: Some(2),
    }]);
    let node = TestNode::builder().uplink(&cloud).start().await;
    let mut device = node.connect("pump-7").await;
    let asked = std::time::Instant::now();
    device.publish_readings(1..=5).await;

    cloud.wait_for_readings("pump-7", 1..=5).await;
    assert!(
        asked.elapsed() >= std::time::Duration::from_secs(2),
        "it came back after {:?}",
        asked.elapsed()
    );
}

#[tokio::test]
async fn a_hub_that_dies_and_returns_gets_everything() {
    let mut hub = TestNode::start().await;
    let node = TestNode::builder().uplink_to_node(&hub).start().await;
    let mut listener = hub.connect_durable("listener").await;
    listener.subscribe("#", 1).await;
    listener.disconnect().await;
    let mut device = node.connect("pump-7").await;

    device.publish_readings(1..=50).await;
    hub.kill().await;
    device.publish_readings(51..=100).await;
    hub.start_again().await;

    let mut listener = hub.connect_durable("listener").await;
    assert!(listener.session_present());
    listener.receive_readings("pump-7", 1..=100).await;
}
