//! Events and messages from seeds.

use fastrand::Rng;
use filters::{Data, Event, Value};
use prost::Message;

use super::{hop, sent, with_topic};
use crate::eventmesh::{decode, proto::CloudEvent};

#[test]
fn any_event_is_the_same_event_at_the_next_node() {
    let mut built = 0;
    for seed in 0..5_000 {
        let mut rng = Rng::with_seed(seed);
        let Some(event) = event(&mut rng) else {
            continue;
        };
        built += 1;
        assert_eq!(hop(&event), arrived(event), "seed {seed}");
    }
    assert!(built > 3_500, "only {built} events were valid");
}

#[test]
fn a_damaged_message_is_refused_or_a_valid_event_and_never_more() {
    for seed in 0..5_000 {
        let mut rng = Rng::with_seed(seed);
        let Some(event) = event(&mut rng) else {
            continue;
        };
        let mut bytes = sent(&event).encode_to_vec();
        for _ in 0..rng.usize(1..4) {
            let at = rng.usize(..bytes.len());
            bytes[at] = rng.u8(..);
        }
        let Ok(message) = CloudEvent::decode(bytes.as_slice()) else {
            continue;
        };
        if let Ok(received) = decode(message) {
            assert_eq!(received.event.check(), Ok(()), "seed {seed}");
            assert_eq!(hop(&received.event), arrived(received.event), "seed {seed}");
        }
    }
}

/// The event as the next node has it, with the few things that do not survive.
fn arrived(event: Event) -> Event {
    let (topic, sender) = ("mqtttopic", "meshsender");
    let own = |name: &str| event.extensions.get(name).cloned();
    let (own_topic, own_sender) = (own(topic), own(sender));
    let mut arrived = with_topic(event);
    for (name, own) in [(topic, own_topic), (sender, own_sender)] {
        if let Some(own) = own {
            arrived.extensions.insert(name.to_owned(), own);
        }
    }
    if arrived.data_bytes().is_empty() {
        arrived.data = None;
    }
    if arrived.datacontenttype.is_none() && matches!(arrived.data, Some(Data::Json(_))) {
        arrived.datacontenttype = Some("application/json".to_owned());
    }
    for value in arrived.extensions.values_mut() {
        if let Value::Timestamp(text) = value {
            let timestamp: prost_types::Timestamp = text.parse().unwrap();
            *text = timestamp.to_string();
        }
    }
    arrived
}

fn event(rng: &mut Rng) -> Option<Event> {
    let mut event = Event::builder(text(rng), "/source", text(rng));
    if rng.bool() {
        event = event.subject(text(rng));
    }
    if rng.bool() {
        event = event.time(time(rng));
    }
    if rng.bool() {
        event = event.dataschema("https://example.com/schema");
    }
    if rng.u8(..4) > 0 {
        event = event.datacontenttype(media_type(rng));
    }
    for _ in 0..rng.usize(..5) {
        event = event.extension(name(rng), value(rng));
    }
    if rng.u8(..8) > 0 {
        event = event.data(data(rng));
    }
    event.build().ok()
}

fn text(rng: &mut Rng) -> String {
    (0..rng.usize(1..12))
        .map(|_| {
            rng.choice(['a', 'Z', '0', ' ', '&', '=', '%', '/', 'ü', '😀'])
                .unwrap()
        })
        .collect()
}

fn name(rng: &mut Rng) -> String {
    let names = [
        "ttl",
        "ip",
        "passwd",
        "seqnum",
        "tag",
        "cesubject",
        "nodata",
        "textdata",
        "cedatacontenttype",
        "mqtttopic",
        "meshsender",
        "reqmq2eventmeshtimestamp",
        "hops",
        "partitionkey",
        "ray",
    ];
    let x = "x".repeat(rng.usize(..3));
    format!("{x}{}", rng.choice(names).unwrap())
}

fn value(rng: &mut Rng) -> Value {
    match rng.u8(..7) {
        0 => Value::Boolean(rng.bool()),
        1 => Value::Integer(rng.i32(..)),
        2 => Value::Binary((0..rng.usize(..6)).map(|_| rng.u8(..)).collect()),
        3 => Value::Uri("urn:x:1".to_owned()),
        4 => Value::UriRef("../up?x#y".to_owned()),
        5 => Value::Timestamp(time(rng)),
        _ => Value::String(text(rng)),
    }
}

fn time(rng: &mut Rng) -> String {
    let times = [
        "2026-11-21T07:00:00Z",
        "2026-11-21T07:00:00.5Z",
        "2026-11-21T07:00:00.123456Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999999Z",
        "2026-11-21T07:00:00+02:00",
        "1969-12-31T23:59:59.25-11:30",
    ];
    (*rng.choice(&times).unwrap()).to_owned()
}

fn media_type(rng: &mut Rng) -> String {
    let types = [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "text/plain",
        "TEXT/plain",
        "text/csv;header=present",
        "application/xml",
        "a/b+json",
        "a/b+xml",
        "a/b+JSON",
        "application/octet-stream",
        "application/protobuf",
        "application/cbor",
    ];
    (*rng.choice(&types).unwrap()).to_owned()
}

fn data(rng: &mut Rng) -> Data {
    let any = prost_types::Any {
        type_url: "type/x".to_owned(),
        value: vec![1],
    };
    let bytes = [
        &b"null"[..],
        b"17",
        b"{\"a\":[1.0]}",
        b"{bad",
        b"",
        &[0xff, 0xfe],
        "grün".as_bytes(),
        &any.encode_to_vec(),
    ];
    let bytes = rng.choice(&bytes).unwrap().to_vec();
    match (rng.bool(), String::from_utf8(bytes)) {
        (true, Ok(text)) => Data::Text(text),
        (false, Ok(text)) => Data::Binary(text.into_bytes()),
        (_, Err(error)) => Data::Binary(error.into_bytes()),
    }
}
