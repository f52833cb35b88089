//! Steps whose work is done elsewhere.

use super::*;

const JQ: &str = r#"
    [[rule]]
    name = "each"
    [[rule.step]]
    jq = { program = ".data[]" }
    "#;

const CONSUMING: &str = r#"
    [[rule]]
    name = "each"
    [[rule.step]]
    jq = { program = ".data[]", consume = true, emit-topic = "made" }
    "#;

/// The stage of these rules.
const STAGE: StageId = StageId { rule: 0, step: 0 };

fn made(values: &[&str]) -> Answer {
    Answer::Made(values.iter().map(|it| it.as_bytes().to_vec()).collect())
}

fn position(bench: &Bench) -> Option<u64> {
    bench.stages.job().map(|(_, job, _)| job.position)
}

fn told(bench: &mut Bench, position: u64, derived_by: &[String]) {
    let told = Told {
        key: "plant/7".to_owned(),
        window: None,
        event: Some(crate::json::encode(&reading(1, "[1]"))),
    };
    let stored = Stored {
        position,
        at: Moment(0),
        time: EventTime(0),
        derived_by,
    };
    bench.stages.handle_input(STAGE, &told, stored, SOURCE);
}

#[test]
fn each_value_that_was_made_is_an_event_with_an_id_of_its_input() {
    let mut bench = Bench::new(JQ);
    let mut event = reading(1, "[1, 2]");
    event.subject = Some("line 4".to_owned());
    event
        .extensions
        .insert("unit".to_owned(), Value::from("bar"));
    assert!(passes(&bench.publish(0, &event)));
    let (stage, job, program) = bench.stages.job().unwrap();
    assert_eq!((stage, program), (STAGE, ".data[]"));
    assert_eq!(crate::json::decode(&job.event).unwrap(), event);
    bench
        .stages
        .answer(STAGE, 1, &made(&["1", r#"{"a":2}"#]), SOURCE);
    let derived = bench.derived(0);
    let ids: Vec<_> = derived
        .iter()
        .map(|it| (&*it.event.id, &*it.event.source))
        .collect();
    assert_eq!(ids, [("each/0/1/0", SOURCE), ("each/0/1/1", SOURCE)]);
    let second = &derived[1].event;
    assert_eq!(second.data, Some(Data::Json(br#"{"a":2}"#.to_vec())));
    assert_eq!(
        (&*second.r#type, second.subject.as_deref()),
        ("reading", Some("line 4"))
    );
    assert_eq!(second.extensions["unit"], Value::from("bar"));
    assert_eq!(second.extensions["rule"], Value::from("each"));
    assert_eq!(
        (&*derived[1].topic, &*derived[1].derived_by),
        ("plant/7/each", &["each".to_owned()][..])
    );
    assert_eq!(position(&bench), None);
}

#[test]
fn without_a_result_only_a_consumed_event_goes_on_and_only_if_it_is_to() {
    for (rules, answer, goes_on) in [
        (JQ, Answer::GoesOn, false),
        (CONSUMING, Answer::GoesOn, true),
        (CONSUMING, Answer::Ended, false),
        (CONSUMING, made(&[]), false),
    ] {
        let mut bench = Bench::new(rules);
        let event = reading(1, "[1]");
        assert_eq!(passes(&bench.publish(0, &event)), rules == JQ);
        bench.stages.answer(STAGE, 1, &answer, SOURCE);
        let derived: Vec<_> = bench
            .derived(0)
            .into_iter()
            .map(|it| (it.topic, it.event))
            .collect();
        let expected = goes_on.then(|| ("made".to_owned(), event));
        assert_eq!(derived, Vec::from_iter(expected), "{answer:?}");
    }
}

#[test]
fn what_is_derived_is_worked_on_first_and_then_what_came_first() {
    let mut bench = Bench::new(JQ);
    for (position, derived_by) in [(5, &[][..]), (6, &["a"]), (7, &["a", "b"]), (8, &["c"])] {
        let derived_by: Vec<_> = derived_by.iter().map(|it| (*it).to_owned()).collect();
        told(&mut bench, position, &derived_by);
    }
    let turns = std::iter::from_fn(|| {
        let position = position(&bench)?;
        bench.stages.answer(STAGE, position, &Answer::Ended, SOURCE);
        Some(position)
    });
    assert_eq!(turns.collect::<Vec<_>>(), [7, 6, 8, 5]);
}

#[test]
fn there_is_no_room_for_more_events_than_the_bound_before_one_is_answered() {
    let mut bench = Bench::new(&JQ.replace("jq =", "max-keys = 2\njq ="));
    told(&mut bench, 1, &[]);
    assert!(bench.stages.has_room(STAGE));
    told(&mut bench, 2, &[]);
    assert!(!bench.stages.has_room(STAGE));
    bench.stages.answer(STAGE, 1, &Answer::Ended, SOURCE);
    assert!(bench.stages.has_room(STAGE));
    let mut bench = Bench::new(&JQ.replace("jq =", "max-bytes = 10\njq ="));
    assert!(bench.stages.has_room(STAGE));
    told(&mut bench, 1, &[]);
    assert!(!bench.stages.has_room(STAGE));
}

#[test]
fn what_waits_is_in_a_checkpoint_and_what_is_answered_twice_is_derived_once() {
    let mut bench = Bench::new(JQ);
    told(&mut bench, 3, &["a".to_owned()]);
    let kept = bench.stages.memories();
    let mut again = Bench::new(JQ);
    for (stage, key, memory) in kept {
        again.stages.recover(stage, &key, memory);
    }
    assert_eq!(again.stages.job(), bench.stages.job());
    for _ in 0..2 {
        again.stages.answer(STAGE, 3, &made(&["1"]), SOURCE);
    }
    let derived = again.derived(0);
    assert_eq!(derived.len(), 1);
    assert_eq!(derived[0].derived_by, ["a", "each"]);
}

#[test]
fn a_rule_whose_error_comes_late_has_no_dead_letters() {
    let rules = JQ.replace("[[rule.step]]", "on-error = \"dead-letter\"\n[[rule.step]]");
    assert_eq!(compile(&rules).unwrap_err().problem, RuleProblem::LateError);
    let outside = JQ.replace("\".data[]\"", "\".data[]\", emit-topic = \"$made\"");
    let problem = compile(&outside).unwrap_err().problem;
    assert!(matches!(problem, RuleProblem::Value(_)), "{problem:?}");
}
