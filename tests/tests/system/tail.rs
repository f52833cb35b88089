//! `edge-node tail`: what passes, shown while it does, at nobody's cost.

use std::process::{Output, Stdio};

use serde_json::Value as Json;
use tests::{TestCloud, TestNode, within};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpSocket,
    process::{Child, Command},
};

const RULES: &str = r#"
[[rule]]
name = "hot"
topic = "plant/#"
pattern = '{"data": {"n": [{"numeric": [">", 10]}]}}'
lane = "alarm"
sinks = ["cloud"]

[[rule]]
name = "debug"
topic = "debug/#"
drop = true
"#;

/// `edge-node tail` of this node. It is ended if it does not end.
fn command(node: &TestNode, arguments: &[&str]) -> Command {
    let mut command = Command::new(tests::edge_node());
    command.arg("tail").arg("--data").arg(node.data());
    command.args(arguments).kill_on_drop(true);
    command.stdin(Stdio::null());
    command
}

/// It, looking on already.
async fn tail(node: &TestNode, arguments: &[&str]) -> Child {
    let mut command = command(node, arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    let read = within("tail looks on", said.read_line(&mut line)).await;
    assert!(read.is_ok(), "{read:?}");
    assert!(line.starts_with("looking at what passes"), "{line}");
    child
}

async fn ended(child: Child) -> Output {
    let ended = within("tail ends", child.wait_with_output()).await;
    ended.unwrap()
}

#[tokio::test]
async fn what_fits_is_shown_with_what_rules_make_of_it() {
    let cloud = TestCloud::start().await;
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.toml");
    std::fs::write(&rules, RULES).unwrap();
    let node = TestNode::builder()
        .config(&format!("[rules]\nfiles = [{rules:?}]\n"))
        .uplink(&cloud)
        .start()
        .await;
    let filter = r#"{"data": {"n": [{"numeric": [">", 7]}]}}"#;
    let json = tail(&node, &["--filter", filter, "--count", "3", "--json"]).await;
    let sql = "mqtttopic LIKE 'plant/%'";
    let text = tail(&node, &["--filter", sql, "--count", "1"]).await;
    let mut device = node.connect("pump-7").await;
    for (topic, payload) in [
        ("other", r#"{"n": 5}"#),
        ("debug/1", r#"{"n": 12}"#),
        ("other", "no number"),
        ("plant/7", r#"{"n": 11}"#),
        ("other", r#"{"n": 8}"#),
    ] {
        device.publish(topic, payload).await.unwrap();
    }
    let shown = ended(json).await;
    assert!(shown.status.success(), "{shown:?}");
    let lines = String::from_utf8(shown.stdout).unwrap();
    let lines: Vec<Json> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let verdict = |it: &Json| {
        let of = ["topic", "matched", "dropped", "lane", "sinks"].map(|name| it[name].clone());
        Json::from(of.to_vec())
    };
    assert_eq!(
        lines.iter().map(verdict).collect::<Vec<_>>(),
        [
            serde_json::json!(["debug/1", ["debug"], "debug", "normal", null]),
            serde_json::json!(["plant/7", ["hot"], null, "alarm", ["cloud"]]),
            serde_json::json!(["other", [], null, "normal", null]),
        ]
    );
    assert_eq!(lines[1]["event"]["data"]["n"], 11);
    assert_eq!(lines[0]["position"], Json::Null);
    assert!(lines[1]["position"].is_u64(), "{}", lines[1]);

    let text = String::from_utf8(ended(text).await.stdout).unwrap();
    assert!(
        text.contains(" plant/7 ") && text.contains("{\"n\":11}"),
        "{text}"
    );
    assert!(
        text.ends_with("    hot: owed to cloud, lane alarm\n"),
        "{text}"
    );
}

#[tokio::test]
async fn who_looks_on_without_reading_misses_lines_is_told_how_many_and_holds_up_nobody() {
    const EVENTS: u64 = 100;
    let node = TestNode::builder()
        .config("[http]\nbody-timeout = \"10m\"\n")
        .start()
        .await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    let mut slow = socket.connect(node.http()).await.unwrap();
    slow.write_all(b"GET /api/v1/tail HTTP/1.0\r\n\r\n")
        .await
        .unwrap();
    let mut received = Vec::new();
    while !received.ends_with(b"\r\n\r\n") {
        received.push(within("the head", slow.read_u8()).await.unwrap());
    }
    let mut device = node.connect("pump-7").await;
    let payload = "x".repeat(200_000);
    for _ in 0..EVENTS {
        device.publish("t", payload.clone()).await.unwrap();
    }
    let (mut passed, mut missed) = (0, 0);
    received.clear();
    while passed + missed < EVENTS {
        let read = within("more lines", slow.read_buf(&mut received)).await;
        assert!(read.unwrap() > 0, "{passed} passed, {missed} missed");
        while let Some(end) = received.iter().position(|it| *it == b'\n') {
            let line: Json = serde_json::from_slice(&received[..end]).unwrap();
            match line["missed"].as_u64() {
                Some(more) => missed += more,
                None => passed += 1,
            }
            received.drain(..=end);
        }
    }
    assert_eq!(passed + missed, EVENTS);
    assert!(missed > 0 && passed > 0, "{passed} passed, {missed} missed");
}

#[tokio::test]
async fn tail_ends_with_the_node_and_says_what_is_wrong_with_a_filter() {
    let mut node = TestNode::start().await;
    for (filter, error) in [
        ("{\"data\": 7}", "data"),
        ("type = ", "found the end"),
        ("missing(", ""),
    ] {
        let output = command(&node, &["--filter", filter]).output();
        let output = within("tail ends", output).await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains("the node refused: ") && said.contains(error),
            "{said}"
        );
    }
    let child = tail(&node, &[]).await;
    node.stop().await;
    assert!(ended(child).await.status.success());
}
