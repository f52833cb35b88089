//! The format against its test vectors, which other implementations use too, and against broken bytes.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use wire::{
    DecodeError, EncodeError, EventId, Mark, Stream, Versions,
    answer::{
        Answer, BirthReason, Stored, Welcome, encode_ack, encode_birth_wanted, encode_no_version,
        encode_welcome,
    },
    birth::{
        Device, Dropped, Field, Kind, KindId, Presence, Scalar, StreamState, encode_birth,
        encode_offline,
    },
    envelope::{BatchEncoder, Envelope, Event, Head, encode_event},
};

const READING: Kind<'static> = Kind {
    event_type: "pump.reading",
    version: 2,
    fields: &[
        Field {
            name: "celsius",
            scalar: Scalar::F32,
            bound: 0,
        },
        Field {
            name: "bar",
            scalar: Scalar::U16,
            bound: 3,
        },
    ],
};
const ALARM: Kind<'static> = Kind {
    event_type: "pump.alarm",
    version: 1,
    fields: &[Field {
        name: "text",
        scalar: Scalar::Text,
        bound: 32,
    }],
};

fn stream(number: u8) -> Stream {
    Stream::new(number).unwrap()
}

fn first() -> Head {
    Head {
        incarnation: 0xc0ff_ee01,
        boot: 7,
        stream: stream(3),
        kind: KindId([0xd4, 0x7a]),
        seq: 300,
        uptime_ms: 90_000_000,
    }
}

fn device() -> Device<'static> {
    Device {
        versions: Versions {
            oldest: 1,
            newest: 1,
        },
        incarnation: 0xc0ff_ee01,
        boot: 7,
        uptime_ms: 1500,
        firmware: "1.4.2",
    }
}

fn vector(text: &str) -> Vec<u8> {
    let digits: String = text
        .lines()
        .map(|line| line.split('#').next().unwrap())
        .flat_map(|line| line.chars().filter(|c| !c.is_whitespace()))
        .collect();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

macro_rules! vector {
    ($name:literal) => {
        vector(include_str!(concat!("vectors/", $name, ".hex")))
    };
}

#[test]
fn event_has_the_bytes_of_its_vector() {
    let mut buffer = [0; 64];
    let bytes = encode_event(&first(), &[1, 2, 3], &mut buffer).unwrap();
    assert_eq!(bytes, vector!("event"));

    let envelope = Envelope::decode(bytes).unwrap();
    assert_eq!(envelope.head(), first());
    assert!(!envelope.is_batch());
    let id = EventId {
        incarnation: 0xc0ff_ee01,
        boot: 7,
        stream: stream(3),
        seq: 300,
    };
    let events: Vec<_> = envelope.events().collect();
    assert_eq!(
        events,
        [Event {
            id,
            uptime_ms: 90_000_000,
            data: &[1, 2, 3]
        }]
    );
    assert_eq!(events[0].id.to_string(), "c0ffee0100000007-3-300");
}

#[test]
fn batch_has_the_bytes_of_its_vector() {
    let mut buffer = [0; 64];
    let mut batch = BatchEncoder::new(&first(), &mut buffer).unwrap();
    batch.push(90_000_000, &[1, 2, 3]).unwrap();
    batch.push(90_001_000, &[]).unwrap();
    assert_eq!(batch.len(), 2);
    let bytes = batch.finish();
    assert_eq!(bytes, vector!("batch"));

    let envelope = Envelope::decode(bytes).unwrap();
    assert!(envelope.is_batch());
    let events: Vec<_> = envelope
        .events()
        .map(|event| (event.id.seq, event.uptime_ms, event.data.to_vec()))
        .collect();
    assert_eq!(
        events,
        [(300, 90_000_000, vec![1, 2, 3]), (301, 90_001_000, vec![])]
    );
}

#[test]
fn birth_has_the_bytes_of_its_vector() {
    let streams = [StreamState {
        stream: stream(3),
        last: Mark { boot: 6, seq: 299 },
        oldest: Mark { boot: 5, seq: 12 },
    }];
    let dropped = [Dropped {
        stream: stream(3),
        from: Mark { boot: 5, seq: 1 },
        to: Mark { boot: 5, seq: 11 },
    }];
    let mut buffer = [0; 256];
    let bytes = encode_birth(
        &device(),
        &streams,
        &dropped,
        &[ALARM, READING],
        &mut buffer,
    )
    .unwrap();
    assert_eq!(bytes, vector!("birth"));

    let Presence::Birth(birth) = Presence::decode(bytes).unwrap() else {
        panic!("not a birth")
    };
    assert_eq!(birth.device, device());
    assert_eq!(birth.streams.iter().collect::<Vec<_>>(), streams);
    assert_eq!(birth.dropped.iter().collect::<Vec<_>>(), dropped);
    let (entry, fields) = birth.kind(READING.id()).unwrap();
    assert_eq!((entry.event_type, entry.version), ("pump.reading", 2));
    assert_eq!(fields.collect::<Vec<_>>(), READING.fields);
    assert!(birth.kind(KindId([0, 0])).is_none());
}

#[test]
fn offline_has_the_bytes_of_its_vector() {
    let mut buffer = [0; 8];
    let bytes = encode_offline(0xc0ff_ee01, 7, &mut buffer).unwrap();
    assert_eq!(bytes, vector!("offline"));
    let Presence::Offline { incarnation, boot } = Presence::decode(bytes).unwrap() else {
        panic!("not offline")
    };
    assert_eq!((incarnation, boot), (0xc0ff_ee01, 7));
}

#[test]
fn welcome_has_the_bytes_of_its_vector() {
    let welcome = Welcome {
        version: 1,
        time_ms: Some(1_795_000_000_000),
        configuration: 5,
    };
    let stored = [Stored::new(
        0xc0ff_ee01,
        stream(3),
        Mark { boot: 6, seq: 299 },
    )];
    let mut buffer = [0; 64];
    let bytes = encode_welcome(&welcome, &stored, &mut buffer).unwrap();
    assert_eq!(bytes, vector!("welcome"));
    let Answer::Welcome(read, list) = Answer::decode(bytes).unwrap() else {
        panic!("no welcome")
    };
    assert_eq!(read, welcome);
    assert_eq!(list.iter().collect::<Vec<_>>(), stored);
    assert_eq!(stored[0].incarnation(), 0xc0ff_ee01);
}

#[test]
fn ack_has_the_bytes_of_its_vector() {
    let stored = [
        Stored::new(0xc0ff_ee01, stream(0), Mark { boot: 7, seq: 1 }),
        Stored::new(0xc0ff_ee01, stream(3), Mark { boot: 7, seq: 300 }),
    ];
    let mut buffer = [0; 64];
    let bytes = encode_ack(&stored, &mut buffer).unwrap();
    assert_eq!(bytes, vector!("ack"));
    let Answer::Ack(list) = Answer::decode(bytes).unwrap() else {
        panic!("no ack")
    };
    assert_eq!(list.iter().collect::<Vec<_>>(), stored);
}

#[test]
fn the_short_answers_have_the_bytes_of_their_vectors() {
    let mut buffer = [0; 8];
    assert_eq!(
        encode_birth_wanted(BirthReason::Jump, &mut buffer).unwrap(),
        vector!("birth-wanted")
    );
    let wanted = vector!("birth-wanted");
    assert!(matches!(
        Answer::decode(&wanted),
        Ok(Answer::BirthWanted(BirthReason::Jump))
    ));

    let versions = Versions {
        oldest: 1,
        newest: 3,
    };
    assert_eq!(
        encode_no_version(versions, &mut buffer).unwrap(),
        vector!("no-version")
    );
    let refusal = vector!("no-version");
    assert!(matches!(Answer::decode(&refusal), Ok(Answer::NoVersion(read)) if read == versions));
}

#[test]
fn an_event_of_eight_bytes_takes_22_within_the_first_hours() {
    let head = Head {
        seq: 16_383,
        ..first()
    };
    assert_eq!(
        encode_event(&head, &[0; 8], &mut [0; 64]).unwrap().len(),
        22
    );
}

#[test]
fn twenty_readings_of_six_bytes_take_under_ten_bytes_each() {
    let mut buffer = [0; 512];
    let mut batch = BatchEncoder::new(&first(), &mut buffer).unwrap();
    for second in 0..20 {
        batch
            .push(first().uptime_ms + second * 1000, &[0; 6])
            .unwrap();
    }
    assert_eq!(batch.finish().len(), 194);
}

#[test]
fn a_batch_that_is_full_keeps_what_it_holds() {
    let mut buffer = [0; 24];
    let mut batch = BatchEncoder::new(&first(), &mut buffer).unwrap();
    batch.push(90_000_000, &[1, 2, 3]).unwrap();
    assert_eq!(batch.push(90_000_001, &[0; 30]), Err(EncodeError::Room));
    assert_eq!(batch.push(89_999_999, &[]), Err(EncodeError::Order));
    let bytes = batch.finish();
    assert_eq!(Envelope::decode(bytes).unwrap().events().count(), 1);
}

#[test]
fn a_batch_that_counts_none_or_too_few_is_refused() {
    let good = vector!("batch");
    let count_at = 14;
    assert_eq!(good[count_at], 2);
    for (count, error) in [
        (0, DecodeError::Count),
        (1, DecodeError::Trailing),
        (3, DecodeError::Short),
    ] {
        let mut bad = good.clone();
        bad[count_at] = count;
        assert_eq!(Envelope::decode(&bad).unwrap_err(), error);
    }
}

#[test]
fn a_sequence_over_the_end_is_refused() {
    let mut buffer = [0; 64];
    let mut batch = BatchEncoder::new(
        &Head {
            seq: u64::MAX,
            ..first()
        },
        &mut buffer,
    )
    .unwrap();
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
}

#[test]
fn a_changed_field_changes_the_kind() {
    let wider = Kind {
        fields: &[Field {
            name: "text",
            scalar: Scalar::Text,
            bound: 33,
        }],
        ..ALARM
    };
    let bytes = Kind {
        fields: &[Field {
            name: "text",
            scalar: Scalar::Bytes,
            bound: 32,
        }],
        ..ALARM
    };
    assert_eq!(
        ALARM.id(),
        Kind {
            fields: ALARM.fields,
            ..ALARM
        }
        .id()
    );
    assert_ne!(ALARM.id(), wider.id());
    assert_ne!(ALARM.id(), bytes.id());
    assert_ne!(
        ALARM.id(),
        Kind {
            version: 2,
            ..ALARM
        }
        .id()
    );
}

#[test]
fn a_text_above_its_bound_is_not_written() {
    let long = "x".repeat(65);
    let device = Device {
        firmware: &long,
        ..device()
    };
    assert_eq!(
        encode_birth(&device, &[], &[], &[], &mut [0; 256]),
        Err(EncodeError::Bound)
    );
}

#[test]
fn every_prefix_of_a_message_is_an_error_and_no_single_changed_bit_panics() {
    let down = ["welcome", "ack", "birth-wanted", "no-version"];
    let vectors = [
        ("event", vector!("event")),
        ("batch", vector!("batch")),
        ("birth", vector!("birth")),
        ("offline", vector!("offline")),
        ("welcome", vector!("welcome")),
        ("ack", vector!("ack")),
        ("birth-wanted", vector!("birth-wanted")),
        ("no-version", vector!("no-version")),
    ];
    let decode = |name: &str, bytes: &[u8]| match name {
        "event" | "batch" => Envelope::decode(bytes).map(|envelope| envelope.events().count()),
        name if down.contains(&name) => Answer::decode(bytes).map(|_| 1),
        _ => Presence::decode(bytes).map(|_| 1),
    };
    for (name, good) in &vectors {
        // The data of a single event runs to the end of the message: its last three bytes may be missing.
        let least = if *name == "event" {
            good.len() - 3
        } else {
            good.len()
        };
        for end in 0..least {
            assert!(decode(name, &good[..end]).is_err(), "{name} cut at {end}");
        }
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let _ = decode(name, &bad); // any answer will do, as long as there is one
        }
    }
}
