use super::*;
use crate::Data;

fn decoded(headers: &[(&str, &str)], body: &[u8]) -> Result<Event, (String, EventProblem)> {
    let required = [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("CE-Source", "s"),
        ("ce-type", "t"),
    ];
    let headers = required
        .iter()
        .chain(headers)
        .map(|(name, value)| (*name, value.as_bytes()));
    decode(headers, body.to_vec()).map_err(|error| (error.attribute, error.problem))
}

fn extension(value: &str) -> Option<Value> {
    decoded(&[("ce-x", value)], b"")
        .ok()?
        .extensions
        .remove("x")
}

#[test]
fn attributes_become_headers_in_one_order_and_the_data_the_body() {
    let event = Event::builder("1", "s", "t")
        .data(Data::Text("hot".into()))
        .datacontenttype("text/plain")
        .extension("euro", "Euro € 😀 \"100%\"")
        .extension("count", 5)
        .subject("a b")
        .build()
        .expect("valid");
    let (headers, body) = encode(&event);
    let shown: Vec<_> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    assert_eq!(
        shown,
        [
            "ce-specversion: 1.0",
            "ce-id: 1",
            "ce-source: s",
            "ce-type: t",
            "ce-subject: a%20b",
            "ce-count: 5",
            "ce-euro: Euro%20%E2%82%AC%20%F0%9F%98%80%20%22100%25%22",
            "content-type: text/plain",
        ]
    );
    assert_eq!(body, b"hot");
    let back = decode(
        headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes())),
        body,
    )
    .expect("valid");
    let mut expected = event;
    expected
        .extensions
        .insert("count".to_owned(), Value::String("5".to_owned()));
    assert_eq!(back, expected);
}

#[test]
fn header_values_are_unquoted_and_percent_decoded_once() {
    for (header, expected) in [
        ("plain", "plain"),
        ("%E2%82%ac", "€"),
        ("\"a b\"", "a b"),
        ("\"a\\\"b\\\\c\"", "a\"b\\c"),
        ("%2541", "%41"),
        ("100%", "100%"),
        ("%4", "%4"),
        ("%zz", "%zz"),
        ("€", "€"),
        (" padded ", "padded"),
    ] {
        assert_eq!(
            extension(header),
            Some(Value::String(expected.to_owned())),
            "{header}"
        );
    }
    assert_eq!(
        decoded(&[("ce-x", "%ff")], b""),
        Err(("x".to_owned(), EventProblem::NotUtf8))
    );
}

#[test]
fn the_body_takes_the_form_of_its_content_type() {
    let data = |media_type: &str, body: &[u8]| {
        decoded(&[("Content-Type", media_type)], body).map(|it| it.data)
    };
    assert_eq!(
        data("application/json", b"{}"),
        Ok(Some(Data::Json(b"{}".into())))
    );
    assert_eq!(
        data("application/json", b"{"),
        Ok(Some(Data::Binary(b"{".into())))
    );
    assert_eq!(data("text/plain", b"{}"), Ok(Some(Data::Text("{}".into()))));
    assert_eq!(
        data("image/png", b"{}"),
        Ok(Some(Data::Binary(b"{}".into())))
    );
    assert_eq!(data("text/plain", b""), Ok(None));
}

#[test]
fn each_fault_names_its_header() {
    let wrong = |headers: &[(&str, &str)], attribute: &str, problem| {
        assert_eq!(decoded(headers, b""), Err((attribute.to_owned(), problem)));
    };
    wrong(&[("ce-id", "2")], "id", EventProblem::Twice);
    wrong(&[("ce-x", "a"), ("CE-X", "b")], "x", EventProblem::Twice);
    wrong(&[("ce-a-b", "a")], "a-b", EventProblem::Name);
    wrong(
        &[("ce-datacontenttype", "a/b")],
        "ce-datacontenttype",
        EventProblem::ContentTypeHeader,
    );
    wrong(&[("ce-data", "a")], "data", EventProblem::Reserved);
    wrong(&[("ce-subject", "%00")], "subject", EventProblem::Control);
    assert_eq!(
        decode([("ce-id", &b"1"[..])], Vec::new()).map_err(|it| it.problem),
        Err(EventProblem::Missing)
    );
    assert_eq!(
        decoded(&[("x-other", "\0"), ("cookie", "a")], b"").map(|it| it.extensions.len()),
        Ok(0)
    );
}

#[test]
fn the_mode_follows_from_the_headers() {
    for (content_type, has_specversion, expected) in [
        (
            Some("application/cloudevents+json; charset=utf-8"),
            false,
            Some(Mode::Structured),
        ),
        (
            Some("Application/CloudEvents-Batch+JSON"),
            true,
            Some(Mode::Batch),
        ),
        (Some("application/cloudevents+avro"), true, None),
        (Some("application/json"), true, Some(Mode::Binary)),
        (None, true, Some(Mode::Binary)),
        (Some("application/json"), false, None),
        (None, false, None),
    ] {
        assert_eq!(
            Mode::of(content_type, has_specversion),
            expected,
            "{content_type:?}"
        );
    }
}
