//! Generated messages and bytes: what is written is read again, and the primitives are postcard's.

use proptest::{collection::vec, prelude::*};
use serde::{Deserialize, Serialize};
use wire::{
    EncodeError, Mark, Stream,
    birth::{Dropped, LossReason, Presence, StreamState, encode_birth},
    envelope::{BatchEncoder, Envelope, Head, encode_event},
    kind::{Field, KindId, Scalar, Shape},
    value::{self, Value, take_field},
};

use crate::samples::{READING, device};

/// A struct whose encoding by postcard is the data of the kind below.
#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Data {
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
    name: String,
    list: Vec<u32>,
    pair: [i64; 2],
}

const FIELDS: [Field<'static>; 14] = {
    const fn one(name: &str, scalar: Scalar) -> Field<'_> {
        Field {
            name,
            scalar,
            shape: Shape::One,
        }
    }
    [
        one("flag", Scalar::Bool),
        one("small", Scalar::U8),
        one("signed", Scalar::I8),
        one("medium", Scalar::U16),
        one("deep", Scalar::I16),
        one("wide", Scalar::U32),
        one("cold", Scalar::I32),
        one("huge", Scalar::U64),
        one("low", Scalar::I64),
        one("half", Scalar::F32),
        one("whole", Scalar::F64),
        Field {
            name: "name",
            scalar: Scalar::Text,
            shape: Shape::UpTo(64),
        },
        Field {
            name: "list",
            scalar: Scalar::U32,
            shape: Shape::UpTo(8),
        },
        Field {
            name: "pair",
            scalar: Scalar::I64,
            shape: Shape::Array(2),
        },
    ]
};

prop_compose! {
    fn data()(
        integers in any::<(bool, u8, i8, u16, i16, u32, i32, u64, i64)>(),
        half in any::<f32>(), whole in any::<f64>(),
        name in "\\PC{0,16}", list in vec(any::<u32>(), 0..=8), pair in any::<[i64; 2]>(),
    ) -> Data {
        let (flag, small, signed, medium, deep, wide, cold, huge, low) = integers;
        Data { flag, small, signed, medium, deep, wide, cold, huge, low, half, whole, name, list, pair }
    }
}

prop_compose! {
    fn head()(
        incarnation in any::<Option<u32>>(), stream in 0u8..8, boot in 1u32.., seq in 1..u64::MAX - 255,
        uptime_ms in 0..1u64 << 60, kind in any::<[u8; 2]>(),
    ) -> Head {
        let (stream, mark) = (Stream::new(stream).unwrap(), Mark { boot, seq });
        Head { incarnation, stream, mark, uptime_ms, kind: KindId(kind) }
    }
}

proptest! {
    #[test]
    fn an_event_is_read_as_it_was_written(head in head(), data in vec(any::<u8>(), 0..64)) {
        let mut buffer = [0; 128];
        let envelope = Envelope::decode(encode_event(&head, &data, &mut buffer).unwrap()).unwrap();
        prop_assert_eq!(envelope.head(), head);
        let events: Vec<_> = envelope.events(7).collect();
        prop_assert_eq!(events.len(), 1);
        prop_assert_eq!(events[0].data, data);
        prop_assert_eq!(events[0].id.incarnation, head.incarnation.unwrap_or(7));
    }

    #[test]
    fn a_batch_is_read_as_it_was_written(
        head in head(),
        gaps in prop_oneof![vec(any::<u32>(), 0..20), (any::<u32>(), 0usize..20).prop_map(|(gap, n)| vec![gap; n])],
        data in prop_oneof![vec(vec(any::<u8>(), 0..20), 20), vec(vec(any::<u8>(), 6), 20)],
        room in 64usize..600,
    ) {
        let mut buffer = vec![0; room];
        let mut batch = BatchEncoder::new(&head, &mut buffer).unwrap();
        let mut expected = Vec::new();
        let mut uptime_ms = head.uptime_ms;
        for (gap, data) in std::iter::once(0).chain(gaps).zip(&data) {
            uptime_ms += u64::from(gap);
            match batch.push(uptime_ms, data) {
                Ok(()) => expected.push((head.mark.seq + expected.len() as u64, uptime_ms, &data[..])),
                Err(error) => {
                    prop_assert_eq!(error, EncodeError::Room);
                    break;
                }
            }
        }
        let envelope = Envelope::decode(batch.finish()).unwrap();
        prop_assert_eq!(envelope.head(), head);
        let read: Vec<_> = envelope.events(7).map(|event| (event.id.seq, event.uptime_ms, event.data)).collect();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn a_birth_is_read_as_it_was_written(
        states in vec(any::<(u32, u32, u64, u32, u64)>(), 0..127),
        ranges in vec((0u8..8, any::<(u32, u64)>()), 0..127),
        firmware in "[ -~]{0,64}",
    ) {
        let streams: Vec<_> = states.iter().map(|(incarnation, a, b, c, d)| StreamState {
            incarnation: *incarnation,
            stream: Stream::new(incarnation.to_le_bytes()[0] % 8).unwrap(),
            last: Mark { boot: *a, seq: *b },
            oldest: Mark { boot: *c, seq: *d },
        }).collect();
        let dropped: Vec<_> = ranges.iter().map(|(stream, (boot, seq))| Dropped {
            incarnation: *boot,
            stream: Stream::new(*stream).unwrap(),
            from: Mark { boot: *boot, seq: *seq },
            to: Mark { boot: boot.saturating_add(1), seq: u64::MAX },
            reason: LossReason::Outbox,
        }).collect();
        let device = wire::birth::Device { firmware: &firmware, ..device() };
        let mut buffer = vec![0; 16_384];
        let bytes = encode_birth(&device, &streams, &dropped, &[READING], &mut buffer).unwrap();
        let Ok(Presence::Birth(birth)) = Presence::decode(bytes) else { panic!("no birth") };
        prop_assert_eq!(birth.device, device);
        prop_assert_eq!(birth.streams.iter().collect::<Vec<_>>(), streams);
        prop_assert_eq!(birth.dropped.iter().collect::<Vec<_>>(), dropped);
    }

    #[test]
    fn what_postcard_writes_is_read_by_the_table(data in data()) {
        let bytes = postcard::to_allocvec(&data).unwrap();
        prop_assert_eq!(value::check(FIELDS, &bytes), Ok(()));
        let (mut rest, mut read) = (&bytes[..], Vec::new());
        for field in &FIELDS {
            let elements;
            (elements, rest) = take_field(field, rest).unwrap();
            read.push(elements.collect::<Vec<_>>());
        }
        let unsigned = |value: u64| vec![Value::Unsigned(value)];
        let signed = |value: i64| vec![Value::Signed(value)];
        let expected = [
            vec![Value::Bool(data.flag)], unsigned(data.small.into()), signed(data.signed.into()),
            unsigned(data.medium.into()), signed(data.deep.into()), unsigned(data.wide.into()),
            signed(data.cold.into()), unsigned(data.huge), signed(data.low),
            vec![Value::F32(data.half)], vec![Value::F64(data.whole)], vec![Value::Text(&data.name)],
            data.list.iter().map(|value| Value::Unsigned((*value).into())).collect(),
            data.pair.iter().map(|value| Value::Signed(*value)).collect(),
        ];
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn the_table_takes_the_bytes_that_postcard_takes(bytes in vec(any::<u8>(), 0..80)) {
        let by_postcard = postcard::take_from_bytes::<(u16, i32, u64, i16, bool, [u32; 2])>(&bytes);
        let scalars = [Scalar::U16, Scalar::I32, Scalar::U64, Scalar::I16, Scalar::Bool, Scalar::U32, Scalar::U32];
        let mut rest = Ok(&bytes[..]);
        for scalar in scalars {
            rest = rest.and_then(|bytes| {
                take_field(&Field { name: "", scalar, shape: Shape::One }, bytes).map(|(_, rest)| rest)
            });
        }
        prop_assert_eq!(rest.ok(), by_postcard.ok().map(|(_, rest)| rest));
    }
}
