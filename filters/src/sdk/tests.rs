//! `cloudevents-sdk` as the oracle: the same documents and headers must say the same to both, save the deviations listed
//! at the end, where the specification is on our side.

use cloudevents::binding::http::to_event;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;
use crate::{EventBuilder, http as binding, json};

const ROUNDS: u64 = 2000;

fn sdk_of(document: &[u8]) -> Result<cloudevents::Event, String> {
    serde_json::from_slice(document).map_err(|error| error.to_string())
}

#[test]
fn both_read_the_same_event_from_what_we_write() {
    for seed in 0..ROUNDS {
        let event = Random(seed).event();
        let document = json::encode(&event);
        let by_sdk =
            sdk_of(&document).unwrap_or_else(|error| panic!("seed {seed}: {error}: {event:?}"));
        assert_eq!(
            Event::try_from(by_sdk),
            Ok(as_json_types(event)),
            "seed {seed}"
        );
    }
}

#[test]
fn both_read_the_same_event_from_what_the_sdk_writes() {
    for seed in 0..ROUNDS {
        let event = Random(seed).event();
        let by_sdk = cloudevents::Event::try_from(event.clone()).expect("the SDK takes these");
        let document = serde_json::to_vec(&by_sdk).expect("the SDK can write it");
        assert_eq!(
            json::decode(&document),
            Ok(as_json_types(event)),
            "seed {seed}"
        );
        assert_eq!(sdk_of(&document).as_ref(), Ok(&by_sdk), "seed {seed}");
    }
}

#[test]
fn both_read_the_same_event_from_headers() {
    for seed in 0..ROUNDS {
        let event = as_headers(Random(seed).event());
        let (headers, body) = binding::encode(&event);
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: HeaderName = name.parse().expect("a header name");
            map.append(name, HeaderValue::from_str(&value).expect("a header value"));
        }
        let mut by_sdk = to_event(&map, body).expect("the SDK reads it");
        // The SDK takes every body as binary.
        let data = by_sdk.take_data();
        let bytes: Vec<u8> = data
            .2
            .map(|it| it.try_into().expect("bytes"))
            .unwrap_or_default();
        assert_eq!(bytes, event.data_bytes(), "seed {seed}");
        by_sdk.set_datacontenttype(data.0);
        by_sdk.set_dataschema(data.1);
        assert_eq!(
            Event::try_from(by_sdk),
            Ok(Event {
                data: None,
                ..event
            }),
            "seed {seed}"
        );
    }
}

#[test]
fn we_read_the_same_event_from_the_headers_of_the_sdk() {
    for seed in 0..ROUNDS {
        let event = as_headers(Random(seed).event());
        let by_sdk = cloudevents::Event::try_from(event.clone()).expect("the SDK takes these");
        let request: http::Request<Option<Vec<u8>>> = by_sdk.try_into().expect("the SDK writes it");
        let (parts, body) = request.into_parts();
        let headers = parts
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()));
        let body = body.unwrap_or_default();
        let read = binding::decode(headers, body.clone()).expect("we read it");
        assert_eq!(read.data_bytes(), body, "seed {seed}");
        let time = event.time.as_ref().map(|it| it.replace('Z', "+00:00"));
        assert_eq!(
            Event { data: None, ..read },
            Event {
                data: None,
                time,
                ..event
            },
            "seed {seed}"
        );
    }
}

#[test]
fn both_refuse_the_same_documents() {
    let broken = [
        r#"{"id":"1","source":"s","type":"t"}"#,
        r#"{"specversion":"1.0","source":"s","type":"t"}"#,
        r#"{"specversion":"1.0","id":null,"source":"s","type":"t"}"#,
        r#"{"specversion":"2.0","id":"1","source":"s","type":"t"}"#,
        r#"{"specversion":"1.0","id":1,"source":"s","type":"t"}"#,
        r#"{"specversion":"1.0","id":"1","source":"s","type":"t","time":"now"}"#,
        r#"{"specversion":"1.0","id":"1","source":"s","type":"t","dataschema":"rel"}"#,
        r#"{"specversion":"1.0","id":"1","source":"s","type":"t","data":1,"data_base64":""}"#,
        r#"{"specversion":"1.0","id":"1","source":"s","type":"t","datacontenttype":"a/b","data_base64":"*"}"#,
        r#"{"specversion":"1.0","id":"1","source":"s","type":"t","x":[1]}"#,
        r#"{"specversion":"1.0","id":"1","source":"s","type":"t""#,
        "[]",
        "",
    ];
    for document in broken {
        assert!(sdk_of(document.as_bytes()).is_err(), "{document}");
        assert!(json::decode(document.as_bytes()).is_err(), "{document}");
    }
}

fn with(extra: &str) -> Vec<u8> {
    format!(r#"{{"specversion":"1.0","id":"1","source":"s","type":"t"{extra}}}"#).into_bytes()
}

#[test]
fn deviation_the_sdk_takes_attributes_that_the_specification_forbids() {
    for (extra, attribute) in [
        (r#","subject":"""#, "subject"),
        (r#","subject":"a\u0000""#, "subject"),
        (r#","datacontenttype":"json""#, "datacontenttype"),
        (r#","Camel":"x""#, "Camel"),
        (r#","x_y":"x""#, "x_y"),
        (r#","id":"2""#, "id"),
    ] {
        assert!(sdk_of(&with(extra)).is_ok(), "{extra}");
        assert_eq!(
            json::decode(&with(extra)).map_err(|it| it.attribute),
            Err(attribute.to_owned()),
            "{extra}"
        );
    }
}

#[test]
fn deviation_the_sdk_parses_json_and_so_loses_digits() {
    let extra = r#","data":{"b":1.10,"a":12345678901234567890123}"#;
    let event = json::decode(&with(extra)).expect("valid");
    assert_eq!(
        event.data_bytes(),
        br#"{"b":1.10,"a":12345678901234567890123}"#
    );
    let by_sdk = Event::try_from(sdk_of(&with(extra)).expect("valid")).expect("valid");
    assert_eq!(
        by_sdk.data_bytes(),
        br#"{"a":1.2345678901234568e+22,"b":1.1}"#
    );
}

#[test]
fn deviation_the_sdk_refuses_extension_numbers_with_a_fraction() {
    assert!(sdk_of(&with(r#","x":1.5"#)).is_err());
    let event = json::decode(&with(r#","x":1.5"#)).expect("kept as its digits");
    assert_eq!(
        event.extensions.get("x"),
        Some(&Value::String("1.5".to_owned()))
    );
}

#[test]
fn deviation_the_sdk_refuses_json_that_is_no_string_under_a_text_type() {
    let extra = r#","datacontenttype":"text/plain","data":{"a":1}"#;
    assert!(sdk_of(&with(extra)).is_err());
    assert_eq!(
        json::decode(&with(extra))
            .expect("kept as its text")
            .data_bytes(),
        br#"{"a":1}"#
    );
}

#[test]
fn deviation_the_sdk_sees_json_in_media_types_that_only_begin_like_it() {
    let extra = r#","datacontenttype":"application/json-seq","data":"x""#;
    assert_eq!(
        sdk_of(&with(extra)).expect("valid").data(),
        Some(&cloudevents::Data::Json("x".into()))
    );
    assert_eq!(
        json::decode(&with(extra)).expect("valid").data,
        Some(Data::Text("x".into()))
    );
    let extra = r#","datacontenttype":"a/b+json;v=1","data":{}"#;
    assert!(
        sdk_of(&with(extra)).is_err(),
        "a parameter hides the suffix from it"
    );
    assert_eq!(
        json::decode(&with(extra)).expect("valid").data,
        Some(Data::Json(b"{}".into()))
    );
}

#[test]
fn deviation_the_sdk_does_not_percent_encode_headers() {
    let event = Event::builder("1", "s", "t")
        .extension("x", "€ 100%")
        .build()
        .expect("valid");
    let by_sdk = cloudevents::Event::try_from(event.clone()).expect("valid");
    let request: http::Request<Option<Vec<u8>>> =
        by_sdk.try_into().expect("it writes bytes outside ASCII");
    assert_eq!(request.headers()["ce-x"].as_bytes(), "€ 100%".as_bytes());
    assert_eq!(
        binding::encode(&event).0.last(),
        Some(&("ce-x".to_owned(), "%E2%82%AC%20100%25".to_owned()))
    );
    let read = binding::decode(
        request
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes())),
        Vec::new(),
    );
    assert_eq!(read, Ok(event), "what it writes is read all the same");
}

#[test]
fn json_that_the_sdk_cannot_parse_reaches_it_as_bytes() {
    let nested = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let event = Event::builder("1", "s", "t")
        .data(Data::Json(nested.clone().into()))
        .build()
        .expect("valid");
    let converted = cloudevents::Event::try_from(event).expect("converted");
    assert_eq!(
        converted.data(),
        Some(&cloudevents::Data::Binary(nested.into()))
    );
}

/// As JSON leaves types: what it cannot type is text; the SDK writes JSON anew.
fn as_json_types(event: Event) -> Event {
    let extensions = event
        .extensions
        .into_iter()
        .map(|(name, value)| match value {
            Value::Boolean(_) | Value::Integer(_) => (name, value),
            other => (name, Value::String(other.text().into_owned())),
        });
    Event {
        extensions: extensions.collect(),
        ..event
    }
}

/// As headers leave types, without what has to be percent-encoded there: the SDK does not know that.
fn as_headers(mut event: Event) -> Event {
    let plain = |text: &str| {
        text.bytes()
            .all(|it| it.is_ascii_graphic() && !b"%\"".contains(&it))
    };
    for text in [&mut event.id, &mut event.r#type] {
        text.retain(|it| it.is_ascii_alphanumeric());
        text.push('x');
    }
    event.subject.take_if(|it| !plain(it));
    event.extensions.retain(|_, value| plain(&value.text()));
    let text = |value: Value| Value::String(value.text().into_owned());
    let extensions = event
        .extensions
        .into_iter()
        .map(|(name, value)| (name, text(value)));
    Event {
        extensions: extensions.collect(),
        ..event
    }
}

/// A small generator, so that each run sees the same events.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_add(1)
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn one_of<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }

    fn text(&mut self) -> String {
        (0..=self.below(6))
            .map(|_| self.one_of(&["a", "Z", "0", " ", "é", "\u{1f600}", "\"", "\\", "%41", "/"]))
            .collect()
    }

    fn value(&mut self) -> Value {
        match self.below(7) {
            0 => Value::Boolean(self.below(2) == 0),
            1 => Value::Integer(self.one_of(&[0, -1, i32::MIN, i32::MAX])),
            2 => Value::Binary(vec![self.below(256) as u8; self.below(4)]),
            3 => Value::Uri("urn:x".to_owned()),
            4 => Value::UriRef("../y".to_owned()),
            5 => Value::Timestamp("2026-01-31T23:59:59Z".to_owned()),
            _ => Value::String(self.text()),
        }
    }

    /// Within what the SDK keeps: times in UTC as it writes them, JSON as it writes it.
    fn event(&mut self) -> Event {
        let mut event: EventBuilder = Event::builder(
            self.text(),
            self.one_of(&["s", "/a/b", "urn:x:y"]),
            self.text(),
        );
        if self.below(2) == 0 {
            event = event.subject(self.text());
        }
        if self.below(2) == 0 {
            event = event
                .time(self.one_of(&["2026-01-31T23:59:59Z", "1969-12-31T00:00:00.123456789Z"]));
        }
        if self.below(3) == 0 {
            event = event.dataschema(self.one_of(&["urn:schema", "https://example.com/x?y#z"]));
        }
        for _ in 0..self.below(4) {
            event = event.extension(
                self.one_of(&["a", "x1", "traceparent", "partitionkey"]),
                self.value(),
            );
        }
        let json = [
            "null",
            "true",
            "\"a\"",
            "[]",
            "{}",
            "[1,-2.5]",
            "{\"a\":{\"b\":\"é\\\"\"}}",
        ];
        match self.below(6) {
            0 => event,
            1 => event.data(Data::Json(self.one_of(&json).into())),
            2 => event
                .datacontenttype("application/vnd.x+json")
                .data(Data::Json(self.one_of(&json).into())),
            3 => event
                .datacontenttype("text/plain")
                .data(Data::Text(self.text())),
            4 => event
                .datacontenttype("image/png")
                .data(Data::Binary(vec![0xff; self.below(5)])),
            _ => event
                .datacontenttype("application/json")
                .data(Data::Binary(b"{".into())),
        }
        .build()
        .expect("the generator makes valid events")
    }
}
