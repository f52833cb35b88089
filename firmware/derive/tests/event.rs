//! Derived events: their tables, and their data as postcard writes it.
#![expect(clippy::unwrap_used, reason = "these are tests")]

use serde::Serialize;
use wire::{
    DecodeError, EncodeError, Event,
    kind::{Scalar, Shape},
    value,
};

#[derive(Event, Serialize, Debug, PartialEq)]
#[event(type = "pump.everything", version = 3)]
struct Everything {
    flag: bool,
    small: u8,
    signed: i8,
    medium: u16,
    deep: i16,
    wide: u32,
    cold: i32,
    huge: u64,
    low: i64,
    half: f32,
    whole: f64,
    pair: [i32; 2],
    list: heapless::Vec<u16, 4>,
    r#type: heapless::String<8>,
}

fn everything() -> Everything {
    Everything {
        flag: true,
        small: 200,
        signed: -7,
        medium: 300,
        deep: i16::MIN,
        wide: u32::MAX,
        cold: -1,
        huge: u64::MAX,
        low: i64::MIN,
        half: 1.5,
        whole: -2.25,
        pair: [i32::MAX, -300],
        list: heapless::Vec::from_slice(&[1, 300, 3]).unwrap(),
        r#type: "warm".try_into().unwrap(),
    }
}

#[test]
fn the_data_is_what_postcard_writes_and_what_the_table_says() {
    let event = everything();
    let mut buffer = [0; 128];
    let data = event.encode(&mut buffer).unwrap();
    assert_eq!(data, postcard::to_allocvec(&event).unwrap());
    assert_eq!(
        value::check(Everything::KIND.fields.iter().copied(), data),
        Ok(())
    );
    assert_eq!(Everything::decode(data).unwrap(), event);
}

#[test]
fn the_table_names_type_version_and_fields() {
    let kind = Everything::KIND;
    assert_eq!(
        (kind.event_type, kind.version, kind.fields.len()),
        ("pump.everything", 3, 14)
    );
    let last: Vec<_> = kind.fields[11..]
        .iter()
        .map(|field| (field.name, field.scalar, field.shape))
        .collect();
    assert_eq!(
        last,
        [
            ("pair", Scalar::I32, Shape::Array(2)),
            ("list", Scalar::U16, Shape::UpTo(4)),
            ("type", Scalar::Text, Shape::UpTo(8)),
        ]
    );
}

#[test]
fn data_that_is_not_of_the_table_is_refused() {
    let mut buffer = [0; 128];
    let data = everything().encode(&mut buffer).unwrap();
    for end in 0..data.len() {
        assert!(Everything::decode(&data[..end]).is_err(), "cut at {end}");
    }
    let longer = [data, &[0]].concat();
    assert_eq!(Everything::decode(&longer), Err(DecodeError::Trailing));
    let mut bad = data.to_vec();
    bad[0] = 2;
    assert_eq!(Everything::decode(&bad), Err(DecodeError::Value));
    assert_eq!(everything().encode(&mut [0; 40]), Err(EncodeError::Room));
}
