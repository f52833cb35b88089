use crate::{
    Data, Event, EventView, Value,
    index::{Budget, Scratch},
    stage::{EventTime, Moment},
    transform::EnrichmentTable,
};

use super::*;

const SOURCE: &str = "/node";

/// A set of rules at work on one log: what is published gets a position, and is committed unless said otherwise.
struct Bench {
    rules: RuleSet,
    memory: RuleMemory,
    stages: RuleStages,
    scratch: Scratch,
    position: u64,
}

fn known() -> Known {
    let table = EnrichmentTable::parse(r#"{"7": {"line": "north"}}"#).unwrap();
    Known {
        sinks: vec!["cloud".into(), "site".into(), "lab".into()],
        lanes: vec!["alarm".into(), "normal".into(), "bulk".into()],
        tables: [("lines".to_owned(), table.into())].into(),
    }
}

fn compile(text: &str) -> Result<RuleSet, RuleError> {
    let file: RuleFile = toml::from_str(text).unwrap();
    RuleSet::compile(&file.rule, &known(), Budget::default(), Moment(0))
}

impl Bench {
    fn new(text: &str) -> Bench {
        let rules = compile(text).unwrap();
        Bench {
            memory: RuleMemory::new(&rules),
            stages: RuleStages::new(&rules),
            scratch: Scratch::default(),
            position: 0,
            rules,
        }
    }

    fn judge(&mut self, second: u64, event: &Event) -> Ruling {
        let view = EventView::of(event, Some("plant/7"));
        let arrival = Arrival {
            at: Moment(second * 1000),
            derived_by: &[],
        };
        let event = || event.clone();
        self.rules
            .judge(&mut self.memory, &mut self.scratch, &view, event, &arrival)
    }

    /// Judges and commits.
    fn publish(&mut self, second: u64, event: &Event) -> Ruling {
        let ruling = self.judge(second, event);
        self.position += 1;
        let stored = Stored {
            position: self.position,
            at: Moment(second * 1000),
            time: EventTime(second as i64 * 1000),
        };
        for input in &ruling.inputs {
            self.stages.handle_input(input, stored, SOURCE);
        }
        ruling
    }

    /// What was derived, after all that is due by then was closed.
    fn derived(&mut self, second: u64) -> Vec<Derived> {
        while let Some((stage, key)) = self.stages.due(Moment(second * 1000)) {
            self.stages.close(stage, &key, SOURCE);
        }
        std::iter::from_fn(|| self.stages.poll_derived()).collect()
    }

    fn names(&self, ruling: &Ruling) -> Vec<&str> {
        ruling
            .matched
            .iter()
            .map(|id| self.rules.name(*id).unwrap())
            .collect()
    }
}

fn reading(id: u32, data: &str) -> Event {
    Event::builder(id.to_string(), "/pump", "reading")
        .data(Data::Json(data.into()))
        .build()
        .unwrap()
}

fn degrees(id: u32, temperature: f64) -> Event {
    reading(id, &format!(r#"{{"temperature": {temperature}}}"#))
}

fn sinks(ruling: &Ruling) -> Option<Vec<usize>> {
    match &ruling.fate {
        Fate::Owed(owed) => owed.sinks.clone(),
        other => panic!("{other:?}"),
    }
}

fn passes(ruling: &Ruling) -> bool {
    matches!(ruling.fate, Fate::Owed(_))
}

#[test]
fn rules_apply_in_their_order_and_route_together() {
    let mut bench = Bench::new(
        r#"
        [[rule]]
        name = "counts"
        [[rule]]
        name = "hot"
        pattern = '{"data": {"temperature": [{"numeric": [">", 60]}]}}'
        sinks = ["site"]
        lane = "alarm"
        [[rule]]
        name = "by type"
        sql = "type = 'reading'"
        sinks = ["cloud"]
        [[rule]]
        name = "elsewhere"
        topic = "other/+"
        drop = true
        [[rule]]
        name = "last lane"
        filter = { prefix = { source = "/p" } }
        lane = "bulk"
        "#,
    );
    let ruling = bench.publish(0, &degrees(1, 61.0));
    assert_eq!(
        bench.names(&ruling),
        ["counts", "hot", "by type", "last lane"]
    );
    assert_eq!((sinks(&ruling), ruling.lane), (Some(vec![0, 1]), Some(2)));
    let ruling = bench.publish(0, &degrees(2, 59.0));
    assert_eq!((sinks(&ruling), ruling.lane), (Some(vec![0]), Some(2)));
    let untouched = bench.publish(0, &reading(3, "{}"));
    let Fate::Owed(owed) = untouched.fate else {
        panic!()
    };
    assert_eq!(owed.common, Form::default());
}

#[test]
fn drop_ends_it_whatever_came_before() {
    let mut bench = Bench::new(
        r#"
        [[rule]]
        name = "routes"
        sinks = ["cloud"]
        [[rule]]
        name = "drops"
        drop = true
        [[rule]]
        name = "never asked"
        "#,
    );
    let ruling = bench.publish(0, &degrees(1, 0.0));
    assert_eq!(bench.names(&ruling), ["routes", "drops"]);
    let Fate::Dropped { rule, step, cause } = ruling.fate else {
        panic!()
    };
    assert_eq!(
        (bench.rules.name(rule), step, cause),
        (Some("drops"), None, Cause::Rule)
    );
}

#[test]
fn a_stage_that_suppresses_drops_and_one_that_passes_marks() {
    let mut bench = Bench::new(
        r#"
        [[rule]]
        name = "slow"
        [[rule.step]]
        throttle = { per = "10s" }
        [[rule]]
        name = "later"
        "#,
    );
    let first = bench.publish(0, &degrees(1, 0.0));
    let Fate::Owed(owed) = first.fate else {
        panic!()
    };
    let rate = owed.common.event.unwrap().extensions["sampledrate"].clone();
    assert_eq!(rate, Value::Integer(1));
    let second = bench.publish(1, &degrees(2, 0.0));
    assert_eq!(bench.names(&second), ["slow"]);
    assert!(matches!(
        second.fate,
        Fate::Dropped {
            step: Some(0),
            cause: Cause::Stage,
            ..
        }
    ));
    let third = bench.publish(10, &degrees(3, 0.0));
    let Fate::Owed(owed) = third.fate else {
        panic!()
    };
    assert_eq!(
        owed.common.event.unwrap().extensions["sampledrate"],
        Value::Integer(2)
    );
}

#[test]
fn a_key_tells_things_apart() {
    let mut bench = Bench::new(
        r#"
        [[rule]]
        name = "changes"
        [[rule.step]]
        deadband = { field = "$.data.temperature", absolute = 1 }
        key = ["$.source", "$.data['sensor id']"]
        "#,
    );
    let at = |sensor: u32, temperature: u32| {
        reading(
            1,
            &format!(r#"{{"temperature": {temperature}, "sensor id": {sensor}}}"#),
        )
    };
    let verdicts = [at(1, 20), at(2, 20), at(1, 20), at(2, 22), at(1, 21)]
        .map(|event| passes(&bench.publish(0, &event)));
    assert_eq!(verdicts, [true, true, false, true, false]);
}

#[test]
fn a_rule_whose_step_fails_leaves_no_trace() {
    let rules = |on_error: &str| {
        format!(
            r#"
            [[rule]]
            name = "two gates"
            on-error = "{on_error}"
            [[rule.step]]
            dedupe = {{ within = "1h" }}
            [[rule.step]]
            deadband = {{ field = "$.data.temperature", absolute = 1 }}
            [[rule]]
            name = "behind"
            sinks = ["lab"]
            "#
        )
    };
    let broken = reading(1, r#"{"temperature": "hot"}"#);
    let mended = degrees(1, 20.0);

    let mut bench = Bench::new(&rules("pass"));
    let ruling = bench.publish(0, &broken);
    assert_eq!(bench.names(&ruling), ["two gates", "behind"]);
    assert_eq!(
        (ruling.failures[0].class, ruling.failures[0].step),
        ("not-a-number", 1)
    );
    assert_eq!((ruling.moves.len(), sinks(&ruling)), (0, Some(vec![2])));
    assert!(
        passes(&bench.publish(1, &mended)),
        "the dedupe saw nothing of the failure"
    );
    assert!(!passes(&bench.publish(2, &mended)));

    let ruling = Bench::new(&rules("drop")).publish(0, &broken);
    assert!(matches!(
        ruling.fate,
        Fate::Dropped {
            step: Some(1),
            cause: Cause::Failure,
            ..
        }
    ));
    let ruling = Bench::new(&rules("dead-letter")).publish(0, &broken);
    assert!(matches!(ruling.fate, Fate::DeadLetter { .. }));
}

#[test]
fn an_event_that_is_not_committed_leaves_no_trace() {
    let mut bench = Bench::new(
        r#"
        [[rule]]
        name = "once"
        [[rule.step]]
        dedupe = { within = "1h" }
        [[rule.step]]
        throttle = { per = "1h", count = 2 }
        "#,
    );
    let refused: Vec<Ruling> = (1..=2)
        .map(|id| bench.judge(0, &degrees(id, 0.0)))
        .collect();
    assert!(refused.iter().all(passes));
    for ruling in refused.into_iter().rev() {
        bench.memory.undo(ruling);
    }
    let verdicts = [1, 2, 3].map(|id| passes(&bench.publish(1, &degrees(id, 0.0))));
    assert_eq!(verdicts, [true, true, false]);
}

#[test]
fn what_gates_store_with_an_event_is_enough_after_a_crash() {
    let rules = r#"
        [[rule]]
        name = "alarm"
        [[rule.step]]
        threshold = { field = "$.data.temperature", above = 80, hysteresis = 5 }
        "#;
    let mut bench = Bench::new(rules);
    bench.publish(0, &degrees(1, 20.0));
    let raised = bench.publish(1, &degrees(2, 81.0));
    let mut after = Bench::new(rules);
    for moved in &raised.moves {
        let memory = moved.stored.clone().unwrap();
        after.memory.recover(moved.gate, &moved.key, memory);
    }
    assert!(
        !passes(&after.publish(2, &degrees(3, 82.0))),
        "still the same alarm"
    );
    let cleared = after.publish(3, &degrees(4, 75.0));
    let Fate::Owed(owed) = cleared.fate else {
        panic!()
    };
    assert_eq!(
        owed.common.event.unwrap().extensions["threshold"],
        Value::from("cleared")
    );
}

const MINUTES: &str = r#"
    [[rule]]
    name = "per minute"
    [[rule.step]]
    window = { size = "60s", values = { mean = "avg($.data.temperature)", n = "count()" } }
    "#;

#[test]
fn a_window_derives_an_event_of_its_own_and_its_input_passes_on() {
    let mut bench = Bench::new(MINUTES);
    for (id, (second, temperature)) in [(0, 20.0), (30, 22.0), (70, 30.0)].into_iter().enumerate() {
        assert!(passes(
            &bench.publish(second, &degrees(id as u32, temperature))
        ));
    }
    let derived = bench.derived(70);
    assert_eq!(derived.len(), 1);
    assert_eq!(
        (&*derived[0].topic, &*derived[0].rule),
        ("plant/7/per minute", "per minute")
    );
    let event = &derived[0].event;
    assert_eq!(
        (&*event.id, &*event.source, &*event.r#type),
        ("per minute/0/0/1-2", SOURCE, "rule.window")
    );
    assert_eq!(event.time.as_deref(), Some("1970-01-01T00:01:00.000Z"));
    let data: serde_json::Value = serde_json::from_slice(event.data_bytes()).unwrap();
    let expected = serde_json::json!({
        "key": "plant/7", "start": "1970-01-01T00:00:00.000Z", "end": "1970-01-01T00:01:00.000Z", "count": 2,
        "partial": false, "values": {"mean": 21.0, "n": 2},
    });
    assert_eq!(data, expected);
}

#[test]
fn an_event_that_a_window_cannot_take_fails_its_rule_when_it_is_published() {
    let mut bench = Bench::new(MINUTES);
    let ruling = bench.publish(0, &reading(1, r#"{"temperature": "hot"}"#));
    assert_eq!(
        (ruling.failures[0].class, ruling.inputs.len()),
        ("not-a-number", 0)
    );
}

#[test]
fn consumed_and_debounced_events_end_and_what_is_derived_goes_on() {
    let mut bench = Bench::new(
        r#"
        [[rule]]
        name = "quiet"
        [[rule.step]]
        debounce = { quiet = "2s", emit-topic = "settled/{rule}" }
        key = ["$.source"]
        "#,
    );
    assert!(!passes(&bench.publish(0, &degrees(1, 1.0))));
    assert!(!passes(&bench.publish(1, &degrees(2, 2.0))));
    assert!(bench.derived(2).is_empty());
    let derived = bench.derived(3);
    assert_eq!(
        (&*derived[0].topic, &derived[0].event),
        ("settled/quiet", &degrees(2, 2.0))
    );
    let consumes = MINUTES.replace("size =", "consume = true, size =");
    assert!(!passes(&Bench::new(&consumes).publish(0, &degrees(1, 1.0))));
}

#[test]
fn absence_is_said_once_and_the_return_too() {
    let mut bench = Bench::new(
        r#"
        [[rule]]
        name = "silence"
        [[rule.step]]
        absence = { after = "5m", keys = ["/valve"], emit-topic = "health/{rule}" }
        key = ["$.source"]
        "#,
    );
    bench.publish(100, &degrees(1, 1.0));
    let said: Vec<_> = bench
        .derived(400)
        .into_iter()
        .map(|it| (it.event.id, it.event.r#type))
        .collect();
    let absent = |id: &str| (id.to_owned(), "rule.absent".to_owned());
    assert_eq!(
        said,
        [
            absent("silence/0/absent/0//valve"),
            absent("silence/0/absent/1//pump")
        ]
    );
    bench.publish(500, &degrees(2, 1.0));
    let back = bench.derived(500);
    assert_eq!(back[0].event.id, "silence/0/returned/2//pump");
}

#[test]
fn a_rule_is_not_asked_about_what_it_made() {
    let bench = Bench::new(MINUTES);
    let event = degrees(1, 1.0);
    let arrival = Arrival {
        at: Moment(0),
        derived_by: &["per minute".to_owned()],
    };
    let mut memory = RuleMemory::new(&bench.rules);
    let view = EventView::of(&event, None);
    let ruling = bench.rules.judge(
        &mut memory,
        &mut Scratch::default(),
        &view,
        || event.clone(),
        &arrival,
    );
    assert!(ruling.matched.is_empty());
}

#[test]
fn at_a_reload_stages_that_did_not_change_keep_what_they_remember() {
    let alarm = |limit: u32| {
        format!(
            r#"
            [[rule]]
            name = "alarm"
            [[rule.step]]
            threshold = {{ field = "$.data.temperature", above = {limit} }}
            "#
        )
    };
    let sums = |size: u32| MINUTES.replace("60s", &format!("{size}s"));
    for (limit, size, alarm_stands, derived) in [(80, 60, true, 0), (79, 30, false, 1)] {
        let mut bench = Bench::new(&(sums(60) + &alarm(80)));
        bench.publish(1, &degrees(1, 90.0));
        let rules = compile(&(alarm(limit) + &sums(size))).unwrap();
        bench.memory = RuleMemory::carry(bench.memory, &bench.rules, &rules);
        bench.stages = RuleStages::carry(bench.stages, &bench.rules, &rules, SOURCE);
        bench.rules = rules;
        let released = bench.derived(2);
        assert_eq!(released.len(), derived);
        assert!(released.iter().all(|it| {
            it.event
                .data_bytes()
                .windows(14)
                .any(|it| it == b"\"partial\":true")
        }));
        assert_eq!(passes(&bench.publish(2, &degrees(2, 90.0))), !alarm_stands);
    }
}

#[test]
fn stages_recovered_from_a_checkpoint_derive_the_same() {
    let rules = format!(
        "{MINUTES}\n[[rule]]\nname = 'last'\n[[rule.step]]\ndebounce = {{ quiet = '9s' }}\n[[rule]]\nname = 'not reached'"
    );
    let mut random = fastrand::Rng::with_seed(5);
    let events: Vec<(u64, Event)> = (0..60)
        .map(|id| (u64::from(id) * 5, degrees(id, random.f64())))
        .collect();
    let mut untroubled = Bench::new(&rules);
    let mut expected = Vec::new();
    for (second, event) in &events {
        expected.extend(untroubled.derived(*second));
        untroubled.publish(*second, event);
    }
    let mut bench = Bench::new(&rules);
    let mut found = Vec::new();
    for (second, event) in &events {
        found.extend(bench.derived(*second));
        let checkpoint = postcard::to_stdvec(
            &bench
                .stages
                .memories()
                .into_iter()
                .map(|it| (it.0.rule, it.0.step, it.1, it.2))
                .collect::<Vec<_>>(),
        )
        .unwrap();
        bench.stages = RuleStages::new(&bench.rules);
        let memories: Vec<(u32, u32, String, StageMemory)> =
            postcard::from_bytes(&checkpoint).unwrap();
        for (rule, step, key, memory) in memories {
            bench.stages.recover(StageId { rule, step }, &key, memory);
        }
        bench.publish(*second, event);
    }
    assert!(expected.len() > 3);
    assert_eq!(found, expected);
}

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
    let event = Event::builder("1", "/p", "reading")
        .datacontenttype("application/cbor")
        .data(Data::Binary(vec![0xA1, 0x61, b't', 0x18, 64]))
        .build()
        .unwrap();
    let json = crate::decode::cbor_to_json(event.data_bytes()).unwrap();
    let judge = |bench: &mut Bench| {
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
    };
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

#[test]
fn a_bad_rule_says_which_and_why() {
    let cases = [
        ("name = ''", "a name has 1 to 128 bytes"),
        (
            "name = 'a'\n[[rule]]\nname = 'a'",
            "another rule of this name",
        ),
        (
            "name = 'a'\nsql = 'TRUE'\npattern = '{\"type\": [\"a\"]}'",
            "only one of",
        ),
        (
            "name = 'a'\nsinks = ['clod']",
            "no uplink \"clod\"; there are: cloud, site, lab",
        ),
        (
            "name = 'a'\nlane = 'fast'",
            "no lane \"fast\"; there are: alarm, normal, bulk",
        ),
        ("name = 'a'\nstep = [{}]", "names 0"),
        (
            "name = 'a'\nstep = [{ sample = { every = 2 }, throttle = { per = '1s' } }]",
            "names 2",
        ),
        (
            "name = 'a'\nstep = [{ threshold = { field = '$.data.t' } }]",
            "one of `above` and `below`",
        ),
        (
            "name = 'a'\nstep = [{ deadband = { field = '$.data.t', absolute = 1, percent = 1 } }]",
            "not both",
        ),
        (
            "name = 'a'\nstep = [{ window = { size = '1s', gap = '1s', values = { n = 'count()' } } }]",
            "one of `size`",
        ),
        (
            "name = 'a'\nstep = [{ window = { size = '1h', every = '1s', values = { n = 'count()' } } }]",
            "a hundredth",
        ),
        (
            "name = 'a'\nstep = [{ debounce = { quiet = '1s' }, key = ['$.source'] }]",
            "needs `topic` in `key`",
        ),
        (
            "name = 'a'\nfor = ['lab']\nstep = [{ sample = { every = 2 } }]",
            "transforms only",
        ),
        ("name = 'a'\nfor = ['clod']", "no uplink"),
        ("name = 'a'\nsink-topic = 'a/#'", "#"),
        (
            "name = 'a'\nstep = [{ enrich = { table = 'line', key = '$.id' } }]",
            "line",
        ),
        (
            "name = 'a'\nstep = [{ set = { attributes = { id = 'x' } } }]",
            "id",
        ),
    ];
    for (rule, expected) in cases {
        let error = compile(&format!("[[rule]]\n{rule}"))
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
    }
    let unread = [
        ("nam = 'a'", "unknown field `nam`"),
        (
            "name = 'a'\npattern = '{\"type\": [{\"prefx\": 1}]}'",
            "did you mean `prefix`",
        ),
        ("name = 'a'\nsql = 'type ='", "1"),
        (
            "name = 'a'\nstep = [{ deadband = { field = '$.data..t' } }]",
            "is no path to one value",
        ),
        (
            "name = 'a'\nstep = [{ window = { size = '1s', values = { n = 'mean($.data.t)' } } }]",
            "is no aggregate",
        ),
        (
            "name = 'a'\nstep = [{ throttle = { per = '10' } }]",
            "is no duration",
        ),
    ];
    for (rule, expected) in unread {
        let error = toml::from_str::<RuleFile>(&format!("[[rule]]\n{rule}"))
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
    }
}
