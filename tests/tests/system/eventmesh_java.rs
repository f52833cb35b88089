//! EventMesh's own Java SDK, unchanged, at a node. `./test e2e` fetches it and turns this on.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
};

use rumqttc::v5::mqttbytes::{
    QoS,
    v5::{Packet, Publish, PublishProperties},
};
use serde_json::{Value, json};
use tests::{Device, TestNode, within};
use tokio::sync::mpsc;

#[tokio::test]
async fn the_sdk_publishes_to_a_node_and_subscribes_at_it() {
    let node = TestNode::start().await;
    let mut device = node.connect("reader").await;
    device.subscribe("plant/a", 1).await;
    let mut subscriber = Java::subscribe(&node, "g", "CLUSTERING", "plant/a").await;
    let mut publisher = Java::publish(&node).await;

    let first = event(
        "e1",
        json!({"datacontenttype": "application/json", "data": {"c": 21.5}, "hot": true, "n": 7}),
    );
    publisher.say(&first.to_string());
    assert_eq!(
        publisher.line().await,
        "0 success SendResult[topic=plant/a, messageId=e1]"
    );
    let batch = [
        event(
            "e2",
            json!({"datacontenttype": "text/plain", "data": "hallo"}),
        ),
        event(
            "e3",
            json!({"datacontenttype": "application/octet-stream", "data_base64": "AAEC"}),
        ),
    ];
    publisher.say("begin");
    for event in &batch {
        publisher.say(&event.to_string());
    }
    publisher.say("batch");
    assert_eq!(publisher.line().await, "0 success batch publish success");

    let e1 = subscriber.event().await;
    for name in [
        "id",
        "source",
        "type",
        "subject",
        "time",
        "datacontenttype",
        "data",
        "hot",
        "n",
        "ttl",
        "label",
    ] {
        assert_eq!(e1[name], first[name], "{name}: {e1}");
    }
    let said: BTreeMap<&str, &str> = [
        ("env", "test"),
        ("idc", "here"),
        ("sys", "7"),
        ("username", "somebody"),
        ("producergroup", "publishers"),
        ("language", "JAVA"),
        ("protocoltype", "cloudevents"),
        ("protocoldesc", "grpc-cloud-event"),
        ("protocolversion", "1.0"),
    ]
    .into();
    for (name, value) in said {
        assert_eq!(e1[name], value, "{name}: {e1}");
    }
    assert_ne!(e1["passwd"], "a secret");
    assert_eq!(
        text(&subscriber.event().await),
        ("e2".to_owned(), "hallo".to_owned())
    );
    assert_eq!(
        text(&subscriber.event().await),
        ("e3".to_owned(), "\0\u{1}\u{2}".to_owned())
    );

    for expected in [b"{\"c\":21.5}".as_slice(), b"hallo", &[0, 1, 2]] {
        assert_eq!(device.next_message().await.unwrap().payload, expected);
    }
}

#[tokio::test]
async fn the_sdk_is_told_why_a_node_refuses() {
    let node = TestNode::start().await;
    let mut publisher = Java::publish(&node).await;
    let mut nowhere = event("e1", json!({"datacontenttype": "text/plain", "data": "x"}));
    nowhere.as_object_mut().unwrap().remove("subject");
    publisher.say(&nowhere.to_string());
    assert_eq!(
        publisher.line().await,
        "7 eventMesh CloudEvent[body] err, `subject` is missing, or not text"
    );
}

#[tokio::test]
async fn every_broadcasting_sdk_gets_every_event_and_unsubscribing_one_leaves_the_other() {
    let node = TestNode::start().await;
    let mut one = Java::subscribe(&node, "g", "BROADCASTING", "plant").await;
    let mut two = Java::subscribe(&node, "g", "BROADCASTING", "plant").await;
    let mut device = node.connect("pump").await;
    device.publish("plant", "on").await.unwrap();
    for each in [&mut one, &mut two] {
        assert_eq!(text(&each.event().await).1, "on");
    }
    one.say("unsubscribe");
    assert_eq!(one.line().await, "0 unsubscribe success");
    device.publish("plant", "off").await.unwrap();
    assert_eq!(text(&two.event().await).1, "off");
}

#[tokio::test]
async fn what_mqtt_clients_send_reaches_an_sdk_behind_a_second_node_that_is_killed_in_between() {
    let mut hub = TestNode::start().await;
    let endpoint = hub.grpc();
    let edge = TestNode::builder()
        .config(&format!(
            "[[uplink]]\nname = \"mesh\"\nkind = \"eventmesh-grpc\"\nendpoints = [\"http://{endpoint}\"]"
        ))
        .start()
        .await;
    // The group begins before the first event; the hub keeps what it is owed while the consumer is away.
    let mut consumer = Java::subscribe(&hub, "g", "CLUSTERING", "pump-7-reading").await;
    let mut device = edge.connect("pump-7").await;
    let mut came = BTreeMap::new();

    publish(&mut device, 0..50).await;
    consumer.collect(&mut came, 50).await;

    hub.kill().await;
    publish(&mut device, 50..100).await;
    hub.start_again().await;
    consumer.say("again");
    consumer.until_ready(&mut came).await;
    publish(&mut device, 100..150).await;
    consumer.collect(&mut came, 150).await;

    for number in 0..150 {
        let event = &came[&format!("reading-{number}")];
        let expected = json!({
            "specversion": "1.0",
            "id": format!("reading-{number}"),
            "source": "/pumps/7",
            "type": "reading",
            "subject": "pump-7-reading",
            "cesubject": format!("impeller {number}"),
            "mqtttopic": "pump-7/reading",
            "datacontenttype": "application/json",
            "data": {"n": number},
            "line": "north",
            "xttl": "mine",
        });
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&event[name], value, "{name}: {event}");
        }
    }
    edge.wait_until_drained("mesh").await;
}

/// Publishes readings as CloudEvents in MQTT 5's binary mode, and waits until the node has each.
async fn publish(device: &mut Device, numbers: std::ops::Range<u16>) {
    for number in numbers {
        let attributes = [
            ("specversion", "1.0".to_owned()),
            ("id", format!("reading-{number}")),
            ("source", "/pumps/7".to_owned()),
            ("type", "reading".to_owned()),
            ("subject", format!("impeller {number}")),
            ("line", "north".to_owned()),
            ("ttl", "mine".to_owned()),
        ];
        let properties = PublishProperties {
            content_type: Some("application/json".to_owned()),
            user_properties: attributes
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            ..PublishProperties::default()
        };
        let payload = json!({ "n": number }).to_string();
        let mut publish = Publish::new(
            "pump-7/reading",
            QoS::AtLeastOnce,
            payload,
            Some(properties),
        );
        publish.pkid = number + 1;
        device.send(&Packet::Publish(publish)).await.unwrap();
        device.acknowledgement().await.unwrap();
    }
}

/// A Java program that is spoken to over its stdin and stdout.
struct Java {
    process: Child,
    input: ChildStdin,
    lines: mpsc::UnboundedReceiver<String>,
}

impl Java {
    async fn publish(node: &TestNode) -> Java {
        let mut java = Java::start("Publish", node, &["publishers"]);
        assert_eq!(java.line().await, "ready");
        java
    }

    async fn subscribe(node: &TestNode, group: &str, mode: &str, topic: &str) -> Java {
        let mut java = Java::start("Subscribe", node, &[group, mode, topic]);
        assert_eq!(java.line().await, "ready");
        java
    }

    fn start(program: &str, node: &TestNode, arguments: &[&str]) -> Java {
        let project = concat!(env!("CARGO_MANIFEST_DIR"), "/eventmesh-java/src/main");
        let jars = peers().join("eventmesh-sdk-java-1.10.0-release/*");
        let mut process = Command::new("java")
            .arg(format!(
                "-Dlog4j2.configurationFile={project}/resources/quiet.xml"
            ))
            .args(["-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp"])
            .arg(jars)
            .arg(format!("{project}/java/{program}.java"))
            .args([node.grpc().ip().to_string(), node.grpc().port().to_string()])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a JDK is installed; ./test e2e sees to it");
        let output = BufReader::new(process.stdout.take().unwrap());
        let (said, lines) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            let lines = output.lines().map_while(Result::ok);
            for line in lines.filter_map(|line| Some(line.strip_prefix("> ")?.to_owned())) {
                let _ = said.send(line); // the test is over
            }
        });
        let input = process.stdin.take().unwrap();
        Java {
            process,
            input,
            lines,
        }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    async fn line(&mut self) -> String {
        within("a line of the Java program", self.lines.recv())
            .await
            .expect("the Java program goes on")
    }

    async fn event(&mut self) -> Value {
        let line = self.line().await;
        let event = line
            .strip_prefix("event ")
            .unwrap_or_else(|| panic!("not an event: {line}"));
        serde_json::from_str(event).unwrap()
    }

    /// Takes events until so many different ones have come.
    async fn collect(&mut self, came: &mut BTreeMap<String, Value>, count: usize) {
        while came.len() < count {
            let event = self.event().await;
            came.insert(event["id"].as_str().unwrap().to_owned(), event);
        }
    }

    /// Takes events until a subscription stands.
    async fn until_ready(&mut self, came: &mut BTreeMap<String, Value>) {
        loop {
            let line = self.line().await;
            let Some(event) = line.strip_prefix("event ") else {
                assert_eq!(line, "ready");
                return;
            };
            let event: Value = serde_json::from_str(event).unwrap();
            came.insert(event["id"].as_str().unwrap().to_owned(), event);
        }
    }
}

impl Drop for Java {
    fn drop(&mut self) {
        let _ = self.process.kill(); // it may have ended by itself
        let _ = self.process.wait(); // reaps it; nobody asks how it ended
    }
}

/// Where `./test` keeps what it fetches.
fn peers() -> PathBuf {
    let home =
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/tmp".into())).join(".cache");
    let cache = || {
        std::env::var_os("XDG_CACHE_HOME")
            .map_or_else(home, PathBuf::from)
            .join("edge-node")
    };
    std::env::var_os("EDGE_PEERS").map_or_else(cache, PathBuf::from)
}

fn event(id: &str, more: Value) -> Value {
    let mut event = json!({
        "specversion": "1.0",
        "id": id,
        "source": "/sdk",
        "type": "reading",
        "subject": "plant/a",
        "time": "2026-11-21T07:00:00.123456789Z",
        "ttl": "4000",
        "label": "north",
    });
    let Value::Object(more) = more else {
        panic!("an object")
    };
    event.as_object_mut().unwrap().extend(more);
    event
}

/// The id and the data, whichever way JSON carries them.
fn text(event: &Value) -> (String, String) {
    use base64::Engine;
    let data = event["data_base64"].as_str().map_or_else(
        || event["data"].as_str().unwrap().to_owned(),
        |data| {
            String::from_utf8(
                base64::engine::general_purpose::STANDARD
                    .decode(data)
                    .unwrap(),
            )
            .unwrap()
        },
    );
    (event["id"].as_str().unwrap().to_owned(), data)
}
