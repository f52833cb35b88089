//! A bad pattern: where, what, and the word that was meant.

use super::{super::MAX_PATTERN_BYTES, Pattern};

fn error(text: &str) -> String {
    match Pattern::parse(text) {
        Ok(_) => format!("no error: {text}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn an_error_says_where_it_is_and_what_was_meant() {
    for (text, expected) in [
        (
            r#"{"type": [{"prefx": "a"}]}"#,
            "line 1, column 12: `prefx` is no condition; did you mean `prefix`?",
        ),
        (
            "{\n \"data\": {\n  \"é\": [{\"sufix\": \"a\"}]}}",
            "line 3, column 10: `sufix` is no condition; did you mean `suffix`?",
        ),
        (
            r#"{"type": [{"starts-with": "a"}]}"#,
            "line 1, column 12: `starts-with` is no condition; did you mean `prefix`?",
        ),
        (
            r#"{"type": [{"anything_but": "a"}]}"#,
            "line 1, column 12: `anything_but` is no condition; did you mean `anything-but`?",
        ),
        (
            r#"{"type": [{"zzz": "a"}]}"#,
            "line 1, column 12: `zzz` is no condition",
        ),
        (
            r#"{"type": "a"}"#,
            "line 1, column 10: `type` takes a list of conditions, as in `[\"a\", \"b\"]`",
        ),
        (
            r#"{"type": {"a": ["b"]}}"#,
            "line 1, column 10: `type` is an attribute and has no fields: give a list of conditions; only `data` has fields",
        ),
        (
            r#"{"Type": ["a"]}"#,
            "line 1, column 2: `Type` is no name of an attribute (lower-case letters and digits); fields of the payload stand inside `data`; did you mean `type`?",
        ),
        (
            r#"{"data": {"a": [{"numeric": [">>", 5]}]}}"#,
            "line 1, column 30: `>>` is no numeric operator: they are `=`, `!=`, `<`, `<=`, `>`, `>=`",
        ),
        (
            r#"{"data": {"a": [{"numeric": ["=>", 5]}]}}"#,
            "line 1, column 30: `=>` is no numeric operator: they are `=`, `!=`, `<`, `<=`, `>`, `>=`; did you mean `>=`?",
        ),
        (
            r#"{"data": {"a": [{"numeric": [">", 5, "<", 5]}]}}"#,
            "line 1, column 29: no number satisfies these bounds",
        ),
        (
            r#"{"data": {"a": [{"exists": "true"}]}}"#,
            "line 1, column 28: `exists` takes `true` or `false`",
        ),
        (
            r#"{"data": {"a": [{"wildcard": "a**b"}]}}"#,
            "line 1, column 30: `**` says no more than `*`: write one, or `\\*` for the character",
        ),
        (
            r#"{"data": {"a": ["b"]}} x"#,
            "line 1, column 24: something stands behind the end of the pattern",
        ),
        (
            r#"{"data": {"a": ["b"], "a": ["c"]}}"#,
            "line 1, column 23: the key `a` stands here twice",
        ),
        (
            r#"{"$or": [{"type": ["a"]}]}"#,
            "line 1, column 9: `$or` takes a list of two or more objects",
        ),
        (
            r#"{"type": ["a"}"#,
            "line 1, column 14: no valid JSON: expected `,` or `]`",
        ),
        ("", "line 1, column 1: no valid JSON: expected an object"),
    ] {
        assert_eq!(error(text), expected);
    }
}

#[test]
fn what_asks_nothing_or_cannot_hold_is_an_error() {
    for text in [
        "{}",
        r#"{"type": []}"#,
        r#"{"data": {}}"#,
        r#"{"data": {"a": {}}}"#,
        r#"{"type": [[]]}"#,
        r#"{"type": [{}]}"#,
        r#"{"type": [{"prefix": "a", "suffix": "b"}]}"#,
        r#"{"type": [{"prefix": 5}]}"#,
        r#"{"type": [{"prefix": {"suffix": "a"}}]}"#,
        r#"{"type": [{"anything-but": []}]}"#,
        r#"{"type": [{"anything-but": {"numeric": ["=", 5]}}]}"#,
        r#"{"type": [{"anything-but": [["a"]]}]}"#,
        r#"{"type": [{"numeric": []}]}"#,
        r#"{"type": [{"numeric": ["="]}]}"#,
        r#"{"type": [{"numeric": ["=", "5"]}]}"#,
        r#"{"type": [{"numeric": ["=", 5, "!=", 5]}]}"#,
        r#"{"type": [{"numeric": ["=", 1e99999999999999999999]}]}"#,
        r#"{"type": [{"cidr": "10.0.0.0/33"}]}"#,
        r#"{"type": [{"cidr": "10.0.0.0"}]}"#,
        r#"{"type": [{"cidr": "10.0.0/8"}]}"#,
        r#"{"type": [{"wildcard": "a\\b"}]}"#,
        r#"{"type": [{"wildcard": "a\\"}]}"#,
        r#"{"type": [{"wildcard": "**"}]}"#,
        r#"{"type": [01]}"#,
        r#"{"type": ["\ud800"]}"#,
        r#"{"$or": []}"#,
        r#"{"$or": {"type": ["a"]}}"#,
        r#"{"$or": [{"type": ["a"]}, ["b"]]}"#,
        r#"{"$or": [{"type": ["a"]}, {}]}"#,
        "[]",
        "null",
        r#"{"type": ["a"],}"#,
        r#"{"type": ["a",]}"#,
        r#"{type: ["a"]}"#,
        "{\"type\": [\"a\nb\"]}",
    ] {
        assert!(Pattern::parse(text).is_err(), "{text}");
    }
}

#[test]
fn patterns_are_bounded_in_size_depth_and_branches() {
    let nested = |depth: usize| {
        format!(
            "{{\"data\": {}[1]{}}}",
            "{\"a\": ".repeat(depth),
            "}".repeat(depth)
        )
    };
    assert!(Pattern::parse(&nested(63)).is_ok());
    assert!(error(&nested(64)).ends_with("objects stand inside each other more than 64 deep"));
    assert!(Pattern::parse(&nested(100_000)).is_err());

    let either = |count: usize| vec![r#"{"b": [1]}"#; count].join(",");
    let product = |one: usize, other: usize| {
        format!(
            r#"{{"data": {{"a": {{"$or": [{}]}}, "$or": [{}]}}}}"#,
            either(one),
            either(other)
        )
    };
    assert!(Pattern::parse(&product(10, 100)).is_ok());
    assert!(
        error(&product(11, 91)).ends_with("the branches of `$or` make more than 1000 combinations")
    );

    let long = format!(r#"{{"type": ["{}"]}}"#, "a".repeat(MAX_PATTERN_BYTES));
    assert!(error(&long).ends_with("it is longer than 1048576 bytes"));
}

#[test]
fn a_key_that_stands_twice_among_many_is_told() {
    let keys: Vec<String> = (0..40).map(|it| format!("\"k{it}\": [1]")).collect();
    for twice in [0, 15, 16, 39] {
        let fields = format!("{}, \"k{twice}\": [2]", keys.join(", "));
        let text = format!("{{\"data\": {{{fields}}}}}");
        let error = Pattern::parse(&text).unwrap_err().to_string();
        let said = format!("the key `k{twice}` stands here twice");
        assert!(error.ends_with(&said), "{error}");
        let column = 1 + text.rfind("\"k").unwrap();
        assert!(error.contains(&format!("column {column}:")), "{error}");
    }
    let once = format!("{{\"data\": {{{}}}}}", keys.join(", "));
    assert!(Pattern::parse(&once).is_ok());
}

#[test]
fn a_key_without_letters_is_no_or() {
    let both = r#"{"data": {"$or": [{"a": [1]}, {"b": [1]}], "": [1]}}"#;
    assert!(Pattern::parse(both).is_ok());
    let twice = r#"{"data": {"": [1], "": [2]}}"#;
    assert!(error(twice).ends_with("the key `` stands here twice"));
    let two_ors =
        r#"{"$or": [{"id": ["a"]}, {"id": ["b"]}], "$or": [{"id": ["a"]}, {"id": ["b"]}]}"#;
    assert!(error(two_ors).ends_with("the key `$or` stands here twice"));
}

#[test]
fn a_control_character_is_told_wherever_it_stands_in_a_text() {
    for letter in ["a", "é", "~", "\u{ff}"] {
        for before in 0..20 {
            for control in ["\u{0}", "\u{1}", "\t", "\u{1f}"] {
                let text = letter.repeat(before) + control + letter;
                let expected = format!(
                    "line 1, column {}: no valid JSON: expected no control character in a text",
                    12 + before
                );
                assert_eq!(error(&format!(r#"{{"type": ["{text}"]}}"#)), expected);
            }
        }
    }
}
