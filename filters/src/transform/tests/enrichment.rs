use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    super::{EnrichmentTable, Tables, Transform, TransformFile},
    event_with, step_with,
};

fn tables() -> Tables {
    let table = EnrichmentTable::parse(
        r#"{"pump-7": {"site": "Bonn", "height": 60.50}, "7": {"site": "K\u00f6ln"}, "bare": 1.0, "empty": {}}"#,
    );
    Tables::from([("devices".to_owned(), Arc::new(table.expect("a table")))])
}

fn made(file: &Value, data: &str) -> Result<String, String> {
    let made = step_with(&json!({ "enrich": file }), &tables()).apply(&event_with(data));
    let made = made.map_err(|error| error.to_string())?;
    assert_eq!(made.check(), Ok(()));
    Ok(String::from_utf8(made.data_bytes().to_vec()).expect("text"))
}

#[test]
fn a_row_is_put_where_the_rule_says() {
    for (settings, data, expected) in [
        (
            json!({}),
            r#"{"id":"pump-7"}"#,
            r#"{"id":"pump-7","height":60.50,"site":"Bonn"}"#,
        ),
        (
            json!({}),
            r#"{"id":7,"site":"?"}"#,
            r#"{"id":7,"site":"K\u00f6ln"}"#,
        ),
        (
            json!({"into": "$.data.about"}),
            r#"{"id":"7"}"#,
            r#"{"id":"7","about":{"site":"K\u00f6ln"}}"#,
        ),
        (
            json!({"into": "$.data.about"}),
            r#"{"id":"7","about":{"a":1}}"#,
            r#"{"id":"7","about":{"a":1,"site":"K\u00f6ln"}}"#,
        ),
        (
            json!({"into": "$.data.about"}),
            r#"{"id":"bare"}"#,
            r#"{"id":"bare","about":1.0}"#,
        ),
        (json!({}), r#"{"id":"empty"}"#, r#"{"id":"empty"}"#),
        (
            json!({"key": "$.type"}),
            r#"{"id":"pump-7"}"#,
            "the table has no row `reading`",
        ),
    ] {
        let mut file = json!({"table": "devices", "key": "$.data.id"});
        file.as_object_mut()
            .expect("an object")
            .extend(settings.as_object().expect("an object").clone());
        let made = made(&file, data).unwrap_or_else(|error| error);
        assert_eq!(made, expected, "{file} {data}");
    }
}

#[test]
fn what_is_not_found_is_handled_as_the_rule_says() {
    for (settings, data, expected) in [
        (json!({}), r#"{"id":"x"}"#, Err("the table has no row `x`")),
        (json!({}), r#"{"x":1}"#, Err("$.data.id has no value")),
        (json!({}), r#"{"id":null}"#, Err("$.data.id has no value")),
        (
            json!({"missing": "error"}),
            r#"{"id":"x"}"#,
            Err("the table has no row `x`"),
        ),
        (
            json!({"missing": "pass"}),
            r#"{"id": "x"}"#,
            Ok(r#"{"id": "x"}"#),
        ),
        (json!({"missing": "pass"}), "[ 1]", Ok("[ 1]")),
        (
            json!({"default": {"site": null}}),
            r#"{"id":"x"}"#,
            Ok(r#"{"id":"x","site":null}"#),
        ),
        (
            json!({"default": {"site": 1}}),
            r#"{}"#,
            Ok(r#"{"site":1}"#),
        ),
        (
            json!({"default": "none", "into": "$.data.site"}),
            r#"{}"#,
            Ok(r#"{"site":"none"}"#),
        ),
        (
            json!({"default": {"site": 1}}),
            "[1]",
            Err("there is no place for the field: what is on the way is no object"),
        ),
    ] {
        let mut file = json!({"table": "devices", "key": "$.data.id"});
        file.as_object_mut()
            .expect("an object")
            .extend(settings.as_object().expect("an object").clone());
        let made = made(&file, data);
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(made, expected, "{file} {data}");
    }
}

#[test]
fn a_bad_look_up_is_refused() {
    for (file, expected) in [
        (
            json!({"table": "device", "key": "$.id"}),
            "there is no table `device`; did you mean `devices`?",
        ),
        (
            json!({"table": "x", "key": "$.id"}),
            "there is no table `x`",
        ),
        (
            json!({"table": "devices", "key": "$.id", "missing": "pass", "default": 1}),
            "`default` says what is done where nothing is found; leave `missing` out",
        ),
        (
            json!({"table": "devices", "key": "$.id", "into": "$.subject"}),
            "`$.subject` is no field of the data; write it as `$.data.name`, without places in lists at its end",
        ),
    ] {
        let file: TransformFile =
            serde_json::from_value(json!({ "enrich": file })).expect("a step");
        let error = Transform::new(file, &tables()).expect_err("a bad step");
        assert_eq!(error.to_string(), expected);
    }
    assert!(EnrichmentTable::parse("[]").is_err());
}

#[test]
fn a_table_is_read_through_serde_too() {
    let read: EnrichmentTable =
        serde_json::from_value(json!({"a": {"b": [1, 0.5]}, "c": 1})).expect("a table");
    let parsed = EnrichmentTable::parse(r#"{"c":1,"a":{"b":[1,0.5]}}"#).expect("a table");
    assert_eq!(read, parsed);
}
