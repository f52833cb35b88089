use super::*;
use crate::EventBuilder;

fn event() -> EventBuilder {
    Event::builder("1", "urn:pump:7", "reading")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("JSON is UTF-8")
}

fn decoded(extra: &str) -> Result<Event, (String, EventProblem)> {
    let document = format!(
        r#"{{"specversion":"1.0","id":"1","source":"urn:pump:7","type":"reading"{extra}}}"#
    );
    decode(document.as_bytes()).map_err(|error| (error.attribute, error.problem))
}

#[test]
fn members_come_in_one_order_and_typed_values_keep_their_type() {
    let event = event()
        .data(Data::Json(b"{\"t\": 1.10, \"a\":9007199254740993}".into()))
        .extension("zone", "n\"o\\rth")
        .extension("count", -5)
        .extension("alarm", true)
        .extension("mark", Value::Binary(vec![0xff, 0]))
        .dataschema("https://example.com/schema")
        .datacontenttype("application/json")
        .time("2026-01-31T23:59:59.123456789012Z")
        .subject("a/b")
        .build()
        .expect("valid");
    assert_eq!(
        text(&encode(&event)),
        concat!(
            r#"{"specversion":"1.0","id":"1","source":"urn:pump:7","type":"reading","subject":"a/b","#,
            r#""time":"2026-01-31T23:59:59.123456789012Z","datacontenttype":"application/json","#,
            r#""dataschema":"https://example.com/schema","alarm":true,"count":-5,"mark":"/wA=","#,
            r#""zone":"n\"o\\rth","data":{"t": 1.10, "a":9007199254740993}}"#
        )
    );
}

#[test]
fn what_is_encoded_decodes_to_an_equal_event() {
    let payloads = [
        (None, None),
        (None, Some(Data::Json(b"null".into()))),
        (None, Some(Data::Binary(vec![0, 0xff]))),
        (
            Some("application/json"),
            Some(Data::Json(b"[1,{\"a\":1e400}]".into())),
        ),
        (
            Some("application/json"),
            Some(Data::Json(b"\"text\"".into())),
        ),
        (Some("application/json"), Some(Data::Binary(b"{".into()))),
        (
            Some("text/plain"),
            Some(Data::Text("{\"a\":\"\u{1f600}\0\"}".into())),
        ),
        (Some("text/plain"), Some(Data::Text(String::new()))),
        (
            Some("text/plain"),
            Some(Data::Binary(b"said to be binary".into())),
        ),
        (Some("image/png"), Some(Data::Binary(Vec::new()))),
    ];
    for (media_type, data) in payloads {
        let mut builder = event()
            .extension("n", i32::MIN)
            .extension("b", false)
            .extension("s", "");
        if let Some(media_type) = media_type {
            builder = builder.datacontenttype(media_type);
        }
        if let Some(data) = data {
            builder = builder.data(data);
        }
        let event = builder.build().expect("valid");
        assert_eq!(decode(&encode(&event)), Ok(event.clone()), "{event:?}");
    }
}

#[test]
fn null_members_are_absent_except_data() {
    let event =
        decoded(r#","subject":null,"time":null,"x":null,"data_base64":null"#).expect("valid");
    assert_eq!(
        (
            event.subject,
            event.time,
            event.extensions.len(),
            event.data
        ),
        (None, None, 0, None)
    );
    assert_eq!(
        decoded(r#","data":null"#).map(|it| it.data),
        Ok(Some(Data::Json(b"null".into())))
    );
    assert_eq!(
        decoded(r#","datacontenttype":"text/plain","data":null"#).map(|it| it.data),
        Ok(None)
    );
}

#[test]
fn numbers_beyond_the_type_system_are_kept_as_their_digits() {
    let event = decoded(r#","a":2147483648,"b":1.50,"c":-2147483648"#).expect("valid");
    let expected = [
        ("a".to_owned(), Value::String("2147483648".into())),
        ("b".to_owned(), Value::String("1.50".into())),
        ("c".to_owned(), Value::Integer(i32::MIN)),
    ];
    assert_eq!(event.extensions, expected.into());
}

#[test]
fn a_payload_takes_the_form_of_its_media_type() {
    let data = |extra: &str| decoded(extra).map(|it| it.data);
    let binary = |bytes: &[u8]| Ok(Some(Data::Binary(bytes.into())));
    let plain = |it: &str| Ok(Some(Data::Text(it.into())));
    assert_eq!(
        data(r#","datacontenttype":"text/plain","data":"a\u00e9""#),
        plain("aé")
    );
    assert_eq!(
        data(r#","datacontenttype":"text/plain","data":{"a": 1}"#),
        plain(r#"{"a": 1}"#)
    );
    assert_eq!(
        data(r#","data_base64":"e30=""#),
        Ok(Some(Data::Json(b"{}".into())))
    );
    assert_eq!(data(r#","data_base64":"ew==""#), binary(b"{"));
    assert_eq!(
        data(r#","datacontenttype":"text/plain","data_base64":"YQ==""#),
        binary(b"a")
    );
}

#[test]
fn each_fault_names_its_attribute() {
    let wrong = |extra: &str, attribute: &str, problem| {
        assert_eq!(
            decoded(extra),
            Err((attribute.to_owned(), problem)),
            "{extra}"
        );
    };
    wrong(r#","id":"2""#, "id", EventProblem::Twice);
    wrong(r#","x":1,"x":2"#, "x", EventProblem::Twice);
    wrong(r#","data":1,"data":2"#, "data", EventProblem::Twice);
    wrong(
        r#","specversion":"1.0""#,
        "specversion",
        EventProblem::Twice,
    );
    wrong(r#","subject":5"#, "subject", EventProblem::Type);
    wrong(r#","subject":5000000000"#, "subject", EventProblem::Type);
    wrong(r#","x":{}"#, "x", EventProblem::Type);
    wrong(r#","x":"\ud800""#, "x", EventProblem::NotUtf8);
    wrong(r#","X":"a""#, "X", EventProblem::Name);
    wrong(r#","time":"now""#, "time", EventProblem::Timestamp);
    wrong(
        r#","data":1,"data_base64":"""#,
        "data_base64",
        EventProblem::TwoPayloads,
    );
    wrong(r#","data_base64":"*""#, "data_base64", EventProblem::Base64);
    wrong(r#","data_base64":5"#, "data_base64", EventProblem::Base64);
    let documents: [(&[u8], &str, EventProblem); 8] = [
        (b"", "event", EventProblem::Document),
        (b"[]", "event", EventProblem::Document),
        (b"{}", "specversion", EventProblem::Missing),
        (b"{\"specversion\":\"1.0\"", "event", EventProblem::Document),
        (
            b"{\"specversion\":\"1.0\"} x",
            "event",
            EventProblem::Document,
        ),
        (
            b"{\"specversion\":\"0.3\"}",
            "specversion",
            EventProblem::Version,
        ),
        (
            b"{\"specversion\":\"1.0\",\"id\":null,\"source\":\"s\",\"type\":\"t\"}",
            "id",
            EventProblem::Missing,
        ),
        (b"\xff", "event", EventProblem::NotUtf8),
    ];
    for (document, attribute, problem) in documents {
        let error = decode(document).expect_err("no event");
        assert_eq!(
            (error.attribute.as_str(), error.problem),
            (attribute, problem),
            "{document:?}"
        );
    }
}

#[test]
fn too_many_members_are_refused() {
    let extensions = |count: usize| {
        (0..count)
            .map(|at| format!(",\"x{at}\":1"))
            .collect::<String>()
    };
    assert_eq!(
        decoded(&extensions(256)).map(|it| it.extensions.len()),
        Ok(256)
    );
    for count in [257, 5000] {
        assert_eq!(
            decoded(&extensions(count)),
            Err(("extensions".to_owned(), EventProblem::TooMany))
        );
    }
}

#[test]
fn deeply_nested_data_is_carried_without_recursion() {
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let event = decoded(&format!(",\"data\":{nested}")).expect("valid");
    assert_eq!(event.data_bytes(), nested.as_bytes());
}

#[test]
fn a_batch_is_decoded_as_a_whole_or_names_the_event_at_fault() {
    let events = [
        event().build().expect("valid"),
        event().subject("b").build().expect("valid"),
    ];
    assert_eq!(decode_batch(&encode_batch(&events)), Ok(events.to_vec()));
    assert_eq!(text(&encode_batch([])), "[]");
    assert_eq!(decode_batch(b"[]"), Ok(Vec::new()));
    let broken = format!("[{},{{}}]", text(&encode(&events[0])));
    let error = decode_batch(broken.as_bytes()).expect_err("the second is no event");
    assert_eq!(
        (error.index, error.error.problem),
        (1, EventProblem::Missing)
    );
    assert_eq!(
        decode_batch(b"{}").map_err(|it| it.error.problem),
        Err(EventProblem::Document)
    );
}

#[test]
fn payloads_that_are_events_are_told_from_those_that_mention_them() {
    assert!(is_structured(b" {\"specversion\":\"1.0\"}"));
    assert!(is_structured(b"{\"a\":1,\"specversion\":2}"));
    for other in [
        &b"{\"a\":\"\\\"specversion\\\"\"}"[..],
        b"{\"a\":{\"specversion\":1}}",
        b"[]",
        b"",
        b"{\"specversion\"",
    ] {
        assert!(!is_structured(other), "{other:?}");
    }
}
