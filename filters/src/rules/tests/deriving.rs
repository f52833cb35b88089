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
        (&*derived[0].topic, derived[0].rule()),
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
fn a_window_that_is_longer_than_its_keys_are_silent_waits_for_all_its_readings() {
    let hours = MINUTES.replace("60s", "1h");
    let mut bench = Bench::new(&hours);
    let mut counts = Vec::new();
    for reading in 0..13 {
        let second = reading * 600;
        let closed = bench.derived(second);
        bench.publish(second, &degrees(reading as u32, reading as f64));
        for it in closed.into_iter().chain(bench.derived(second)) {
            let data: serde_json::Value = serde_json::from_slice(it.event.data_bytes()).unwrap();
            counts.push((data["count"].clone(), data["partial"].clone()));
        }
    }
    assert_eq!(counts, [(6.into(), false.into())]);
    let derived = bench.derived(12 * 600 + 3_609);
    assert_eq!(derived.len(), 0, "an hour and its lateness are not over");
    assert_eq!(bench.derived(12 * 600 + 3_610).len(), 2);
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
        let memories: Vec<(u32, u32, String, KeyMemory)> =
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
    let window = StageId { rule: 0, step: 0 };
    assert_eq!(bench.stages.usage(window).unwrap().late, 1);
    assert_eq!(
        derived,
        [Derived {
            topic: "late/plant/7".to_owned(),
            event: at(3, 20),
            derived_by: vec!["per minute".to_owned()],
        }]
    );
    let error = compile(&late.replace("late/", "$late/")).unwrap_err();
    assert!(
        error.to_string().contains("`late-to` is a topic"),
        "{error}"
    );
}

fn definition(step: &str) -> StepDefinition {
    toml::from_str(step).unwrap()
}

fn stored(position: u64, second: u64) -> Stored<'static> {
    Stored {
        position,
        at: Moment(second * 1000),
        time: EventTime(second as i64 * 1000),
        derived_by: &[],
    }
}

fn told(key: &str) -> Told {
    Told {
        key: key.to_owned(),
        window: Some(WindowReadings {
            time: None,
            readings: Vec::new(),
        }),
        event: None,
    }
}

fn ids(stages: &mut RuleStages<u32>) -> Vec<String> {
    let derived = std::iter::from_fn(|| stages.poll_derived());
    derived.map(|it| it.event.id).collect()
}

#[test]
fn a_stage_opened_by_its_definition_derives_under_its_rule_and_gives_as_partial_what_it_holds_when_it_ends()
 {
    let mut stages = RuleStages::default();
    let window = definition(r#"window = { size = "60s", values = { n = "count()" } }"#);
    stages.open(7, "sum", 2, &window, stored(1, 0)).unwrap();
    stages.handle_input(7, &told("t"), stored(2, 0), SOURCE);
    stages.release(7, SOURCE);
    let derived = stages.poll_derived().unwrap();
    assert_eq!(
        (&*derived.event.id, &*derived.topic),
        ("sum/2/0/2-2", "t/sum")
    );
    let data = String::from_utf8_lossy(derived.event.data_bytes()).into_owned();
    assert!(data.contains("\"partial\":true"), "{data}");
    assert!(!stages.is_open(7));
    assert!(
        stages
            .open(8, "x", 0, &StepDefinition::default(), stored(3, 0))
            .is_err()
    );
}

#[test]
fn listed_keys_are_watched_from_where_their_stage_begins_and_its_silences_have_ids_of_their_own() {
    let absence = definition(
        "absence = { after = \"5m\", keys = [\"a\"], emit-topic = \"health\" }\nkey = [\"$.source\"]\nmax-keys = 1",
    );
    let mut stages = RuleStages::default();
    stages.open(1, "r", 0, &absence, stored(40, 100)).unwrap();
    assert_eq!(stages.next_deadline(), Some(Moment(400_000)));
    stages.handle_downtime(std::time::Duration::from_secs(50));
    assert_eq!(stages.next_deadline(), Some(Moment(450_000)));
    stages.close(1, "a", SOURCE);
    stages.handle_input(1, &told("b"), stored(41, 460), SOURCE);
    stages.handle_input(1, &told("c"), stored(42, 461), SOURCE);
    assert_eq!(
        ids(&mut stages),
        ["r/0/absent/40/a", "r/0/evicted/40/a", "r/0/evicted/41/b"]
    );
    assert_eq!(stages.usage(1).unwrap().evicted, 2);
}

#[test]
fn what_is_derived_says_from_which_rules_also_when_time_closes_it_and_after_a_checkpoint() {
    let window = definition(r#"window = { size = "60s", values = { n = "count()" } }"#);
    let mut stages = RuleStages::default();
    stages.open(1, "c", 0, &window, stored(1, 0)).unwrap();
    let by = ["a".to_owned(), "b".to_owned()];
    let of = |by| Stored {
        derived_by: by,
        ..stored(2, 0)
    };
    stages.handle_input(1, &told("t"), of(&by[..1]), SOURCE);
    stages.handle_input(1, &told("t"), of(&by), SOURCE);
    stages.handle_input(1, &told("plain"), of(&[]), SOURCE);
    let memories = stages.memories();
    let mut recovered = RuleStages::default();
    recovered.open(1, "c", 0, &window, stored(1, 0)).unwrap();
    for (id, key, memory) in memories {
        recovered.recover(id, &key, memory);
    }
    for mut stages in [stages, recovered] {
        stages.close(1, "t", SOURCE);
        stages.close(1, "plain", SOURCE);
        let derived = std::iter::from_fn(|| stages.poll_derived());
        let by: Vec<_> = derived.map(|it| it.derived_by).collect();
        assert_eq!(by, [vec!["a", "b", "c"], vec!["c"]]);
    }
}

#[test]
fn what_is_summed_up_of_many_rules_is_as_deep_as_the_deepest_of_them() {
    let rules = "[[rule]]\nname = \"sum\"\n[[rule.step]]\nwindow = { count = 20, values = { n = \"count()\" } }\n[[rule]]\nname = \"behind\"";
    let bench = Bench::new(rules);
    let mut stages = RuleStages::new(&bench.rules);
    let sum = StageId { rule: 0, step: 0 };
    for rule in 0..20 {
        let by = [format!("line {rule}")];
        let stored = Stored {
            derived_by: &by,
            ..stored(1 + rule, 0)
        };
        stages.handle_input(sum, &told("t"), stored, SOURCE);
    }
    let derived = stages.poll_derived().unwrap();
    assert_eq!(derived.rule(), "sum");
    let mut bench = bench;
    let arrival = Arrival {
        at: Moment(0),
        derived_by: &derived.derived_by,
    };
    let view = EventView::of(&derived.event, Some("t"));
    let made = || derived.event.clone();
    let ruling = bench
        .rules
        .judge(&mut bench.memory, &mut bench.scratch, &view, made, &arrival);
    assert_eq!(bench.names(&ruling), ["behind"]);
    let all = (0..20).map(|it| format!("line {it}"));
    assert!(all.into_iter().all(|it| derived.derived_by.contains(&it)));
}

#[test]
fn no_rule_is_asked_about_what_is_derived_too_often() {
    let mut bench = Bench::new("[[rule]]\nname = \"all\"");
    let by: Vec<String> = (0..=MAX_DERIVATIONS).map(|it| it.to_string()).collect();
    for (depth, matched) in [(MAX_DERIVATIONS, 1), (MAX_DERIVATIONS + 1, 0)] {
        let event = degrees(1, 1.0);
        let arrival = Arrival {
            at: Moment(0),
            derived_by: &by[..depth],
        };
        let view = EventView::of(&event, Some("t"));
        let ruling = bench.rules.judge(
            &mut bench.memory,
            &mut bench.scratch,
            &view,
            || event.clone(),
            &arrival,
        );
        assert_eq!(ruling.matched.len(), matched);
    }
}

#[test]
fn a_stage_recovered_from_a_checkpoint_forgets_the_same_key_at_its_bound() {
    let window =
        definition("window = { size = \"60s\", values = { n = \"count()\" } }\nmax-keys = 2");
    let mut stages = RuleStages::default();
    stages.open(1, "r", 0, &window, stored(1, 0)).unwrap();
    for (position, key) in [(2, "a"), (3, "b"), (4, "a")] {
        stages.handle_input(1, &told(key), stored(position, 0), SOURCE);
    }
    let mut recovered = RuleStages::default();
    recovered.open(1, "r", 0, &window, stored(1, 0)).unwrap();
    for (id, key, memory) in stages.memories() {
        recovered.recover(id, &key, memory);
    }
    for stages in [&mut stages, &mut recovered] {
        stages.handle_input(1, &told("c"), stored(5, 0), SOURCE);
        assert_eq!(ids(stages), ["r/0/0/3-3"]);
    }
}

#[test]
fn many_stages_are_due_when_each_of_them_alone_would_be_the_first_of_them_first() {
    let definitions = [
        r#"window = { gap = "7s", idle = "9s", values = { n = "count()" } }"#,
        r#"absence = { after = "12s", keys = ["a", "b"], emit-topic = "health" }
           key = ["$.source"]"#,
        r#"absence = { after = "5s", emit-topic = "health" }
           key = ["$.source"]
           max-keys = 2"#,
        r#"debounce = { quiet = "6s" }"#,
    ]
    .map(definition);
    let event = crate::json::encode(&degrees(1, 20.0));
    for seed in 0..50 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut together = RuleStages::default();
        let mut alone: Vec<RuleStages<u32>> = (0..8).map(|_| RuleStages::default()).collect();
        let (mut second, mut seen_due) = (0, 0);
        for position in 1..200 {
            second += random.u64(0..3);
            let id = random.u32(0..8);
            let key = ["a", "b", "c"][random.usize(0..3)];
            let kind = random.u8(0..12);
            let downtime = std::time::Duration::from_secs(random.u64(0..4));
            let memory = together.memories().into_iter().find(|it| it.0 == id);
            for stages in [&mut together, &mut alone[id as usize]] {
                let at = stored(position, second);
                match (kind, &memory) {
                    (0 | 1, _) => {
                        let definition = &definitions[id as usize % definitions.len()];
                        stages.open(id, "r", 0, definition, at).unwrap();
                    }
                    (2, _) => stages.release(id, SOURCE),
                    (3, _) => stages.forget_listed(id),
                    (4, Some((_, key, memory))) => stages.recover(id, key, memory.clone()),
                    (5, _) => stages.close(id, key, SOURCE),
                    (6, _) => {}
                    _ => {
                        let event = Some(event.clone());
                        let told = Told { event, ..told(key) };
                        stages.handle_input(id, &told, at, SOURCE);
                    }
                }
            }
            if kind == 6 {
                let all = alone.iter_mut().chain([&mut together]);
                all.for_each(|it| it.handle_downtime(downtime));
            }
            let deadlines = alone.iter().filter_map(RuleStages::next_deadline);
            assert_eq!(together.next_deadline(), deadlines.min(), "seed {seed}");
            let now = Moment(second * 1000);
            let due = together.due(now);
            let Some((first, _)) = due else {
                let mut others = alone.iter();
                assert!(others.all(|it| it.due(now).is_none()), "seed {seed}");
                continue;
            };
            seen_due += 1;
            let first = &alone[first as usize];
            assert_eq!(first.due(now), due, "seed {seed}");
            assert_eq!(first.next_deadline(), together.next_deadline());
        }
        assert!(seen_due > 0, "seed {seed} makes nothing due");
    }
}
