use super::*;

/// A sink, and the data and topic it gets.
type OwnForm = (usize, Option<String>, Option<String>);

/// The data in the form for all sinks, and in those of their own.
fn forms(ruling: &Ruling) -> (Option<String>, Vec<OwnForm>) {
    let Fate::Owed(owed) = &ruling.fate else {
        panic!("{ruling:?}")
    };
    let data = |form: &Form| {
        let event = form.event.as_ref()?;
        String::from_utf8(event.data_bytes().to_vec()).ok()
    };
    let own = owed
        .by_sink
        .iter()
        .map(|(sink, form)| (*sink, data(form), form.topic.clone()));
    (data(&owed.common), own.collect())
}

#[test]
fn a_step_sees_the_event_as_the_steps_before_it_left_it() {
    let mut bench = Bench::new(
        r#"
        [[rule]]
        name = "celsius"
        [[rule.step]]
        convert = { field = "$.data.temperature", from = "[degF]", to = "Cel" }
        [[rule.step]]
        deadband = { field = "$.data.temperature", absolute = 1 }
        [[rule]]
        name = "conditions look at what came"
        pattern = '{"data": {"temperature": [212]}}'
        [[rule.step]]
        rename = { from = "$.data.temperature", to = "$.data.t" }
        "#,
    );
    let ruling = bench.publish(0, &degrees(1, 212.0));
    assert_eq!(bench.names(&ruling).len(), 2);
    assert_eq!(forms(&ruling).0.as_deref(), Some(r#"{"t":100}"#));
    assert!(
        !passes(&bench.publish(1, &degrees(2, 213.0))),
        "less than a degree in Celsius"
    );
    assert!(passes(&bench.publish(2, &degrees(3, 214.0))));
}

#[test]
fn a_form_may_be_for_some_sinks_only() {
    let mut bench = Bench::new(
        r#"
        [[rule]]
        name = "short for the site"
        for = ["site"]
        sink-topic = "line/${$.data.device}"
        [[rule.step]]
        project = { keep = ["$.data.device"] }
        [[rule]]
        name = "for all"
        [[rule.step]]
        enrich = { table = "lines", key = "$.data.device" }
        "#,
    );
    let event = reading(1, r#"{"device": 7, "debug": true}"#);
    let (common, own) = forms(&bench.publish(0, &event));
    assert_eq!(
        common.as_deref(),
        Some(r#"{"device":7,"debug":true,"line":"north"}"#)
    );
    let site = r#"{"device":7,"line":"north"}"#.to_owned();
    assert_eq!(own, [(1, Some(site), Some("line/7".to_owned()))]);
}

#[test]
fn a_transform_that_fails_leaves_the_event_as_it_was_before_its_rule() {
    let mut bench = Bench::new(
        r#"
        [[rule]]
        name = "two"
        [[rule.step]]
        set = { attributes = { subject = "changed" } }
        [[rule.step]]
        scale = { field = "$.data.missing", factor = 2 }
        [[rule]]
        name = "topic"
        sink-topic = "line/${$.data.line}"
        "#,
    );
    let ruling = bench.publish(0, &degrees(1, 1.0));
    assert_eq!(forms(&ruling), (None, vec![]));
    let failures: Vec<_> = ruling
        .failures
        .iter()
        .map(|it| (it.rule.0, it.step, it.class))
        .collect();
    assert_eq!(failures, [(0, 1, "missing"), (1, 0, "missing")]);
    assert!(passes(&ruling));
}

/// `{"t": 64}`, and what a decoder makes of it.
fn cbor() -> Event {
    Event::builder("1", "/p", "reading")
        .datacontenttype("application/cbor")
        .data(Data::Binary(vec![0xA1, 0x61, b't', 0x18, 64]))
        .build()
        .unwrap()
}

fn judge_decoded(bench: &mut Bench) -> Ruling {
    let event = cbor();
    let json = crate::decode::cbor_to_json(event.data_bytes()).unwrap();
    let mut view = EventView::of(&event, None);
    view.data = crate::DataView::Json(&json);
    let arrival = Arrival {
        at: Moment(0),
        derived_by: &[],
    };
    let made = || event.clone();
    bench
        .rules
        .judge(&mut bench.memory, &mut bench.scratch, &view, made, &arrival)
}

#[test]
fn what_a_step_made_for_a_sink_is_what_the_next_step_for_it_sees() {
    let mut bench = Bench::new(
        r#"
        [[rule]]
        name = "for the lab"
        for = ["lab"]
        [[rule.step]]
        template = { content = "T=${$.data.temperature}", content-type = "text/plain" }
        [[rule.step]]
        set = { attributes = { subject = "short" } }
        [[rule]]
        name = "reads an attribute"
        sql = "type = 'other'"
        "#,
    );
    let event = degrees(1, 20.5);
    let shown = br#"{"temperature": 20.5}"#;
    let mut view = EventView::of(&event, None);
    view.data = crate::DataView::Json(shown);
    let arrival = Arrival {
        at: Moment(0),
        derived_by: &[],
    };
    let made = || event.clone();
    let ruling = bench
        .rules
        .judge(&mut bench.memory, &mut bench.scratch, &view, made, &arrival);
    assert_eq!(
        forms(&ruling),
        (None, vec![(2, Some("T=20.5".to_owned()), None)])
    );
}

#[test]
fn a_step_that_leaves_decoded_data_as_they_are_leaves_the_payload_as_it_came() {
    let steps = [
        "set = { attributes = { subject = \"tank\" } }",
        "original = {}",
        "set = { attributes = { unit = \"${$.data.t}\" } }",
    ];
    for step in steps {
        for sinks in ["", "for = [\"lab\"]"] {
            let mut bench = Bench::new(&format!(
                "[[rule]]\nname = \"a\"\n{sinks}\nsink-topic = \"t/${{$.data.t}}\"\n[[rule.step]]\n{step}\n\
                 [[rule]]\nname = \"b\"\nsink-topic = \"t/${{$.data.t}}\"\n[[rule.step]]\ndeadband = {{ field = \"$.data.t\", absolute = 1 }}"
            ));
            let ruling = judge_decoded(&mut bench);
            assert_eq!(ruling.failures, []);
            let Fate::Owed(owed) = ruling.fate else {
                panic!("{ruling:?}")
            };
            let form = owed.by_sink.get(&2).unwrap_or(&owed.common);
            let event = form.event.as_ref().expect("a form of its own");
            assert_eq!(event.data, cbor().data);
            assert_eq!(event.datacontenttype, cbor().datacontenttype);
            assert_eq!(form.topic.as_deref(), Some("t/64"));
        }
    }
}

#[test]
fn a_decoded_payload_is_what_steps_see_and_stays_as_it_came_unless_one_shapes_it() {
    let rules = |step: &str| {
        let text = format!(
            r#"
            [[rule]]
            name = "hot"
            pattern = '{{"data": {{"t": [64]}}}}'
            [[rule.step]]
            deadband = {{ field = "$.data.t", absolute = 1 }}
            {step}
            "#
        );
        Bench::new(&text)
    };
    let judge = judge_decoded;
    let ruling = judge(&mut rules(""));
    assert_eq!((ruling.matched.len(), forms(&ruling).0), (1, None));
    let ruling = judge(&mut rules(
        "[[rule.step]]\nscale = { field = '$.data.t', offset = 1 }",
    ));
    let Fate::Owed(owed) = ruling.fate else {
        panic!()
    };
    let shaped = owed.common.event.unwrap();
    assert_eq!(shaped.data_bytes(), br#"{"t":65}"#);
    assert_eq!(shaped.datacontenttype.as_deref(), Some("application/json"));
}
