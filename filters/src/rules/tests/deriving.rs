use super::*;

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

#[test]
fn an_event_that_is_too_late_for_its_window_goes_out_on_a_topic_of_its_own() {
    let late = MINUTES.replace("size =", "late-to = \"late/{topic}\", size =");
    let mut bench = Bench::new(&late);
    let at = |id, second: u32| {
        let mut event = degrees(id, 20.0);
        event.time = Some(format!(
            "1970-01-01T00:{:02}:{:02}Z",
            second / 60,
            second % 60
        ));
        event
    };
    assert!(passes(&bench.publish(100, &at(1, 10))));
    assert!(passes(&bench.publish(100, &at(2, 100))));
    assert_eq!(bench.derived(100).len(), 1);
    assert!(passes(&bench.publish(101, &at(3, 20))));
    let derived = bench.derived(101);
    assert_eq!(bench.stages.counts().late, 1);
    assert_eq!(
        derived,
        [Derived {
            rule: "per minute".to_owned(),
            topic: "late/plant/7".to_owned(),
            event: at(3, 20),
        }]
    );
    let error = compile(&late.replace("late/", "$late/")).unwrap_err();
    assert!(
        error.to_string().contains("`late-to` is a topic"),
        "{error}"
    );
}
