use serde_json::json;

use super::{super::MAX_RESULT_BYTES, event, event_with, made, refused, step};
use crate::{Data, Event};

/// The event of EventMesh's documentation.
fn mesh_event() -> Event {
    event_with(r#"{"name": "test-transformer", "num": 100  , "boolean": true, "nullV": null}"#)
}

#[test]
fn eventmesh_transformers_make_what_eventmesh_makes() {
    let template = |variables: serde_json::Value, content: &str| {
        let file = json!({"template": {"content": content, "variables": variables}});
        made(&file, &mesh_event()).expect("a text")
    };
    for (variables, content, expected) in [
        (
            json!({"data-name": "$.data.name"}),
            "name is ${data-name}",
            "name is test-transformer",
        ),
        (json!({}), "num is ${data-num}", "num is ${data-num}"),
        (
            json!({"data-num": "$.data.no"}),
            "num is ${data-num}",
            "num is null",
        ),
        (
            json!({"data-num": "$.data.num"}),
            "num is ${data-num}",
            "num is 100",
        ),
        (
            json!({"data-null": "$.data.nullV"}),
            "null is ${data-null}",
            "null is null",
        ),
        (
            json!({"boolean": "$.data.boolean"}),
            "boolean is ${boolean}",
            "boolean is true",
        ),
        (
            json!({"name": "$.data.name", "constant": "constant"}),
            "${name}, constant is ${constant}",
            "test-transformer, constant is constant",
        ),
        (
            json!({"t": "$.type", "n": "$.sequence"}),
            "${t} ${n} ${$.id}",
            "reading 10 id-1",
        ),
        (
            json!({"all": "$.data"}),
            "x${all}",
            "x{\"name\": \"test-transformer\", \"num\": 100  , \"boolean\": true, \"nullV\": null}",
        ),
        (json!({"a": "1"}), "${a}${", "1${"),
        (json!({"a": "1"}), "${${a}}", "${1}"),
    ] {
        assert_eq!(template(variables, content), expected, "{content}");
    }
    let constant = json!({"constant": {"content": "constant ${test}"}});
    assert_eq!(
        made(&constant, &mesh_event()).as_deref(),
        Ok("constant ${test}")
    );
    let original = step(&json!({"original": {}}));
    assert_eq!(original.apply(&mesh_event()), Ok(mesh_event()));
}

#[test]
fn in_a_json_template_quotes_decide_how_a_value_is_rendered() {
    for (content, expected) in [
        (r#"{"t": ${$.data.temperature}}"#, r#"{"t": 30.10}"#),
        (r#"{"t": "${$.data.temperature} C"}"#, r#"{"t": "30.10 C"}"#),
        (r#"{"d": ${$.data.device}}"#, r#"{"d": "pump-7"}"#),
        (r#"{"d": "<${$.data.device}>"}"#, r#"{"d": "<pump-7>"}"#),
        (r#"{"s": ${$.subject}}"#, r#"{"s": "line \"7\""}"#),
        (r#"{"s": "${$.subject}"}"#, r#"{"s": "line \"7\""}"#),
        (
            r#"{"x": ${$.data.state}, "n": ${$.sequence}}"#,
            r#"{"x": {"on":true,"fault":null}, "n": 10}"#,
        ),
        (
            r#"{"x": "${$.data.tags}"}"#,
            r#"{"x": "[\"a\",\"b\\\"c\"]"}"#,
        ),
        (
            r#"{"x": ${$.data.tags[1]}, "y": "${$.data.tags[1]}"}"#,
            r#"{"x": "b\"c", "y": "b\"c"}"#,
        ),
        (
            r#"{"x": ${$.data.no}, "y": "${$.data.no}", "z": ${$.nosuch}}"#,
            r#"{"x": null, "y": "null", "z": null}"#,
        ),
        (
            r#"{${$.data.device}: 1, "\"${$.data.device}\\": 2}"#,
            r#"{"pump-7": 1, "\"pump-7\\": 2}"#,
        ),
        (r#"["${unknown}"]"#, r#"["${unknown}"]"#),
        ("  [${$.data.count}]", "  [9007199254740993]"),
    ] {
        let file = json!({"template": {"content": content}});
        assert_eq!(made(&file, &event()).as_deref(), Ok(expected), "{content}");
    }
}

#[test]
fn a_result_of_a_json_template_that_is_no_json_is_an_error() {
    for content in [
        r#"{"t": ${unknown}}"#,
        r#"{"t": ${$.data.temperature}"#,
        r#"{${$.data.temperature}: 1}"#,
        r#"{"t": ${$.data.device}${$.data.device}}"#,
        "[1,]",
    ] {
        let file = json!({"template": {"content": content}});
        let error = made(&file, &event()).expect_err(content);
        assert_eq!(error.to_string(), "the result is no JSON", "{content}");
    }
    let file =
        json!({"template": {"content": "${$.data.device}!", "content-type": "application/json"}});
    assert!(made(&file, &event()).is_err());
}

#[test]
fn the_media_type_says_what_the_data_is() {
    let changed = |file: serde_json::Value, event: &Event| step(&file).apply(event).expect("data");
    let plain = changed(json!({"constant": {"content": "a"}}), &event());
    assert_eq!(plain.datacontenttype.as_deref(), Some("text/plain"));
    assert_eq!(plain.data, Some(Data::Text("a".to_owned())));

    let json = changed(json!({"constant": {"content": "[1]"}}), &plain);
    assert_eq!(json.datacontenttype.as_deref(), Some("application/json"));
    assert_eq!(json.data, Some(Data::Json(b"[1]".to_vec())));

    let mut event = event();
    event.datacontenttype = Some("application/x+json".to_owned());
    let kept = changed(json!({"constant": {"content": "[1]"}}), &event);
    assert_eq!(kept.datacontenttype.as_deref(), Some("application/x+json"));

    let xml = json!({"template": {"content": "[${$.id}]", "content-type": "text/xml"}});
    let xml = changed(xml, &event);
    assert_eq!(xml.datacontenttype.as_deref(), Some("text/xml"));
    assert_eq!(xml.data, Some(Data::Text("[id-1]".to_owned())));

    let quoted =
        json!({"template": {"content": "${$.subject}", "content-type": "application/json"}});
    assert_eq!(changed(quoted, &event).data_bytes(), br#""line \"7\"""#);
}

#[test]
fn data_that_is_no_json_has_no_fields() {
    let text = Event::builder("1", "/s", "t").datacontenttype("text/plain");
    let text = text
        .payload(b"warm \"21\"".to_vec())
        .build()
        .expect("a valid event");
    let file = json!({"template": {"content": r#"{"d": ${$.data}, "x": ${$.data.x}}"#}});
    assert_eq!(
        made(&file, &text).as_deref(),
        Ok(r#"{"d": "warm \"21\"", "x": null}"#)
    );
    let bytes = Event::builder("1", "/s", "t").payload(vec![0xff]);
    let bytes = bytes.build().expect("a valid event");
    assert_eq!(
        made(&file, &bytes).as_deref(),
        Ok(r#"{"d": null, "x": null}"#)
    );
}

#[test]
fn the_whole_event_can_be_a_value() {
    let file = json!({"template": {"content": r#"{"e": ${$}}"#}});
    let expected = format!(
        r#"{{"e": {}}}"#,
        String::from_utf8(crate::json::encode(&event())).expect("text")
    );
    assert_eq!(made(&file, &event()), Ok(expected));
}

#[test]
fn a_result_is_bounded() {
    let long = event_with(&format!("\"{}\"", "x".repeat(1 << 20)));
    let file = json!({"template": {"content": "a${$.data}".repeat(MAX_RESULT_BYTES >> 20)}});
    let error = made(&file, &long).expect_err("too long");
    assert_eq!(error.to_string(), "the result has more than 4194304 bytes");
    assert_eq!(error.class(), "result");
}

#[test]
fn bad_templates_are_refused() {
    for (file, expected) in [
        (
            json!({"template": {"content": "${a}", "variables": {"a": "$.."}}}),
            "find several values",
        ),
        (
            json!({"template": {"content": "x".repeat(65_537)}}),
            "at most 65536 bytes",
        ),
        (
            json!({"constant": {"content": "x".repeat(65_537)}}),
            "at most 65536 bytes",
        ),
        (
            json!({"constant": {"content": "x", "content-type": "x"}}),
            "is no media type",
        ),
        (json!({"constant": {}}), "missing field `content`"),
        (
            json!({"template": {"content": "", "vars": {}}}),
            "unknown field `vars`",
        ),
    ] {
        let error = refused(&file);
        assert!(error.contains(expected), "{expected}: {error}");
    }
}
