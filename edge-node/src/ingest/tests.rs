use bytes::Bytes;
use filters::{Data, Value};

use super::*;
use crate::config::Overrides;

mod carried;
mod configured;
mod invalid;

const NOON: Received = Received {
    millis: 1_767_268_800_000,
    plausible: true,
};
const RUN: [u8; 16] = [0xab; 16];

fn ingest(config: &str) -> Ingest {
    ingest_of_run(config, RUN)
}

fn ingest_of_run(config: &str, run: [u8; 16]) -> Ingest {
    let config =
        Config::parse("test.toml", config, &Overrides::default()).expect("a valid configuration");
    Ingest::new(&config, "gate".parse().expect("a valid id"), run)
}

/// A PUBLISH of client `pump 7` on `plant/7/temp`, to be changed by its test.
#[derive(Clone, Default)]
struct Sent {
    properties: Option<PublishPropertySet>,
    payload: Bytes,
    topic: Option<&'static str>,
    client: Option<String>,
}

impl Sent {
    fn plain(payload: impl AsRef<[u8]>) -> Sent {
        Sent {
            payload: Bytes::copy_from_slice(payload.as_ref()),
            ..Sent::default()
        }
    }

    fn binary(user: &[(&str, &str)], payload: impl AsRef<[u8]>) -> Sent {
        let required = [
            ("specversion", "1.0"),
            ("id", "7"),
            ("source", "urn:own"),
            ("type", "reading"),
        ];
        Sent::plain(payload).user(&required).user(user)
    }

    fn properties(mut self, change: impl FnOnce(&mut PublishPropertySet)) -> Sent {
        change(self.properties.get_or_insert_default());
        self
    }

    fn user(self, user: &[(&str, &str)]) -> Sent {
        let owned = user
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.properties(|it| it.user_properties.extend(owned))
    }

    fn content_type(self, media_type: &str) -> Sent {
        self.properties(|it| it.content_type = Some(media_type.to_owned()))
    }

    fn on(mut self, topic: &'static str) -> Sent {
        self.topic = Some(topic);
        self
    }

    fn topic(&self) -> &'static str {
        self.topic.unwrap_or("plant/7/temp")
    }

    fn accept(&self, ingest: &mut Ingest, received: Received) -> Result<Accepted, Refusal> {
        let client = self.client.as_deref().unwrap_or("pump 7");
        let properties = self.properties.as_ref();
        let publish = PublishView {
            topic: self.topic(),
            properties,
            payload: &self.payload,
            client,
        };
        ingest.accept(&publish, received)
    }

    /// As it is read back from the log, through the bytes that are stored.
    fn view(&self, minted: &Minted) -> Event {
        let stored = postcard::to_stdvec(minted).expect("minted attributes can be stored");
        let minted = postcard::from_bytes(&stored).expect("what was stored can be read");
        let event = view(
            self.topic(),
            self.properties.as_ref(),
            &self.payload,
            &minted,
        )
        .expect("accepted");
        assert_eq!(event.check(), Ok(()), "{event:?}");
        event
    }

    fn event_by(&self, ingest: &mut Ingest) -> Event {
        self.view(&self.accept(ingest, NOON).expect("not refused").minted)
    }

    fn event(&self) -> Event {
        self.event_by(&mut ingest(""))
    }
}

fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

#[test]
fn a_plain_publish_is_an_event_without_any_configuration() {
    let event = Sent::plain(b"{\"t\":21.50}").event();
    let expected = Event::builder(
        "abababababababababababababababab-0",
        "urn:edge-node:gate:pump%207",
        "mqtt.publish",
    )
    .subject("plant/7/temp")
    .time("2026-01-01T12:00:00.000Z")
    .datacontenttype("application/json")
    .extension("mqtttopic", "plant/7/temp")
    .data(Data::Json(b"{\"t\":21.50}".into()))
    .build();
    assert_eq!(Ok(event), expected);
}

#[test]
fn a_payload_of_which_nothing_is_said_is_declared_as_what_it_is() {
    let of = |payload: &[u8]| {
        let event = Sent::plain(payload).event();
        (event.datacontenttype.unwrap_or_default(), event.data)
    };
    let json = |it: &str| ("application/json".to_owned(), Some(Data::Json(it.into())));
    let plain = |it: &str| {
        (
            "text/plain; charset=utf-8".to_owned(),
            Some(Data::Text(it.into())),
        )
    };
    let binary = |it: &[u8]| {
        (
            "application/octet-stream".to_owned(),
            Some(Data::Binary(it.into())),
        )
    };
    assert_eq!(of(b" [1, 2]"), json(" [1, 2]"));
    assert_eq!(of(b"{\"t\":"), plain("{\"t\":"));
    assert_eq!(of(b"{\"t\":\xff}"), binary(b"{\"t\":\xff}"));
    assert_eq!(of(b"21.5"), plain("21.5"));
    assert_eq!(of("a\tü\r\n".as_bytes()), plain("a\tü\r\n"));
    assert_eq!(of(b"\0\0\0\x15"), binary(b"\0\0\0\x15"));
    assert_eq!(of(b"\xff\xfe"), binary(b"\xff\xfe"));
    assert_eq!(of(b""), (String::new(), None));
    let indicated = Sent::plain(b"\x15")
        .properties(|it| it.payload_format_indicator = Some(true))
        .event();
    assert_eq!(indicated.data, Some(Data::Text("\x15".into())));
}

#[test]
fn the_content_type_of_mqtt_5_decides_over_the_payload() {
    let event = Sent::plain(b"{}").content_type("text/x-log").event();
    assert_eq!(
        (event.datacontenttype.as_deref(), event.data),
        (Some("text/x-log"), Some(Data::Text("{}".into())))
    );
    let event = Sent::plain(b"{").content_type("application/json").event();
    assert_eq!(event.data, Some(Data::Binary(b"{".into())));
}

#[test]
fn what_rules_see_of_the_data_alone_is_what_they_see_of_the_event() {
    let payloads: [&[u8]; 9] = [
        b"",
        b" [1, 2]",
        b"{\"t\":1}",
        b"{\"t\":",
        b"{\"t\":\xff}",
        b"21.5",
        b"\0\x15",
        b"\xff\xfe",
        b"\xa1at\x01",
    ];
    let media_types = [
        "",
        "application/json",
        "application/senml+json",
        "text/plain",
        "application/xml",
        "application/cbor",
    ];
    let mut seen_alone = 0;
    for payload in payloads {
        for media_type in media_types {
            for config in [
                "",
                "[[ingest]]\ntopic = \"#\"\ndatacontenttype = \"text/plain\"\n",
            ] {
                let sent = match media_type {
                    "" => Sent::plain(payload),
                    _ => Sent::plain(payload).content_type(media_type),
                };
                let minted = sent.accept(&mut ingest(config), NOON).unwrap().minted;
                let alone = data_view(sent.properties.as_ref(), payload, &minted);
                let event = sent.view(&minted);
                let whole = filters::DataView::of(event.data.as_ref());
                assert!(
                    alone.is_none_or(|it| it.checked() == whole),
                    "{media_type}: {payload:?}"
                );
                seen_alone += usize::from(alone.is_some());
            }
        }
    }
    assert!(seen_alone > 80, "{seen_alone}");
}

#[test]
fn user_properties_of_a_plain_publish_become_extensions() {
    let user = [
        ("deviceId", "a"),
        ("deviceid", "b"),
        ("id", "c"),
        ("data", "d"),
        ("x-y", "e"),
        ("ok1", "f\n"),
        ("", "g"),
    ];
    let event = Sent::plain("x").user(&user).event();
    let expected = [
        ("deviceid", "a"),
        ("mqtttopic", "plant/7/temp"),
        ("ok1", "f%0A"),
    ];
    assert_eq!(
        event.extensions,
        expected
            .map(|(name, value)| (name.to_owned(), text(value)))
            .into()
    );
    assert_eq!(event.id, "abababababababababababababababab-0");
}

#[test]
fn an_event_in_binary_mode_keeps_its_own_attributes() {
    let user = [
        ("time", "2025-05-05T05:05:05Z"),
        ("subject", "s"),
        ("traceparent", "00-ab"),
        ("Other-Name", "x"),
    ];
    let sent = Sent::binary(&user, b"{}").content_type("application/json");
    let expected = Event::builder("7", "urn:own", "reading")
        .time("2025-05-05T05:05:05Z")
        .subject("s")
        .datacontenttype("application/json")
        .extension("traceparent", "00-ab")
        .extension("mqtttopic", "plant/7/temp")
        .data(Data::Json(b"{}".into()))
        .build();
    assert_eq!(Ok(sent.event()), expected);
    let bare = Sent::binary(&[("mqtttopic", "elsewhere")], b"").event();
    assert_eq!(
        (bare.time, bare.subject, bare.datacontenttype, bare.data),
        (None, None, None, None)
    );
    assert_eq!(
        bare.extensions,
        [("mqtttopic".to_owned(), text("elsewhere"))].into()
    );
}

#[test]
fn an_event_in_structured_mode_keeps_its_own_attributes() {
    let document = br#"{"specversion":"1.0","id":"7","source":"urn:own","type":"reading","n":5,"data":{"a": 1}}"#;
    let expected = Event::builder("7", "urn:own", "reading")
        .extension("n", 5)
        .extension("mqtttopic", "plant/7/temp")
        .data(Data::Json(b"{\"a\": 1}".into()))
        .build();
    let declared =
        Sent::plain(document).content_type("application/cloudevents+json; charset=utf-8");
    assert_eq!(Ok(declared.event()), expected);
    assert_eq!(
        Ok(Sent::plain(document).event()),
        expected,
        "MQTT 3.1.1 has no Content Type"
    );
    let data = Sent::plain(document)
        .content_type("application/json")
        .event();
    assert_eq!(
        (data.id.as_str(), data.data_bytes()),
        ("abababababababababababababababab-0", &document[..])
    );
}

#[test]
fn a_record_shows_the_same_event_each_time_and_ids_are_unique_over_restarts() {
    let mut seen = std::collections::BTreeSet::new();
    for run in [[1; 16], [2; 16]] {
        let mut ingest = ingest_of_run("", run);
        for _ in 0..3 {
            let sent = Sent::plain("same");
            let minted = sent.accept(&mut ingest, NOON).expect("not refused").minted;
            assert_eq!(sent.view(&minted), sent.view(&minted));
            assert!(seen.insert(sent.view(&minted).id));
        }
    }
    assert_eq!(seen.len(), 6);
    assert_eq!(
        seen.first().map(String::as_str),
        Some("01010101010101010101010101010101-0")
    );
}

#[test]
fn message_expiry_becomes_expirytime() {
    let sent = Sent::plain("x").properties(|it| it.message_expiry_interval = Some(90));
    let expiry = |event: Event| event.extensions.get("expirytime").cloned();
    assert_eq!(
        expiry(sent.event()),
        Some(Value::Timestamp("2026-01-01T12:01:30.000Z".into()))
    );
    assert_eq!(expiry(Sent::plain("x").event()), None);
    let own = Sent::binary(&[("expirytime", "2030-01-01T00:00:00Z")], "")
        .properties(|it| it.message_expiry_interval = Some(1));
    assert_eq!(expiry(own.event()), Some(text("2030-01-01T00:00:00Z")));
}

#[test]
fn a_time_from_before_the_clock_was_plausible_is_marked_and_gives_no_expiry() {
    let early = Received {
        millis: 5_000,
        plausible: false,
    };
    let view = |sent: &Sent| {
        sent.view(
            &sent
                .accept(&mut ingest(""), early)
                .expect("not refused")
                .minted,
        )
    };
    let event = view(&Sent::plain("x").properties(|it| it.message_expiry_interval = Some(90)));
    assert_eq!(event.time.as_deref(), Some("1970-01-01T00:00:05.000Z"));
    assert_eq!(event.extensions.get("timequality"), Some(&text("unsynced")));
    assert_eq!(event.extensions.get("expirytime"), None);
    let own = view(&Sent::binary(&[("time", "2025-05-05T05:05:05Z")], ""));
    assert_eq!(own.extensions.get("timequality"), None);
}

#[test]
fn every_topic_and_client_identifier_makes_a_valid_event() {
    let event = Sent::plain("x").on("a\u{1}/\u{fffe}").event();
    assert_eq!(event.subject.as_deref(), Some("a%01/%EF%BF%BE"));
    assert_eq!(
        event.extensions.get("mqtttopic"),
        Some(&text("a%01/%EF%BF%BE"))
    );
    let source = |client: &str| {
        let sent = Sent {
            client: Some(client.to_owned()),
            ..Sent::plain("x")
        };
        sent.event().source
    };
    assert_eq!(source("a/b:c"), "urn:edge-node:gate:a%2Fb%3Ac");
    assert_eq!(source(""), "urn:edge-node:gate:");
    assert_eq!(
        source(&"é".repeat(30_000)).len(),
        "urn:edge-node:gate:".len() + 512 * 6
    );
    assert_eq!(
        source(&format!("a{}", "é".repeat(30_000))).len(),
        "urn:edge-node:gate:a".len() + 511 * 6
    );
}

#[test]
fn what_is_stored_beside_a_publish_is_small() {
    let size = |sent: Sent| {
        let minted = sent
            .accept(&mut ingest(""), NOON)
            .expect("not refused")
            .minted;
        postcard::to_stdvec(&minted).expect("can be stored").len()
    };
    assert_eq!(size(Sent::plain([0; 256])), 59);
    assert_eq!(size(Sent::binary(&[], "")), 9);
}

#[test]
fn what_was_stored_by_an_earlier_version_reads_as_it_did() {
    let plain = b"\x80\xac\xb7\xcb\xb7\x33\x01\x00\x00\xab\xab\xab\xab\xab\xab\xab\xab\xab\xab\xab\xab\xab\xab\xab\xab\x05\
        \x07urn:own\x01\x01t\x01\x01s\x01\x03a/b\x00\x01\x01k";
    let minted: Minted = postcard::from_bytes(plain).expect("a plain publish");
    let attributes = Attributes {
        id: Id::Minted {
            run: RUN,
            counter: 5,
        },
        source: "urn:own".to_owned(),
        r#type: Some("t".to_owned()),
        subject: Some("s".to_owned()),
        datacontenttype: Some("a/b".to_owned()),
        time: None,
        partitionkey: Some("k".to_owned()),
    };
    assert_eq!(
        minted,
        Minted {
            received: NOON,
            form: Form::Plain(attributes)
        }
    );
    let carried = b"\x00\x00\x04\x01\x01n\x01\x0a\x02";
    let minted: Minted = postcard::from_bytes(carried).expect("a carried event");
    let form = Form::Carried {
        typed: vec![("n".to_owned(), Value::Integer(5))],
        data: minted::DataForm::Text,
    };
    assert_eq!(
        minted,
        Minted {
            received: Received {
                millis: 0,
                plausible: false
            },
            form
        }
    );
    for (variant, form) in [
        (2, Form::Binary { partitionkey: None }),
        (3, Form::Structured { partitionkey: None }),
    ] {
        let minted: Minted =
            postcard::from_bytes(&[0, 0, variant, 0]).expect("an event of its own");
        assert_eq!(minted.form, form);
    }
}
