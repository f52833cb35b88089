//! What the operator asks of a node and has it do.

use super::*;

#[tokio::test]
async fn status_metrics_and_health_tell_the_same() {
    let door = OpenDoor::start(HttpConfig::default()).await;
    let mut status = NodeStatus {
        health: NodeHealth::Ok,
        uptime_ms: 61_005,
        ..NodeStatus::default()
    };
    status.sinks.push(SinkStatus {
        name: "mesh".to_owned(),
        state: SinkState::BackingOff,
        pending_records: 12,
        dead_letters: 2,
        dead_letter_bytes: 340,
        dead_lettered: 5,
        catch_up_ms: Some(1_500),
        ..SinkStatus::default()
    });
    status.ledger.push(LossStatus {
        reason: "expired".to_owned(),
        scope: "a \"b\"".to_owned(),
        count: 3,
        ..LossStatus::default()
    });
    *door.node.0.status.lock().unwrap() = status.clone();

    let answer = get(door.address, "/api/v1/status").await;
    assert_eq!(
        serde_json::from_str::<NodeStatus>(&answer.body).unwrap(),
        status
    );
    let metrics = get(door.address, "/metrics").await;
    assert!(
        metrics
            .head
            .contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n")
    );
    for line in [
        "edge_node_serving 1",
        "edge_node_uptime_seconds 61.005",
        "edge_node_sink_pending_records{sink=\"mesh\"} 12",
        "edge_node_sink_catch_up_seconds{sink=\"mesh\"} 1.500",
        "edge_node_sink_dead_letters{sink=\"mesh\"} 2",
        "edge_node_sink_dead_letter_bytes{sink=\"mesh\"} 340",
        "edge_node_sink_dead_letters_total{sink=\"mesh\"} 5",
        "edge_node_sink_state{sink=\"mesh\",state=\"connected\"} 0",
        "edge_node_sink_state{sink=\"mesh\",state=\"backing-off\"} 1",
        "edge_node_lost_total{reason=\"expired\",scope=\"a \\\"b\\\"\"} 3",
        "# TYPE edge_node_sink_acknowledged_total counter",
    ] {
        assert!(
            metrics.body.lines().any(|it| it == line),
            "{line} is not in\n{}",
            metrics.body
        );
    }
    let health = get(door.address, "/health").await;
    assert_eq!(
        (health.status, health.body.as_str()),
        (200, r#"{"state":"ok"}"#)
    );

    let reasons = vec!["the disk is gone".to_owned()];
    door.node.0.status.lock().unwrap().health = NodeHealth::Failing { reasons };
    let health = get(door.address, "/health").await;
    assert_eq!(health.status, 503);
    assert_eq!(
        health.body,
        r#"{"state":"failing","reasons":["the disk is gone"]}"#
    );
    let metrics = get(door.address, "/metrics").await;
    assert!(metrics.body.lines().any(|it| it == "edge_node_serving 0"));
}

#[tokio::test]
async fn who_looks_on_gets_what_fits_and_no_more_than_four_may() {
    let door = OpenDoor::start(HttpConfig::default()).await;
    for (filter, error) in [
        ("%7B%22data%22%3A7%7D", "data"),
        ("type%20%3D", ""),
        ("EXISTS%20a&top=c", "top"),
    ] {
        let answer = get(door.address, &format!("/api/v1/tail?filter={filter}")).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert!(answer.body.contains(error), "{}", answer.body);
    }
    let mut open = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(door.address).await.unwrap();
        let request = b"GET /api/v1/tail?topic=a%2F%23 HTTP/1.0\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = timeout(PATIENCE, stream.read_u8()).await.unwrap();
            head.push(byte.unwrap());
        }
        open.push(stream);
    }
    let fifth = get(door.address, "/api/v1/tail").await;
    assert_eq!(fifth.status, 503, "{}", fifth.body);
    door.node.taps.lock().unwrap().close();
    for mut stream in open {
        let mut rest = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        assert_eq!((read.unwrap().unwrap(), &rest[..]), (0, &b""[..]));
    }
}

#[tokio::test]
async fn rules_are_read_again_on_demand_and_a_file_that_is_wrong_is_told() {
    let door = OpenDoor::start(HttpConfig::default()).await;
    let json = "content-type: application/json\r\n";
    let answer = post(door.address, "/api/v1/rules/reload", json, "{}").await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, r#"{"rules":3}"#)
    );
    *door.node.fails.lock().unwrap() = Some(PublishError::Stopping);
    let answer = post(door.address, "/api/v1/rules/reload", json, "{}").await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.body,
        r#"{"error":"rules.toml:3:1: unknown key `topc`"}"#
    );
}

#[tokio::test]
async fn a_replay_is_passed_on_and_an_unknown_sink_is_named() {
    let door = OpenDoor::start(HttpConfig::default()).await;
    let json = "content-type: application/json\r\n";
    let answer = post(
        door.address,
        "/api/v1/replay",
        json,
        r#"{"sink":"mesh","from":7}"#,
    )
    .await;
    assert_eq!(answer.status, 202);
    assert_eq!(
        answer.body,
        r#"{"sink":"mesh","first":7,"last":9,"kept_from":7}"#
    );
    let answer = post(
        door.address,
        "/api/v1/replay",
        json,
        r#"{"sink":"mash","from":7}"#,
    )
    .await;
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.body,
        r#"{"error":"there is no sink `mash`; there is: mesh"}"#
    );
    let answer = post(
        door.address,
        "/api/v1/replay",
        json,
        r#"{"sink":"mesh","since":7}"#,
    )
    .await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn a_replay_is_stopped_and_one_that_is_not_there_is_told() {
    let door = OpenDoor::start(HttpConfig::default()).await;
    for (sink, status, body) in [
        ("mesh", 204, ""),
        (
            "idle",
            404,
            r#"{"error":"`idle` is not being given anything again"}"#,
        ),
    ] {
        let answer = delete(door.address, &format!("/api/v1/replay/{sink}")).await;
        assert_eq!((answer.status, answer.body.as_str()), (status, body));
    }
}

#[tokio::test]
async fn an_order_for_dead_letters_is_passed_on_and_answered_with_their_number() {
    let door = OpenDoor::start(HttpConfig::default()).await;
    let json = "content-type: application/json\r\n";
    for (sink, order, status, body) in [
        (
            "mesh",
            r#"{"fate":"retry"}"#,
            200,
            r#"{"sink":"mesh","records":3}"#,
        ),
        (
            "mesh",
            r#"{"fate":"drop"}"#,
            503,
            r#"{"error":"the node cannot take it at the moment: the log does not take it; 2 dead letters are done with, ask again for the others"}"#,
        ),
        (
            "mash",
            r#"{"fate":"drop"}"#,
            404,
            r#"{"error":"there is no sink `mash`; there is: mesh"}"#,
        ),
    ] {
        let path = format!("/api/v1/sinks/{sink}/dead-letters");
        let answer = post(door.address, &path, json, order).await;
        assert_eq!((answer.status, answer.body.as_str()), (status, body));
    }
    let path = "/api/v1/sinks/mesh/dead-letters";
    let answer = post(door.address, path, json, r#"{"fate":"keep"}"#).await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn a_sink_that_is_gone_is_removed_and_one_that_runs_is_not() {
    let door = OpenDoor::start(HttpConfig::default()).await;
    for (name, status, body) in [
        ("gone", 204, ""),
        (
            "mash",
            404,
            r#"{"error":"nothing is held for a sink `mash`"}"#,
        ),
        (
            "mesh",
            409,
            r#"{"error":"`mesh` is in the configuration; take its [[uplink]] out of the file and start the node again"}"#,
        ),
    ] {
        let answer = delete(door.address, &format!("/api/v1/sinks/{name}")).await;
        assert_eq!((answer.status, answer.body.as_str()), (status, body));
    }
}

#[tokio::test]
async fn a_web_page_that_has_its_name_stand_for_this_machine_gets_nothing() {
    let door = OpenDoor::start(HttpConfig::default()).await;
    let asks = |host: &str, line: &str, rest: &str| {
        let request = format!("{line} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{rest}");
        async move { exchange(door.address, request.as_bytes()).await }
    };
    let event = format!("{STRUCTURED}content-length: {}\r\n\r\n{EVENT}", EVENT.len());
    for (line, rest) in [
        ("GET /api/v1/tail?topic=a", "\r\n"),
        ("GET /api/v1/devices/pump%207/commands", "\r\n"),
        ("GET /health", "\r\n"),
        ("POST /events/publish", &event),
    ] {
        let answer = asks("evil.example:8080", line, rest).await;
        assert_eq!(answer.status, 403, "{line}");
        assert_eq!(
            answer.body,
            r#"{"error":"from this machine ask at an address or at `localhost`, not at `evil.example:8080`"}"#
        );
    }
    assert!(door.node.published().is_empty());
    let at_home = asks("localhost:8080", "POST /events/publish", &event).await;
    assert_eq!(at_home.status, 202, "{}", at_home.body);
}
