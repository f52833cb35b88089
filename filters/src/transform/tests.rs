mod enrichment;
mod fields;
mod random;
mod set;
mod template;
mod toml;

use serde_json::{Value, json};

use super::{Tables, Transform, TransformError, TransformFile};
use crate::Event;

const DATA: &str = r#"{"device":"pump-7","temperature":30.10,"count":9007199254740993,"state":{"on":true,"fault":null},"tags":["a","b\"c"],"a.b":1e3}"#;

fn event() -> Event {
    event_with(DATA)
}

fn event_with(data: &str) -> Event {
    Event::builder("id-1", "/plant", "reading")
        .subject("line \"7\"")
        .extension("sequence", 10)
        .payload(data.as_bytes().to_vec())
        .build()
        .expect("a valid event")
}

fn step(file: &Value) -> Transform {
    step_with(file, &Tables::new())
}

fn step_with(file: &Value, tables: &Tables) -> Transform {
    let read = TransformFile::deserialize_checked(file);
    Transform::new(read, tables).unwrap_or_else(|error| panic!("{file}: {error}"))
}

impl TransformFile {
    fn deserialize_checked(file: &Value) -> TransformFile {
        serde_json::from_value(file.clone()).unwrap_or_else(|error| panic!("{file}: {error}"))
    }
}

/// What a step makes of the data. Whatever it makes is a valid event.
fn made(file: &Value, event: &Event) -> Result<String, TransformError> {
    let before = event.clone();
    let made = step(file).apply(event);
    assert_eq!(*event, before);
    made.map(|made| {
        assert_eq!(made.check(), Ok(()), "{file}");
        String::from_utf8(made.data_bytes().to_vec()).expect("text")
    })
}

fn refused(file: &Value) -> String {
    match serde_json::from_value(file.clone()) {
        Err(error) => error.to_string(),
        Ok(read) => Transform::new(read, &Tables::new())
            .expect_err("a bad step")
            .to_string(),
    }
}

#[test]
fn numbers_are_scaled_exactly() {
    let scaled = |field: &str, factor: Value, offset: Value| {
        let file = json!({"scale": {"field": field, "factor": factor, "offset": offset}});
        let data = made(&file, &event()).unwrap_or_else(|error| panic!("{file}: {error}"));
        let key = field.strip_prefix("$.data").expect("a field");
        let path = super::JsonPath::parse(&format!("$.data{key}")).expect("a path");
        path.read_text(&event_with(&data))
            .expect("JSON")
            .expect("it is there")
    };
    for (field, factor, offset, expected) in [
        ("$.data.temperature", json!(1), json!(0), "30.10"),
        ("$.data.temperature", json!(2), json!(0), "60.2"),
        ("$.data.temperature", json!(0.1), json!(-40), "-36.99"),
        ("$.data.temperature", json!("0.1"), json!("-40"), "-36.99"),
        ("$.data.temperature", json!(0), json!(0), "0"),
        ("$.data.count", json!(1), json!(1), "9007199254740994"),
        ("$.data.count", json!(1000), json!(0), "9007199254740993000"),
        ("$.data['a.b']", json!(0.001), json!(0), "1"),
    ] {
        assert_eq!(scaled(field, factor, offset), expected, "{field}");
    }
    let file = json!({"scale": {"field": "$.data.temperature", "offset": 0.05}});
    let expected = DATA.replace("30.10", "30.15");
    assert_eq!(made(&file, &event()), Ok(expected));
}

#[test]
fn numbers_are_converted_and_nothing_else_changes() {
    let file = json!({"convert": {"field": "$.data.temperature", "from": "Cel", "to": "K"}});
    let expected = DATA.replace("30.10", "303.25");
    assert_eq!(made(&file, &event()), Ok(expected));

    let same = json!({"convert": {"field": "$.data.temperature", "from": "L", "to": "dm3"}});
    assert_eq!(made(&same, &event()), Ok(DATA.to_owned()));
}

#[test]
fn a_number_that_is_none_is_an_error() {
    for (field, missing, expected) in [
        ("$.data.device", "error", "$.data.device is no number"),
        ("$.data.state", "pass", "$.data.state is no number"),
        ("$.data", "error", "$.data is no number"),
        ("$.data.nothing", "error", "$.data.nothing has no value"),
        (
            "$.data.state.fault",
            "error",
            "$.data.state.fault has no value",
        ),
    ] {
        let file = json!({"scale": {"field": field, "factor": 2, "missing": missing}});
        let error = made(&file, &event()).expect_err(field);
        assert_eq!(error.to_string(), expected);
    }
    let passing = json!({"scale": {"field": "$.data.nothing", "factor": 2, "missing": "pass"}});
    assert_eq!(made(&passing, &event()), Ok(DATA.to_owned()));

    let far = json!({"scale": {"field": "$.data", "factor": 2}});
    let error = made(&far, &event_with("1e999999999")).expect_err("too far");
    assert_eq!(
        error.to_string(),
        "$.data: a number has too many digits to compute with"
    );
    assert_eq!(made(&far, &event_with(" 21.5 ")), Ok("43".to_owned()));
    let text = Event::builder("1", "/s", "t").datacontenttype("text/plain");
    let text = text.payload(b"21".to_vec()).build().expect("a valid event");
    assert_eq!(made(&far, &text), Err(TransformError::NotJson));
}

#[test]
fn a_step_that_can_never_work_is_refused() {
    for (file, expected) in [
        (
            json!({"scal": {}}),
            "unknown variant `scal`, expected one of",
        ),
        (json!({"original": {"x": 1}}), "unknown field `x`"),
        (
            json!({"scale": {"field": "$.data.t", "faktor": 2}}),
            "unknown field `faktor`",
        ),
        (
            json!({"scale": {"field": "t"}}),
            "`t` is no path to one value: it begins with `$`",
        ),
        (
            json!({"scale": {"field": "$.subject"}}),
            "`$.subject` is no field of the data",
        ),
        (
            json!({"scale": {"field": "$.data.t", "factor": "x"}}),
            "`x` is no number",
        ),
        (
            json!({"scale": {"field": "$.data.t", "missing": "ignore"}}),
            "unknown variant `ignore`",
        ),
        (
            json!({"convert": {"field": "$.data.t", "from": "°C", "to": "K"}}),
            "did you mean `Cel`?",
        ),
        (
            json!({"convert": {"field": "$.data.t", "from": "m", "to": "K"}}),
            "they measure different things",
        ),
        (json!({"project": {}}), "either `keep` or `drop`"),
        (
            json!({"project": {"keep": ["$.data.a"], "drop": ["$.data.b"]}}),
            "either `keep` or `drop`",
        ),
        (
            json!({"project": {"keep": ["$.data"]}}),
            "`$.data` is no field",
        ),
        (
            json!({"project": {"keep": ["$.data.a[0]"]}}),
            "`$.data.a[0]` is no field",
        ),
        (
            json!({"rename": {"from": "$.data", "to": "$.data.a"}}),
            "`$.data` is no field",
        ),
        (
            json!({"rename": {"from": "$.data.a", "to": "$.subject"}}),
            "`$.subject` is no field",
        ),
        (
            json!({"rename": {"from": "$.data.a[0]", "to": "$.data.a"}}),
            "`$.data.a[0]` is no field",
        ),
    ] {
        let error = refused(&file);
        assert!(error.contains(expected), "{file}: {error}");
    }
}

#[test]
fn steps_are_applied_to_what_the_ones_before_made() {
    let steps = [
        step(&json!({"convert": {"field": "$.data.temperature", "from": "Cel", "to": "[degF]"}})),
        step(&json!({"rename": {"from": "$.data.temperature", "to": "$.data.fahrenheit"}})),
        step(&json!({"project": {"keep": ["$.data.fahrenheit"]}})),
        step(&json!({"original": {}})),
    ];
    let made = super::apply_all(&steps, &event()).expect("all work");
    assert_eq!(made.data_bytes(), br#"{"fahrenheit":86.18}"#);

    let fails = step(&json!({"rename": {"from": "$.data.x", "to": "$.data.y"}}));
    let steps = [steps[0].clone(), fails];
    let missing = TransformError::Missing("$.data.x".to_owned());
    assert_eq!(super::apply_all(&steps, &event()), Err((1, missing)));
    assert_eq!(super::apply_all(&[], &event()), Ok(event()));
}
