//! Rules on a running node: what the uplinks get, and that it stays what it was when the event was published.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

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
    for sink in ["archive", "cloud"] {
        node.wait_until_drained(sink).await;
    }
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
async fn a_gate_remembers_over_a_kill_what_it_let_pass() {
    let mut cloud = TestCloud::start().await;
    cloud.go_offline().await;
    let folder = Folder::new(
        "[[rule]]\nname = \"once\"\n[[rule.step]]\ndedupe = { within = \"1h\" }\nkey = [\"$.data.n\"]\n",
    );
    let mut node = TestNode::builder()
        .config(&folder.config())
        .uplink(&cloud)
        .start()
        .await;
    node.connect("pump-7").await.publish_readings(1..=100).await;
    node.restart().await;
    node.connect("pump-7")
        .await
        .publish_readings(51..=150)
        .await;
    cloud.go_online().await;
    cloud.wait_for_readings("pump-7", 1..=150).await;
    node.wait_until_drained("cloud").await;
    let mut readings = cloud.readings("pump-7");
    readings.sort_unstable();
    readings.dedup();
    assert_eq!(readings.len(), 150);
    let status = node.status().await;
    assert_eq!(status["rules"][0]["dropped"], 50);
    let loss = &status["ledger"][0];
    assert_eq!(
        (&loss["scope"], &loss["count"]),
        (&"once/dedupe".into(), &50.into())
    );
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

#[tokio::test]
async fn a_thousand_sets_of_rules_are_read_while_events_come_none_is_judged_by_two_and_memory_stays()
 {
    const RELOADS: usize = 1000;
    /// Of each reload: some come before the new set is in use, some after.
    const EVENTS: u64 = 2;
    /// A set that stays is larger than 1 KB a rule.
    const OTHERS: usize = 60;
    let others: String = (0..OTHERS)
        .map(|it| {
            format!(
                "[[rule]]\nname = \"r{it}\"\npattern = '{{\"data\": {{\"f{it}\": [\"{it}\"]}}}}'\n"
            )
        })
        .collect();
    let set = |number: usize| marking(number) + &others;
    let cloud = TestCloud::start().await;
    let folder = Folder::new(&set(0));
    let node = TestNode::builder()
        .config(&folder.config())
        .uplink(&cloud)
        .start()
        .await;
    let mut device = node.connect("pump-7").await;
    let mut early = 0;
    for number in 1..=RELOADS {
        folder.write(&set(number));
        let last = number as u64 * EVENTS;
        let (reloaded, ()) = tokio::join!(
            reload_over_http(&node),
            device.publish_readings(last - EVENTS + 1..=last),
        );
        assert_eq!(
            (reloaded.code, reloaded.body),
            (200, format!("{{\"rules\":{}}}", OTHERS + 2))
        );
        if number == RELOADS / 10 {
            early = node.rss();
        }
    }
    let (late, allowed) = (node.rss(), 16 << 20);
    assert!(
        late < early + allowed,
        "{early} bytes after a tenth of the reloads, {late} after all"
    );
    cloud
        .wait_for_readings("pump-7", 1..=RELOADS as u64 * EVENTS)
        .await;
    let marks = cloud.received().into_iter();
    let marks: Vec<(String, String)> = marks
        .map(|it| {
            (
                it.attribute("first").to_owned(),
                it.attribute("second").to_owned(),
            )
        })
        .collect();
    let mixed: Vec<_> = marks
        .iter()
        .filter(|(first, second)| first != second)
        .collect();
    assert!(mixed.is_empty(), "{mixed:?}");
    let sets: BTreeSet<&String> = marks.iter().map(|(first, _)| first).collect();
    assert!(sets.len() >= RELOADS / 2, "{sets:?}");
    let matched = node.status().await["rules"][0]["matched"].clone();
    assert_eq!(matched, RELOADS as u64 * EVENTS, "counted over all sets");
}

#[tokio::test]
async fn a_file_that_is_wrong_leaves_the_rules_and_a_signal_or_a_command_brings_in_its_correction()
{
    let cloud = TestCloud::start().await;
    let folder = Folder::new(&marking(1));
    let node = TestNode::builder()
        .config(&folder.config())
        .uplink(&cloud)
        .start()
        .await;
    let mut device = node.connect("pump-7").await;
    folder.write("[[rule]]\nname = \"a\"\nsinks = [\"clod\"]\n");
    let refused = reload(&node).await;
    assert_eq!(refused.status.code(), Some(1));
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        error.contains("rules.toml:3:10: there is no uplink `clod`, did you mean `cloud`?"),
        "{error}"
    );
    device.publish_readings(1..=1).await;

    folder.write(&marking(2));
    let done = reload(&node).await;
    assert_eq!(
        String::from_utf8_lossy(&done.stdout),
        "2 rules are in use\n"
    );
    device.publish_readings(2..=2).await;

    folder.write("[[rule]]\nname = \"third\"\n");
    node.signal(rustix::process::Signal::HUP);
    wait_until("the third set is in use", async || {
        node.status().await["rules"][0]["name"] == "third"
    })
    .await;
    device.publish_readings(3..=3).await;
    cloud.wait_for_readings("pump-7", 1..=3).await;
    let marks: Vec<String> = cloud
        .received()
        .iter()
        .map(|it| it.attribute("first").to_owned())
        .collect();
    assert_eq!(marks, ["1", "2", ""]);
}

/// Two rules that leave the mark of their set on every event.
fn marking(set: usize) -> String {
    let rule = |name: &str| {
        format!(
            "[[rule]]\nname = {name:?}\n[[rule.step]]\nset = {{ attributes = {{ {name} = \"{set}\" }} }}\n"
        )
    };
    rule("first") + &rule("second")
}

async fn reload_over_http(node: &TestNode) -> tests::Response {
    let head = "POST /api/v1/rules/reload HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n";
    tests::request(node.http(), head, b"{}").await
}

pub(super) async fn reload(node: &TestNode) -> std::process::Output {
    let mut command = std::process::Command::new(tests::edge_node());
    command.args(["rules", "reload", "--data"]).arg(node.data());
    let running = tokio::task::spawn_blocking(move || command.output());
    running.await.unwrap().unwrap()
}

/// A folder with a file of rules.
pub(super) struct Folder(tempfile::TempDir);

impl Folder {
    pub(super) fn new(rules: &str) -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        folder.write(rules);
        folder
    }

    pub(super) fn write(&self, rules: &str) {
        std::fs::write(self.path(), rules).unwrap();
    }

    fn path(&self) -> PathBuf {
        Path::new(self.0.path()).join("rules.toml")
    }

    pub(super) fn config(&self) -> String {
        format!("[rules]\nfiles = [{:?}]\n", self.path())
    }
}

pub(super) fn uplink(name: &str, cloud: &TestCloud) -> String {
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
