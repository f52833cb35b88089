use std::fmt::Display;

use base64::{Engine, engine::general_purpose::STANDARD};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, ReflectMessage, Value};

use crate::{timestamp_text, transform::MAX_RESULT_BYTES};

/// What is written of a message.
#[derive(Default)]
pub(super) struct Output {
    pub(super) json: Vec<u8>,
    /// Where the name of a number begins, and the number.
    pub(super) named: Vec<(u32, i32)>,
}

impl Output {
    /// Whether there is more than anybody may be shown; then it is not a whole text. An empty element of a list has all its fields in JSON.
    pub(super) fn is_too_much(&self) -> bool {
        self.json.len() > MAX_RESULT_BYTES
    }
}

pub(super) fn put_message(out: &mut Output, message: &DynamicMessage) {
    if !put_well_known(out, message) {
        put_fields(out, message);
    }
}

/// Fields in the order of the descriptor.
fn put_fields(out: &mut Output, message: &DynamicMessage) {
    out.json.push(b'{');
    let mut comma = false;
    for field in message.descriptor().fields() {
        if out.is_too_much() {
            return;
        }
        if field.supports_presence() && !message.has_field(&field) {
            continue;
        }
        if std::mem::replace(&mut comma, true) {
            out.json.push(b',');
        }
        put_text(out, field.name());
        out.json.push(b':');
        put_value(out, &message.get_field(&field), &field.kind());
    }
    out.json.push(b'}');
}

fn put_value(out: &mut Output, value: &Value, kind: &Kind) {
    match value {
        Value::Bool(value) => put(out, value),
        Value::I32(value) => put(out, value),
        Value::I64(value) => put(out, value),
        Value::U32(value) => put(out, value),
        Value::U64(value) => put(out, value),
        Value::F32(value) => put_float(out, value.is_finite().then_some(value)),
        Value::F64(value) => put_float(out, value.is_finite().then_some(value)),
        Value::String(text) => put_text(out, text),
        Value::Bytes(bytes) => put_text(out, &STANDARD.encode(bytes)),
        Value::EnumNumber(number) => put_enum(out, *number, kind),
        Value::Message(message) => put_message(out, message),
        Value::List(values) => put_list(out, values, kind),
        Value::Map(entries) => put_map(out, entries.iter(), kind),
    }
}

fn put_list(out: &mut Output, values: &[Value], kind: &Kind) {
    out.json.push(b'[');
    for (index, value) in values.iter().enumerate() {
        if out.is_too_much() {
            return;
        }
        if index > 0 {
            out.json.push(b',');
        }
        put_value(out, value, kind);
    }
    out.json.push(b']');
}

/// In the order of the keys, so that equal messages have one text.
fn put_map<'a>(
    out: &mut Output,
    entries: impl Iterator<Item = (&'a MapKey, &'a Value)>,
    kind: &Kind,
) {
    let Kind::Message(entry) = kind else {
        out.json.extend_from_slice(b"{}");
        return;
    };
    let value_kind = entry.map_entry_value_field().kind();
    let mut entries: Vec<_> = entries.collect();
    entries.sort_by_key(|(key, _)| *key);
    out.json.push(b'{');
    for (index, (key, value)) in entries.into_iter().enumerate() {
        if out.is_too_much() {
            return;
        }
        if index > 0 {
            out.json.push(b',');
        }
        put_text(out, &key_text(key));
        out.json.push(b':');
        put_value(out, value, &value_kind);
    }
    out.json.push(b'}');
}

fn key_text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(value) => value.to_string(),
        MapKey::I32(value) => value.to_string(),
        MapKey::I64(value) => value.to_string(),
        MapKey::U32(value) => value.to_string(),
        MapKey::U64(value) => value.to_string(),
        MapKey::String(value) => value.clone(),
    }
}

fn put_enum(out: &mut Output, number: i32, kind: &Kind) {
    let value = kind.as_enum().and_then(|it| it.get_value(number));
    match value {
        Some(value) => {
            if let Ok(place) = u32::try_from(out.json.len()) {
                out.named.push((place, number));
            }
            put_text(out, value.name());
        }
        None => put(out, number),
    }
}

/// Whether it was one of the messages that have a form of their own.
fn put_well_known(out: &mut Output, message: &DynamicMessage) -> bool {
    let descriptor = message.descriptor();
    let field = |name| descriptor.get_field_by_name(name);
    let put_field = |out: &mut Output, field: Option<FieldDescriptor>| {
        let Some(field) = field else { return false };
        put_value(out, &message.get_field(&field), &field.kind());
        true
    };
    match descriptor.full_name() {
        "google.protobuf.Timestamp" => put_timestamp(out, message),
        "google.protobuf.DoubleValue"
        | "google.protobuf.FloatValue"
        | "google.protobuf.Int64Value"
        | "google.protobuf.UInt64Value"
        | "google.protobuf.Int32Value"
        | "google.protobuf.UInt32Value"
        | "google.protobuf.BoolValue"
        | "google.protobuf.StringValue"
        | "google.protobuf.BytesValue" => put_field(out, field("value")),
        "google.protobuf.Struct" => put_field(out, field("fields")),
        "google.protobuf.ListValue" => put_field(out, field("values")),
        "google.protobuf.Value" => {
            let mut fields = descriptor.fields();
            let set = fields.find(|it| message.has_field(it));
            match set.filter(|it| it.name() != "null_value") {
                Some(field) => put_field(out, Some(field)),
                None => {
                    out.json.extend_from_slice(b"null");
                    true
                }
            }
        }
        _ => false,
    }
}

/// Times before 1970 and beyond the year 9999 have no text here: their seconds and nanos are shown.
fn put_timestamp(out: &mut Output, message: &DynamicMessage) -> bool {
    const FIRST_OF_10000: u64 = 253_402_300_800;
    let number = |name| message.get_field_by_name(name).map(|it| it.into_owned());
    let (Some(Value::I64(seconds)), Some(Value::I32(nanos))) = (number("seconds"), number("nanos"))
    else {
        return false;
    };
    let (Ok(seconds), Ok(nanos)) = (u64::try_from(seconds), u32::try_from(nanos)) else {
        return false;
    };
    if seconds >= FIRST_OF_10000 || nanos >= 1_000_000_000 {
        return false;
    }
    let text = timestamp_text(seconds * 1000 + u64::from(nanos) / 1_000_000);
    if nanos % 1_000_000 == 0 {
        put_text(out, &text);
    } else {
        let seconds = text.split('.').next().unwrap_or_default();
        put_text(out, &format!("{seconds}.{nanos:09}Z"));
    }
    true
}

/// The shortest text that reads back as the same number.
fn put_float(out: &mut Output, value: Option<impl serde::Serialize + Copy>) {
    serde_json::to_writer(&mut out.json, &value).expect("numbers are written to memory");
}

fn put(out: &mut Output, value: impl Display) {
    out.json.extend_from_slice(value.to_string().as_bytes());
}

fn put_text(out: &mut Output, text: &str) {
    serde_json::to_writer(&mut out.json, text).expect("text is written to memory");
}
