use super::*;

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
fn identities_that_differ_in_any_byte_are_two_whatever_numbers_they_look_like() {
    let long = "x".repeat(256);
    let pairs = [
        ("20261122024857123456", "20261122024857123457"),
        ("1000e1", "100e2"),
        ("1", "1.0"),
        (&*format!("{long}1"), &*format!("{long}2")),
        (&*long, &*format!("{long}1")),
    ];
    for (first, second) in pairs {
        let mut bench =
            Bench::new("[[rule]]\nname = \"once\"\n[[rule.step]]\ndedupe = { within = \"1h\" }");
        let verdicts = [first, second, first, second].map(|id| {
            let event = Event::builder(id, "/pump", "reading").build().unwrap();
            passes(&bench.publish(0, &event))
        });
        assert_eq!(verdicts, [true, true, false, false], "{first} {second}");
    }
}

#[test]
fn numbers_of_the_data_are_two_in_a_key_if_they_are_two_however_long() {
    let pairs = [
        ("9223372036854775808", "9223372036854775809", true),
        ("18446744073709551616", "18446744073709551617", true),
        ("0.1", "0.10000000000000000001", true),
        ("100000000000000000001", "100000000000000000001.0", false),
        ("1e20", "100000000000000000000", false),
        ("7", "7.0", false),
    ];
    for (first, second, are_two) in pairs {
        let mut bench = Bench::new(
            r#"
            [[rule]]
            name = "once"
            [[rule.step]]
            dedupe = { within = "1h" }
            key = ["$.data.of[1]['the meter']"]
            "#,
        );
        let verdicts = [first, second, first, second].map(|number| {
            let data = format!(r#"{{"of": [0, {{"the meter": 5, "the meter": {number}}}]}}"#);
            passes(&bench.publish(0, &reading(1, &data)))
        });
        assert_eq!(verdicts, [true, are_two, false, false], "{first} {second}");
    }
}

#[test]
fn a_part_of_a_key_is_never_taken_for_two_and_tells_nobody_on_which_topic_to_derive() {
    let rules = r#"
        [[rule]]
        name = "sum"
        [[rule.step]]
        window = { count = 1, values = { n = "count()" }, emit-topic = "{topic}/sum" }
        key = ["$.data.line", "topic", "$.data.pump"]
        "#;
    let mut bench = Bench::new(rules);
    let long = format!("a\u{1f}{}", "x".repeat(300));
    for line in ["a\u{1f}secret", "a", &long] {
        let data = serde_json::json!({"line": line, "pump": "\u{1f}"});
        bench.publish(0, &reading(1, &data.to_string()));
        let derived = bench.derived(0);
        let topics: Vec<_> = derived.iter().map(|it| &*it.topic).collect();
        assert_eq!(topics, ["plant/7/sum"], "{line:?}");
        let data: serde_json::Value =
            serde_json::from_slice(derived[0].event.data_bytes()).unwrap();
        assert_eq!(data["key"].as_array().unwrap().len(), 3, "{data}");
        assert!(derived[0].event.data_bytes().len() < 1_000);
    }
}

#[test]
fn the_topic_of_a_key_is_the_whole_topic_but_for_what_stands_between_parts() {
    let key = Key::topic();
    let json = std::cell::OnceCell::new();
    let event = degrees(1, 20.0);
    let payload = field::Payload {
        event: &event,
        decoded: None,
        json: &json,
    };
    let topic = format!("{}\u{1f}b", "t".repeat(1000));
    let text = key.of(payload, Some(&topic));
    assert_eq!(key.topic_in(&text), Some(&*topic.replace('\u{1f}', "%1F")));
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

#[test]
fn at_a_reload_gates_that_did_not_change_keep_what_they_remember() {
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
    for (limit, alarm_stands) in [(80, true), (79, false)] {
        let mut bench = Bench::new(&(MINUTES.to_owned() + &alarm(80)));
        bench.publish(1, &degrees(1, 90.0));
        let rules = compile(&(alarm(limit) + MINUTES)).unwrap();
        bench.memory = RuleMemory::carry(bench.memory, &bench.rules, &rules);
        bench.rules = rules;
        assert_eq!(passes(&bench.publish(2, &degrees(2, 90.0))), !alarm_stands);
    }
}
