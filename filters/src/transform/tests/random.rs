//! Random events and steps against the same change made on a parsed value.

use serde_json::{Map, Value, json};

use super::{super::TransformError, event_with, made};

#[test]
fn steps_change_what_they_name_and_nothing_else() {
    let mut random = fastrand::Rng::with_seed(20_261_121);
    let mut changed = [0; 4];
    for _ in 0..4_000 {
        let value = Value::Object((0..4).map(|_| member(&mut random, 3)).collect());
        let (from, to) = (keys(&mut random), keys(&mut random));
        let (from_path, to_path) = (path(&from), path(&to));
        let kind = random.usize(..4);
        let (file, expected) = match kind {
            0 => (
                json!({"project": {"keep": [from_path, to_path]}}),
                Some(kept(&value, &[&from, &to])),
            ),
            1 => {
                let mut expected = value.clone();
                removed(&mut expected, &from);
                removed(&mut expected, &to);
                (
                    json!({"project": {"drop": [from_path, to_path]}}),
                    Some(expected),
                )
            }
            2 => {
                let mut expected = value.clone();
                let moved = removed(&mut expected, &from);
                let done = moved.is_some_and(|moved| inserted(&mut expected, &to, moved));
                (
                    json!({"rename": {"from": from_path, "to": to_path}}),
                    done.then_some(expected),
                )
            }
            _ => {
                let pointer = format!("/{}", from.join("/"));
                let mut expected = value.clone();
                let number = expected.pointer_mut(&pointer).filter(|it| it.is_number());
                let scaled = |it: &Value| match it.as_i64() {
                    Some(integer) => json!(integer * 3 - 1),
                    None => json!(it.as_f64().map(|it| it * 3.0 - 1.0)),
                };
                let done = number.map(|it| *it = scaled(it)).is_some();
                let file = json!({"scale": {"field": from_path, "factor": 3, "offset": -1}});
                (file, done.then_some(expected))
            }
        };
        let event = event_with(&value.to_string());
        match (made(&file, &event), expected) {
            (Ok(data), Some(expected)) => {
                let data: Value = serde_json::from_str(&data).expect("JSON");
                assert_eq!(data, expected, "{file} of {value}");
                changed[kind] += usize::from(expected != value);
            }
            (Err(_), None) => {}
            (made, expected) => panic!("{file} of {value}: {made:?}, expected {expected:?}"),
        }
    }
    assert!(changed.iter().all(|count| *count > 30), "{changed:?}");
}

#[test]
fn templates_render_any_value() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..1_000 {
        let (_, value) = member(&mut random, 3);
        let event = event_with(&value.to_string());
        let template =
            json!({"template": {"content": r#"{"raw": ${$.data}, "text": "<${$.data}>"}"#}});
        let data = made(&template, &event).expect("any value can be rendered");
        let data: Value = serde_json::from_str(&data).expect("JSON");
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        assert_eq!(data, json!({"raw": value, "text": format!("<{text}>")}));
    }
}

#[test]
fn arbitrary_bytes_are_an_error_or_a_valid_event() {
    let mut random = fastrand::Rng::with_seed(8);
    for _ in 0..2_000 {
        let mut data = json!({"a": {"b": [1, "x\n"]}, "b": 1.5e3})
            .to_string()
            .into_bytes();
        for _ in 0..random.usize(..3) {
            let place = random.usize(..data.len());
            data[place] = random.u8(..);
        }
        let event = crate::Event::builder("1", "/s", "t")
            .payload(data)
            .build()
            .expect("any payload");
        for file in [
            json!({"scale": {"field": "$.data.b", "factor": 2}}),
            json!({"rename": {"from": "$.data.a.b", "to": "$.data.c"}}),
            json!({"project": {"keep": ["$.data.a"]}}),
        ] {
            let made = made(&file, &event);
            let is_json = matches!(event.data, Some(crate::Data::Json(_)));
            assert_eq!(!is_json, made == Err(TransformError::NotJson), "{event:?}");
        }
    }
}

const KEYS: [&str; 4] = ["a", "b", "c", "d"];

fn keys(random: &mut fastrand::Rng) -> Vec<&'static str> {
    (0..random.usize(1..4))
        .map(|_| KEYS[random.usize(..4)])
        .collect()
}

fn path(keys: &[&str]) -> String {
    format!("$.data.{}", keys.join("."))
}

fn member(random: &mut fastrand::Rng, depth: usize) -> (String, Value) {
    let value = match random.u8(..if depth > 0 { 9 } else { 5 }) {
        0 => json!(null),
        1 => json!(random.i32(..)),
        2 => json!("x\"\\\u{1}ß"),
        3 => json!(random.bool()),
        // Never an integer, and exact in binary.
        4 => json!(f64::from(random.i32(..) | 1) / 8.0),
        5 => Value::Array((0..2).map(|_| member(random, depth - 1).1).collect()),
        _ => Value::Object((0..3).map(|_| member(random, depth - 1)).collect()),
    };
    (KEYS[random.usize(..4)].to_owned(), value)
}

fn removed(value: &mut Value, keys: &[&str]) -> Option<Value> {
    let (last, way) = keys.split_last()?;
    let parent = way
        .iter()
        .try_fold(value, |here, key| here.as_object_mut()?.get_mut(*key))?;
    parent.as_object_mut()?.remove(*last)
}

/// False where something on the way has no members.
fn inserted(value: &mut Value, keys: &[&str], new: Value) -> bool {
    let Some((key, rest)) = keys.split_first() else {
        *value = new;
        return true;
    };
    if value.is_null() {
        *value = json!({});
    }
    let Some(object) = value.as_object_mut() else {
        return false;
    };
    inserted(object.entry(*key).or_insert(Value::Null), rest, new)
}

fn kept(value: &Value, all: &[&[&str]]) -> Value {
    let mut kept = Value::Object(Map::new());
    for keys in all {
        let found = keys
            .iter()
            .try_fold(value, |here, key| here.as_object()?.get(*key));
        if let Some(found) = found {
            inserted(&mut kept, keys, found.clone());
        }
    }
    kept
}
