use super::*;

fn plain() -> EventBuilder {
    Event::builder("1", "urn:pump:7", "reading")
}

fn problem(builder: EventBuilder) -> Option<(String, EventProblem)> {
    builder
        .build()
        .err()
        .map(|error| (error.attribute, error.problem))
}

fn wrong(attribute: &str, problem: EventProblem) -> Option<(String, EventProblem)> {
    Some((attribute.to_owned(), problem))
}

#[test]
fn required_attributes_must_have_content() {
    assert_eq!(problem(plain()), None);
    assert_eq!(
        problem(Event::builder("", "s", "t")),
        wrong("id", EventProblem::Missing)
    );
    assert_eq!(
        problem(Event::builder("1", "", "t")),
        wrong("source", EventProblem::Missing)
    );
    assert_eq!(
        problem(Event::builder("1", "s", "")),
        wrong("type", EventProblem::Missing)
    );
    assert_eq!(
        problem(plain().subject("")),
        wrong("subject", EventProblem::Empty)
    );
}

#[test]
fn control_characters_and_noncharacters_are_refused_in_every_value() {
    for bad in [
        "a\0",
        "a\n",
        "\u{7f}",
        "\u{85}",
        "\u{fdd0}",
        "\u{fffe}",
        "\u{10ffff}",
    ] {
        assert_eq!(
            problem(plain().subject(bad)),
            wrong("subject", EventProblem::Control),
            "{bad:?}"
        );
        assert_eq!(
            problem(plain().extension("x", bad)),
            wrong("x", EventProblem::Control),
            "{bad:?}"
        );
    }
    for good in [" ", "Grüße €", "\u{1f600}", "\"%\\"] {
        assert_eq!(
            problem(plain().subject(good).extension("x", good)),
            None,
            "{good:?}"
        );
    }
}

#[test]
fn sizes_are_bounded_to_the_byte() {
    assert_eq!(problem(plain().subject("s".repeat(65_535))), None);
    assert_eq!(
        problem(plain().subject("s".repeat(65_536))),
        wrong("subject", EventProblem::TooLong)
    );
    assert_eq!(problem(plain().extension("n".repeat(64), true)), None);
    assert_eq!(
        problem(plain().extension("n".repeat(65), true)),
        wrong(&"n".repeat(64), EventProblem::Name)
    );
    let many = |count: usize| {
        (0..count).fold(plain(), |builder, at| {
            builder.extension(format!("x{at}"), 1)
        })
    };
    assert_eq!(problem(many(256)), None);
    assert_eq!(
        problem(many(257)),
        wrong("extensions", EventProblem::TooMany)
    );
    let binary = |bytes: usize| plain().extension("x", Value::Binary(vec![0; bytes]));
    assert_eq!(problem(binary(49_149)), None);
    assert_eq!(problem(binary(49_150)), wrong("x", EventProblem::TooLong));
}

#[test]
fn extension_names_are_lower_case_letters_and_digits_and_not_the_specifications_own() {
    for bad in ["", "Camel", "with_score", "with-dash", "ä", "a b"] {
        assert_eq!(
            problem(plain().extension(bad, "v")),
            wrong(bad, EventProblem::Name),
            "{bad}"
        );
    }
    for reserved in ["specversion", "id", "time", "data", "dataschema"] {
        assert_eq!(
            problem(plain().extension(reserved, "v")),
            wrong(reserved, EventProblem::Reserved)
        );
    }
}

#[test]
fn sources_are_uri_references_and_schemas_absolute_uris() {
    for good in [
        "/sensors/7",
        "urn:edge-node:a:b%20c",
        "https://h:1/p?q=1#f",
        "a",
        "../x",
        "#f",
        "?",
        "a/b:c",
    ] {
        assert_eq!(problem(Event::builder("1", good, "t")), None, "{good}");
    }
    for bad in [
        "a b", "ä", "1:2", ":a", "a%2", "a%zz", "<a>", "a#b#c", "a\\b", "\"a\"",
    ] {
        assert_eq!(
            problem(Event::builder("1", bad, "t")),
            wrong("source", EventProblem::UriRef),
            "{bad}"
        );
    }
    assert_eq!(problem(plain().dataschema("urn:x")), None);
    assert_eq!(
        problem(plain().dataschema("/relative")),
        wrong("dataschema", EventProblem::Uri)
    );
    assert_eq!(
        problem(plain().extension("x", Value::Uri("rel".into()))),
        wrong("x", EventProblem::Uri)
    );
    assert_eq!(
        problem(plain().extension("x", Value::UriRef("rel".into()))),
        None
    );
}

#[test]
fn times_are_rfc_3339_and_know_leap_days_and_leap_seconds() {
    for good in [
        "2026-01-31T23:59:59Z",
        "2026-01-31t23:59:59.123456789012z",
        "2024-02-29T00:00:00+14:00",
        "2000-02-29T00:00:00Z",
        "2016-12-31T23:59:60Z",
        "0000-01-01T00:00:00-23:59",
    ] {
        assert_eq!(problem(plain().time(good)), None, "{good}");
    }
    for bad in [
        "2026-01-31",
        "2026-01-31 23:59:59Z",
        "2026-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T23:59:59",
        "2026-01-31T23:59:59.Z",
        "2026-01-31T23:59:59+1:00",
        "2026-01-31T23:59:59Zz",
        "+026-01-31T23:59:59Z",
    ] {
        assert_eq!(
            problem(plain().time(bad)),
            wrong("time", EventProblem::Timestamp),
            "{bad}"
        );
    }
}

#[test]
fn timestamps_and_milliseconds_agree_with_a_calendar() {
    // Compared with `date -u -d`.
    for (text, millis) in [
        ("1970-01-01T00:00:00.000Z", 0),
        ("2000-02-29T12:34:56.789Z", 951_827_696_789),
        ("2026-11-21T06:52:05.001Z", 1_795_243_925_001),
        ("2100-03-01T00:00:00.000Z", 4_107_542_400_000),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
    ] {
        assert_eq!(timestamp_text(millis), text);
        assert_eq!(timestamp_millis(text), Some(millis as i64));
    }
    assert_eq!(timestamp_text(u64::MAX), "9999-12-31T23:59:59.999Z");
    assert_eq!(
        timestamp_millis("1970-01-01T01:00:00.9999+01:00"),
        Some(999)
    );
    assert_eq!(timestamp_millis("1969-12-31T23:59:59.5Z"), Some(-500));
    assert_eq!(timestamp_millis("yesterday"), None);
}

#[test]
fn every_day_of_four_centuries_survives_the_round_trip() {
    for day in 0..146_097_u64 {
        let millis = day * 86_400_000 + 1;
        assert_eq!(
            timestamp_millis(&timestamp_text(millis)),
            Some(millis as i64),
            "day {day}"
        );
    }
}

#[test]
fn media_types_are_checked_and_understood() {
    for good in [
        "application/json",
        "text/plain; charset=utf-8",
        "application/vnd.x+json;v=\"1 2\"",
        "a/b",
    ] {
        assert_eq!(problem(plain().datacontenttype(good)), None, "{good}");
    }
    for bad in [
        "json",
        "/json",
        "text/",
        "te xt/plain",
        "text/plain;x=ä",
        "a/b/c",
    ] {
        assert_eq!(
            problem(plain().datacontenttype(bad)),
            wrong("datacontenttype", EventProblem::MediaType),
            "{bad}"
        );
    }
    assert_eq!(
        [
            "application/json",
            "TEXT/JSON;a=b",
            "a/x+JSON",
            "a/jsonx",
            "json"
        ]
        .map(is_json),
        [true, true, true, false, false]
    );
    assert_eq!(
        [
            "text/csv",
            "Text/x",
            "application/xml",
            "image/svg+xml",
            "application/pdf",
            "é"
        ]
        .map(is_text),
        [true, true, true, true, false, false]
    );
}

#[test]
fn data_has_one_form_for_each_media_type() {
    let form = |media_type: Option<&str>, data: Data| {
        let builder = plain().data(data);
        let event = match media_type {
            Some(it) => builder.datacontenttype(it),
            None => builder,
        };
        event.build().expect("valid attributes").data
    };
    let json = |text: &str| Data::Json(text.into());
    let binary = |text: &str| Data::Binary(text.into());
    let text = |text: &str| Data::Text(text.into());
    assert_eq!(form(None, binary("{}")), Some(json("{}")));
    assert_eq!(
        form(Some("application/json"), binary("{")),
        Some(binary("{"))
    );
    assert_eq!(
        form(Some("application/json"), text("\"a\"")),
        Some(json("\"a\""))
    );
    assert_eq!(form(None, text("a")), Some(binary("a")));
    assert_eq!(form(Some("text/plain"), json("5")), Some(text("5")));
    assert_eq!(form(Some("image/png"), text("a")), Some(text("a")));
    assert_eq!(Data::of(Some("text/plain"), b"a".into()), text("a"));
    assert_eq!(
        Data::of(Some("text/plain"), vec![0xff]),
        Data::Binary(vec![0xff])
    );
    assert_eq!(Data::of(Some("image/png"), b"a".into()), binary("a"));
    assert_eq!(
        Data::of(Some("application/json"), b" [1]\n".into()),
        json(" [1]\n")
    );
    assert_eq!(
        Data::of(Some("application/json"), b"[1".into()),
        binary("[1")
    );
    assert_eq!(
        Data::of(None, b"\"\xff\"".into()),
        Data::Binary(b"\"\xff\"".into())
    );
}

#[test]
fn data_said_to_be_json_must_be_valid() {
    assert_eq!(
        problem(plain().data(Data::Json(b"{".into()))),
        wrong("data", EventProblem::Form)
    );
    assert_eq!(problem(plain().data(Data::Json(b"[1]".into()))), None);
}

#[test]
fn an_event_filled_by_hand_is_caught_when_its_data_is_not_what_it_says() {
    let mut event = plain().build().expect("valid");
    event.data = Some(Data::Json(b"{".into()));
    let form = |event: &Event| event.check().err().map(|it| it.problem);
    assert_eq!(form(&event), Some(EventProblem::Form));
    event.data = Some(Data::Text("a".into()));
    assert_eq!(form(&event), Some(EventProblem::Form));
    event.datacontenttype = Some("text/plain".into());
    assert_eq!(form(&event), None);
}

#[test]
fn an_error_says_which_attribute_why_and_how_to_mend_it() {
    let error = plain().time("now").build().expect_err("no timestamp");
    assert_eq!(
        error.to_string(),
        "`time` is no timestamp; write it as 2026-01-31T23:59:59.5Z (RFC 3339)"
    );
    let error = plain()
        .extension("é".repeat(100), "x")
        .build()
        .expect_err("no name");
    assert_eq!(error.attribute, "é".repeat(64));
}

#[test]
fn control_characters_can_be_percent_encoded_away() {
    assert_eq!(without_control_characters("a/b %41 ü"), "a/b %41 ü");
    assert_eq!(
        without_control_characters("a\n\u{85}\u{ffff}b"),
        "a%0A%C2%85%EF%BF%BFb"
    );
}
