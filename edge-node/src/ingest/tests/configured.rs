use super::*;

fn configured(keys: &str) -> Ingest {
    ingest(&format!("[[ingest]]\ntopic = \"plant/#\"\n{keys}"))
}

#[test]
fn every_attribute_can_be_configured() {
    let mut ingest = configured(
        r#"
        source = "/plants/{topic[1]}/{client}/{topic}"
        type = "plant.{topic[2]}.v1"
        subject = "{property:unit}@{node}"
        datacontenttype = "application/x-{topic[2]}"
        id = "{payload:/seq}-{{{topic[0]}}}"
        time = "{payload:/at}"
        partitionkey = "{client}"
        lane = "bulk"
        "#,
    );
    let sent = Sent::plain(br#"{"seq":5,"at":1767268800}"#).user(&[("unit", "°C")]);
    let accepted = sent.accept(&mut ingest, NOON).expect("not refused");
    let expected = Event::builder(
        "5-{plant}",
        "/plants/7/pump%207/plant/7/temp",
        "plant.temp.v1",
    )
    .subject("°C@gate")
    .datacontenttype("application/x-temp")
    .time("2026-01-01T12:00:00.000Z")
    .extension("partitionkey", "pump 7")
    .extension("unit", "°C")
    .extension("mqtttopic", "plant/7/temp")
    .data(Data::Binary(sent.payload.to_vec()))
    .build();
    assert_eq!(Ok(sent.view(&accepted.minted)), expected);
    assert_eq!((accepted.lane, accepted.wrapped), (Lane(2), None));
}

#[test]
fn the_first_entry_that_matches_decides_and_others_have_the_default_lane() {
    let mut ingest = ingest(
        r##"
        [[ingest]]
        topic = "a/b"
        type = "first"
        lane = "alarm"
        [[ingest]]
        topic = "a/#"
        type = "second"
        [[ingest]]
        topic = "#"
        type = "third"
        lane = "bulk"
        "##,
    );
    let mut of = |topic: &'static str| {
        let sent = Sent::plain("x").on(topic);
        let accepted = sent.accept(&mut ingest, NOON).expect("not refused");
        (sent.view(&accepted.minted).r#type, accepted.lane.0)
    };
    assert_eq!(of("a/b"), ("first".to_owned(), 0));
    assert_eq!(of("a/c"), ("second".to_owned(), 1));
    assert_eq!(of("b"), ("third".to_owned(), 2));
    assert_eq!(of("$SYS/x"), ("mqtt.publish".to_owned(), 1));
}

#[test]
fn an_attribute_whose_variable_has_no_value_takes_its_default() {
    let mut ingest = configured(
        r#"
        id = "{payload:/seq}"
        time = "{property:at}"
        subject = "{topic[9]}"
        partitionkey = "{payload:/key}"
        "#,
    );
    for payload in [
        "{}",
        "no JSON",
        "{\"seq\":null,\"key\":[1]}",
        "{\"seq\":1} trailing",
    ] {
        let event = Sent::plain(payload).event_by(&mut ingest);
        assert_eq!(
            event.id.get(..33),
            Some("abababababababababababababababab-"),
            "{payload}"
        );
        assert_eq!(event.time.as_deref(), Some("2026-01-01T12:00:00.000Z"));
        assert_eq!(event.subject.as_deref(), Some("plant/7/temp"));
        assert_eq!(event.extensions.get("partitionkey"), None);
    }
}

#[test]
fn times_are_taken_as_text_seconds_or_milliseconds() {
    let mut ingest = configured("time = \"{payload:/at}\"");
    let mut time = |at: &str| {
        Sent::plain(format!("{{\"at\":{at}}}"))
            .event_by(&mut ingest)
            .time
    };
    assert_eq!(
        time("\"2026-01-01T12:00:00.1234567+01:00\"").as_deref(),
        Some("2026-01-01T12:00:00.1234567+01:00")
    );
    assert_eq!(
        time("99999999999").as_deref(),
        Some("5138-11-16T09:46:39.000Z")
    );
    assert_eq!(
        time("100000000000").as_deref(),
        Some("1973-03-03T09:46:40.000Z")
    );
    assert_eq!(
        time("1767268800123").as_deref(),
        Some("2026-01-01T12:00:00.123Z")
    );
}

#[test]
fn pointers_reach_into_objects_and_arrays_and_keep_digits() {
    let payload = br#"{"a":{"b/c":[{"~":1.500},true,"\u00e9"]},"deep":[[[[]]]],"":"empty"}"#;
    for (pointer, expected) in [
        ("/a/b~1c/0/~0", Some("1.500")),
        ("/a/b~1c/1", Some("true")),
        ("/a/b~1c/2", Some("é")),
        ("/", Some("empty")),
        ("/a/b~1c/3", None),
        ("/a/x", None),
        ("/a", None),
        ("/deep/x", None),
        ("/a/b~1c/0/~0/more", None),
    ] {
        let found = pointer::Pointer::parse(pointer).and_then(|it| it.find(payload));
        assert_eq!(found.as_deref(), expected, "{pointer}");
    }
    assert_eq!(
        pointer::Pointer::parse("").and_then(|it| it.find(b" 5 ")),
        Some("5".to_owned())
    );
    assert_eq!(pointer::Pointer::parse("no-slash"), None);
    assert_eq!(pointer::Pointer::parse(&"/a".repeat(33)), None);
}

#[test]
fn deeply_nested_payloads_cannot_exhaust_the_stack() {
    let nested = format!(
        "{{\"x\":{}{},\"seq\":1}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let pointer = pointer::Pointer::parse("/seq").expect("a pointer");
    assert_eq!(pointer.find(nested.as_bytes()), Some("1".to_owned()));
    let along = "[".repeat(100_000);
    let pointer = pointer::Pointer::parse(&"/0".repeat(32)).expect("a pointer");
    assert_eq!(pointer.find(along.as_bytes()), None);
}

#[test]
fn an_event_of_its_own_keeps_its_attributes_but_takes_lane_and_partition_key() {
    let mut ingest =
        configured("id = \"x\"\ntype = \"y\"\npartitionkey = \"{topic[1]}\"\nlane = \"alarm\"");
    let document = br#"{"specversion":"1.0","id":"7","source":"urn:own","type":"reading"}"#;
    for sent in [Sent::binary(&[], ""), Sent::plain(document)] {
        let accepted = sent.accept(&mut ingest, NOON).expect("not refused");
        let event = sent.view(&accepted.minted);
        assert_eq!(
            (event.id.as_str(), event.r#type.as_str(), accepted.lane),
            ("7", "reading", Lane(0))
        );
        assert_eq!(event.extensions.get("partitionkey"), Some(&text("7")));
    }
    let own = Sent::binary(&[("partitionkey", "mine")], "").event_by(&mut ingest);
    assert_eq!(own.extensions.get("partitionkey"), Some(&text("mine")));
}

#[test]
fn the_mode_of_an_entry_decides_what_is_looked_at() {
    let document = br#"{"specversion":"1.0","id":"7","source":"urn:own","type":"reading"}"#;
    let mut plain = configured("mode = \"plain\"");
    assert_eq!(
        Sent::plain(document).event_by(&mut plain).data_bytes(),
        document
    );
    assert_eq!(
        Sent::binary(&[], "x").event_by(&mut plain).r#type,
        "mqtt.publish"
    );
    let mut structured = configured("mode = \"structured\"");
    assert_eq!(
        Sent::plain(document)
            .content_type("text/plain")
            .event_by(&mut structured)
            .id,
        "7"
    );
    assert_eq!(
        Sent::plain("{}").event_by(&mut structured).r#type,
        "mqtt.publish.invalid"
    );
}

#[test]
fn templates_are_checked_when_they_are_read() {
    let fault = |text: &str| text.parse::<Template>().map(|it| it.to_string());
    for good in [
        "a",
        "{topic}",
        "{{}}",
        "{topic[0]}{payload:}",
        "{property:a:b}",
        "{payload:/a b/ü}",
    ] {
        assert_eq!(fault(good).as_deref(), Ok(good));
    }
    assert_eq!(fault(""), Err(TemplateError::Empty));
    for lone in ["{", "}", "a{topic", "topic}", "{{}"] {
        assert_eq!(fault(lone), Err(TemplateError::Brace), "{lone}");
    }
    for unknown in [
        "",
        "topics",
        "topic[]",
        "topic[-1]",
        "topic[a]",
        "payload:a",
        "property:",
        "payload",
    ] {
        assert_eq!(
            fault(&format!("{{{unknown}}}")),
            Err(TemplateError::Variable(unknown.to_owned()))
        );
    }
}

#[test]
fn a_wrong_template_is_shown_to_the_operator_with_its_place() {
    let text = "[[ingest]]\ntopic = \"#\"\nid = \"{topics}\"\n";
    let error =
        Config::parse("test.toml", text, &Overrides::default()).expect_err("no such variable");
    assert_eq!(
        error.to_string(),
        "test.toml:3:6: `{topics}` is no template: there is no variable `topics`; accepted: node, client, topic, \
         topic[NUMBER], property:NAME, payload:/JSON/POINTER"
    );
}

#[test]
fn the_effective_configuration_shows_what_was_written() {
    let text = "[[ingest]]\ntopic = \"a/#\"\nid = \"{{{topic[0]}\"\nmode = \"plain\"\ninvalid = \"refuse\"\n";
    let config = Config::parse("test.toml", text, &Overrides::default()).expect("valid");
    assert_eq!(
        Config::parse("again.toml", &config.to_toml(), &Overrides::default()).expect("valid"),
        config
    );
}
