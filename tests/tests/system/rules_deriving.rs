//! Windows and silence on a running node: what is derived of acknowledged events is derived once, whatever happens to the node.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use tests::{Received, TestCloud, TestNode, wait_until};

use super::rules::{Folder, reload, uplink};

const TENS: &str = r#"
[[rule]]
name = "tens"
topic = "+/reading"
[[rule.step]]
window = { count = 10, emit-topic = "sums", values = { sum = "sum($.data.n)" } }
"#;

/// What windows derived, by its id; a repeat is the same to the last byte.
fn windows(cloud: &TestCloud) -> BTreeMap<(String, String), Json> {
    let received = cloud.received().into_iter();
    let derived = received.filter(|it| it.attribute("type") == "rule.window");
    let mut seen: BTreeMap<(String, String), Received> = BTreeMap::new();
    for event in derived {
        let first = seen.entry(event.identity()).or_insert(event.clone());
        assert_eq!(*first, event);
    }
    let data = |it: Received| serde_json::from_slice(&it.data).unwrap();
    seen.into_iter().map(|(id, it)| (id, data(it))).collect()
}

fn sums(cloud: &TestCloud) -> BTreeSet<u64> {
    let windows = windows(cloud).into_values();
    windows
        .map(|it| it["values"]["sum"].as_u64().unwrap())
        .collect()
}

#[tokio::test]
async fn a_window_over_kills_of_the_node_derives_each_sum_once_under_one_id() {
    let cloud = TestCloud::start().await;
    let folder = Folder::new(TENS);
    let mut node = TestNode::builder()
        .config(&folder.config())
        .uplink(&cloud)
        .start()
        .await;
    // Kills in the middle of a window, and right behind its end.
    for (first, last) in [(1, 15), (16, 30), (31, 47), (48, 100)] {
        let mut device = node.connect("pump-7").await;
        device.publish_readings(first..=last).await;
        node.restart().await;
    }
    cloud.wait_for_readings("pump-7", 1..=100).await;
    let wanted: BTreeSet<u64> = (0..10).map(|ten| ten * 100 + 55).collect();
    wait_until("all sums have arrived", async || sums(&cloud).len() >= 10).await;
    node.wait_until_drained("cloud").await;
    assert_eq!(sums(&cloud), wanted);
    let windows = windows(&cloud);
    assert_eq!(windows.len(), 10, "{windows:?}");
    assert!(windows.values().all(|it| it["partial"] == false));
}

#[tokio::test]
async fn a_derived_event_is_delivered_here_and_judged_by_other_rules_and_its_stage_is_in_status_and_metrics()
 {
    let (cloud, archive) = (TestCloud::start().await, TestCloud::start().await);
    let high = r#"
        [[rule]]
        name = "high"
        topic = "sums"
        pattern = '{"data": {"values": {"sum": [{"numeric": [">", 100]}]}}}'
        sinks = ["archive"]
        [[rule]]
        name = "readings stay here"
        topic = "+/reading"
        drop = true
    "#;
    let folder = Folder::new(&(TENS.to_owned() + high));
    let node = TestNode::builder()
        .config(&folder.config())
        .uplink(&cloud)
        .config(&uplink("archive", &archive))
        .start()
        .await;
    let mut listener = node.connect("listener").await;
    listener.subscribe("sums", 1).await;
    let mut device = node.connect("pump-7").await;
    device.publish_readings(1..=25).await;
    for sum in [55, 155] {
        let message = listener.next_message().await.unwrap();
        let data: Json = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!(
            (&*message.topic, &data["values"]["sum"]),
            ("sums", &sum.into())
        );
    }
    wait_until("the low sum is in the cloud", async || {
        sums(&cloud).contains(&55) && sums(&archive).len() == 2
    })
    .await;
    // Where a rule names a sink, no other is owed it.
    assert_eq!(
        (sums(&cloud), sums(&archive)),
        ([55].into(), [55, 155].into())
    );

    let stage = &node.status().await["rules"][0]["stages"][0];
    assert_eq!(
        (&stage["stage"], &stage["step"], &stage["keys"]),
        (&"window".into(), &1.into(), &1.into())
    );
    let metrics = tests::get(node.http(), "/metrics").await.body;
    let line = "edge_node_stage_keys{rule=\"tens\",step=\"1\",stage=\"window\"} 1\n";
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test]
async fn absence_is_said_after_a_kill_and_the_return_too() {
    let cloud = TestCloud::start().await;
    let folder = Folder::new(
        r#"
        [[rule]]
        name = "silence"
        topic = "+/reading"
        [[rule.step]]
        absence = { after = "2s", emit-topic = "health" }
        "#,
    );
    let mut node = TestNode::builder()
        .config(&folder.config())
        .uplink(&cloud)
        .start()
        .await;
    node.connect("pump-7").await.publish_readings(1..=1).await;
    node.restart().await;
    let said = |word: &str| -> BTreeSet<(String, String)> {
        let received = cloud.received().into_iter();
        let said = received.filter(|it| it.attribute("type") == word);
        said.map(|it| it.identity()).collect()
    };
    wait_until("the silence is said", async || {
        !said("rule.absent").is_empty()
    })
    .await;
    let first = said("rule.absent");
    node.restart().await;
    node.connect("pump-7").await.publish_readings(2..=2).await;
    wait_until("the return is said", async || {
        !said("rule.returned").is_empty()
    })
    .await;
    assert_eq!(said("rule.returned").len(), 1);
    assert!(said("rule.absent").is_superset(&first));
    let of_first: Vec<_> = said("rule.absent")
        .into_iter()
        .filter(|it| first.contains(it))
        .collect();
    assert_eq!(of_first.len(), 1, "one silence has one id");
}

#[tokio::test]
async fn a_window_that_leaves_the_rules_gives_what_it_holds_as_partial_after_a_kill_too() {
    let cloud = TestCloud::start().await;
    for kill in [false, true] {
        let folder = Folder::new(&TENS.replace("tens", &format!("tens {kill}")));
        let mut node = TestNode::builder()
            .config(&folder.config())
            .uplink(&cloud)
            .start()
            .await;
        node.connect("pump-7").await.publish_readings(1..=3).await;
        folder.write("");
        if kill {
            node.restart().await;
        } else {
            let done = reload(&node).await;
            assert!(done.status.success(), "{done:?}");
        }
        let of_rule = |id: &(String, String)| id.1.starts_with(&format!("tens {kill}/"));
        wait_until("the partial sum has arrived", async || {
            windows(&cloud).keys().any(of_rule)
        })
        .await;
        let windows = windows(&cloud).into_iter();
        let partial: Vec<_> = windows
            .filter(|(id, _)| of_rule(id))
            .map(|(_, it)| (it["values"]["sum"].clone(), it["partial"].clone()))
            .collect();
        assert_eq!(partial, [(6.into(), true.into())]);
    }
}
