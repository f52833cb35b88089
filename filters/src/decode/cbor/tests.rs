use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|it| it.to_digit(16)).collect();
    digits
        .chunks(2)
        .map(|it| (it[0] * 16 + it[1]) as u8)
        .collect()
}

fn json(text: &str) -> String {
    String::from_utf8(cbor_to_json(&hex(text)).unwrap()).unwrap()
}

fn problem(text: &str) -> CborProblem {
    cbor_to_json(&hex(text)).unwrap_err().problem
}

/// Encoded items of RFC 8949, appendix A, and what §6.1 makes of them.
const EXAMPLES: &[(&str, &str)] = &[
    ("00", "0"),
    ("17", "23"),
    ("1818", "24"),
    ("1903e8", "1000"),
    ("1a000f4240", "1000000"),
    ("1bffffffffffffffff", "18446744073709551615"),
    ("c249010000000000000000", "18446744073709551616"),
    ("3bffffffffffffffff", "-18446744073709551616"),
    ("c349010000000000000000", "-18446744073709551617"),
    ("20", "-1"),
    ("3903e7", "-1000"),
    ("f90000", "0.0"),
    ("f98000", "-0.0"),
    ("f93e00", "1.5"),
    ("f97bff", "65504.0"),
    ("fa47c35000", "100000.0"),
    ("fb3ff199999999999a", "1.1"),
    ("f90001", "5.960464477539063e-8"),
    ("f90400", "0.00006103515625"),
    ("fbc010666666666666", "-4.1"),
    ("f97c00", "null"),
    ("f97e00", "null"),
    ("faff800000", "null"),
    ("f4", "false"),
    ("f5", "true"),
    ("f6", "null"),
    ("f7", "null"),
    ("f0", "null"),
    ("f8ff", "null"),
    (
        "c074323031332d30332d32315432303a30343a30305a",
        "\"2013-03-21T20:04:00Z\"",
    ),
    ("c11a514b67b0", "\"2013-03-21T20:04:00.000Z\""),
    ("c1fb41d452d9ec200000", "\"2013-03-21T20:04:00.500Z\""),
    ("d74401020304", "\"01020304\""),
    ("d818456449455446", "\"IETF\""),
    (
        "d82076687474703a2f2f7777772e6578616d706c652e636f6d",
        "\"http://www.example.com\"",
    ),
    ("40", "\"\""),
    ("4401020304", "\"AQIDBA\""),
    ("62225c", "\"\\\"\\\\\""),
    ("63e6b0b4", "\"水\""),
    ("83010203", "[1,2,3]"),
    ("8301820203820405", "[1,[2,3],[4,5]]"),
    ("a201020304", "{\"1\":2,\"3\":4}"),
    ("a26161016162820203", "{\"a\":1,\"b\":[2,3]}"),
    ("5f42010243030405ff", "\"AQIDBAU\""),
    ("7f657374726561646d696e67ff", "\"streaming\""),
    ("9f018202039f0405ffff", "[1,[2,3],[4,5]]"),
    ("bf61610161629f0203ffff", "{\"a\":1,\"b\":[2,3]}"),
];

#[test]
fn published_examples_become_what_the_standard_says() {
    for (cbor, expected) in EXAMPLES {
        assert_eq!(json(cbor), *expected, "{cbor}");
    }
}

#[test]
fn numbers_stay_exact_whatever_their_size() {
    assert_eq!(json("c48221196ab3"), "27315e-2");
    assert_eq!(
        json("c48220c249010000000000000000"),
        "18446744073709551616e-1"
    );
    assert_eq!(json("c240"), "0");
    assert_eq!(json("c340"), "-1");
    assert_eq!(json("c2430f4240"), "1000000");
    let largest = format!("c2590100{}", "ff".repeat(256));
    assert_eq!(json(&largest).len(), 617);
    assert_eq!(
        problem(&format!("c2590101{}", "ff".repeat(257))),
        CborProblem::TooLarge
    );
    assert_eq!(
        json(&format!("c25901010042{}", "00".repeat(255))).len(),
        616
    );
}

#[test]
fn negative_keys_and_the_nearest_encoding_of_bytes_are_kept() {
    assert_eq!(json("a1210a"), "{\"-2\":10}");
    assert_eq!(json("d6824203fbd7420afb"), "[\"A/s=\",\"0AFB\"]");
}

#[test]
fn what_is_no_item_is_refused_with_the_reason() {
    let cases = [
        ("", CborProblem::Truncated),
        ("1900", CborProblem::Truncated),
        ("6261", CborProblem::Truncated),
        ("8201", CborProblem::Truncated),
        ("9f01", CborProblem::Truncated),
        ("9bffffffffffffffff", CborProblem::Truncated),
        ("5bffffffffffffffff", CborProblem::Truncated),
        ("0000", CborProblem::LeftOver),
        ("1c", CborProblem::Malformed),
        ("fc", CborProblem::Malformed),
        ("f810", CborProblem::Malformed),
        ("ff", CborProblem::Malformed),
        ("8101ff", CborProblem::LeftOver),
        ("82ff01", CborProblem::Malformed),
        ("5f6161ff", CborProblem::Malformed),
        ("7f7f6161ffff", CborProblem::Malformed),
        ("bf6161ff", CborProblem::Malformed),
        ("1f", CborProblem::Malformed),
        ("61ff", CborProblem::NotUtf8),
        ("a1f501", CborProblem::Key),
        ("a1810101", CborProblem::Key),
        ("c1616e", CborProblem::Tag),
        ("c201", CborProblem::Tag),
        ("c48201", CborProblem::Truncated),
        ("c4820161", CborProblem::Tag),
        ("c48101", CborProblem::Tag),
        ("d81801", CborProblem::Tag),
        ("d818420000", CborProblem::LeftOver),
        ("c4821bffffffffffffffff01", CborProblem::TooLarge),
    ];
    for (cbor, expected) in cases {
        let result = cbor_to_json(&hex(cbor));
        let found = result
            .as_ref()
            .map(|it| String::from_utf8_lossy(it))
            .map_err(|it| it.problem);
        assert_eq!(found, Err(expected), "{cbor}");
    }
}

#[test]
fn depth_is_bounded_whatever_makes_it() {
    for (open, leaf) in [("81", "00"), ("d9d9f7", "00"), ("a100", "00"), ("9f", "")] {
        assert_eq!(
            problem(&format!("{}{leaf}", open.repeat(100_000))),
            CborProblem::TooDeep
        );
    }
    assert!(cbor_to_json(&hex(&format!("{}00", "81".repeat(63)))).is_ok());
    assert_eq!(
        problem(&format!("{}00", "81".repeat(64))),
        CborProblem::TooDeep
    );
    let mut nested = vec![0];
    for _ in 0..70 {
        let length = u16::try_from(nested.len()).unwrap().to_be_bytes();
        nested = [&[0xD8, 24, 0x59], &length[..], &nested].concat();
    }
    assert_eq!(
        cbor_to_json(&nested).unwrap_err().problem,
        CborProblem::TooDeep
    );
}

#[test]
fn random_bytes_never_panic_and_what_is_decoded_is_json() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut decoded = 0;
    for _ in 0..200_000 {
        let bytes: Vec<u8> = (0..random.usize(0..24)).map(|_| random.u8(..)).collect();
        if let Ok(json) = cbor_to_json(&bytes) {
            assert!(
                serde_json::from_slice::<serde::de::IgnoredAny>(&json).is_ok(),
                "{}",
                String::from_utf8_lossy(&json)
            );
            decoded += 1;
        }
    }
    assert!(decoded > 1000, "{decoded}");
}

fn random_value(random: &mut fastrand::Rng, depth: usize) -> serde_json::Value {
    match random.u8(0..if depth == 0 { 5 } else { 7 }) {
        0 => serde_json::Value::Null,
        1 => random.bool().into(),
        2 => random.i64(..).into(),
        3 => random.f64().into(),
        4 => (0..random.usize(0..9))
            .map(|_| random.char(..))
            .collect::<String>()
            .into(),
        5 => (0..random.usize(0..5))
            .map(|_| random_value(random, depth - 1))
            .collect(),
        _ => serde_json::Value::Object(
            (0..random.usize(0..5))
                .map(|it| (it.to_string(), random_value(random, depth - 1)))
                .collect(),
        ),
    }
}

#[test]
fn what_another_encoder_wrote_comes_back() {
    let mut random = fastrand::Rng::with_seed(2);
    for _ in 0..2000 {
        let value = random_value(&mut random, 5);
        let mut cbor = Vec::new();
        ciborium::into_writer(&value, &mut cbor).unwrap();
        let json = cbor_to_json(&cbor).unwrap();
        assert_eq!(String::from_utf8(json).unwrap(), value.to_string());
    }
}
