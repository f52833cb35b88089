//! Bounds, orders, and broken bytes.

use wire::{
    DecodeError, EncodeError, MAX_DATA, MAX_RESULT,
    birth::{Device, Presence, encode_birth, encode_kinds, encode_result},
    command::{Command, Outcome},
    envelope::{BatchEncoder, Envelope, Head, encode_event},
    kind::{Announced, Field, Kind, Scalar, Shape},
    value::{self, Value, take_field},
};

use crate::{
    samples::{ALARM, COMMAND_ID, READING, device, first, mark},
    vectors::{Vector, all, answer_to},
};

#[test]
fn a_batch_that_is_full_keeps_what_it_holds() {
    let mut buffer = [0; 32];
    let mut batch = BatchEncoder::new(&first(), &mut buffer).unwrap();
    batch.push(90_000_000, &[1, 2, 3]).unwrap();
    assert_eq!(batch.push(90_000_001, &[0; 30]), Err(EncodeError::Room));
    assert_eq!(batch.push(89_999_999, &[]), Err(EncodeError::Order));
    assert_eq!(batch.len(), 1);
    let envelope = Envelope::decode(batch.finish()).unwrap();
    let events: Vec<_> = envelope
        .events(0)
        .map(|event| (event.uptime_ms, event.data))
        .collect();
    assert_eq!(events, [(90_000_000, &[1, 2, 3][..])]);
}

#[test]
fn the_first_of_a_batch_has_the_time_of_the_head() {
    let mut buffer = [0; 64];
    let mut batch = BatchEncoder::new(&first(), &mut buffer).unwrap();
    assert_eq!(batch.push(90_000_001, &[]), Err(EncodeError::Order));
    assert!(batch.is_empty());
}

#[test]
fn a_batch_ends_at_255_events() {
    let mut buffer = [0; 2048];
    let mut batch = BatchEncoder::new(&first(), &mut buffer).unwrap();
    for _ in 0..255 {
        batch.push(90_000_000, &[]).unwrap();
    }
    assert_eq!(batch.push(90_000_000, &[]), Err(EncodeError::Bound));
    let bytes = batch.finish();
    assert_eq!(Envelope::decode(bytes).unwrap().count(), 255);
}

#[test]
fn a_sequence_over_the_end_is_refused() {
    let last = Head {
        mark: mark(7, u64::MAX),
        ..first()
    };
    let mut buffer = [0; 64];
    let mut batch = BatchEncoder::new(&last, &mut buffer).unwrap();
    batch.push(90_000_000, &[]).unwrap();
    batch.push(90_000_000, &[]).unwrap();
    assert_eq!(
        Envelope::decode(batch.finish()).unwrap_err(),
        DecodeError::Overflow
    );
}

#[test]
fn two_kinds_of_one_id_are_refused() {
    let mut buffer = [0; 256];
    let bytes = encode_birth(&device(), &[], &[], &[ALARM, ALARM], &mut buffer).unwrap();
    assert_eq!(Presence::decode(bytes).unwrap_err(), DecodeError::Count);
    let bytes = encode_kinds(&[READING, READING], &mut buffer).unwrap();
    assert_eq!(Presence::decode(bytes).unwrap_err(), DecodeError::Count);
}

#[test]
fn a_birth_does_not_hold_more_kinds_than_it_says() {
    let device = Device {
        kinds: 1,
        ..device()
    };
    assert_eq!(
        encode_birth(&device, &[], &[], &[ALARM, READING], &mut [0; 256]),
        Err(EncodeError::Bound)
    );
}

#[test]
fn a_changed_field_changes_the_kind() {
    const OTHERS: [Kind<'static>; 5] = [
        Kind {
            version: 2,
            ..ALARM.kind
        },
        Kind {
            event_type: "pump.alarms",
            ..ALARM.kind
        },
        Kind {
            fields: &[Field {
                name: "text",
                scalar: Scalar::Text,
                shape: Shape::UpTo(33),
            }],
            ..ALARM.kind
        },
        Kind {
            fields: &[Field {
                name: "text",
                scalar: Scalar::Bytes,
                shape: Shape::UpTo(32),
            }],
            ..ALARM.kind
        },
        Kind {
            fields: &[Field {
                name: "note",
                scalar: Scalar::Text,
                shape: Shape::UpTo(32),
            }],
            ..ALARM.kind
        },
    ];
    assert_eq!(ALARM.id, ALARM.kind.id());
    for other in OTHERS {
        assert_ne!(other.id(), ALARM.id, "{other:?}");
    }
}

#[test]
fn what_is_above_its_bound_is_not_written() {
    let long = "x".repeat(65);
    let mut buffer = [0; 8192];
    let device = Device {
        firmware: &long,
        ..device()
    };
    assert_eq!(
        encode_birth(&device, &[], &[], &[], &mut buffer),
        Err(EncodeError::Bound)
    );
    let data = [0; MAX_DATA + 1];
    assert_eq!(
        encode_event(&first(), &data, &mut buffer),
        Err(EncodeError::Bound)
    );
    let run = Command::Run {
        id: COMMAND_ID,
        name: "x",
        data: &data,
    };
    assert_eq!(run.encode(&mut buffer), Err(EncodeError::Bound));
    assert_eq!(
        encode_result(COMMAND_ID, Outcome::Done, &data[..=MAX_RESULT], &mut buffer),
        Err(EncodeError::Bound)
    );
    let bare = Announced::new(Kind {
        fields: &[Field {
            name: "text",
            scalar: Scalar::Text,
            shape: Shape::One,
        }],
        ..ALARM.kind
    });
    assert_eq!(encode_kinds(&[bare], &mut buffer), Err(EncodeError::Bound));
    assert_eq!(
        encode_kinds(&[ALARM; 128], &mut buffer),
        Err(EncodeError::Bound)
    );
    let none = Head {
        mark: mark(0, 1),
        ..first()
    };
    assert_eq!(
        encode_event(&none, &[], &mut buffer),
        Err(EncodeError::Bound)
    );
}

#[test]
fn data_is_read_as_its_table_says() {
    let data = [0, 0, 0xc0, 0x3f, 1, 0xac, 2, 3];
    let [celsius, bar] = READING.kind.fields else {
        panic!("two fields")
    };
    let (elements, rest) = take_field(celsius, &data).unwrap();
    assert_eq!(elements.collect::<Vec<_>>(), [Value::F32(1.5)]);
    let (elements, rest) = take_field(bar, rest).unwrap();
    assert_eq!(elements.len(), 3);
    let bars = [Value::Unsigned(1), Value::Unsigned(300), Value::Unsigned(3)];
    assert_eq!(elements.collect::<Vec<_>>(), bars);
    assert!(rest.is_empty());

    let fields = || READING.kind.fields.iter().copied();
    assert_eq!(value::check(fields(), &data), Ok(()));
    assert_eq!(value::check(fields(), &data[..7]), Err(DecodeError::Short));
    assert_eq!(
        value::check(fields(), &[&data[..], &[0]].concat()),
        Err(DecodeError::Trailing)
    );
}

#[test]
fn data_above_the_bound_of_its_field_is_refused() {
    let field = |scalar, shape| Field {
        name: "x",
        scalar,
        shape,
    };
    let text = field(Scalar::Text, Shape::UpTo(3));
    let (mut elements, rest) = take_field(&text, &[3, b'a', b'b', b'c', 9]).unwrap();
    assert_eq!(
        (elements.next(), elements.next()),
        (Some(Value::Text("abc")), None)
    );
    assert_eq!(rest, [9]);
    assert_eq!(
        take_field(&text, &[4, 0, 0, 0, 0]).unwrap_err(),
        DecodeError::Bound
    );
    assert_eq!(
        take_field(&text, &[1, 0xff]).unwrap_err(),
        DecodeError::Value
    );

    let list = field(Scalar::I16, Shape::UpTo(2));
    let (elements, _) = take_field(&list, &[2, 1, 0xac, 2]).unwrap();
    assert_eq!(
        elements.collect::<Vec<_>>(),
        [Value::Signed(-1), Value::Signed(150)]
    );
    assert_eq!(
        take_field(&list, &[3, 0, 0, 0]).unwrap_err(),
        DecodeError::Bound
    );
    let flag = field(Scalar::Bool, Shape::One);
    assert_eq!(take_field(&flag, &[2]).unwrap_err(), DecodeError::Value);
}

#[test]
fn every_prefix_of_a_message_is_an_error_and_no_single_changed_bit_panics() {
    for Vector {
        topic,
        name,
        data_len,
        bytes: good,
    } in all()
    {
        for end in 0..good.len() - data_len {
            assert_ne!(answer_to(topic, &good[..end]), "ok", "{name} cut at {end}");
        }
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            if let (true, Ok(envelope)) = (topic == 'd', Envelope::decode(&bad)) {
                assert_eq!(
                    envelope.events(0).count(),
                    envelope.count(),
                    "{name} with bit {bit} flipped"
                );
            }
            answer_to(topic, &bad); // any answer will do, as long as there is one
        }
    }
}
