//! A running node, and the commands that look into it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const EVENT: &str =
    r#"{"specversion":"1.0","id":"7","source":"/pump","type":"reading","data":{"bar":2}}"#;

#[test]
fn an_event_taken_over_http_is_seen_beside_the_running_node_and_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(folder.path(), &[]);
    let headers = "content-type: application/cloudevents+json\r\n";
    assert_eq!(
        node.post("/events/publish?topic=site/a", headers, EVENT).0,
        202
    );

    let while_running = node.command(&["spool", "export"]);
    let line: Value = serde_json::from_str(&while_running).unwrap();
    assert_eq!(line["topic"], "site/a");
    assert_eq!(line["event"], serde_json::from_str::<Value>(EVENT).unwrap());
    let status: Value =
        serde_json::from_str(&node.command(&["spool", "status", "--json"])).unwrap();
    assert_eq!(status["committed"], line["position"]);
    let verified: Value =
        serde_json::from_str(&node.command(&["spool", "verify", "--json"])).unwrap();
    assert_eq!(verified["faults"], 0, "{verified}");
    let position = line["position"].to_string();
    assert_eq!(
        node.command(&["spool", "export", "--from", &position]),
        while_running
    );
    assert_eq!(
        node.command(&["spool", "export", "--from", "2999-01-01T00:00:00Z"]),
        ""
    );
    assert_eq!(
        node.command(&["spool", "export", "--to", "1999-01-01T00:00:00Z"]),
        ""
    );

    let data = node.data.clone();
    assert!(node.stop().success());
    assert_eq!(command(&data, &["spool", "export"]), while_running);
    let verified: Value =
        serde_json::from_str(&command(&data, &["spool", "verify", "--json"])).unwrap();
    assert_eq!(verified["faults"], 0);
}

#[test]
fn lanes_are_shown_by_name_beside_the_node_and_after_it_and_by_number_where_none_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("node.toml");
    let lanes =
        "[spool]\nlanes = [{ name = \"urgent\" }, { name = \"rest\" }]\ndefault-lane = \"rest\"\n";
    std::fs::write(&config, lanes).unwrap();
    let node = Node::start(folder.path(), &["--config", config.to_str().unwrap()]);
    let data = node.data.clone();
    let names = || {
        let status: Value =
            serde_json::from_str(&command(&data, &["spool", "status", "--json"])).unwrap();
        let lanes = status["lanes"].as_array().unwrap().iter();
        lanes.map(|lane| lane["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(), ["urgent", "rest"]);
    assert!(node.stop().success());
    assert_eq!(names(), ["urgent", "rest"]);
    let table = command(&data, &["spool", "status"]);
    assert!(
        table.lines().any(|line| line.starts_with("rest ")),
        "{table}"
    );

    std::fs::remove_file(folder.path().join("data/lanes.json")).unwrap();
    assert_eq!(names(), ["0", "1", "2", "3", "4", "5", "6", "7"]);
    let table = command(&data, &["spool", "status"]);
    assert!(table.lines().any(|line| line.starts_with("1 ")), "{table}");
}

#[test]
fn the_node_tells_its_status_as_the_command_line_prints_it() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(folder.path(), &[]);
    let shown = node.command_with(&["status", "--http", &node.http]);
    assert!(shown.contains(" is ok; version "), "{shown}");
    assert!(shown.contains("no uplink is configured"), "{shown}");
    assert!(shown.contains(&node.http), "{shown}");
    let json: Value =
        serde_json::from_str(&node.command_with(&["status", "--http", &node.http, "--json"]))
            .unwrap();
    assert_eq!(json["health"]["state"], "ok");
    assert_eq!(json["spool"]["lanes"][1]["name"], "normal");
}

#[test]
fn a_running_node_is_found_by_its_data_directory_until_it_stops() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(folder.path(), &[]);
    let shown: Value = serde_json::from_str(&node.command(&["status", "--json"])).unwrap();
    let addresses: Vec<_> = shown["listeners"].as_array().unwrap().iter().collect();
    assert!(
        addresses
            .iter()
            .any(|it| it["address"] == node.http.as_str()),
        "{shown}"
    );

    let data = node.data.clone();
    assert!(node.stop().success());
    let output = edge_node()
        .args(["status", "--data", &data])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        format!(
            "edge-node: no node runs on {data}; start one with `edge-node run --data {data}`\n"
        )
    );
}

#[test]
fn what_a_running_node_refuses_is_told_as_it_said_it() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(folder.path(), &[]);
    let replay = [
        "spool", "replay", "--sink", "nowhere", "--from", "1", "--data", &node.data,
    ];
    let output = edge_node().args(replay).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.starts_with("edge-node: the node refused: "),
        "{error}"
    );
    assert_eq!(error.lines().count(), 1);
}

pub(crate) struct Node {
    process: Child,
    data: String,
    http: String,
}

impl Node {
    pub(crate) fn start(folder: &Path, flags: &[&str]) -> Node {
        let data = folder.join("data").display().to_string();
        let any = "127.0.0.1:0";
        let mut process = edge_node()
            .args([
                "run", "--data", &data, "--mqtt", any, "--http", any, "--grpc", any,
            ])
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let out = process.stdout.take().expect("standard output is a pipe");
        let mut http = String::new();
        for line in BufReader::new(out).lines() {
            let line = line.expect("the node writes UTF-8");
            if let Some(address) = line.strip_prefix("http  listening on ") {
                http = address.to_owned();
            }
            if line == "ready" {
                break;
            }
        }
        Node {
            process,
            data,
            http,
        }
    }

    /// The status and the whole answer.
    pub(crate) fn post(&self, path: &str, headers: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.http).expect("the door is open");
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.0\r\nhost: localhost\r\n{headers}content-length: {length}\r\n\r\n{body}"
        );
        stream
            .write_all(request.as_bytes())
            .expect("the door reads");
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .expect("the door answers");
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
        (status.unwrap_or(0), answer)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> String {
        command(&self.data, arguments)
    }

    fn command_with(&self, arguments: &[&str]) -> String {
        printed(edge_node().args(arguments))
    }

    pub(crate) fn stop(mut self) -> ExitStatus {
        let pid = Pid::from_child(&self.process);
        kill_process(pid, Signal::TERM).expect("it runs");
        self.process.wait().expect("the process is a child of ours")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill(); // it may have ended
        let _ = self.process.wait();
    }
}

fn command(data: &str, arguments: &[&str]) -> String {
    printed(edge_node().args(arguments).args(["--data", data]))
}

pub(crate) fn printed(command: &mut Command) -> String {
    let output = command.output().expect("the command starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("the command writes UTF-8")
}

pub(crate) fn edge_node() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_edge-node"));
    command.env_remove("EDGE_LOG");
    command
}
