//! Rules on a running node: what the uplinks get, and that it stays what it was when the event was published.

use std::path::{Path, PathBuf};

use tests::{Received, TestCloud, TestNode, wait_until};

const SHAPED: &str = r#"
[[rule]]
name = "tenths"
topic = "+/reading"
for = ["cloud"]
[[rule.step]]
scale = { field = "$.data.n", factor = 10 }

[[rule]]
name = "audit"
topic = "audit"
sinks = ["archive"]

[[rule]]
name = "debug"
topic = "debug/#"
drop = true
"#;

#[tokio::test]
async fn each_uplink_gets_what_rules_say_of_it() {
    let (cloud, archive) = (TestCloud::start().await, TestCloud::start().await);
    let folder = Folder::new(SHAPED);
    let node = TestNode::builder()
        .config(&folder.config())
        .uplink(&cloud)
        .config(&uplink("archive", &archive))
        .start()
        .await;
    let mut device = node.connect("pump-7").await;
    for topic in ["debug/1", "audit"] {
        device.publish(topic, "x").await.unwrap();
    }
    device.publish_readings(1..=3).await;
    archive.wait_for_readings("pump-7", 1..=3).await;
    cloud.wait_for_readings("pump-7", [10, 20, 30]).await;
    assert_eq!(topics(&archive), ["audit", "pump-7/reading"]);
    assert_eq!(topics(&cloud), ["pump-7/reading"]);

    let status = node.status().await;
    let counted = status["rules"].as_array().unwrap().iter();
    let counted: Vec<_> = counted
        .map(|it| {
            (
                it["name"].as_str().unwrap(),
                it["matched"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(counted, [("tenths", 3), ("audit", 1), ("debug", 1)]);
    let loss = &status["ledger"][0];
    assert_eq!(
        (&loss["reason"], &loss["scope"], &loss["count"]),
        (&"dropped-by-rule".into(), &"debug".into(), &1.into())
    );
    let metrics = tests::get(node.http(), "/metrics").await.body;
    assert!(
        metrics.contains("edge_node_rule_dropped_total{rule=\"debug\"} 1\n"),
        "{metrics}"
    );
}

#[tokio::test]
async fn events_that_wait_for_a_link_keep_the_form_of_their_publish_when_rules_change_and_the_node_is_killed()
 {
    const EVENTS: u64 = 10_000;
    let mut cloud = TestCloud::start().await;
    cloud.go_offline().await;
    let folder = Folder::new(SHAPED.split("[[rule]]\nname = \"audit\"").next().unwrap());
    let mut node = TestNode::builder()
        .config(&folder.config())
        .uplink(&cloud)
        .start()
        .await;
    node.connect("pump-7")
        .await
        .publish_readings(1..=EVENTS)
        .await;
    folder.write("[[rule]]\nname = \"nothing\"\ndrop = true\n");
    node.restart().await;
    node.connect("pump-8").await.publish_readings(1..=5).await;
    cloud.go_online().await;
    let tens = (1..=EVENTS).map(|n| n * 10);
    cloud.wait_for_readings("pump-7", tens).await;
    node.wait_until_drained("cloud").await;
    let plain = cloud
        .readings("pump-7")
        .iter()
        .filter(|n| *n % 10 != 0)
        .count();
    assert_eq!((plain, cloud.readings("pump-8").len()), (0, 0));
}

#[tokio::test]
async fn a_step_that_fails_makes_a_dead_letter_where_its_rule_says_so() {
    let cloud = TestCloud::start().await;
    let folder = Folder::new(
        "[[rule]]\nname = \"tenths\"\non-error = \"dead-letter\"\n[[rule.step]]\nscale = { field = \"$.data.n\", factor = 10 }\n",
    );
    let node = TestNode::builder()
        .config(&folder.config())
        .uplink(&cloud)
        .start()
        .await;
    let mut device = node.connect("pump-7").await;
    device.publish("t", "no number").await.unwrap();
    device.publish_readings(1..=1).await;
    cloud.wait_for_readings("pump-7", [10]).await;
    wait_until("the event is a dead letter", async || {
        node.sink("cloud").await["dead_letters"] == 1
    })
    .await;
    assert_eq!(cloud.received().len(), 1);
}

#[tokio::test]
async fn a_file_of_rules_that_is_wrong_refuses_the_start_with_place_and_nearest_name() {
    let cloud = TestCloud::start().await;
    for (rules, complaint) in [
        (
            "[[rule]]\nname = \"a\"\nsinks = [\"clod\"]\n",
            "rules.toml:3:10: there is no uplink `clod`, did you mean `cloud`?",
        ),
        (
            "[[rule]]\nname = \"a\"\nlane = \"alrm\"\n",
            "rules.toml:3:8: there is no lane `alrm`, did you mean `alarm`?",
        ),
        (
            "[[rule]]\nname = \"a\"\ntopc = \"b\"\n",
            "rules.toml:3:1: unknown key `topc`, did you mean `topic`?",
        ),
    ] {
        let folder = Folder::new(rules);
        let builder = TestNode::builder().config(&folder.config()).uplink(&cloud);
        let ended = builder.refuses_to_start().await;
        assert_eq!(ended.status.code(), Some(1));
        assert!(ended.output.contains(complaint), "{}", ended.output);
    }
}

/// A folder with a file of rules.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(rules: &str) -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        folder.write(rules);
        folder
    }

    fn write(&self, rules: &str) {
        std::fs::write(self.path(), rules).unwrap();
    }

    fn path(&self) -> PathBuf {
        Path::new(self.0.path()).join("rules.toml")
    }

    fn config(&self) -> String {
        format!("[rules]\nfiles = [{:?}]\n", self.path())
    }
}

fn uplink(name: &str, cloud: &TestCloud) -> String {
    let endpoint = cloud.url();
    format!("[[uplink]]\nname = {name:?}\nkind = \"http\"\nendpoints = [{endpoint:?}]")
}

/// The topics of what came, each once.
fn topics(cloud: &TestCloud) -> Vec<String> {
    let topic = |event: &Received| event.attribute("mqtttopic").to_owned();
    let mut topics: Vec<String> = cloud.received().iter().map(topic).collect();
    topics.sort();
    topics.dedup();
    topics
}
