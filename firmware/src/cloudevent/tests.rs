extern crate std;
use std::{string::String, vec::Vec};

use wire::{
    Stream,
    birth::{Presence, encode_kinds},
    kind::{Announced, Field, Kind, Scalar, Shape},
};

use super::*;

const fn field(name: &'static str, scalar: Scalar, shape: Shape) -> Field<'static> {
    Field {
        name,
        scalar,
        shape,
    }
}

const READING: Kind<'static> = Kind {
    event_type: "pump.reading",
    version: 1,
    fields: &[
        field("celsius", Scalar::F32, Shape::One),
        field("bar", Scalar::U16, Shape::Array(2)),
        field("note", Scalar::Text, Shape::UpTo(8)),
    ],
};
/// 0.1, [3, 400], `a"\n`.
const DATA: &[u8] = &[0xcd, 0xcc, 0xcc, 0x3d, 3, 0x90, 3, 3, b'a', b'"', b'\n'];
const AT: Time = Time {
    time_ms: Some(1_795_000_000_123),
    is_synced: true,
};

fn table<T>(kind: Kind<'_>, then: impl FnOnce(&Table<'_>) -> T) -> T {
    let mut bytes = [0; 4096];
    let Ok(Presence::Kinds(kinds)) =
        Presence::decode(encode_kinds(&[Announced::new(kind)], &mut bytes).unwrap())
    else {
        panic!("no kinds")
    };
    then(&kinds.iter().next().unwrap())
}

fn event<'a>(device: &'a str, table: Option<&'a Table<'a>>, data: &'a [u8]) -> CloudEvent<'a> {
    CloudEvent {
        id: EventId {
            incarnation: 0x00c0_ffee,
            boot: 7,
            stream: Stream::new(3).unwrap(),
            seq: 41,
        },
        device: DeviceId::new(device).unwrap(),
        time: AT,
        table,
        data,
    }
}

/// The bytes of a PUBLISH, and where its payload begins.
fn packet(event: &CloudEvent<'_>, encoding: Encoding) -> (Vec<u8>, usize) {
    let (mut head, mut payload) = ([0; MAX_HEAD], [0; MAX_PAYLOAD]);
    let under = Prefix::new("plant").unwrap();
    let packet = event.encode((under, 0x0102), encoding, &mut head, &mut payload);
    let packet = packet.unwrap();
    let bytes = [packet.head, packet.payload].concat();
    (bytes, packet.head.len())
}

fn payload(event: &CloudEvent<'_>, encoding: Encoding) -> String {
    let (bytes, head_len) = packet(event, encoding);
    String::from_utf8(bytes[head_len..].to_vec()).unwrap()
}

fn pair(bytes: &mut Vec<u8>, name: &str, value: &str) {
    bytes.push(0x26);
    for text in [name, value] {
        bytes.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
        bytes.extend(text.bytes());
    }
}

#[test]
fn an_event_in_binary_mode_has_its_attributes_as_properties() {
    let (bytes, head_len) = table(READING, |table| {
        packet(&event("pump-7", Some(table), DATA), Encoding::Binary)
    });
    let mut properties = b"\x03\x00\x10application/json".to_vec();
    for (name, value) in [
        ("specversion", "1.0"),
        ("id", "00c0ffee00000007-3-41"),
        ("source", "urn:edge-device:pump-7"),
        ("type", "pump.reading"),
        ("subject", "pump-7"),
        ("time", "2026-11-18T11:06:40.123Z"),
    ] {
        pair(&mut properties, name, value);
    }
    assert_eq!(properties.len(), 171);
    let mut expected = b"\x32\xed\x01\x00\x0cplant/pump-7\x01\x02\xab\x01".to_vec();
    expected.extend(&properties);
    assert_eq!(head_len, expected.len());
    expected.extend(br#"{"celsius":0.1,"bar":[3,400],"note":"a\"\u000a"}"#);
    assert_eq!(bytes, expected);
}

#[test]
fn an_event_in_structured_mode_is_one_object() {
    let (bytes, head_len) = table(READING, |table| {
        packet(&event("pump-7", Some(table), DATA), Encoding::Structured)
    });
    let head =
        b"\x00\x0cplant/pump-7\x01\x02\x2e\x03\x00\x2bapplication/cloudevents+json; charset=utf-8";
    assert_eq!(&bytes[3..head_len], head);
    let expected = concat!(
        r#"{"specversion":"1.0","id":"00c0ffee00000007-3-41","source":"urn:edge-device:pump-7","#,
        r#""type":"pump.reading","subject":"pump-7","time":"2026-11-18T11:06:40.123Z","#,
        r#""datacontenttype":"application/json","data":{"celsius":0.1,"bar":[3,400],"note":"a\"\u000a"}}"#,
    );
    assert_eq!(std::str::from_utf8(&bytes[head_len..]), Ok(expected));
}

#[test]
fn data_that_is_not_what_its_table_says_goes_as_it_is() {
    let shown = table(READING, |table| {
        let short = event("pump-7", Some(table), &[0xff, 0, 1, 2]);
        let (bytes, head_len) = packet(&short, Encoding::Binary);
        let mut invalid = Vec::new();
        pair(
            &mut invalid,
            "invalidreason",
            "the data is not what its table says",
        );
        assert!(bytes[..head_len].ends_with(&invalid));
        assert_eq!(&bytes[head_len..], [0xff, 0, 1, 2]);
        payload(&short, Encoding::Structured)
    });
    let expected = concat!(
        r#""datacontenttype":"application/octet-stream","invalidreason":"the data is not what its table says","#,
        r#""data_base64":"/wABAg=="}"#
    );
    assert!(shown.ends_with(expected), "{shown}");
}

#[test]
fn an_event_whose_kind_is_forgotten_is_sent_all_the_same() {
    let shown = payload(&event("pump-7", None, b"abc"), Encoding::Structured);
    assert!(
        shown.contains(r#""type":"edge.unknown-kind.v1""#),
        "{shown}"
    );
    assert!(shown.ends_with(r#""data_base64":"YWJj"}"#), "{shown}");
}

#[test]
fn a_time_nobody_told_is_left_out_and_said_to_be_unsynced() {
    let mut unsure = event("pump-7", None, b"");
    unsure.time = Time {
        time_ms: None,
        is_synced: false,
    };
    let shown = payload(&unsure, Encoding::Structured);
    assert!(!shown.contains(r#""time":"#), "{shown}");
    assert!(shown.contains(r#""timequality":"unsynced""#), "{shown}");
}

#[test]
fn numbers_bytes_and_what_is_no_number_are_json() {
    let all = Kind {
        fields: &[
            field("nan", Scalar::F64, Shape::One),
            field("f", Scalar::F64, Shape::One),
            field("i", Scalar::I16, Shape::One),
            field("u", Scalar::U64, Shape::One),
            field("on", Scalar::Bool, Shape::One),
            field("raw", Scalar::Bytes, Shape::UpTo(4)),
            field("none", Scalar::U8, Shape::UpTo(4)),
        ],
        ..READING
    };
    let mut data = Vec::new();
    data.extend(f64::NAN.to_le_bytes());
    data.extend(1e300f64.to_le_bytes());
    data.push(3); // zigzag of -2
    data.extend([0xff; 9]);
    data.extend([1, 1, 2, 0xfb, 0xff, 0]);
    let shown = table(all, |table| {
        payload(&event("pump-7", Some(table), &data), Encoding::Binary)
    });
    let expected = r#"{"nan":null,"f":1e300,"i":-2,"u":18446744073709551615,"on":true,"raw":"+/8=","none":[]}"#;
    assert_eq!(shown, expected);
}

#[test]
fn the_longest_event_finds_room_and_longer_json_goes_as_it_is() {
    // What takes most as JSON: six bytes for a control character, two for a quotation mark.
    let (event_type, name, under) = ("\u{1}".repeat(64), "\"".repeat(64), "u".repeat(64));
    let kind = Kind {
        event_type: &event_type,
        version: 1,
        fields: &[field("b", Scalar::Text, Shape::UpTo(464))],
    };
    let data = |len: u8| [&[len | 0x80, 1], &[1; 0x100][..0x80 + usize::from(len)]].concat();
    let reason = Invalid::Long.reason();
    table(kind, |table| {
        for (len, is_long) in [(84, false), (85, true)] {
            for encoding in [Encoding::Binary, Encoding::Structured] {
                let data = data(len);
                let mut longest = event(&name, Some(table), &data);
                (longest.id.boot, longest.id.seq) = (u32::MAX, u64::MAX);
                longest.time.is_synced = false;
                let (mut head, mut payload) = ([0; MAX_HEAD], [0; MAX_PAYLOAD]);
                let place = (Prefix::new(&under).unwrap(), 1);
                let packet = longest.encode(place, encoding, &mut head, &mut payload);
                let packet = packet.unwrap();
                let all = [packet.head, packet.payload].concat();
                let says = all.windows(reason.len()).any(|it| it == reason.as_bytes());
                assert_eq!(says, is_long, "{encoding:?}, {len}");
            }
        }
    });
}

#[test]
fn a_source_has_the_name_as_a_uri_has_it() {
    let shown = payload(&event("Halle 3~ö", None, b""), Encoding::Structured);
    assert!(
        shown.contains(r#""source":"urn:edge-device:Halle%203~%C3%B6""#),
        "{shown}"
    );
}

#[test]
fn timestamps_are_those_of_the_calendar() {
    for (time_ms, expected) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (951_782_399_999, "2000-02-28T23:59:59.999Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (1_709_251_200_000, "2024-03-01T00:00:00.000Z"),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        (1_798_761_599_000, "2026-12-31T23:59:59.000Z"),
        (u64::MAX, "9999-12-31T23:59:59.999Z"),
    ] {
        let mut shown = String::new();
        text::timestamp(time_ms, &mut shown).unwrap();
        assert_eq!(shown, expected);
    }
}
