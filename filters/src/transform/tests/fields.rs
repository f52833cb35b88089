use serde_json::json;

use super::{DATA, event, event_with, made};

#[test]
fn kept_fields_stand_in_the_order_of_the_rule() {
    for (keep, expected) in [
        (
            json!(["$.data.temperature", "$.data.device"]),
            r#"{"temperature":30.10,"device":"pump-7"}"#,
        ),
        (json!(["$.data.state.on"]), r#"{"state":{"on":true}}"#),
        (
            json!(["$.data.state.on", "$.data.state.fault"]),
            r#"{"state":{"on":true,"fault":null}}"#,
        ),
        (
            json!(["$.data['a.b']", "$.data.nothing", "$.data.tags.x"]),
            r#"{"a.b":1e3}"#,
        ),
        (json!(["$.data.nothing"]), "{}"),
    ] {
        let file = json!({"project": {"keep": keep}});
        assert_eq!(made(&file, &event()).as_deref(), Ok(expected), "{file}");
    }
}

#[test]
fn dropped_fields_go_and_the_rest_keeps_its_text() {
    for (drop, expected) in [
        (
            json!(["$.data.count", "$.data.tags", "$.data.state.fault"]),
            r#"{"device":"pump-7","temperature":30.10,"state":{"on":true},"a.b":1e3}"#,
        ),
        (json!(["$.data.nothing.at.all"]), DATA),
    ] {
        let file = json!({"project": {"drop": drop}});
        assert_eq!(made(&file, &event()).as_deref(), Ok(expected), "{file}");
    }
}

#[test]
fn the_last_of_equal_keys_counts() {
    let event = event_with(r#"{"a":1,"b":2,"\u0061":3}"#);
    let keep = json!({"project": {"keep": ["$.data.a"]}});
    assert_eq!(made(&keep, &event).as_deref(), Ok(r#"{"a":3}"#));
    let drop = json!({"project": {"drop": ["$.data.a"]}});
    assert_eq!(made(&drop, &event).as_deref(), Ok(r#"{"b":2}"#));
}

#[test]
fn a_field_is_renamed_with_its_value() {
    for (from, to, expected) in [
        (
            "$.data.temperature",
            "$.data.t",
            r#"{"d":1,"s":{"x":[1]},"t":30.10}"#,
        ),
        (
            "$.data.temperature",
            "$.data.s.t",
            r#"{"d":1,"s":{"x":[1],"t":30.10}}"#,
        ),
        (
            "$.data.temperature",
            "$.data.n.m.t",
            r#"{"d":1,"s":{"x":[1]},"n":{"m":{"t":30.10}}}"#,
        ),
        (
            "$.data.s.x",
            "$.data.d",
            r#"{"temperature":30.10,"d":[1],"s":{}}"#,
        ),
        ("$.data.s", "$.data", r#"{"x":[1]}"#),
        (
            "$.data.s",
            "$.data.s.s",
            r#"{"temperature":30.10,"d":1,"s":{"s":{"x":[1]}}}"#,
        ),
    ] {
        let event = event_with(r#"{"temperature":30.10,"d":1,"s":{"x":[1]}}"#);
        let file = json!({"rename": {"from": from, "to": to}});
        assert_eq!(made(&file, &event).as_deref(), Ok(expected), "{file}");
    }
}

#[test]
fn a_rename_without_field_or_place_is_an_error() {
    for (from, to, missing, expected) in [
        (
            "$.data.nothing",
            "$.data.t",
            "error",
            Err("$.data.nothing has no value"),
        ),
        ("$.data.nothing", "$.data.t", "pass", Ok(DATA)),
        (
            "$.data.device",
            "$.data.temperature.x",
            "error",
            Err("there is no place for the field: what is on the way is no object"),
        ),
        (
            "$.data.device",
            "$.data.tags.x",
            "error",
            Err("there is no place for the field: what is on the way is no object"),
        ),
    ] {
        let file = json!({"rename": {"from": from, "to": to, "missing": missing}});
        let made = made(&file, &event()).map_err(|error| error.to_string());
        assert_eq!(made.as_deref().map_err(String::as_str), expected, "{file}");
    }
}
