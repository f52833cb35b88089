mod connections;
mod devices;
mod door;
mod operator;

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
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
/// Only bounds a hang.
const PATIENCE: Duration = Duration::from_secs(120);
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
        "/api/v1/sinks/mesh/dead-letters",
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
    let says = r#"{"error":"the body is over 2 MiB (`max-body` of [http])"}"#;
    let head = format!(
        "POST /events/publish HTTP/1.1\r\nhost: localhost\r\n{STRUCTURED}content-length: 2097153\r\n\r\n"
    );
    let answer = exchange(door.address, head.as_bytes()).await;
    assert_eq!((answer.status, answer.body.as_str()), (413, says));

    let head = format!(
        "POST /events/publish HTTP/1.1\r\nhost: localhost\r\n{STRUCTURED}transfer-encoding: chunked\r\n\r\n"
    );
    let body = format!("200001\r\n{}\r\n", "x".repeat(0x20_0001));
    let answer = exchange(door.address, format!("{head}{body}").as_bytes()).await;
    assert_eq!((answer.status, answer.body.as_str()), (413, says));
}

#[tokio::test]
async fn what_the_log_never_takes_at_once_is_too_large_and_not_for_later() {
    let door = OpenDoor::start(HttpConfig::default()).await;
    *door.node.fails.lock().unwrap() = Some(PublishError::TooLarge);
    let answer = post(door.address, "/events/publish", STRUCTURED, EVENT).await;
    assert_eq!(answer.status, 413, "{}", answer.body);
}

#[tokio::test]
async fn a_topic_that_is_long_for_many_events_is_refused_before_it_is_copied() {
    let door = OpenDoor::start(HttpConfig::default()).await;
    let path = format!("/events/publish-batch?topic={}", "t".repeat(60_000));
    let few = format!("[{}]", [EVENT; 10].join(","));
    assert_eq!(post(door.address, &path, BATCH, &few).await.status, 202);
    let many = format!("[{}]", [EVENT; 40].join(","));
    let answer = post(door.address, &path, BATCH, &many).await;
    assert_eq!(answer.status, 413);
    assert!(answer.body.contains("40 events"), "{}", answer.body);
    assert_eq!(door.node.published().len(), 10);
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
    let request = format!("GET /health HTTP/1.1\r\nhost: localhost\r\ncookie: {cookie}\r\n\r\n");
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

/// Seconds for a head and for a body: few for what a test waits for, many for all else. A clock that stands still instead
/// runs ahead of what the kernel has yet to hand over.
fn impatient(head: u64, body: u64) -> HttpConfig {
    HttpConfig {
        head_timeout: Span::seconds(head),
        body_timeout: Span::seconds(body),
        ..HttpConfig::default()
    }
}
