mod devices;
mod door;

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use self::door::{OpenDoor, delete, exchange, get, post};
use super::*;
use crate::{
    config::units::Span,
    node::status::{Door, LossStatus, NodeHealth, SinkState, SinkStatus},
};

const STRUCTURED: &str = "content-type: application/cloudevents+json\r\n";
const JSON: &str = "content-type: application/json\r\n";
const BATCH: &str = "content-type: application/cloudevents-batch+json\r\n";
const EVENT: &str = r#"{"specversion":"1.0","id":"7","source":"/pump","type":"reading","subject":"pumps/7","data":{"bar":2}}"#;

#[tokio::test]
async fn an_event_is_answered_only_after_the_nodes_own_commit() {
    let door = OpenDoor::start(HttpConfig::default()).await;
    door.node.hold_commits();
    let address = door.address;
    let answer = tokio::spawn(async move {
        post(address, "/events/publish?topic=site%2Fa", STRUCTURED, EVENT).await
    });
    door.node.asked.notified().await;
    assert!(!answer.is_finished());
    assert_eq!(door.node.published().len(), 1);
    door.node.commit.notify_one();
    let answer = answer.await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (202, ""));
    let published = door.node.published();
    assert_eq!(published[0].topic, "site/a");
    assert_eq!(published[0].event.id, "7");
}

#[tokio::test]
async fn an_event_in_headers_is_taken_with_its_data() {
    let door = OpenDoor::start(HttpConfig::default()).await;
    let headers = "content-type: text/plain\r\nce-specversion: 1.0\r\nce-id: 1\r\nce-source: /s\r\nce-type: t\r\nCE-Site: north\r\n";
    let answer = post(door.address, "/events/publish?topic=a", headers, "21.5").await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    let event = door.node.published().remove(0).event;
    assert_eq!(event.data_bytes(), b"21.5");
    assert_eq!(event.extension_text("site").as_deref(), Some("north"));
}

#[tokio::test]
async fn without_a_topic_the_subject_decides_then_the_configuration() {
    let without = EVENT.replace(r#""subject":"pumps/7","#, "");
    let door = OpenDoor::start(HttpConfig::default()).await;
    assert_eq!(
        post(door.address, "/events/publish", STRUCTURED, EVENT)
            .await
            .status,
        202
    );
    assert_eq!(door.node.published()[0].topic, "pumps/7");
    let answer = post(door.address, "/events/publish", STRUCTURED, &without).await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.body,
        r#"{"error":"no topic: send ?topic=, or a subject with the event","event":0}"#
    );

    let config = HttpConfig {
        topic: Some("all".to_owned()),
        ..HttpConfig::default()
    };
    let door = OpenDoor::start(config).await;
    assert_eq!(
        post(door.address, "/events/publish", STRUCTURED, &without)
            .await
            .status,
        202
    );
    assert_eq!(door.node.published()[0].topic, "all");
}

#[tokio::test]
async fn a_bad_event_names_itself_and_its_attribute_and_nothing_of_its_batch_is_taken() {
    let door = OpenDoor::start(HttpConfig::default()).await;
    let batch = format!(r#"[{EVENT},{{"specversion":"1.0","id":"8","type":"reading"}}]"#);
    let answer = post(door.address, "/events/publish-batch", BATCH, &batch).await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.body,
        r#"{"error":"`source` is missing or empty; every event has specversion, id, source and type","event":1,"attribute":"source"}"#
    );
    assert!(door.node.published().is_empty());

    let answer = post(
        door.address,
        "/events/publish?topic=a/%23",
        STRUCTURED,
        EVENT,
    )
    .await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.body,
        r#"{"error":"`a/#` is no topic: a topic to publish on has no wildcard (`+`, `#`)","event":0}"#
    );
}

#[tokio::test]
async fn a_batch_is_one_transaction_in_its_order() {
    let door = OpenDoor::start(HttpConfig::default()).await;
    let second = EVENT.replace(r#""id":"7""#, r#""id":"8""#);
    let batch = format!("[{EVENT},{second}]");
    let answer = post(door.address, "/events/publish-batch?topic=t", BATCH, &batch).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    let ids: Vec<_> = door
        .node
        .published()
        .iter()
        .map(|incoming| incoming.event.id.clone())
        .collect();
    assert_eq!(ids, ["7", "8"]);
    assert_eq!(door.node.0.transactions.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_a_web_page_may_send_unasked_is_refused() {
    let door = OpenDoor::start(HttpConfig::default()).await;
    for path in [
        "/events/publish",
        "/events/publish-batch",
        "/api/v1/replay",
        "/api/v1/rules/reload",
        "/api/v1/devices/pump/commands",
    ] {
        for simple in [
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
        ] {
            let answer = post(
                door.address,
                path,
                &format!("content-type: {simple}\r\n"),
                EVENT,
            )
            .await;
            assert_eq!(answer.status, 400, "{path} {simple}");
        }
    }
    assert!(door.node.published().is_empty());
}

#[tokio::test]
async fn a_body_over_the_bound_is_refused_whether_announced_or_not() {
    let door = OpenDoor::start(HttpConfig::default()).await;
    let says = r#"{"error":"the body is over 1 MiB (`max-body` of [http])"}"#;
    let head = format!(
        "POST /events/publish HTTP/1.1\r\nhost: x\r\n{STRUCTURED}content-length: 1048577\r\n\r\n"
    );
    let answer = exchange(door.address, head.as_bytes()).await;
    assert_eq!((answer.status, answer.body.as_str()), (413, says));

    let head = format!(
        "POST /events/publish HTTP/1.1\r\nhost: x\r\n{STRUCTURED}transfer-encoding: chunked\r\n\r\n"
    );
    let body = format!("100001\r\n{}\r\n", "x".repeat(0x10_0001));
    let answer = exchange(door.address, format!("{head}{body}").as_bytes()).await;
    assert_eq!((answer.status, answer.body.as_str()), (413, says));
}

#[tokio::test]
async fn all_bodies_together_have_a_bound_and_give_their_memory_back() {
    let door = OpenDoor::start(HttpConfig::default()).await;
    door.node.hold_commits();
    let address = door.address;
    let large = EVENT.replace(r#"{"bar":2}"#, &format!("{:?}", "x".repeat(1_000_000)));
    let mut held = Vec::new();
    for count in 1..=8 {
        let large = large.clone();
        held.push(tokio::spawn(async move {
            post(address, "/events/publish", STRUCTURED, &large)
                .await
                .status
        }));
        while door.node.published().len() < count {
            tokio::task::yield_now().await;
        }
    }
    let answer = post(address, "/events/publish", STRUCTURED, &large).await;
    assert_eq!(answer.status, 503);
    assert_eq!(
        answer.body,
        r#"{"error":"too many bytes of other requests are in memory; try again"}"#
    );
    assert!(
        answer.head.contains("retry-after: 1\r\n"),
        "{}",
        answer.head
    );

    *door.node.held.lock().unwrap() = false;
    door.node.commit.notify_waiters();
    for answer in held {
        assert_eq!(answer.await.unwrap(), 202);
    }
    let answer = post(address, "/events/publish", STRUCTURED, &large).await;
    assert_eq!(answer.status, 202);
}

#[tokio::test]
async fn a_head_over_its_bound_is_refused() {
    let door = OpenDoor::start(HttpConfig::default()).await;
    let cookie = "x".repeat(100_000);
    let request = format!("GET /health HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\n\r\n");
    assert_eq!(exchange(door.address, request.as_bytes()).await.status, 431);
}

#[tokio::test]
async fn a_full_spool_asks_the_client_to_come_back() {
    let door = OpenDoor::start(HttpConfig::default()).await;
    let full = PublishError::Full {
        what: "lane `normal`".to_owned(),
    };
    *door.node.0.fails.lock().unwrap() = Some(full);
    let answer = post(door.address, "/events/publish", STRUCTURED, EVENT).await;
    assert_eq!(answer.status, 503);
    assert_eq!(
        answer.body,
        r#"{"error":"the spool is full: lane `normal`"}"#
    );
    assert!(
        answer.head.contains("retry-after: 1\r\n"),
        "{}",
        answer.head
    );
}

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
            head.push(stream.read_u8().await.unwrap());
        }
        open.push(stream);
    }
    let fifth = get(door.address, "/api/v1/tail").await;
    assert_eq!(fifth.status, 503, "{}", fifth.body);
    door.node.taps.lock().unwrap().close();
    for mut stream in open {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"");
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

#[test]
fn only_a_peer_on_this_machine_is_the_operator() {
    for (peer, operator) in [
        ("127.0.0.1:9", true),
        ("[::1]:9", true),
        ("[::ffff:127.0.0.1]:9", true),
        ("192.0.2.7:9", false),
        ("[2001:db8::7]:9", false),
    ] {
        let peer = super::connection::Peer(peer.parse().unwrap());
        assert_eq!(peer.is_operator().is_ok(), operator, "{peer:?}");
    }
}

#[tokio::test]
async fn a_path_that_is_not_there_and_a_wrong_method_are_told_as_json() {
    let door = OpenDoor::start(HttpConfig::default()).await;
    let answer = get(door.address, "/events").await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (404, r#"{"error":"there is nothing at this path"}"#)
    );
    let answer = get(door.address, "/events/publish").await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (405, r#"{"error":"this path takes another method"}"#)
    );
}

#[tokio::test]
async fn a_head_or_a_body_that_does_not_come_costs_its_connection() {
    let door = OpenDoor::start(impatient()).await;
    let answer = exchange(door.address, b"GET /health HTTP/1.1\r\nhost:").await;
    assert_eq!(answer.head, "");
    assert_eq!(door.counters.status(Door::Http, door.address).faulted, 1);

    let head = format!(
        "POST /events/publish HTTP/1.1\r\nhost: x\r\n{STRUCTURED}content-length: 9\r\n\r\n{{"
    );
    let answer = exchange(door.address, head.as_bytes()).await;
    assert_eq!(answer.status, 408);
    assert_eq!(
        answer.body,
        r#"{"error":"the body did not come within 3s"}"#
    );
}

#[tokio::test]
async fn an_idle_connection_is_closed_without_blame() {
    let door = OpenDoor::start(impatient()).await;
    let answer = exchange(door.address, b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(answer.status, 503);
    let status = door.counters.status(Door::Http, door.address);
    assert_eq!(
        (status.connections, status.accepted, status.faulted),
        (0, 1, 0)
    );

    let answer = exchange(door.address, b"\x16\x03\x01 no HTTP\r\n\r\n").await;
    assert_eq!(answer.status, 400);
    assert_eq!(door.counters.status(Door::Http, door.address).faulted, 1);
}

#[tokio::test]
async fn a_peer_that_takes_no_answer_costs_its_connection() {
    let door = OpenDoor::start(impatient()).await;
    let mut slow = TcpStream::connect(door.address).await.unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1000);
    let flood = async { while slow.write_all(&request).await.is_ok() {} };
    let cut_off = tokio::time::timeout(Duration::from_secs(120), flood).await;
    assert_eq!(cut_off, Ok(()));
    assert_eq!(door.counters.status(Door::Http, door.address).faulted, 1);
    assert_eq!(get(door.address, "/health").await.status, 503);
}

#[tokio::test]
async fn a_connection_above_the_bound_waits_for_a_place() {
    let config = HttpConfig {
        max_connections: 1,
        ..HttpConfig::default()
    };
    let door = OpenDoor::start(config).await;
    door.node.hold_commits();
    let address = door.address;
    let first =
        tokio::spawn(async move { post(address, "/events/publish", STRUCTURED, EVENT).await });
    door.node.asked.notified().await;
    let second = tokio::spawn(async move { get(address, "/health").await });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(door.counters.status(Door::Http, address).accepted, 1);
    door.node.commit.notify_one();
    assert_eq!(first.await.unwrap().status, 202);
    assert_eq!(second.await.unwrap().status, 503);
    assert_eq!(door.counters.status(Door::Http, address).accepted, 2);
}

#[tokio::test]
async fn at_shutdown_the_request_under_way_is_answered_and_no_other_is_taken() {
    let mut door = OpenDoor::start(HttpConfig::default()).await;
    door.node.hold_commits();
    let address = door.address;
    let last =
        tokio::spawn(async move { post(address, "/events/publish", STRUCTURED, EVENT).await });
    door.node.asked.notified().await;
    door.shutdown.take().unwrap().send(()).unwrap();
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    door.node.commit.notify_one();
    assert_eq!(last.await.unwrap().status, 202);
    door.serving.await.unwrap();
}

/// Times that a test can wait for. A clock that stands still instead runs ahead of what the kernel has yet to hand over.
fn impatient() -> HttpConfig {
    HttpConfig {
        head_timeout: Span::seconds(3),
        body_timeout: Span::seconds(3),
        ..HttpConfig::default()
    }
}
