//! What a rule or an event may make it cost.

use super::random::BUDGET;
use crate::{
    DataView, EventView, Pattern, TopicFilter,
    index::{Budget, Index, IndexBuilder, IndexError, Rule, RuleId, Scratch, When},
};

fn index(budget: Budget, patterns: &[String]) -> Result<Index, IndexError> {
    let mut builder = IndexBuilder::new(budget);
    for text in patterns {
        let pattern = Pattern::parse(text).unwrap();
        let when = When::Pattern(&pattern);
        builder.add(&Rule { topic: None, when })?;
    }
    Ok(builder.build())
}

fn count(index: &Index, json: &str, scratch: &mut Scratch) -> usize {
    let event = EventView {
        data: DataView::Json(json.as_bytes()),
        ..EventView::default()
    };
    index.matches(&event, scratch).len()
}

#[test]
fn a_rule_of_any_number_of_conditions_asks_for_each_of_them() {
    for conditions in 1..=8 {
        let object = |wrong: Option<usize>, open: &str, close: &str| {
            let value = |at: usize| if wrong == Some(at) { 0 } else { 1 };
            let field = |at: usize| format!("\"k{at}\": {open}{}{close}", value(at));
            let fields: Vec<String> = (0..conditions).map(field).collect();
            format!("{{{}}}", fields.join(", "))
        };
        let pattern = format!("{{\"data\": {}}}", object(None, "[", "]"));
        let index = index(Budget::default(), &[pattern.clone(), pattern]).unwrap();
        let mut scratch = Scratch::default();
        assert_eq!(count(&index, &object(None, "", ""), &mut scratch), 2);
        for wrong in 0..conditions {
            let event = object(Some(wrong), "", "");
            assert_eq!(count(&index, &event, &mut scratch), 0, "{event}");
        }
    }
}

#[test]
fn what_exceeds_the_budget_is_refused_with_the_rule_and_the_reason() {
    let texts = |at: usize| format!(r#"{{"data": {{"a": ["{at}"], "b": [1]}}}}"#);
    let patterns: Vec<String> = (0..1_000).map(texts).collect();
    let small = Budget {
        max_conditions: 1_001,
        ..Budget::default()
    };
    let (rule, max) = (RuleId(500), 1_001);
    assert_eq!(
        index(small, &patterns).unwrap_err(),
        IndexError::TooManyConditions { rule, max }
    );
    let small = Budget {
        max_bytes: 50_000,
        ..Budget::default()
    };
    let error = index(small, &patterns).unwrap_err();
    assert!(
        matches!(
            error,
            IndexError::TooManyBytes {
                rule: RuleId(50..400),
                ..
            }
        ),
        "{error:?}"
    );

    let unindexed = vec![r#"{"data": {"a": [{"exists": false}]}}"#.to_owned(); 101];
    let (rule, max) = (RuleId(100), 100);
    assert_eq!(
        index(Budget::default(), &unindexed).unwrap_err(),
        IndexError::TooManyUnindexed { rule, max }
    );
}

#[test]
fn a_rule_is_found_by_the_condition_that_holds_least_often() {
    let mut patterns: Vec<String> = (0..50)
        .map(|at| format!(r#"{{"data": {{"on": [true], "device": ["pump-{at}"], "t": [{{"numeric": [">", {at}]}}]}}}}"#))
        .collect();
    patterns.push(r#"{"data": {"x": [{"anything-but": 1}], "y": [{"exists": false}]}}"#.into());
    patterns.push(r#"{"type": [{"wildcard": "a*b"}, {"wildcard": "*abc*"}], "$or": [{"source": ["s"]}, {"id": [{"exists": false}]}]}"#.into());
    patterns.push(r#"{"$or": [{"source": ["s"]}, {"id": [{"wildcard": "*ab*"}]}]}"#.into());
    let index = index(Budget::default(), &patterns).unwrap();
    let access = |id| index.explain(RuleId(id)).unwrap().access;
    assert_eq!(access(7), [Some("data.device \"pump-7\"".into())]);
    assert_eq!(access(50), [None]);
    assert_eq!(access(51), [Some("source \"s\"".into()), None]);
    assert_eq!(access(52), [Some("source \"s\"".into()), None]);
    assert_eq!(index.unindexed(), [RuleId(50), RuleId(51), RuleId(52)]);
    assert_eq!(index.explain(RuleId(53)), None);
}

#[test]
fn a_topic_filter_gates_its_rules_and_is_an_access_by_a_literal_level() {
    let mut builder = IndexBuilder::new(BUDGET);
    let pattern = Pattern::parse(r#"{"data": {"a": [{"exists": false}]}}"#).unwrap();
    let filters =
        ["plant/+/t", "plant/#", "+/7/#", "#", "other/t"].map(|it| TopicFilter::parse(it).unwrap());
    for topic in &filters {
        let when = When::Pattern(&pattern);
        let topic = Some(topic);
        builder.add(&Rule { topic, when }).unwrap();
        let when = When::Always;
        builder.add(&Rule { topic, when }).unwrap();
    }
    let index = builder.build();
    assert_eq!(index.unindexed(), [RuleId(6), RuleId(7)]);
    assert_eq!(
        index.explain(RuleId(0)).unwrap().access,
        [Some("topic plant/+/t".into())]
    );
    let mut scratch = Scratch::default();
    let mut event = EventView {
        topic: Some("plant/7/t"),
        data: DataView::Json(b"{}"),
        ..EventView::default()
    };
    let ids = |ids: &[u32]| ids.iter().map(|it| RuleId(*it)).collect::<Vec<_>>();
    assert_eq!(
        index.matches(&event, &mut scratch),
        ids(&[0, 1, 2, 3, 4, 5, 6, 7])
    );
    event.data = DataView::Json(br#"{"a": 1}"#);
    assert_eq!(index.matches(&event, &mut scratch), ids(&[1, 3, 5, 7]));
    event.topic = None;
    assert_eq!(index.matches(&event, &mut scratch), ids(&[]));
}

#[test]
fn the_payload_is_read_only_where_a_rule_can_need_it() {
    let mut builder = IndexBuilder::new(BUDGET);
    let topic = TopicFilter::parse("plant/#").unwrap();
    for text in [
        r#"{"type": ["a"]}"#,
        r#"{"type": ["b"], "data": {"x": [{"exists": false}]}}"#,
    ] {
        let pattern = Pattern::parse(text).unwrap();
        let when = When::Pattern(&pattern);
        builder.add(&Rule { topic: None, when }).unwrap();
    }
    let pattern = Pattern::parse(r#"{"data": {"x": [1]}}"#).unwrap();
    let when = When::Pattern(&pattern);
    let topic = Some(&topic);
    builder.add(&Rule { topic, when }).unwrap();
    let index = builder.build();
    let mut scratch = Scratch::default();
    for (kind, topic, matched, scans) in [
        ("a", "other", 1, 0),
        ("b", "other", 0, 1),
        ("c", "other", 0, 0),
        ("a", "plant/1", 2, 1),
    ] {
        let mut event = EventView {
            topic: Some(topic),
            data: DataView::Json(br#"{"x": 1}"#),
            ..EventView::default()
        };
        event.attributes.push("type", kind);
        scratch.scans = 0;
        assert_eq!(
            index.matches(&event, &mut scratch).len(),
            matched,
            "{kind} {topic}"
        );
        assert_eq!(scratch.scans, scans, "{kind} {topic}");
    }
}

#[test]
fn what_many_values_find_is_sorted_few_times_and_held_once() {
    let rules: Vec<String> = (0..10_000)
        .map(|at| format!(r#"{{"data": {{"a": [{at}]}}}}"#))
        .collect();
    let many = index(BUDGET, &rules).unwrap();
    let values: Vec<String> = (0..130_000).map(|at| (at % 10_000).to_string()).collect();
    let mut scratch = Scratch::default();
    let json = format!(r#"{{"a": [{}]}}"#, values.join(","));
    assert_eq!(count(&many, &json, &mut scratch), 10_000);
    assert!(scratch.found.sorts < 30, "{}", scratch.found.sorts);
    assert!(scratch.found.most <= 20_001, "{}", scratch.found.most);

    let rule = r#"{"data": {"a": [{"wildcard": "*error*"}]}}"#.to_owned();
    let many = index(BUDGET, &vec![rule; 1_000]).unwrap();
    let mut scratch = Scratch::default();
    for _ in 0..2 {
        let json = format!(r#"{{"a": "{}"}}"#, "error".repeat(20_000));
        assert_eq!(count(&many, &json, &mut scratch), 1_000);
        assert!(scratch.found.most <= 2_000, "{}", scratch.found.most);
    }
}

/// Each would take minutes, or the stack, if it cost what it looks like.
#[test]
fn catastrophic_rules_and_events_cost_what_their_size_costs() {
    let mut scratch = Scratch::default();
    let stars = format!("{}b", "*a".repeat(2_000));
    let many = index(
        BUDGET,
        &[format!(
            r#"{{"data": {{"a": [{{"wildcard": "{stars}"}}]}}}}"#
        )],
    )
    .unwrap();
    assert_eq!(
        count(
            &many,
            &format!(r#"{{"a": "{}"}}"#, "a".repeat(100_000)),
            &mut scratch
        ),
        0
    );

    let either: Vec<String> = (0..1_000)
        .map(|at| format!(r#"{{"b": ["{at}"], "a": [{{"exists": false}}]}}"#))
        .collect();
    let many = index(
        BUDGET,
        &[format!(r#"{{"data": {{"$or": [{}]}}}}"#, either.join(","))],
    )
    .unwrap();
    assert_eq!(count(&many, r#"{"b": "999"}"#, &mut scratch), 1);
    assert_eq!(count(&many, r#"{"b": "1000"}"#, &mut scratch), 0);

    let nested = format!(
        r#"{{"data": {}[1]{}}}"#,
        r#"{"a": "#.repeat(60),
        "}".repeat(60)
    );
    let many = index(
        BUDGET,
        &[nested, r#"{"data": {"a": ["x"], "b": [1]}}"#.into()],
    )
    .unwrap();
    for json in [
        "[".repeat(1_000_000),
        r#"{"a":"#.repeat(200_000),
        format!("{}{}", r#"{"b":"#.repeat(200_000), "}".repeat(200_000)),
        format!(r#"{{"a": [{}"y"]}}"#, r#""x","#.repeat(200_000)),
        format!("{{{}\"b\": 2}}", r#""a": "x","#.repeat(100_000)),
        format!("[{}0]", r#"{"a": "x", "b": 2},"#.repeat(50_000)),
    ] {
        assert_eq!(count(&many, &json, &mut scratch), 0);
    }
    assert_eq!(count(&many, r#"{"a": "x", "b": 1}"#, &mut scratch), 1);

    let prefixes: Vec<String> = (1..1_000)
        .map(|at| {
            format!(
                r#"{{"data": {{"a": [{{"prefix": "{}b"}}]}}}}"#,
                "a".repeat(at)
            )
        })
        .collect();
    let many = index(BUDGET, &prefixes).unwrap();
    assert_eq!(
        count(
            &many,
            &format!(r#"{{"a": "{}b"}}"#, "a".repeat(500)),
            &mut scratch
        ),
        1
    );
}
