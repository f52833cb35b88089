use super::*;

fn event() -> filters::EventBuilder {
    Event::builder("7", "urn:own", "reading")
}

fn carry(event: &Event) -> Sent {
    let (published, _) = ingest("").accept_event("plant/7/temp", event, NOON);
    let sent = Sent {
        properties: Some(published.properties),
        payload: published.payload,
        ..Sent::default()
    };
    assert_eq!(sent.view(&published.minted), *event);
    sent
}

#[test]
fn an_event_from_another_door_is_the_same_event_when_it_is_read() {
    let all = event()
        .subject("s ü")
        .time("2026-01-31T23:59:59.123456789012+01:00")
        .dataschema("urn:schema")
        .extension("bool", true)
        .extension("int", i32::MIN)
        .extension("bin", Value::Binary(vec![0, 0xff]))
        .extension("uri", Value::Uri("urn:x".into()))
        .extension("ref", Value::UriRef("x/y".into()))
        .extension("at", Value::Timestamp("2026-01-01T00:00:00Z".into()))
        .extension("text", "a%0A")
        .extension("none", "");
    carry(&all.build().expect("valid"));
    let full = (0..256).fold(event(), |event, at| {
        event.extension(format!("x{at}"), "v".repeat(at))
    });
    carry(&full.build().expect("valid"));
    carry(
        &event()
            .extension("long", "v".repeat(65_535))
            .build()
            .expect("valid"),
    );
}

#[test]
fn data_keeps_its_form_even_where_the_bytes_do_not_tell_it() {
    for (media_type, data) in [
        (None, Data::Json(b"null".into())),
        (None, Data::Json(b" {\"a\": 1.0}".into())),
        (None, Data::Binary(b"\xff".into())),
        (None, Data::Binary(Vec::new())),
        (
            Some("text/plain"),
            Data::Binary(b"said to be binary".into()),
        ),
        (Some("text/plain"), Data::Text(String::new())),
        (Some("image/png"), Data::Text("said to be text".into())),
        (Some("application/json"), Data::Binary(b"{".into())),
    ] {
        let builder = media_type
            .into_iter()
            .fold(event(), |event, it| event.datacontenttype(it));
        let sent = carry(&builder.data(data.clone()).build().expect("valid"));
        assert_eq!(sent.payload, data.bytes());
    }
}

#[test]
fn subscribers_of_mqtt_5_get_every_attribute() {
    let event = event()
        .subject("s")
        .datacontenttype("text/plain")
        .extension("n", 5)
        .data(Data::Text("hot".into()));
    let sent = carry(&event.build().expect("valid"));
    let user = [
        ("specversion", "1.0"),
        ("id", "7"),
        ("source", "urn:own"),
        ("type", "reading"),
        ("subject", "s"),
        ("n", "5"),
    ];
    let expected = PublishPropertySet {
        payload_format_indicator: Some(true),
        user_properties: user
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        content_type: Some("text/plain".to_owned()),
        ..PublishPropertySet::default()
    };
    assert_eq!(
        (sent.properties, sent.payload),
        (Some(expected), Bytes::from_static(b"hot"))
    );
}

#[test]
fn a_carried_event_published_by_a_client_again_is_still_that_event() {
    let original = event()
        .subject("s")
        .extension("n", "5")
        .data(Data::Binary(vec![1]))
        .build()
        .expect("valid");
    let mut again = carry(&original).event();
    assert_eq!(
        again.extensions.remove("mqtttopic"),
        Some(text("plant/7/temp"))
    );
    assert_eq!(again, original);
}

#[test]
fn expirytime_becomes_the_message_expiry_interval() {
    let interval = |expirytime: &str, received: Received| {
        let event = event()
            .extension("expirytime", expirytime)
            .build()
            .expect("valid");
        ingest("")
            .accept_event("a", &event, received)
            .0
            .properties
            .message_expiry_interval
    };
    assert_eq!(interval("2026-01-01T12:01:30Z", NOON), Some(90));
    assert_eq!(interval("2026-01-01T12:00:00.001Z", NOON), Some(1));
    assert_eq!(interval("2026-01-01T12:00:00Z", NOON), Some(0));
    assert_eq!(interval("1960-01-01T00:00:00Z", NOON), Some(0));
    assert_eq!(interval("9999-01-01T00:00:00Z", NOON), Some(u32::MAX));
    assert_eq!(interval("soon", NOON), None);
    assert_eq!(
        interval(
            "2026-01-01T12:01:30Z",
            Received {
                plausible: false,
                ..NOON
            }
        ),
        None
    );
}

#[test]
fn a_carried_event_has_the_lane_of_its_topic() {
    let ingest = ingest("[[ingest]]\ntopic = \"alarms/#\"\nlane = \"alarm\"");
    let event = event().build().expect("valid");
    assert_eq!(ingest.accept_event("alarms/1", &event, NOON).1, Lane(0));
    assert_eq!(ingest.accept_event("other", &event, NOON).1, Lane(1));
}

#[test]
fn any_event_is_the_same_event_when_it_is_read() {
    for seed in 0..2000 {
        carry(&random_event(&mut fastrand::Rng::with_seed(seed)));
    }
}

#[test]
fn an_event_keeps_identity_and_attributes_on_its_way_over_a_second_node() {
    let first = Sent::plain(b"{\"t\":21.50}")
        .user(&[("unit", "\u{b0}C")])
        .event();
    let on_its_way = filters::json::encode(&first);
    let arrived = filters::json::decode(&on_its_way).expect("what a node sends is valid");
    assert_eq!(arrived, first);
    carry(&arrived);
}

fn random_event(random: &mut fastrand::Rng) -> Event {
    let text = |random: &mut fastrand::Rng| {
        let characters = [
            "a",
            "Z",
            " ",
            "\u{e9}",
            "\u{1f600}",
            "\"",
            "%0A",
            "{",
            "true",
            "5",
        ];
        let chosen = (0..random.usize(1..6)).map(|_| random.choice(characters).unwrap_or("x"));
        chosen.collect::<String>()
    };
    let mut event = Event::builder(
        text(random),
        random.choice(["s", "urn:x", "/a"]).unwrap_or("s"),
        text(random),
    );
    if random.bool() {
        event = event.subject(text(random));
    }
    if random.bool() {
        event = event.time("2026-01-31T23:59:59.123456789012+01:00");
    }
    for _ in 0..random.usize(0..6) {
        let value = match random.u8(0..7) {
            0 => Value::Boolean(random.bool()),
            1 => Value::Integer(random.i32(..)),
            2 => Value::Binary((0..random.usize(0..5)).map(|_| random.u8(..)).collect()),
            3 => Value::Uri("urn:x".to_owned()),
            4 => Value::UriRef("../y".to_owned()),
            5 => Value::Timestamp("2026-01-31T23:59:59Z".to_owned()),
            _ => Value::String(text(random)),
        };
        let name = random
            .choice(["a", "x1", "expirytime", "mqtttopic", "partitionkey"])
            .unwrap_or("a");
        event = event.extension(name, value);
    }
    let payload = text(random).into_bytes();
    let media_type = random
        .choice([
            None,
            Some("application/json"),
            Some("text/plain"),
            Some("image/png"),
        ])
        .flatten();
    event = media_type
        .into_iter()
        .fold(event, |event, it| event.datacontenttype(it));
    match random.u8(0..4) {
        0 => event,
        1 => event.data(Data::Binary(payload)),
        2 => event.data(Data::Text(String::from_utf8_lossy(&payload).into_owned())),
        _ => event.data(Data::Json(b" [1.0]".into())),
    }
    .build()
    .expect("the generator makes valid events")
}
