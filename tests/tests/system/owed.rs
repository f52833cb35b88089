//! Which sink is owed which event: `from`, `lanes` and `start` of `[[uplink]]`.

use std::collections::BTreeSet;

use tests::{TestCloud, TestNode};

fn uplink(name: &str, cloud: &TestCloud, keys: &str) -> String {
    let endpoint = cloud.url();
    format!(
        "[[uplink]]\nname = \"{name}\"\nkind = \"http\"\nendpoints = [\"{endpoint}\"]\n{keys}\n"
    )
}

fn topics(cloud: &TestCloud) -> BTreeSet<String> {
    let received = cloud.received();
    let topics = received.iter().map(|event| event.attribute("mqtttopic"));
    topics.map(str::to_owned).collect()
}

#[tokio::test]
async fn a_sink_is_owed_what_its_from_and_lanes_say_and_by_default_all_but_dollar_topics() {
    let [all, pumps, alarms, own] = [
        TestCloud::start().await,
        TestCloud::start().await,
        TestCloud::start().await,
        TestCloud::start().await,
    ];
    let config = [
        "[[ingest]]\ntopic = \"alarm/#\"\nlane = \"alarm\"\n".to_owned(),
        uplink("all", &all, ""),
        uplink("pumps", &pumps, "from = [\"pump/+\", \"tank/#\"]"),
        uplink("alarms", &alarms, "lanes = [\"alarm\"]"),
        uplink("own", &own, "from = [\"$own/#\"]"),
    ];
    let node = TestNode::builder().config(&config.concat()).start().await;
    let mut device = node.connect("device").await;
    let sent = ["pump/7", "pump/7/deep", "tank/7/deep", "alarm/7", "$own/7"];
    for topic in sent {
        assert!(device.publish(topic, "x").await.unwrap() < 0x80, "{topic}");
    }
    for sink in ["all", "pumps", "alarms", "own"] {
        node.wait_until_drained(sink).await;
    }

    let some = |topics: &[&str]| topics.iter().map(|it| (*it).to_owned()).collect();
    assert_eq!(topics(&all), some(&sent[..4]));
    assert_eq!(topics(&pumps), some(&["pump/7", "tank/7/deep"]));
    assert_eq!(topics(&alarms), some(&["alarm/7"]));
    assert_eq!(topics(&own), some(&["$own/7"]));
}

#[tokio::test]
async fn a_sink_that_starts_now_gets_nothing_from_before_it_and_goes_on_where_it_was() {
    let [old, late] = [TestCloud::start().await, TestCloud::start().await];
    let mut node = TestNode::builder()
        .config(&uplink("old", &old, ""))
        .start()
        .await;
    node.connect("pump-7").await.publish_readings(1..=5).await;
    node.stop().await;

    node.configure(
        &[
            uplink("old", &old, ""),
            uplink("late", &late, "start = \"now\""),
        ]
        .concat(),
    );
    node.start_again().await;
    node.connect("pump-7").await.publish_readings(6..=10).await;
    node.restart().await;
    node.connect("pump-7").await.publish_readings(11..=15).await;
    old.wait_for_readings("pump-7", 1..=15).await;
    late.wait_for_readings("pump-7", 6..=15).await;
    node.wait_until_drained("late").await;
    assert!(late.readings("pump-7").iter().all(|number| *number >= 6));
}
