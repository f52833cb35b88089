//! The real programs of users: mosquitto's clients and Python's paho. `./test e2e` installs them and turns this on.

use std::{
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use tests::{TestCloud, TestNode, wait_until, within};

/// How long a program waits for what is to come, in seconds: less than we wait for the program, so that it can say what it
/// misses.
const PATIENCE_S: &str = "100";

/// The program is ended if it does not end.
async fn run(mut command: Command) -> Output {
    command.stdin(Stdio::null());
    let mut command = tokio::process::Command::from(command);
    within("the program ends", command.kill_on_drop(true).output())
        .await
        .expect("the program is installed; ./test e2e sees to it")
}

fn mosquitto(program: &str, node: &TestNode, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(["-h", &node.mqtt().ip().to_string()])
        .args(["-p", &node.mqtt().port().to_string()])
        .args(arguments);
    command
}

fn python(script: &str, node: &TestNode) -> Command {
    let home =
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/tmp".into())).join(".cache");
    let cache = || {
        std::env::var_os("XDG_CACHE_HOME")
            .map_or_else(home, PathBuf::from)
            .join("edge-node")
    };
    let peers = std::env::var_os("EDGE_PEERS").map_or_else(cache, PathBuf::from);
    let mut command = Command::new(peers.join("python/bin/python"));
    let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/system/peers");
    command
        .arg(format!("{scripts}/{script}"))
        .arg(node.mqtt().ip().to_string())
        .arg(node.mqtt().port().to_string());
    command
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test]
async fn mosquitto_sub_gets_what_was_published_while_it_was_away() {
    let mut node = TestNode::start().await;
    for version in ["mqttv311", "mqttv5"] {
        let session: Vec<&str> = match version {
            "mqttv5" => vec![
                "-V", version, "-i", version, "-c", "-x", "3600", "-q", "1", "-t", "room/#",
            ],
            _ => vec![
                "-V", version, "-i", version, "-c", "-q", "1", "-t", "room/#",
            ],
        };
        said(
            &run(mosquitto(
                "mosquitto_sub",
                &node,
                &[&session[..], &["-E"]].concat(),
            ))
            .await,
        );
        for payload in ["1", "2", "3"] {
            let publish = ["-V", version, "-q", "1", "-t", "room/1", "-m", payload];
            said(&run(mosquitto("mosquitto_pub", &node, &publish)).await);
        }
        node.restart().await;
        let read = [&session[..], &["-C", "3", "-W", PATIENCE_S, "-F", "%t %p"]].concat();
        assert_eq!(
            said(&run(mosquitto("mosquitto_sub", &node, &read)).await),
            "room/1 1\nroom/1 2\nroom/1 3\n"
        );
    }
}

#[tokio::test]
async fn the_line_to_try_that_a_node_prints_publishes_an_event() {
    let node = TestNode::start().await;
    let mut screen = node.connect("screen").await;
    screen.subscribe("plant/#", 1).await;
    let log = node.log();
    let line = log.lines().find_map(|line| line.strip_prefix("try "));
    let mut shell = Command::new("sh");
    shell.args(["-c", line.unwrap_or_else(|| panic!("{log}"))]);
    said(&run(shell).await);
    let message = screen.next_message().await.unwrap();
    assert_eq!(
        (message.topic.as_str(), &message.payload[..]),
        ("plant/pump-7", &b"{\"rpm\":1450}"[..])
    );
}

#[tokio::test]
async fn mosquitto_gets_retained_messages_and_qos_2() {
    let node = TestNode::start().await;
    let publish = [
        "-V",
        "mqttv5",
        "-q",
        "2",
        "-r",
        "-t",
        "state",
        "-m",
        "on",
        "-D",
        "publish",
        "user-property",
        "a",
        "b",
    ];
    said(&run(mosquitto("mosquitto_pub", &node, &publish)).await);
    let read = [
        "-V",
        "mqttv5",
        "-q",
        "2",
        "-t",
        "state",
        "-C",
        "1",
        "-W",
        PATIENCE_S,
        "-F",
        "%q %r %p %P",
    ];
    assert_eq!(
        said(&run(mosquitto("mosquitto_sub", &node, &read)).await),
        "2 1 on a:b\n"
    );
}

#[tokio::test]
async fn paho_of_python_speaks_3_1_1_and_5() {
    let node = TestNode::start().await;
    let output = run(python("paho_round_trip.py", &node)).await;
    assert_eq!(
        said(&output),
        "3.1.1: 300 of 300\n5.0: 300 of 300\n",
        "{output:?}"
    );
}

#[tokio::test]
async fn paho_of_python_gets_everything_it_was_acknowledged_after_a_kill() {
    let mut node = TestNode::start().await;
    let published = run(python("paho_publish.py", &node)).await;
    assert_eq!(said(&published), "acknowledged 500\n", "{published:?}");
    node.restart().await;
    let received = run(python("paho_receive.py", &node)).await;
    assert_eq!(said(&received), "received 500 in order\n", "{received:?}");
}

#[tokio::test]
async fn what_paho_of_python_says_in_sparkplug_protobuf_and_cbor_is_understood_over_a_kill() {
    let rules = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../examples/rules/decoders.toml"
    );
    let cloud = TestCloud::start().await;
    let mut node = TestNode::builder()
        .config(&format!("[rules]\nfiles = [{rules:?}]\n"))
        .uplink(&cloud)
        .start()
        .await;
    let speak = |node: &TestNode, what: &str| {
        let mut command = python("paho_payloads.py", node);
        command.arg(what);
        run(command)
    };
    assert_eq!(said(&speak(&node, "birth").await), "born\n");
    node.restart().await;
    assert_eq!(
        said(&speak(&node, "data").await),
        "asked 1 time on spBv1.0/plant/NCMD/tank\n"
    );
    wait_until("the cloud has all", async || cloud.received().len() >= 5).await;
    let of = |topic: &str| {
        let mut received = cloud.received();
        received.retain(|it| it.attribute("mqtttopic") == topic);
        received.remove(0).data
    };
    let json = |topic: &str| serde_json::from_slice::<serde_json::Value>(&of(topic)).unwrap();
    let level = json("spBv1.0/plant/NDATA/tank")["values"].clone();
    assert_eq!(level, serde_json::json!({"level": 97}));
    assert_eq!(
        json("pumps/7"),
        serde_json::json!({"name": "pump-7", "celsius": 71.5, "state": "RUNNING"})
    );
    assert_eq!(of("meters/3"), b"\xa1\x61x\x11");

    let status = node.status().await;
    for (place, name) in ["full", "hot", "leaks"].into_iter().enumerate() {
        let rule = &status["rules"][place];
        assert_eq!(
            (&rule["name"], &rule["matched"]),
            (&name.into(), &1.into()),
            "{rule}"
        );
    }
    let sparkplug = &status["decoders"]["sparkplug"];
    assert_eq!(
        (&sparkplug["unknown_aliases"], &sparkplug["rebirths"]),
        (&1.into(), &1.into()),
        "{sparkplug}"
    );
    let metrics = tests::get(node.http(), "/metrics").await.body;
    assert!(
        metrics.contains("edge_node_sparkplug_total{what=\"unknown-alias\"} 1\n"),
        "{metrics}"
    );
}
