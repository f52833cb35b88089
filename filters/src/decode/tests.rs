use super::*;
use crate::{
    DataView, Event, EventView,
    index::{Budget, Scratch},
    rules::{Arrival, Fate, Known, RuleDefinition, RuleMemory, RuleSet},
    stage::Moment,
};

#[derive(serde::Deserialize)]
struct File {
    #[serde(default)]
    decoder: Vec<DecoderDefinition>,
    #[serde(default)]
    rule: Vec<RuleDefinition>,
}

fn file(toml: &str) -> File {
    toml::from_str(toml).unwrap()
}

fn decoders(toml: &str) -> Decoders {
    Decoders::compile(&file(toml).decoder, &Default::default()).unwrap()
}

fn incoming<'a>(topic: &'a str, payload: &'a [u8]) -> Incoming<'a> {
    Incoming {
        topic: Some(topic),
        content_type: None,
        payload,
        position: 1,
    }
}

fn viewed(decoders: &Decoders, births: &mut Births, incoming: &Incoming<'_>) -> View {
    decoders.decode(births, incoming, Moment(0)).view
}

fn shown(view: &View) -> &str {
    match view {
        View::Decoded(decoded) => str::from_utf8(decoded.json()).unwrap(),
        View::Plain => "plain",
        View::Opaque(error) => error.class(),
    }
}

const TOPICS: &str = r#"
    [[decoder]]
    topic = "a/json/#"
    format = "json"
    [[decoder]]
    topic = "a/#"
    format = "cbor"
    emit = "json"
    [[decoder]]
    topic = "spBv1.0/#"
    format = "sparkplug"
    rebirth = true
    [[decoder]]
    topic = "+/+"
    format = "device"
"#;

#[test]
fn of_several_decoders_whose_topic_fits_the_first_reads_the_payload() {
    let decoders = decoders(TOPICS);
    let mut births = Births::default();
    for (topic, payload, expected) in [
        ("a/json/1", &b"{\"x\": 1}"[..], "{\"x\": 1}"),
        ("a/json/1", b"{\"x\": ", "json"),
        ("a/1", &[0xA1, 0x61, b'x', 0x01], "{\"x\":1}"),
        ("a/1", &[0xA1], "cbor"),
        ("d/pump", &[0xA1], "device"),
        ("spBv1.0/STATE/scada", b"{}", "plain"),
        ("spBv1.0/g/NDATA/n", &[0xFF], "sparkplug"),
        ("b/c/d/e", b"{\"x\": 1}", "plain"),
    ] {
        let view = viewed(&decoders, &mut births, &incoming(topic, payload));
        assert_eq!(shown(&view), expected, "{topic}");
    }
}

#[test]
fn without_a_decoder_the_content_type_says_what_it_is() {
    let decoders = Decoders::default();
    let cbor = Incoming {
        content_type: Some("application/cbor"),
        ..incoming("x", &[0x01])
    };
    assert_eq!(
        shown(&viewed(&decoders, &mut Births::default(), &cbor)),
        "1"
    );
}

#[test]
fn what_cannot_be_used_says_so() {
    for (decoder, expected) in [
        (
            r#"format = "protobuf""#,
            "a decoder of protobuf has `descriptors` and `message`, and no other has them",
        ),
        (
            r#"format = "cbor"
            message = "m""#,
            "a decoder of protobuf has `descriptors` and `message`, and no other has them",
        ),
        (
            r#"format = "cbor"
            rebirth = true"#,
            "only a decoder of sparkplug has `rebirth`",
        ),
        (
            r#"format = "protobuf"
            message = "m"
            descriptors = "f""#,
            "the descriptors \"f\" were not read",
        ),
    ] {
        let file = file(&format!(
            "[[decoder]]\ntopic = \"a\"\nformat = \"json\"\n[[decoder]]\ntopic = \"a\"\n{decoder}"
        ));
        let error = Decoders::compile(&file.decoder, &Default::default()).unwrap_err();
        assert_eq!((error.decoder, error.to_string().as_str()), (1, expected));
    }
}

#[test]
fn a_birth_that_is_not_committed_leaves_no_trace() {
    let decoders = decoders(TOPICS);
    let mut births = Births::default();
    // An NBIRTH with one metric, "a".
    let birth = [0x12, 3, 0x0A, 1, b'a', 0x18, 0];
    let decoding = decoders.decode(
        &mut births,
        &incoming("spBv1.0/g/NBIRTH/n", &birth),
        Moment(0),
    );
    assert!(decoding.is_kept);
    assert_eq!(births.sparkplug.births().count(), 1);
    births.undo(decoding.undo);
    assert_eq!(births.sparkplug.births().count(), 0);
    decoders.apply(&mut births, &incoming("spBv1.0/g/NBIRTH/n", &birth));
    assert_eq!(births.sparkplug.births().count(), 1);
}

#[test]
fn uplinks_get_the_payload_as_it_came_unless_the_decoder_emits_json() {
    let payload = vec![0xA1, 0x61, b't', 0x18, 30];
    let rules = file(
        r#"
        [[rule]]
        name = "hot"
        pattern = '{"data": {"t": [{"numeric": [">", 20]}]}}'
        [[rule.step]]
        scale = { field = "$.data.t", factor = 2 }
        [[rule]]
        name = "broken"
        pattern = '{"data": {"t": [{"numeric": [">", 20]}]}}'
        [[rule.step]]
        scale = { field = "$.data.missing", factor = 2 }
    "#,
    );
    for (emit, rules_used, expected) in [
        ("original", 0, None),
        ("json", 0, Some(r#"{"t":30}"#)),
        ("original", 1, Some(r#"{"t":60}"#)),
        ("json", 1, Some(r#"{"t":60}"#)),
        ("json", 2, Some(r#"{"t":60}"#)),
    ] {
        let toml = format!("[[decoder]]\ntopic = \"a\"\nformat = \"cbor\"\nemit = \"{emit}\"");
        let view = viewed(
            &decoders(&toml),
            &mut Births::default(),
            &incoming("a", &payload),
        );
        let definitions = &rules.rule[..rules_used];
        let set =
            RuleSet::compile(definitions, &Known::default(), Budget::default(), Moment(0)).unwrap();
        let event = Event::builder("1", "/s", "t")
            .datacontenttype("application/cbor")
            .data(crate::Data::Binary(payload.clone()))
            .build()
            .unwrap();
        let mut seen = EventView::of(&event, Some("a"));
        seen.data = view.data(DataView::Opaque);
        let arrival = Arrival {
            at: Moment(0),
            derived_by: &[],
        };
        let ruling = set.judge(
            &mut RuleMemory::new(&set),
            &mut Scratch::default(),
            &seen,
            || event.clone(),
            &arrival,
        );
        let Fate::Owed(owed) = ruling.fate else {
            panic!("it is owed")
        };
        let data = owed
            .common
            .event
            .as_ref()
            .map(|it| (it.data_bytes(), it.datacontenttype.as_deref()));
        let expected = expected.map(|it| (it.as_bytes(), Some("application/json")));
        assert_eq!(data, expected, "{emit}, {rules_used} rules");
    }
}

#[test]
fn an_empty_payload_is_no_data_but_where_the_format_has_one_of_no_bytes() {
    let decoders = decoders(TOPICS);
    let mut births = Births::default();
    for (topic, expected) in [
        ("a/json/1", "plain"),
        ("a/1", "plain"),
        ("d/pump", "device"),
    ] {
        let view = viewed(&decoders, &mut births, &incoming(topic, b""));
        assert_eq!(shown(&view), expected, "{topic}");
    }
    let empty = viewed(&decoders, &mut births, &incoming("spBv1.0/g/NDATA/n", b""));
    assert!(shown(&empty).contains("\"values\":{}"), "{empty:?}");
    let by_type = Incoming {
        content_type: Some("application/cbor"),
        ..incoming("b/c/d/e", b"")
    };
    assert_eq!(shown(&viewed(&decoders, &mut births, &by_type)), "plain");
}

#[test]
fn what_a_checkpoint_keeps_of_births_decodes_as_before() {
    let decoders = decoders(TOPICS);
    let mut births = Births::default();
    // Metric 2 { name 1: "level", alias 2: 1, datatype 4: Int32, int 10: 3 }; seq 3: 0.
    let birth = b"\x12\x0D\x0A\x05level\x10\x01\x20\x03\x50\x03\x18\x00";
    let born = incoming("spBv1.0/g/NBIRTH/n", birth);
    assert!(decoders.decode(&mut births, &born, Moment(0)).is_kept);
    let stored = postcard::to_stdvec(&births.stored()).unwrap();
    let mut again = Births::default();
    again.recover(postcard::from_bytes(&stored).unwrap());
    let data = Incoming {
        position: 2,
        ..incoming("spBv1.0/g/NDATA/n", b"\x12\x04\x10\x01\x50\x04\x18\x01")
    };
    for births in [&mut births, &mut again] {
        let view = viewed(&decoders, births, &data);
        assert!(
            shown(&view).contains("\"values\":{\"level\":4}"),
            "{view:?}"
        );
    }
}
