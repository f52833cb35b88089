use prost_reflect::{DynamicMessage, prost::Message};

use super::*;

const SCHEMA: &str = r#"
syntax = "proto3";
package plant.v1;
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
import "google/protobuf/struct.proto";

enum State { STATE_UNKNOWN = 0; STATE_ON = 1; }

message Reading {
  string device = 1;
  uint64 counter = 2;
  sint64 offset = 3;
  double temperature = 4;
  float ratio = 5;
  State state = 6;
  optional int32 limit = 7;
  bytes raw = 8;
  repeated int64 samples = 9;
  map<string, int32> tags = 10;
  map<int32, Reading> parts = 11;
  oneof cause { string fault = 12; bool manual = 13; }
  google.protobuf.Timestamp time = 14;
  google.protobuf.StringValue label = 15;
  google.protobuf.Struct extra = 16;
  repeated State states = 17;
}
"#;

struct Source;

impl protox::file::FileResolver for Source {
    fn open_file(&self, name: &str) -> Result<protox::file::File, protox::Error> {
        if name == "reading.proto" {
            protox::file::File::from_source(name, SCHEMA)
        } else {
            protox::file::GoogleFileResolver::new().open_file(name)
        }
    }
}

fn descriptor_set() -> Vec<u8> {
    let mut compiler = protox::Compiler::with_file_resolver(Source);
    compiler
        .include_imports(true)
        .open_file("reading.proto")
        .unwrap();
    compiler.encode_file_descriptor_set()
}

fn readings() -> Protobuf {
    Protobuf::new(&descriptor_set(), "plant.v1.Reading").unwrap()
}

/// The view of the message with this text form.
fn view(text: &str) -> String {
    let readings = readings();
    let message = DynamicMessage::parse_text_format(readings.message.clone(), text).unwrap();
    String::from_utf8(
        readings
            .decode(&message.encode_to_vec())
            .unwrap()
            .json()
            .to_vec(),
    )
    .unwrap()
}

#[test]
fn what_was_not_set_has_its_default_or_is_absent_where_presence_is_tracked() {
    assert_eq!(
        view(""),
        concat!(
            r#"{"device":"","counter":0,"offset":0,"temperature":0.0,"ratio":0.0,"state":"STATE_UNKNOWN","#,
            r#""raw":"","samples":[],"tags":{},"parts":{},"states":[]}"#
        )
    );
    assert!(view("limit: 0 manual: false").contains(r#""limit":0,"#));
    assert!(view("limit: 0 manual: false").contains(r#""manual":false,"#));
}

#[test]
fn every_kind_of_field_has_its_form() {
    let shown: serde_json::Value = serde_json::from_str(&view(
        r#"device: "pump\n7" counter: 18446744073709551615 offset: -9223372036854775808 temperature: 21.5 ratio: 0.1
           state: STATE_ON raw: "\377\000" samples: [1, -2] tags { key: "b" value: 2 } tags { key: "a" value: 1 }
           parts { key: -1 value { device: "inner" } } fault: "hot" time { seconds: 1363896240 nanos: 500000000 }
           label { value: "L" } states: [STATE_ON, 7]
           extra { fields { key: "n" value { number_value: 2 } } fields { key: "l" value { list_value { values { null_value: NULL_VALUE } } } } }"#,
    ))
    .unwrap();
    let expected = serde_json::json!({
        "device": "pump\n7", "counter": u64::MAX, "offset": i64::MIN, "temperature": 21.5, "ratio": 0.1, "state": "STATE_ON",
        "raw": "/wA=", "samples": [1, -2], "tags": {"a": 1, "b": 2}, "fault": "hot", "time": "2013-03-21T20:04:00.500Z",
        "label": "L", "states": ["STATE_ON", 7], "extra": {"n": 2.0, "l": [null]},
        "parts": {"-1": {"device": "inner", "counter": 0, "offset": 0, "temperature": 0.0, "ratio": 0.0, "state": "STATE_UNKNOWN",
                         "raw": "", "samples": [], "tags": {}, "parts": {}, "states": []}},
    });
    assert_eq!(shown, expected);
}

#[test]
fn numbers_keep_the_digits_of_their_type_and_what_is_none_is_null() {
    let shown = view("ratio: 0.1 temperature: nan");
    assert!(
        shown.contains(r#""ratio":0.1,"#) && shown.contains(r#""temperature":null,"#),
        "{shown}"
    );
    let shown = view("time { seconds: 1 nanos: 1 }");
    assert!(
        shown.contains(r#""time":"1970-01-01T00:00:01.000000001Z""#),
        "{shown}"
    );
    let shown = view("time { seconds: -1 }");
    assert!(
        shown.contains(r#""time":{"seconds":-1,"nanos":0}"#),
        "{shown}"
    );
}

#[test]
fn equal_messages_have_one_text() {
    let tags: String = (0..50)
        .map(|it| format!("tags {{ key: \"{it}\" value: {it} }} "))
        .collect();
    assert_eq!(view(&tags), view(&tags));
}

#[test]
fn what_is_no_message_is_refused() {
    let readings = readings();
    for payload in [&[0x0A, 5, b'a'][..], &[0x0A, 1, 0xFF], &[0x07], &[0x10]] {
        let error = readings.decode(payload).unwrap_err();
        assert!(
            matches!(error, ProtobufError::Malformed(_)),
            "{payload:?}: {error}"
        );
    }
    let large = vec![0; MAX_PAYLOAD_BYTES + 1];
    assert_eq!(
        readings.decode(&large),
        Err(ProtobufError::TooLarge(large.len()))
    );
}

#[test]
fn messages_within_messages_end_somewhere() {
    let mut nested = Vec::new();
    for _ in 0..2000 {
        let entry = [&[0x12][..], &varint(nested.len()), &nested].concat();
        nested = [&[0x5A][..], &varint(entry.len()), &entry].concat();
    }
    assert!(nested.len() < MAX_PAYLOAD_BYTES);
    let error = readings().decode(&nested).unwrap_err();
    assert!(matches!(error, ProtobufError::Malformed(_)), "{error}");
}

fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push((value as u8) | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

#[test]
fn a_bad_descriptor_says_what_is_wrong() {
    assert!(matches!(
        Protobuf::new(&[1, 2, 3], "a"),
        Err(DescriptorError::Invalid(_))
    ));
    let error = Protobuf::new(&descriptor_set(), "Reading").unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"no message "Reading" in the descriptor set; did you mean "plant.v1.Reading"?"#
    );
}

#[test]
fn random_bytes_never_panic_and_what_is_decoded_is_json() {
    let readings = readings();
    let mut random = fastrand::Rng::with_seed(3);
    let mut decoded = 0;
    for _ in 0..100_000 {
        let payload: Vec<u8> = (0..random.usize(0..20)).map(|_| random.u8(..)).collect();
        if let Ok(shown) = readings.decode(&payload) {
            serde_json::from_slice::<serde::de::IgnoredAny>(shown.json()).unwrap();
            decoded += 1;
        }
    }
    assert!(decoded > 100, "{decoded}");
}

/// Whether a pattern holds for the message with this text form.
fn holds(pattern: &str, text: &str) -> bool {
    let readings = readings();
    let message = DynamicMessage::parse_text_format(readings.message.clone(), text).unwrap();
    let decoded = readings.decode(&message.encode_to_vec()).unwrap();
    let pattern = crate::Pattern::parse(&format!(r#"{{"data": {pattern}}}"#)).unwrap();
    let mut builder = crate::index::IndexBuilder::new(crate::index::Budget::default());
    let rule = crate::index::Rule {
        topic: None,
        when: crate::index::When::Pattern(&pattern),
    };
    builder.add(&rule).unwrap();
    let event = crate::EventView {
        data: crate::DataView::Decoded(&decoded),
        ..crate::EventView::default()
    };
    !builder
        .build()
        .matches(&event, &mut crate::index::Scratch::default())
        .is_empty()
}

#[test]
fn conditions_find_an_enumeration_by_name_and_by_number_as_one_value() {
    for (pattern, expected) in [
        (r#"{"state": ["STATE_ON"]}"#, true),
        (r#"{"state": [1]}"#, true),
        (r#"{"state": [1.0]}"#, true),
        (r#"{"state": ["1"]}"#, false),
        (r#"{"state": [0, 2]}"#, false),
        (r#"{"state": [{"numeric": [">", 0]}]}"#, true),
        (r#"{"state": [{"numeric": [">", 1]}]}"#, false),
        (r#"{"state": [{"prefix": "STATE_"}]}"#, true),
        (r#"{"state": [{"anything-but": ["STATE_ON"]}]}"#, false),
        (r#"{"state": [{"anything-but": [1]}]}"#, false),
        (r#"{"state": [{"anything-but": [0, "STATE_OFF"]}]}"#, true),
        (r#"{"state": [{"exists": true}]}"#, true),
        (r#"{"states": [1]}"#, true),
        (r#"{"states": [7]}"#, true),
        (r#"{"states": ["STATE_UNKNOWN"]}"#, false),
        // A text that only looks like a name has no number.
        (r#"{"device": [1]}"#, false),
        (r#"{"parts": {"3": {"state": [1]}}}"#, true),
    ] {
        let message = r#"device: "STATE_ON" state: STATE_ON states: [STATE_ON, 7] parts { key: 3 value { state: STATE_ON } }"#;
        assert_eq!(holds(pattern, message), expected, "{pattern}");
    }
}

#[test]
fn the_example_has_the_descriptors_of_its_messages() {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/rules");
    let mut compiler = protox::Compiler::new([examples]).unwrap();
    compiler.include_imports(true).include_source_info(false);
    let set = compiler.open_file("pump.proto").unwrap();
    let set = set.encode_file_descriptor_set();
    let shipped = std::fs::read(format!("{examples}/pump.desc")).unwrap();
    assert_eq!(shipped, set);
}

#[test]
fn empty_elements_that_would_be_shown_with_all_their_fields_are_not_beyond_the_bound() {
    let readings = readings();
    // Entries of `parts`, a map, each of a key and an empty message.
    let parts = |count: u32| {
        let entry = |key: u32| {
            let key = [
                0x80 | (key & 0x7f) as u8,
                0x80 | (key >> 7 & 0x7f) as u8,
                (key >> 14) as u8,
            ];
            [&[0x5a, 6, 0x08][..], &key, &[0x12, 0]].concat()
        };
        (0..count).flat_map(entry).collect::<Vec<u8>>()
    };
    assert_eq!(readings.decode(&parts(30_000)), Err(ProtobufError::TooMuch));
    let shown = readings.decode(&parts(10_000)).unwrap();
    assert!(shown.json().len() <= MAX_RESULT_BYTES);
    assert!(shown.json().len() > 10 * parts(10_000).len());
}
