use std::sync::Arc;

use serde_json::{Value, json};

use super::{MAX_FILTER_DEPTH, SubscriptionFilter};
use crate::{
    Attributes, DataView, Event, EventView,
    index::{Access, Budget, Check, IndexBuilder, Rule, Scratch, When},
};

fn filter(value: &Value) -> SubscriptionFilter {
    SubscriptionFilter::from_json(value).unwrap_or_else(|error| panic!("{value}: {error}"))
}

#[test]
fn each_dialect_passes_what_the_specification_says() {
    let event = Event::builder(
        "1",
        "https://hub.example/cloudevents/spec",
        "com.example.push",
    )
    .subject("Größe")
    .extension("sequence", 10)
    .extension("flag", true)
    .build()
    .expect("a valid event");
    for (value, passes) in [
        (json!({"exact": {"type": "com.example.push"}}), true),
        (json!({"exact": {"type": "com.example.Push"}}), false),
        (
            json!({"exact": {"type": "com.example.push", "subject": "Größe"}}),
            true,
        ),
        (
            json!({"exact": {"type": "com.example.push", "subject": "x"}}),
            false,
        ),
        (
            json!({"exact": {"sequence": "10", "flag": "true", "specversion": "1.0"}}),
            true,
        ),
        (json!({"exact": {"sequence": "010"}}), false),
        (json!({"exact": {"missing": "x"}}), false),
        (json!({"prefix": {"type": "com.", "subject": "Grö"}}), true),
        (json!({"prefix": {"type": "example"}}), false),
        (json!({"prefix": {"missing": "x"}}), false),
        (
            json!({"suffix": {"source": "/spec", "sequence": "0"}}),
            true,
        ),
        (json!({"suffix": {"source": "/spe"}}), false),
        (
            json!({"all": [{"prefix": {"type": "com"}}, {"suffix": {"type": "push"}}]}),
            true,
        ),
        (
            json!({"all": [{"prefix": {"type": "com"}}, {"suffix": {"type": "pull"}}]}),
            false,
        ),
        (
            json!({"any": [{"prefix": {"type": "org"}}, {"suffix": {"type": "push"}}]}),
            true,
        ),
        (
            json!({"any": [{"prefix": {"type": "org"}}, {"suffix": {"type": "pull"}}]}),
            false,
        ),
        (
            json!({"not": {"exact": {"type": "com.example.push"}}}),
            false,
        ),
        (json!({"not": {"exact": {"missing": "x"}}}), true),
        (json!({"not": {"not": {"exact": {"id": "1"}}}}), true),
        (json!({"sql": "source LIKE '%cloudevents%'"}), true),
        (json!({"sql": "sequence + 1"}), false),
        (json!({"sql": "missing = 'x' OR TRUE"}), false),
        (json!({"not": {"sql": "missing = 'x' OR TRUE"}}), true),
        (json!({"not": {"sql": "id = '1'"}}), false),
    ] {
        assert_eq!(filter(&value).passes(&event), passes, "{value}");
    }
}

#[test]
fn a_bad_filter_is_refused_with_its_place_and_the_nearest_word() {
    for (value, expected) in [
        (
            json!(1),
            r#"a filter is an object with one dialect, as {"exact": {"type": "…"}}"#,
        ),
        (
            json!({}),
            "a filter has one dialect, this has 0; put several into `all` or `any`",
        ),
        (
            json!({"all": [{"exact": {"a": "b"}, "prefix": {"a": "b"}}]}),
            "all[0]: a filter has one dialect, this has 2; put several into `all` or `any`",
        ),
        (
            json!({"exat": {"a": "b"}}),
            "there is no dialect `exat`; did you mean `exact`?",
        ),
        (
            json!({"regex": {"a": "b"}}),
            "there is no dialect `regex`; there are exact, prefix, suffix, all, any, not, sql",
        ),
        (
            json!({"exact": {}}),
            "exact: expected an object of at least one attribute and its text",
        ),
        (
            json!({"prefix": "a"}),
            "prefix: expected an object of at least one attribute and its text",
        ),
        (
            json!({"exact": {"a": ""}}),
            "exact.a: expected a text in quotes that is not empty",
        ),
        (
            json!({"exact": {"a": 30}}),
            "exact.a: expected a text in quotes that is not empty",
        ),
        (
            json!({"any": [{"not": {"suffix": {"Type": "a"}}}]}),
            "any[0].not.suffix.Type: no attribute has this name; use 1 to 64 of a-z and 0-9",
        ),
        (
            json!({"exact": {"": "a"}}),
            "exact.: no attribute has this name; use 1 to 64 of a-z and 0-9",
        ),
        (
            json!({"all": []}),
            "all: expected a list of at least one filter",
        ),
        (
            json!({"any": {}}),
            "any: expected a list of at least one filter",
        ),
        (
            json!({"any": [{"exact": {"a": "b"}}, []]}),
            r#"any[1]: a filter is an object with one dialect, as {"exact": {"type": "…"}}"#,
        ),
        (
            json!({"sql": 1}),
            "sql: expected a text in quotes that is not empty",
        ),
        (
            json!({"not": {"sql": "a LIEK 'b'"}}),
            "not.sql: line 1, column 3: expected an operator (AND, OR, XOR, =, !=, <, LIKE, IN, +, …) or the end, found `LIEK`; did you mean `LIKE`?",
        ),
        (
            json!({"sql": "LENGHT(a) = 1"}),
            "sql: byte 0: there is no function LENGHT of 1 arguments; did you mean `LENGTH`?",
        ),
    ] {
        let error = SubscriptionFilter::from_json(&value).expect_err("a bad filter");
        assert_eq!(error.to_string(), expected, "{value}");
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| {
        let inner = json!({"exact": {"id": "1"}});
        (1..depth).fold(inner, |inner, _| json!({"not": inner}))
    };
    filter(&nested(MAX_FILTER_DEPTH));
    let error = SubscriptionFilter::from_json(&nested(MAX_FILTER_DEPTH + 1)).expect_err("too deep");
    assert!(
        error
            .to_string()
            .ends_with("filters are nested at most 32 deep"),
        "{error}"
    );
}

#[test]
fn a_filter_is_read_from_json_text_through_serde() {
    let read = serde_json::from_str::<SubscriptionFilter>(r#"{"exact": {"id": "1"}}"#);
    assert_eq!(
        read.expect("a filter"),
        filter(&json!({"exact": {"id": "1"}}))
    );
    let error = serde_json::from_str::<SubscriptionFilter>(r#"{"exact": {"id": 1}}"#);
    let error = error.expect_err("no text").to_string();
    assert!(error.starts_with("exact.id: expected a text"), "{error}");
}

#[test]
fn what_a_filter_needs_is_told_to_the_index() {
    for (value, expected) in [
        (
            json!({"exact": {"type": "a", "subject": "b"}}),
            "subject \"b\"; type \"a\"",
        ),
        (json!({"prefix": {"type": "a"}}), "type prefix \"a\""),
        (json!({"suffix": {"type": "a"}}), "type suffix \"a\""),
        (
            json!({"any": [{"exact": {"type": "a"}}, {"prefix": {"source": "/b"}}]}),
            "type \"a\" | source prefix \"/b\"",
        ),
        (
            json!({"any": [{"exact": {"type": "a"}}, {"not": {"exact": {"type": "b"}}}]}),
            "",
        ),
        (json!({"not": {"exact": {"type": "a"}}}), ""),
        (
            json!({"not": {"not": {"exact": {"type": "a"}}}}),
            "type \"a\"",
        ),
        (
            json!({"not": {"any": [{"not": {"exact": {"type": "a"}}}, {"sql": "TRUE"}]}}),
            "type \"a\"",
        ),
        (
            json!({"all": [{"sql": "type = 'a'"}, {"prefix": {"id": "b"}}]}),
            "type \"a\"; id prefix \"b\"",
        ),
        (json!({"not": {"sql": "type = 'a'"}}), ""),
    ] {
        let set = |set: &Vec<Access>| {
            let each = set.iter().map(|it| format!("{} {}", it.path, it.condition));
            each.collect::<Vec<_>>().join(" | ")
        };
        let sets: Vec<String> = filter(&value).access().iter().map(set).collect();
        assert_eq!(sets.join("; "), expected, "{value}");
    }
}

#[test]
fn random_filters_are_found_where_they_pass() {
    let mut random = fastrand::Rng::with_seed(21);
    let mut scratch = Scratch::default();
    let mut matched = 0;
    for _ in 0..600 {
        let values: Vec<Value> = (0..8).map(|_| random_filter(&mut random, 3)).collect();
        let filters: Vec<_> = values.iter().map(filter).collect();
        let mut index = IndexBuilder::new(Budget::default());
        for filter in &filters {
            let when = When::Check(Arc::new(filter.clone()));
            index.add(&Rule { topic: None, when }).expect("few rules");
        }
        let index = index.build();
        for _ in 0..8 {
            let mut attributes = Attributes::new();
            for name in ["a", "b", "c"] {
                if random.bool() {
                    attributes.push(name, TEXTS[random.usize(..TEXTS.len())]);
                }
            }
            let event = EventView {
                topic: None,
                attributes,
                data: DataView::Absent,
            };
            let passing = (0..)
                .zip(&filters)
                .filter(|(_, filter)| filter.passes(&event));
            let passing: Vec<u32> = passing.map(|(id, _)| id).collect();
            let found: Vec<u32> = index
                .matches(&event, &mut scratch)
                .iter()
                .map(|id| id.0)
                .collect();
            assert_eq!(found, passing, "{values:#?}\n{event:?}");
            matched += found.len();
        }
    }
    assert!(matched > 3_000, "{matched} matched");
}

const TEXTS: [&str; 4] = ["x", "xy", "yx", "xyx"];

fn random_filter(random: &mut fastrand::Rng, depth: usize) -> Value {
    let name = ["a", "b", "c"][random.usize(..3)];
    let text = TEXTS[random.usize(..TEXTS.len())];
    let mut inner = || random_filter(&mut random.fork(), depth.saturating_sub(1));
    let (one, two) = if depth > 0 {
        (inner(), inner())
    } else {
        (json!(0), json!(0))
    };
    match random.u8(..if depth > 0 { 8 } else { 4 }) {
        0 => json!({"exact": {name: text}}),
        1 => json!({"prefix": {name: text}}),
        2 => json!({"suffix": {name: text}}),
        3 => json!({"sql": format!("{name} = '{text}' OR EXISTS b")}),
        4 => json!({"not": one}),
        5 => json!({"any": [one, two]}),
        _ => json!({"all": [one, two]}),
    }
}
