//! What is fixed where the sources of the language differ.

use super::{matches, matches_data, pattern};
use crate::{
    AttributeValue, DataView, EventView,
    index::{Budget, IndexBuilder, Rule, Scratch, When},
};

#[test]
fn numbers_compare_by_exact_decimal_value_and_never_with_text() {
    for (pattern, data, expected) in [
        ("[30]", "30.0", true),
        ("[30]", "3e1", true),
        ("[30]", "\"30\"", false),
        ("[\"30\"]", "30", false),
        ("[9007199254740993]", "9007199254740992", false),
        ("[9007199254740993]", "9007199254740993.000", true),
        (
            r#"[{"numeric": [">", 9007199254740992]}]"#,
            "9007199254740993",
            true,
        ),
        (r#"[{"numeric": ["<", 1e999999999]}]"#, "9e999999998", true),
        (
            r#"[{"numeric": [">", 1e999999999]}]"#,
            "1.00000000000000000000000001e999999999",
            true,
        ),
        (r#"[{"numeric": ["!=", 5]}]"#, "5.0", false),
        (r#"[{"numeric": ["!=", 5]}]"#, "\"6\"", false),
        (r#"[{"numeric": [">=", 0, "<", 10, "!=", 5]}]"#, "4", true),
        (r#"[{"numeric": ["!=", 5, "!=", 3, ">", 0]}]"#, "3.0", false),
        (r#"[{"numeric": ["!=", 5, "!=", 3, ">", 0]}]"#, "5", false),
        (r#"[{"numeric": ["!=", 5, "!=", 3, ">", 0]}]"#, "4", true),
        (r#"[{"numeric": ["!=", 5, "!=", 3, ">", 0]}]"#, "0", false),
        (r#"[{"numeric": ["!=", 5, "!=", 3, ">", 0]}]"#, "6", true),
        (
            r#"[{"numeric": [">", 1, ">=", 1, "<=", 9, "<", 8]}]"#,
            "1",
            false,
        ),
        (
            r#"[{"numeric": [">", 1, ">=", 1, "<=", 9, "<", 8]}]"#,
            "8",
            false,
        ),
        (
            r#"[{"numeric": [">", 1, ">=", 1, "<=", 9, "<", 8]}]"#,
            "7",
            true,
        ),
        ("[0]", "-0.0", true),
        ("[true]", "\"true\"", false),
    ] {
        assert_eq!(
            matches_data(
                &format!("{{\"a\": {pattern}}}"),
                &format!("{{\"a\": {data}}}")
            ),
            expected,
            "{pattern} {data}"
        );
    }
}

#[test]
fn texts_of_any_length_are_read_to_their_end() {
    for letter in ["a", "é", "~", "\u{7f}"] {
        for len in 0..20 {
            let plain = letter.repeat(len);
            for (wanted, text) in [
                (plain.clone(), plain.clone()),
                (format!("{plain}\\n{letter}"), format!("{plain}\n{letter}")),
                (format!("{plain}\\\"{letter}"), format!("{plain}\"{letter}")),
            ] {
                let mut event = EventView::default();
                event.attributes.push("type", &*text);
                assert!(matches(&format!(r#"{{"type": ["{wanted}"]}}"#), &event));
            }
        }
    }
}

#[test]
fn keys_are_keys_and_the_last_of_them_counts() {
    for (pattern, data, expected) in [
        (r#"{"a": [1]}"#, r#"{"a": 1, "a": 2}"#, false),
        (r#"{"a": [2]}"#, r#"{"a": 1, "a": 2}"#, true),
        (r#"{"a": {"b": [1]}}"#, r#"{"a": {"b": 1}, "a": 5}"#, false),
        (
            r#"{"a": {"b": [1]}}"#,
            r#"{"a": [{"b": 1}], "a": {"c": 1}}"#,
            false,
        ),
        (
            r#"{"a": {"b": [1], "c": [2]}}"#,
            r#"{"a": [{"b": 1}], "a": {"b": 1, "c": 2}}"#,
            true,
        ),
        (
            r#"{"a": {"b": [{"exists": false}]}}"#,
            r#"{"a": [{"b": 1}], "a": {}}"#,
            true,
        ),
        (r#"{"a": [1]}"#, r#"{"\u0061": 1}"#, true),
        (r#"{"a\u00e9": [1]}"#, r#"{"aé": 1}"#, true),
        (r#"{"a.b": [1]}"#, r#"{"a": {"b": 1}}"#, false),
        (r#"{"a": {"b": [1]}}"#, r#"{"a.b": 1}"#, false),
        (r#"{"a.b": [1]}"#, r#"{"a.b": 1}"#, true),
        (r#"{"": [1]}"#, r#"{"": 1}"#, true),
        (r#"{"a\"": [1]}"#, r#"{"x\\": 2, "a\"": 1}"#, true),
    ] {
        assert_eq!(matches_data(pattern, data), expected, "{pattern} {data}");
    }
}

#[test]
fn exists_looks_at_leaves() {
    for (data, exists) in [
        ("{}", false),
        (r#"{"a": {}}"#, false),
        (r#"{"a": {"b": 1}}"#, false),
        (r#"{"a": []}"#, false),
        (r#"{"a": [[], {}]}"#, false),
        (r#"{"a": [{"b": 1}]}"#, false),
        (r#"{"a": null}"#, true),
        (r#"{"a": ""}"#, true),
        (r#"{"a": [[null]]}"#, true),
        ("5", false),
        ("[]", false),
    ] {
        assert_eq!(
            matches_data(r#"{"a": [{"exists": true}]}"#, data),
            exists,
            "{data}"
        );
        assert_eq!(
            matches_data(r#"{"a": [{"exists": false}]}"#, data),
            !exists,
            "{data}"
        );
    }
}

#[test]
fn anything_but_needs_the_field_and_one_differing_element() {
    for (pattern, data, expected) in [
        (r#"{"anything-but": 5}"#, "{}", false),
        (r#"{"anything-but": 5}"#, r#"{"a": null}"#, true),
        (r#"{"anything-but": [null]}"#, r#"{"a": null}"#, false),
        (r#"{"anything-but": 5}"#, r#"{"a": 5.0}"#, false),
        (r#"{"anything-but": 5}"#, r#"{"a": "5"}"#, true),
        (r#"{"anything-but": 5}"#, r#"{"a": [5, 6]}"#, true),
        (r#"{"anything-but": 5}"#, r#"{"a": [5, 5]}"#, false),
        (r#"{"anything-but": 5}"#, r#"{"a": []}"#, false),
        (r#"{"anything-but": ["x", 5]}"#, r#"{"a": "x"}"#, false),
        (
            r#"{"anything-but": {"prefix": "x"}}"#,
            r#"{"a": "xy"}"#,
            false,
        ),
        (
            r#"{"anything-but": {"prefix": ["y", "x"]}}"#,
            r#"{"a": "xy"}"#,
            false,
        ),
        (r#"{"anything-but": {"prefix": "x"}}"#, r#"{"a": 7}"#, true),
        (
            r#"{"anything-but": {"suffix": "y"}}"#,
            r#"{"a": "xy"}"#,
            false,
        ),
        (
            r#"{"anything-but": {"wildcard": "*/lib/*"}}"#,
            r#"{"a": "a/lib/b"}"#,
            false,
        ),
        (
            r#"{"anything-but": {"equals-ignore-case": ["ABC"]}}"#,
            r#"{"a": "abc"}"#,
            false,
        ),
    ] {
        assert_eq!(
            matches_data(&format!("{{\"a\": [{pattern}]}}"), data),
            expected,
            "{pattern} {data}"
        );
    }
}

#[test]
fn fields_of_one_array_element_match_together() {
    let data = r#"{"items": [{"kind": "pump", "state": "ok"}, [{"kind": "fan", "state": "hot", "parts": [{"id": 1}, {"id": 2, "bad": true}]}], 5]}"#;
    for (pattern, expected) in [
        (r#"{"items": {"kind": ["pump"], "state": ["ok"]}}"#, true),
        (r#"{"items": {"kind": ["pump"], "state": ["hot"]}}"#, false),
        (
            r#"{"items": {"kind": ["fan"], "parts": {"id": [2], "bad": [true]}}}"#,
            true,
        ),
        (
            r#"{"items": {"kind": ["fan"], "parts": {"id": [1], "bad": [true]}}}"#,
            false,
        ),
        (
            r#"{"items": {"kind": ["pump"], "parts": {"id": [2]}}}"#,
            false,
        ),
        (
            r#"{"items": {"kind": ["pump"], "parts": {"id": [{"exists": false}]}}}"#,
            true,
        ),
        (
            r#"{"items": {"kind": ["fan"], "parts": {"id": [1], "bad": [{"exists": false}]}}}"#,
            true,
        ),
        (r#"{"items": [5]}"#, true),
        (
            r#"{"items": {"kind": ["pump"]}, "$or": [{"items": {"state": ["hot"]}}, {"x": [1]}]}"#,
            false,
        ),
        (
            r#"{"items": {"kind": ["fan"]}, "$or": [{"items": {"state": ["hot"]}}, {"x": [1]}]}"#,
            true,
        ),
    ] {
        assert_eq!(matches_data(pattern, data), expected, "{pattern}");
    }
}

#[test]
fn or_is_and_with_its_siblings() {
    let pattern = r#"{"a": [1], "$or": [{"b": [2]}, {"c": [3], "d": [4]}]}"#;
    for (data, expected) in [
        (r#"{"a": 1, "b": 2}"#, true),
        (r#"{"b": 2}"#, false),
        (r#"{"a": 1, "c": 3}"#, false),
        (r#"{"a": 1, "c": 3, "d": 4}"#, true),
        (r#"{"a": 1}"#, false),
    ] {
        assert_eq!(matches_data(pattern, data), expected, "{data}");
    }
}

#[test]
fn texts_compare_as_they_are_written_unless_case_is_ignored() {
    for (pattern, data, expected) in [
        (r#"["é"]"#, r#""\u00e9""#, true),
        (r#"["\ud83d\ude00"]"#, r#""😀""#, true),
        (r#"["a/b"]"#, r#""a\/b""#, true),
        (r#"["\ufffd"]"#, r#""\ufffd""#, true),
        (
            r#"[{"equals-ignore-case": "STRASSE"}]"#,
            r#""straße""#,
            false,
        ),
        (r#"[{"equals-ignore-case": "ÉCOLE"}]"#, r#""école""#, true),
        (
            r#"[{"prefix": {"equals-ignore-case": "ÉC"}}]"#,
            r#""école""#,
            true,
        ),
        (
            r#"[{"suffix": {"equals-ignore-case": "OLE"}}]"#,
            r#""école""#,
            true,
        ),
        (r#"[{"prefix": ""}]"#, r#""""#, true),
        (r#"[{"prefix": ""}]"#, "5", false),
        (r#"[{"wildcard": "*"}]"#, r#""""#, true),
        (r#"[{"wildcard": "a\\*b*"}]"#, r#""a*bc""#, true),
        (r#"[{"wildcard": "a\\*b*"}]"#, r#""axbc""#, false),
        (r#"[{"wildcard": "a\\\\b"}]"#, r#""a\\b""#, true),
        (r#"[{"wildcard": "aba*aba"}]"#, r#""abaaba""#, true),
        (r#"[{"wildcard": "aba*aba"}]"#, r#""ababa""#, false),
        (r#"[{"cidr": "10.0.0.7/24"}]"#, r#""10.0.0.255""#, true),
        (r#"[{"cidr": "10.0.0.0/24"}]"#, r#""10.0.1.0""#, false),
        (r#"[{"cidr": "10.0.0.0/24"}]"#, r#""010.0.0.1""#, false),
        (
            r#"[{"cidr": "2001:db8::/32"}]"#,
            r#""2001:DB8:0:1::""#,
            true,
        ),
        (r#"[{"cidr": "::/0"}]"#, r#""10.0.0.1""#, false),
        (r#"[null]"#, "null", true),
        (r#"[""]"#, "null", false),
    ] {
        assert_eq!(
            matches_data(
                &format!("{{\"a\": {pattern}}}"),
                &format!("{{\"a\": {data}}}")
            ),
            expected,
            "{pattern} {data}"
        );
    }
}

#[test]
fn no_data_condition_holds_of_data_that_nobody_can_read() {
    let condition =
        |condition: &str| format!(r#"{{"type": ["a"], "data": {{"x": [{condition}]}}}}"#);
    let mut event = EventView::default();
    event.attributes.push("type", "a");
    for (data, missing) in [
        (DataView::Absent, true),
        (DataView::Text("x"), true),
        (DataView::Json(b"{\"y\": 1}"), true),
        (DataView::Opaque, false),
        (DataView::Json(b"{\"x\": "), false),
        (DataView::Json(b"{\"x\": 1} 2"), false),
        (DataView::Json(b""), false),
    ] {
        event.data = data;
        assert_eq!(
            matches(&condition(r#"{"exists": false}"#), &event),
            missing,
            "{data:?}"
        );
        assert!(
            !matches(&condition(r#"{"anything-but": 5}"#), &event),
            "{data:?}"
        );
        assert!(matches(r#"{"type": ["a"]}"#, &event), "{data:?}");
        let either = r#"{"$or": [{"type": ["a"]}, {"data": {"x": [{"exists": false}]}}]}"#;
        assert!(matches(either, &event), "{data:?}");
    }
    event.data = DataView::Text("hello");
    assert!(matches(r#"{"data": [{"prefix": "he"}]}"#, &event));
}

#[test]
fn data_that_nobody_has_checked_matches_as_what_they_turn_out_to_be() {
    let payloads = [
        r#"{"x": 1}"#,
        r#" {"x": 1} "#,
        r#"{"y": 1}"#,
        r#"{"x": 1"#,
        r#"{"x": 1} 2"#,
        r#"{"x": tru}"#,
        "[INFO] x",
        "[\u{1}",
    ];
    let patterns = [
        r#"{"data": {"x": [1]}}"#,
        r#"{"data": {"x": [{"exists": false}]}}"#,
        r#"{"data": [{"prefix": "["}]}"#,
        r#"{"data": [{"prefix": "{"}]}"#,
    ];
    let mut matched = 0;
    for (payload, pattern) in payloads
        .iter()
        .flat_map(|payload| patterns.iter().map(move |it| (payload, it)))
    {
        for is_declared in [false, true] {
            let bytes = payload.as_bytes();
            let mut event = EventView {
                data: DataView::Unchecked { bytes, is_declared },
                ..EventView::default()
            };
            let found = matches(pattern, &event);
            event.data = event.data.checked();
            assert_eq!(found, matches(pattern, &event), "{payload} {pattern}");
            matched += usize::from(found);
        }
    }
    assert_eq!(matched, 14);
    // What no rule reads is not looked at.
    let bytes = br#"{"y": tru, "x": 1}"#;
    for is_declared in [false, true] {
        let event = EventView {
            data: DataView::Unchecked { bytes, is_declared },
            ..EventView::default()
        };
        let mut builder = IndexBuilder::new(Budget::default());
        let pattern = pattern(r#"{"data": {"x": [1]}}"#);
        let when = When::Pattern(&pattern);
        builder.add(&Rule { topic: None, when }).unwrap();
        let index = builder.build();
        assert_eq!(index.matches(&event, &mut Scratch::default()).len(), 1);
    }
}

#[test]
fn attributes_have_the_type_that_their_format_gave_them() {
    let mut event = EventView::default();
    event
        .attributes
        .push("sequence", AttributeValue::Integer(30));
    event
        .attributes
        .push("retained", AttributeValue::Boolean(true));
    event.attributes.push("level", "30");
    for (pattern, expected) in [
        (r#"{"sequence": [30.0]}"#, true),
        (r#"{"sequence": ["30"]}"#, false),
        (r#"{"sequence": [{"numeric": [">", 29]}]}"#, true),
        (r#"{"retained": [true]}"#, true),
        (r#"{"retained": ["true"]}"#, false),
        (r#"{"level": ["30"]}"#, true),
        (r#"{"level": [30]}"#, false),
        (r#"{"level": [{"numeric": ["=", 30]}]}"#, false),
        (r#"{"other": [{"exists": false}]}"#, true),
    ] {
        assert_eq!(matches(pattern, &event), expected, "{pattern}");
    }
}
