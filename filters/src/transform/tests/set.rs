use serde_json::{Value, json};

use super::{
    super::{TopicTemplate, Variables},
    event, event_with, refused, step,
};
use crate::Event;

fn set(attributes: &Value, event: &Event) -> Result<Event, String> {
    let variables = json!({"device": "$.data.device", "site": "Bonn"});
    let file = json!({"set": {"attributes": attributes, "variables": variables}});
    let made = step(&file)
        .apply(event)
        .map_err(|error| error.to_string())?;
    assert_eq!(made.check(), Ok(()));
    Ok(made)
}

#[test]
fn attributes_get_their_values() {
    let attributes = json!({
        "subject": "${device}@${site}", "type": "reading.${$.sequence}", "time": "2026-11-21T10:00:00Z",
        "dataschema": "urn:x", "datacontenttype": "application/x+json",
        "severity": 3, "urgent": true, "partitionkey": "${device}", "sequence": "new",
    });
    let made = set(&attributes, &event()).expect("all are valid");
    let mut expected = event();
    expected.subject = Some("pump-7@Bonn".to_owned());
    expected.r#type = "reading.10".to_owned();
    expected.time = Some("2026-11-21T10:00:00Z".to_owned());
    expected.dataschema = Some("urn:x".to_owned());
    expected.datacontenttype = Some("application/x+json".to_owned());
    let extensions = &mut expected.extensions;
    extensions.insert("severity".to_owned(), 3.into());
    extensions.insert("urgent".to_owned(), true.into());
    extensions.insert("partitionkey".to_owned(), "pump-7".into());
    extensions.insert("sequence".to_owned(), "new".into());
    assert_eq!(made, expected);
}

#[test]
fn data_takes_the_form_of_a_new_media_type() {
    let made = set(&json!({"datacontenttype": "text/plain"}), &event()).expect("it is valid");
    assert!(matches!(made.data, Some(crate::Data::Text(_))));
}

#[test]
fn a_value_that_an_attribute_may_not_have_is_an_error() {
    for (attributes, data, expected) in [
        (
            json!({"subject": "${device}"}),
            "{}",
            "$.data.device has no value",
        ),
        (
            json!({"subject": "${device}"}),
            r#"{"device":null}"#,
            "$.data.device has no value",
        ),
        (
            json!({"subject": "${device}"}),
            r#"{"device":""}"#,
            "`subject` is empty; give it a value or leave it out",
        ),
        (
            json!({"x": "${device}"}),
            r#"{"device":"\u0000"}"#,
            "`x` contains a control character; remove it",
        ),
        (
            json!({"time": "${device}"}),
            r#"{"device":"today"}"#,
            "`time` is no timestamp; write it as 2026-01-31T23:59:59.5Z (RFC 3339)",
        ),
    ] {
        assert_eq!(
            set(&attributes, &event_with(data)),
            Err(expected.to_owned()),
            "{attributes}"
        );
    }
    let mut full = event();
    full.extensions = (0..256).map(|n| (format!("x{n}"), n.into())).collect();
    assert!(set(&json!({"x0": 1}), &full).is_ok());
    let error = set(&json!({"y": 1}), &full).expect_err("one too many");
    assert_eq!(
        error,
        "`extensions` are more than 256; carry them in the data"
    );
}

#[test]
fn what_can_never_be_set_is_refused() {
    for (attributes, expected) in [
        (
            json!({"id": "x"}),
            "`id` cannot be set: it says which event this is",
        ),
        (
            json!({"source": "/x"}),
            "`source` cannot be set: it says which event this is",
        ),
        (
            json!({"specversion": "1.0"}),
            "`specversion` cannot be set: it says which event this is",
        ),
        (json!({"data": "x"}), "`data` is no name for an extension"),
        (json!({"My_Ext": "x"}), "`My_Ext` is no attribute name"),
        (json!({"MyExt": "${$.id}"}), "`MyExt` is no attribute name"),
        (json!({"subject": ""}), "`subject` is empty"),
        (
            json!({"subject": 1}),
            "`subject` has a type it may not have",
        ),
        (json!({"type": true}), "`type` has a type it may not have"),
        (json!({"time": "today"}), "`time` is no timestamp"),
        (
            json!({"x": "${devise}"}),
            "there is no variable `devise`; did you mean `device`?",
        ),
        (
            json!({"x": 2_147_483_648_i64}),
            "a text, a boolean or an integer of 32 bits",
        ),
        (
            json!({"x": 1.5}),
            "a text, a boolean or an integer of 32 bits",
        ),
    ] {
        let variables = json!({"device": "$.data.device"});
        let error = refused(&json!({"set": {"attributes": attributes, "variables": variables}}));
        assert!(error.contains(expected), "{attributes}: {error}");
    }
}

#[test]
fn a_topic_is_made_of_data() {
    let variables = Variables::from([("device".to_owned(), "$.data.device".to_owned())]);
    let resolved = |text: &str, device: &str| {
        let data = json!({ "device": device }).to_string();
        let topic = TopicTemplate::parse(text, &variables).map_err(|error| error.to_string())?;
        topic
            .resolve(&event_with(&data))
            .map_err(|error| error.to_string())
    };
    for (text, device, expected) in [
        ("plant/${device}/t", "7", Ok("plant/7/t")),
        ("plant/${device}", "a/b", Ok("plant/a/b")),
        ("${device}", "ä b", Ok("ä b")),
        ("a${device}", "$", Ok("a$")),
        ("${device}", "$SYS/x", Err("no topic: it begins with `$`")),
        ("$SYS/x", "", Err("no topic: it begins with `$`")),
        (
            "${device}",
            "",
            Err("no topic: it is empty; a topic has at least one character"),
        ),
        (
            "",
            "",
            Err("no topic: it is empty; a topic has at least one character"),
        ),
        (
            "a/${device}",
            "+",
            Err("no topic: a topic to publish on has no wildcard (`+`, `#`)"),
        ),
        (
            "a/${device}",
            "x#",
            Err("no topic: a topic to publish on has no wildcard (`+`, `#`)"),
        ),
        (
            "a/+/b",
            "",
            Err("no topic: a topic to publish on has no wildcard (`+`, `#`)"),
        ),
        ("a/${device}", "\0", Err("no topic: it contains U+0000")),
        ("a/${nosuch}", "", Err("there is no variable `nosuch`")),
        ("a/${$.data.x}", "", Err("$.data.x has no value")),
    ] {
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(resolved(text, device), expected, "{text}, {device:?}");
    }
    let longest = "x".repeat(65_533);
    assert!(resolved("a/${device}", &longest).is_ok());
    let error = resolved("a/${device}", &format!("{longest}x"));
    assert_eq!(
        error,
        Err("no topic: it is longer than 65535 bytes".to_owned())
    );
}
