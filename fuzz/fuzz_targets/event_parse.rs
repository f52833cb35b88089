//! Bytes as an event in every way the node reads one: what is accepted is valid, and encoded it is the same event.
//!
//! ```text
//! whole input: one event or a batch in JSON, and the payload of a plain PUBLISH
//! lines `NAME: VALUE`, an empty line, a body: a request in binary mode, and a PUBLISH with these user properties
//! ```
#![no_main]

use edge_node::{
    config::{Config, Overrides},
    ingest::{Ingest, PublishView, Received, view},
    mqtt::packet::PublishPropertySet,
};
use filters::{Data, Event, http, json};
use libfuzzer_sys::fuzz_target;

const RECEIVED: Received = Received {
    millis: 1_767_268_800_000,
    plausible: true,
};

fuzz_target!(|input: &[u8]| {
    if let Ok(event) = json::decode(input) {
        same_in_json(&event);
    }
    for event in json::decode_batch(input).unwrap_or_default() {
        same_in_json(&event);
    }
    publish(None, input);

    let (headers, body) = request(input);
    if let Ok(event) = http::decode(headers.iter().copied(), body.to_vec()) {
        same_in_json(&event);
        same_in_headers(&event);
    }
    let text = |(name, value): &(&str, &[u8])| {
        Some(((*name).to_owned(), str::from_utf8(value).ok()?.to_owned()))
    };
    let user_properties: Vec<_> = headers.iter().filter_map(text).collect();
    let content_type = user_properties
        .iter()
        .find(|it| it.0 == "content-type")
        .map(|it| it.1.clone());
    publish(
        Some(PublishPropertySet {
            user_properties,
            content_type,
            ..Default::default()
        }),
        body,
    );
});

/// The lines before the first empty one, and what follows it.
fn request(input: &[u8]) -> (Vec<(&str, &[u8])>, &[u8]) {
    let mut headers = Vec::new();
    let mut rest = input;
    while let Some(end) = rest.iter().position(|it| *it == b'\n') {
        let (line, after) = (&rest[..end], &rest[end + 1..]);
        rest = after;
        if line.is_empty() {
            break;
        }
        let name = line.iter().position(|it| *it == b':').unwrap_or(line.len());
        if let Ok(text) = str::from_utf8(&line[..name]) {
            headers.push((text, line.get(name + 1..).unwrap_or_default().trim_ascii()));
        }
    }
    (headers, rest)
}

/// Accepted by default, stored, read, and carried into a PUBLISH again.
fn publish(properties: Option<PublishPropertySet>, payload: &[u8]) {
    let config =
        Config::parse("", "", &Overrides::default()).expect("no configuration is a valid one");
    let mut ingest = Ingest::new(&config, "gate".parse().expect("a valid id"), [0; 16]);
    let properties = properties.as_ref();
    let sent = PublishView {
        topic: "a/b",
        properties,
        payload,
        client: "c",
    };
    let accepted = ingest
        .accept(&sent, RECEIVED)
        .expect("the default wraps what is no event");
    let event = view(sent.topic, properties, payload, &accepted.minted).expect("accepted");
    assert_eq!(event.check(), Ok(()));
    let (carried, _) = ingest.accept_event(sent.topic, &event, RECEIVED);
    let again = view(
        sent.topic,
        Some(&carried.properties),
        &carried.payload,
        &carried.minted,
    );
    assert_eq!(again, Ok(event));
}

fn same_in_json(event: &Event) {
    assert_eq!(event.check(), Ok(()));
    let mut expected = event.clone();
    if let Some(Data::Json(bytes)) = &mut expected.data {
        *bytes = bytes.trim_ascii().to_vec();
    }
    assert_eq!(json::decode(&json::encode(event)), Ok(expected));
}

fn same_in_headers(event: &Event) {
    let (headers, body) = http::encode(event);
    let headers = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()));
    assert_eq!(http::decode(headers, body).as_ref(), Ok(event));
}
