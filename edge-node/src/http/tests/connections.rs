//! What a connection costs, and what ends it.

use super::*;

#[tokio::test]
async fn a_head_or_a_body_that_does_not_come_costs_its_connection() {
    let door = OpenDoor::start(impatient(3, 60)).await;
    let answer = exchange(door.address, b"GET /health HTTP/1.1\r\nhost:").await;
    assert_eq!(answer.head, "");
    assert_eq!(door.counters.status(Door::Http, door.address).faulted, 1);

    let door = OpenDoor::start(impatient(60, 3)).await;
    let head = format!(
        "POST /events/publish HTTP/1.1\r\nhost: localhost\r\n{STRUCTURED}content-length: 9\r\n\r\n{{"
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
    // The head of the first request has to come in it, too.
    let door = OpenDoor::start(impatient(15, 60)).await;
    let answer = exchange(
        door.address,
        b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n",
    )
    .await;
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
    let door = OpenDoor::start(impatient(60, 3)).await;
    let mut slow = TcpStream::connect(door.address).await.unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(1000);
    let flood = async { while slow.write_all(&request).await.is_ok() {} };
    let cut_off = tokio::time::timeout(PATIENCE, flood).await;
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
    let refused = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.unwrap();
    door.node.commit.notify_one();
    assert_eq!(last.await.unwrap().status, 202);
    door.serving.await.unwrap();
}
