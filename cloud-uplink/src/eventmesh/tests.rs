mod arbitrary;

use std::collections::BTreeMap;

use filters::{Data, Event, Value};
use prost::Message;

use super::{
    Envelope, Malformed, Sender, attribute, decode, encode,
    proto::{
        CloudEvent,
        cloud_event::{Data as WireData, cloud_event_attribute_value::Attr},
    },
};

#[test]
fn every_part_of_an_event_survives_the_way_to_another_node() {
    let event = Event::builder("id-7", "/sensors/7", "reading")
        .subject("pump 7")
        .time("2026-11-21T07:00:00.123456789Z")
        .datacontenttype("application/json")
        .dataschema("https://example.com/schema")
        .extension("flag", true)
        .extension("count", -7)
        .extension("label", "north")
        .extension("blob", Value::Binary(vec![0, 1, 255]))
        .extension("link", Value::Uri("https://example.com/".to_owned()))
        .extension("rel", Value::UriRef("../up".to_owned()))
        .extension(
            "seen",
            Value::Timestamp("2026-11-21T06:00:00.5Z".replace(".5Z", ".500Z")),
        )
        .data(Data::Json(br#"{"c":21.50}"#.to_vec()))
        .build()
        .unwrap();
    assert_eq!(hop(&event), with_topic(event));
}

#[test]
fn extensions_with_names_of_eventmesh_come_back_under_their_own() {
    let mut builder = Event::builder("1", "/s", "t");
    for name in [
        "ttl",
        "ip",
        "pid",
        "sys",
        "env",
        "idc",
        "language",
        "passwd",
        "seqnum",
        "uniqueid",
        "producergroup",
        "protocoltype",
        "protocolversion",
        "protocoldesc",
        "username",
        "xttl",
        "xxttl",
        "xray",
        "cesubject",
        "nodata",
        "textdata",
        "cedatacontenttype",
        "reqmq2eventmeshtimestamp",
        "hops",
        "consumergroup",
        "statuscode",
    ] {
        builder = builder.extension(name, format!("own {name}"));
    }
    let event = builder
        .data(Data::Json(b"1".to_vec()))
        .datacontenttype("application/json")
        .build()
        .unwrap();

    let message = sent(&event);

    assert_eq!(message.text("ttl"), Some("4000"));
    assert_eq!(message.text("xttl"), Some("own ttl"));
    assert_eq!(message.text("xxttl"), Some("own xttl"));
    assert_eq!(message.text("xxxttl"), Some("own xxttl"));
    assert_eq!(message.text("xray"), Some("own xray"));
    assert_eq!(message.text("passwd"), Some("none"));
    assert_eq!(decode(message).unwrap().event, with_topic(event));
}

#[test]
fn a_message_carries_what_eventmesh_requires_as_text() {
    let event = Event::builder("id-7", "/s", "t")
        .subject("own")
        .build()
        .unwrap();
    let message = sent(&event);

    assert_eq!(message.spec_version, "1.0");
    let texts: BTreeMap<&str, &str> = message
        .attributes
        .keys()
        .filter_map(|name| Some((name.as_str(), message.text(name)?)))
        .collect();
    let pid = std::process::id().to_string();
    let expected = [
        ("cesubject", "own"),
        ("datacontenttype", "application/json"),
        ("env", "edge"),
        ("idc", "default"),
        ("ip", "127.0.0.1"),
        ("language", "RUST"),
        ("mqtttopic", "a/b"),
        ("passwd", "none"),
        ("pid", &pid),
        ("producergroup", "edge-node"),
        ("protocoldesc", "grpc-cloud-event"),
        ("protocoltype", "cloudevents"),
        ("protocolversion", "1.0"),
        ("seqnum", "id-7"),
        ("subject", "a.b"),
        ("sys", "edge-node"),
        ("ttl", "4000"),
        ("uniqueid", "id-7"),
        ("username", "edge-node"),
    ];
    assert_eq!(texts, BTreeMap::from(expected));
}

#[test]
fn no_data_travels_as_json_null_and_comes_back_as_none_with_its_media_type() {
    for media_type in [
        None,
        Some("application/json"),
        Some("text/plain"),
        Some("application/cbor"),
    ] {
        for data in [None, Some(Data::Binary(Vec::new()))] {
            let mut event = Event::builder("1", "/s", "t").build().unwrap();
            event.datacontenttype = media_type.map(str::to_owned);
            event.data = data;

            let message = sent(&event);
            assert_eq!(message.data, Some(WireData::TextData("null".to_owned())));
            assert_eq!(message.text("datacontenttype"), Some("application/json"));
            assert_eq!(attr(&message, "nodata"), Some(Attr::CeBoolean(true)));

            let mut expected = with_topic(event);
            expected.data = None;
            assert_eq!(decode(message).unwrap().event, expected);
        }
    }
}

#[test]
fn json_null_that_is_data_stays_data() {
    let event = typed("application/json", Data::Json(b"null".to_vec()));
    assert_eq!(hop(&event), with_topic(event));
}

#[test]
fn the_field_of_the_data_follows_the_letters_of_the_media_type() {
    for textual in [
        "text/plain",
        "text/x;charset=utf-8",
        "application/json",
        "application/xml",
        "a/b+json",
        "a/b+xml",
    ] {
        let message = sent(&typed(textual, Data::of(Some(textual), b"17".to_vec())));
        assert_eq!(
            message.data,
            Some(WireData::TextData("17".to_owned())),
            "{textual}"
        );
    }
    for other in [
        "Application/JSON",
        "application/json; charset=utf-8",
        "Text/plain",
        "application/cbor",
        "a/b+JSON",
    ] {
        let message = sent(&typed(other, Data::of(Some(other), b"17".to_vec())));
        assert_eq!(
            message.data,
            Some(WireData::BinaryData(b"17".to_vec())),
            "{other}"
        );
        assert_eq!(message.text("datacontenttype"), Some(other));
    }
}

#[test]
fn every_form_of_data_comes_back_as_it_was() {
    let text = |it: &str| Data::Text(it.to_owned());
    let any = prost_types::Any {
        type_url: "type/x".to_owned(),
        value: vec![1],
    };
    for (media_type, data) in [
        ("application/json", Data::Json(b"{\"a\":1.0}".to_vec())),
        ("application/json", Data::Binary(b"{not json".to_vec())),
        ("application/json", Data::Binary(vec![0xff, 0xfe])),
        ("Application/JSON", Data::Json(b"[1]".to_vec())),
        ("text/plain", text("grüße")),
        ("text/plain", Data::Binary(b"said to be bytes".to_vec())),
        ("text/plain", Data::Binary(vec![0xff])),
        ("TEXT/plain", text("x")),
        ("application/yaml", text("a: 1")),
        ("application/octet-stream", Data::Binary(vec![0])),
        ("application/octet-stream", text("x")),
        ("application/protobuf", Data::Binary(any.encode_to_vec())),
        ("application/protobuf", Data::Binary(vec![0xff])),
        ("application/protobuf", text("x")),
    ] {
        let event = typed(media_type, data);
        let message = sent(&event);
        let transported = message.text("datacontenttype").unwrap().to_owned();
        let as_text = matches!(message.data, Some(WireData::TextData(_)));
        assert_eq!(as_text, super::data::is_text(&transported), "{event:?}");
        assert_eq!(decode(message).unwrap().event, with_topic(event));
    }
}

#[test]
fn data_without_a_media_type_is_json_or_bytes() {
    let mut json = Event::builder("1", "/s", "t")
        .data(Data::Json(b"1".to_vec()))
        .build()
        .unwrap();
    let bytes = Event::builder("1", "/s", "t")
        .data(Data::Binary(vec![0xff]))
        .build()
        .unwrap();
    assert_eq!(hop(&bytes), with_topic(bytes));
    let there = hop(&json);
    json.datacontenttype = Some("application/json".to_owned());
    assert_eq!(there, with_topic(json));
}

#[test]
fn a_time_keeps_its_digits_and_its_offset() {
    for time in [
        "2026-11-21T07:00:00Z",
        "2026-11-21T07:00:00.5Z",
        "2026-11-21T07:00:00.123456789Z",
        "2026-11-21T07:00:00.000000001+05:30",
        "1969-12-31T23:59:59Z",
    ] {
        let mut event = Event::builder("1", "/s", "t").time(time).build().unwrap();
        event = with_topic(event);
        assert_eq!(hop(&event).time.as_deref(), Some(time));
    }
}

#[test]
fn a_time_finer_than_eventmesh_parses_travels_as_a_timestamp() {
    let event = Event::builder("1", "/s", "t")
        .time("2026-11-21T07:00:00.1234567891Z")
        .build()
        .unwrap();
    assert!(
        matches!(attr(&sent(&event), "time"), Some(Attr::CeTimestamp(it)) if it.nanos == 123_456_789)
    );
}

#[test]
fn what_a_publisher_says_of_itself_reaches_a_subscriber_as_sent_but_for_its_password() {
    let mut published = published();
    published.set_text("env", "prod & test");
    published.set_text("ip", "10.1.2.3");
    published.set_text("passwd", "secret");
    published.set_text("seqnum", "424242");
    published.set_text("tag", "a=b");

    let received = decode(published).unwrap();
    assert!(!format!("{:?}", received.event).contains("secret"));
    let delivered = delivered(received.event);

    for (name, value) in [
        ("env", "prod & test"),
        ("ip", "10.1.2.3"),
        ("seqnum", "424242"),
        ("uniqueid", "u-1"),
        ("tag", "a=b"),
        ("ttl", "4000"),
        ("passwd", "none"),
    ] {
        assert_eq!(delivered.text(name), Some(value), "{name}");
    }
    assert!(!delivered.attributes.contains_key("meshsender"));
}

#[test]
fn a_device_that_writes_a_sender_itself_gives_no_subscriber_what_eventmesh_would_not() {
    let forged = "env=&pid=x&passwd=open&subject=other&idc=%zz&sys=me&=&tag";
    let event = Event::builder("1", "/s", "t").extension("meshsender", forged);
    let delivered = delivered(event.build().unwrap());
    let pid = std::process::id().to_string();
    for (name, value) in [
        ("env", "edge"),
        ("pid", pid.as_str()),
        ("passwd", "none"),
        ("subject", "T"),
        ("idc", "default"),
        ("sys", "me"),
    ] {
        assert_eq!(delivered.text(name), Some(value), "{name}");
    }
    assert!(decode(delivered).is_ok());
}

#[test]
fn the_mqtt_topic_where_an_event_entered_survives_a_second_mesh() {
    let event = Event::builder("1", "/s", "t").build().unwrap();
    let at_second = hop(&event);
    assert_eq!(
        at_second.extensions.get("mqtttopic"),
        Some(&Value::from("a/b"))
    );
    let envelope = Envelope {
        mqtt_topic: Some("a.b"),
        ..envelope()
    };
    let message = encode(at_second, &envelope);
    assert_eq!(message.text("mqtttopic"), Some("a/b"));
}

#[test]
fn a_message_without_what_eventmesh_requires_is_refused_by_name() {
    for name in [
        "env", "idc", "ip", "pid", "sys", "username", "passwd", "language",
    ] {
        let mut message = published();
        message.attributes.remove(name);
        assert!(
            matches!(decode(message), Err(Malformed::Header(it)) if it == name),
            "{name}"
        );
    }
    for name in ["uniqueid", "producergroup", "subject", "ttl"] {
        let mut message = published();
        message.attributes.remove(name);
        let expected = Malformed::Body(format!("`{name}` is missing, or not text"));
        assert_eq!(decode(message), Err(expected));
    }
    let mut message = published();
    message.set_text("pid", "12a");
    assert_eq!(decode(message), Err(Malformed::Header("pid")));
    let mut message = published();
    message.set("ttl", Attr::CeInteger(4000));
    assert!(matches!(decode(message), Err(Malformed::Body(_))));
}

#[test]
fn data_in_the_wrong_field_is_refused() {
    for (media_type, data) in [
        (Some("application/json"), None),
        (
            Some("application/json"),
            Some(WireData::TextData(String::new())),
        ),
        (
            Some("application/json"),
            Some(WireData::BinaryData(b"1".to_vec())),
        ),
        (
            Some("Application/JSON"),
            Some(WireData::TextData("1".to_owned())),
        ),
        (None, Some(WireData::TextData("1".to_owned()))),
        (None, Some(WireData::BinaryData(Vec::new()))),
    ] {
        let mut message = published();
        message.attributes.remove("datacontenttype");
        if let Some(media_type) = media_type {
            message.set_text("datacontenttype", media_type);
        }
        message.data = data;
        assert!(matches!(decode(message), Err(Malformed::Body(_))));
    }
}

#[test]
fn bad_attributes_are_refused_in_the_words_of_eventmesh() {
    let mut message = published();
    message.set_text("Bad-Name", "1");
    assert_eq!(
        decode(message).unwrap_err().to_string(),
        "Invalid extensions name: Bad-Name"
    );
    let mut message = published();
    message.set_text("time", "yesterday");
    let error = decode(message).unwrap_err().to_string();
    assert!(
        error.starts_with("Invalid attribute/extension value: `time`"),
        "{error}"
    );
    let mut message = published();
    message
        .attributes
        .insert("hollow".to_owned(), Default::default());
    assert!(matches!(decode(message), Err(Malformed::Value(_))));
    let mut message = published();
    message.set(
        "seen",
        Attr::CeTimestamp(prost_types::Timestamp {
            seconds: i64::MAX,
            nanos: -1,
        }),
    );
    assert!(matches!(decode(message), Err(Malformed::Value(_))));
}

fn typed(media_type: &str, data: Data) -> Event {
    let event = Event::builder("1", "/s", "t")
        .datacontenttype(media_type)
        .data(data.clone())
        .build()
        .unwrap();
    assert_eq!(event.data, Some(data));
    event
}

fn envelope() -> Envelope<'static> {
    let sender: &'static Sender = Box::leak(Box::default());
    Envelope {
        mesh_topic: "a.b",
        mqtt_topic: Some("a/b"),
        sender,
        as_first_sent: false,
    }
}

fn sent(event: &Event) -> CloudEvent {
    encode(event.clone(), &envelope())
}

fn hop(event: &Event) -> Event {
    let bytes = sent(event).encode_to_vec();
    let received = decode(CloudEvent::decode(bytes.as_slice()).unwrap()).unwrap();
    assert_eq!(received.mesh_topic, "a.b");
    received.event
}

/// The event as the next node has it: with the topic on which it entered, and where it was sent from.
fn with_topic(mut event: Event) -> Event {
    let sender = format!("ip=127.0.0.1&pid={}", std::process::id());
    event
        .extensions
        .insert("mqtttopic".to_owned(), Value::from("a/b"));
    event
        .extensions
        .insert(attribute::MESH_SENDER.to_owned(), Value::from(sender));
    event
}

fn attr(message: &CloudEvent, name: &str) -> Option<Attr> {
    message.attributes.get(name)?.attr.clone()
}

/// As a publisher that is no node sends it.
fn published() -> CloudEvent {
    let mut message = CloudEvent {
        id: "id-1".to_owned(),
        source: "/s".to_owned(),
        spec_version: "1.0".to_owned(),
        r#type: "t".to_owned(),
        data: Some(WireData::TextData("{}".to_owned())),
        ..CloudEvent::default()
    };
    for (name, value) in [
        ("env", "env"),
        ("idc", "default"),
        ("ip", "10.0.0.1"),
        ("pid", "99"),
        ("sys", "sys123"),
        ("username", "u"),
        ("passwd", "p"),
        ("language", "JAVA"),
        ("uniqueid", "u-1"),
        ("producergroup", "g"),
        ("subject", "T"),
        ("ttl", "4000"),
        ("protocoltype", "cloudevents"),
        ("protocolversion", "1.0"),
        ("protocoldesc", "grpc-cloud-event"),
        ("datacontenttype", "application/json"),
    ] {
        message.set_text(name, value);
    }
    message
}

fn delivered(event: Event) -> CloudEvent {
    let envelope = Envelope {
        mesh_topic: "T",
        mqtt_topic: None,
        as_first_sent: true,
        ..envelope()
    };
    encode(event, &envelope)
}
