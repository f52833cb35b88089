//! What is told of devices, and what they are told.

use super::{door::summary, *};
use crate::device::Asker;

#[tokio::test]
async fn devices_are_listed_page_by_page() {
    let door = OpenDoor::start(HttpConfig::default()).await;
    let ids = async |query: &str| {
        let answer = get(door.address, &format!("/api/v1/devices{query}")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let page: DevicePage = serde_json::from_str(&answer.body).unwrap();
        let ids = page.devices.into_iter().map(|it| it.id);
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids("").await, ["pump-7", "pump/8"]);
    assert_eq!(ids("?limit=1").await, ["pump-7"]);
    assert_eq!(ids("?limit=1&after=pump-7").await, ["pump/8"]);
    for query in ["?limit=0", "?limit=1001", "?limit=x", "?from=pump-7"] {
        let answer = get(door.address, &format!("/api/v1/devices{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
    }
}

#[tokio::test]
async fn a_device_is_shown_and_removed_by_its_name() {
    let door = OpenDoor::start(HttpConfig::default()).await;
    let shown = get(door.address, "/api/v1/devices/pump%207").await;
    assert_eq!(shown.status, 200);
    let shown: DeviceStatus = serde_json::from_str(&shown.body).unwrap();
    assert_eq!(shown.summary, summary("pump 7"));
    for (name, status) in [("pump%207", 204), ("here", 409), ("nobody", 404)] {
        let answer = delete(door.address, &format!("/api/v1/devices/{name}")).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_command_is_ordered_with_its_data_and_time() {
    let door = OpenDoor::start(HttpConfig::default()).await;
    let path = "/api/v1/devices/pump%207/commands";
    let order = async |body: &str| post(door.address, path, JSON, body).await;
    for (body, data, expires_ms) in [
        (r#"{"name":"open"}"#, &b""[..], 600_000),
        (
            r#"{"name":"open","data":{"bar":2}}"#,
            br#"{"bar":2}"#,
            600_000,
        ),
        (
            r#"{"name":"open","data_base64":"AP8=","expires":"1h"}"#,
            &[0, 255],
            3_600_000,
        ),
    ] {
        let answer = order(body).await;
        let said = (answer.status, answer.body.as_str());
        assert_eq!(said, (202, r#"{"id":"c0ffee00-7"}"#));
        let name = "open".to_owned();
        let data = data.to_vec();
        let ordered = door.node.orders.lock().unwrap().pop();
        assert_eq!(
            ordered,
            Some(CommandOrder {
                name,
                data,
                expires_ms,
                asker: None,
            })
        );
    }
    for body in [
        "",
        "{}",
        r#"{"name":"open","data":1,"data_base64":"AA=="}"#,
        r#"{"name":"open","data_base64":"?"}"#,
        r#"{"name":"open","expires":"0s"}"#,
        r#"{"name":"open","expires":"31d"}"#,
        r#"{"name":"open","expire":"1h"}"#,
    ] {
        assert_eq!(order(body).await.status, 400, "{body}");
    }
    assert!(door.node.orders.lock().unwrap().is_empty());
    let nobody = post(
        door.address,
        "/api/v1/devices/nobody/commands",
        JSON,
        r#"{"name":"x"}"#,
    )
    .await;
    assert_eq!(nobody.status, 404, "{}", nobody.body);
}

#[tokio::test]
async fn a_command_says_what_its_caller_calls_it() {
    let door = OpenDoor::start(HttpConfig::default()).await;
    let path = "/api/v1/devices/pump%207/commands";
    for (key, is_taken) in [
        ("order 1", true),
        (&"k".repeat(128), true),
        (&"k".repeat(129), false),
        ("", false),
        ("schl\u{fc}ssel", false),
    ] {
        let headers = format!("{JSON}idempotency-key: {key}\r\n");
        let answer = post(door.address, path, &headers, r#"{"name":"open"}"#).await;
        let status = if is_taken { 202 } else { 400 };
        assert_eq!(answer.status, status, "{key}: {}", answer.body);
        let ordered = door.node.orders.lock().unwrap().pop();
        let asker = ordered.and_then(|it| it.asker);
        let key = key.to_owned();
        assert_eq!(asker, is_taken.then_some(Asker::Caller { key }));
    }
}

#[tokio::test]
async fn a_command_is_found_again_by_what_it_is_called() {
    let door = OpenDoor::start(HttpConfig::default()).await;
    let found = get(door.address, "/api/v1/devices/pump%207/commands/c0ffee00-7").await;
    assert_eq!(found.status, 200);
    assert!(
        found.body.contains(r#""state":"ended","outcome":"done""#),
        "{}",
        found.body
    );
    let other = get(door.address, "/api/v1/devices/pump%207/commands/c0ffee00-8").await;
    assert_eq!(other.status, 404);
    let all = get(door.address, "/api/v1/devices/pump%207/commands").await;
    assert_eq!(all.body, format!("[{}]", found.body));
}

#[tokio::test]
async fn a_device_gets_another_configuration() {
    let door = OpenDoor::start(HttpConfig::default()).await;
    let path = "/api/v1/devices/pump%207/configuration";
    let body = r#"{"data_base64":"AP8="}"#;
    let length = body.len();
    let request = format!(
        "PUT {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{JSON}content-length: {length}\r\n\r\n{body}"
    );
    let answer = exchange(door.address, request.as_bytes()).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (202, r#"{"version":3}"#)
    );
}
