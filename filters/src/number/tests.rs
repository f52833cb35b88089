use std::cmp::Ordering;

use super::Number;

fn number(text: &str) -> Number {
    Number::parse(text).unwrap_or_else(|| panic!("{text} is a number"))
}

#[test]
fn one_value_is_one_number_however_it_is_written() {
    let same = [
        &[
            "30",
            "30.0",
            "3e1",
            "3E+1",
            "300e-1",
            "0.3e2",
            "30.000000000000000000000000",
        ][..],
        &["0", "-0", "0.0", "0e999999999", "-0.000e-5"],
        &["1e999999999", "10e999999998", "0.1e1000000000"],
        &["12345678901234567890123", "1.2345678901234567890123e22"],
    ];
    for texts in same {
        for text in texts {
            assert_eq!(number(text), number(texts[0]), "{text}");
            assert_eq!(number(text).cmp(&number(texts[0])), Ordering::Equal);
        }
    }
}

#[test]
fn numbers_are_in_order_of_their_values() {
    let ordered = [
        "-1e999999999",
        "-12345678901234567890124",
        "-12345678901234567890123",
        "-31",
        "-30.5",
        "-30",
        "-1e-9",
        "0",
        "1e-999999999",
        "0.1",
        "0.10000000000000000000000000001",
        "0.11",
        "1",
        "9",
        "9007199254740992",
        "9007199254740993",
        "12345678901234567890122.9",
        "12345678901234567890123",
        "12345678901234567890123.1",
        "1e999999999",
        "2e999999999",
        "1e99999999999999999999",
    ];
    for (index, low) in ordered.iter().enumerate() {
        for high in &ordered[index + 1..] {
            assert_eq!(
                number(low).cmp(&number(high)),
                Ordering::Less,
                "{low} < {high}"
            );
            assert_eq!(number(high).cmp(&number(low)), Ordering::Greater);
        }
    }
}

#[test]
fn what_json_does_not_call_a_number_is_none() {
    for text in [
        "", "-", "+1", "01", "-01", "1.", ".5", "1.e5", "1e", "1e+", "0x1", "1 ", " 1", "NaN",
        "1e5.0", "--1", "1-",
    ] {
        assert_eq!(Number::parse(text), None, "{text}");
    }
}

#[test]
fn integers_are_the_numbers_of_their_texts() {
    for value in [
        0,
        1,
        -1,
        10,
        30,
        999,
        i64::MAX,
        i64::MIN,
        9_007_199_254_740_993,
    ] {
        assert_eq!(Number::from(value), number(&value.to_string()));
    }
}

#[test]
fn a_number_is_shown_as_text_that_reads_as_the_same_number() {
    let shown = [
        ("30.0", "30"),
        ("-0.5", "-0.5"),
        ("3e1", "30"),
        ("61.25", "61.25"),
        ("1e999999999", "1e999999999"),
        ("12.5e-7", "1.25e-6"),
        ("-0", "0"),
        ("9007199254740993", "9007199254740993"),
        ("1e18", "1000000000000000000"),
    ];
    for (text, expected) in shown {
        assert_eq!(number(text).to_string(), expected);
        assert_eq!(number(expected), number(text));
    }
}

#[test]
fn only_an_exponent_that_nobody_can_mean_is_not_exact() {
    assert!(number("1e999999999").is_exact());
    assert!(number("1e-100000000000000000").is_exact());
    assert!(!number("1e99999999999999999999").is_exact());
    assert!(number("1e99999999999999999999") > number("9e400000000000000000"));
}

#[test]
fn integers_of_64_bits_are_told_from_other_numbers() {
    for value in [0, 1, -1, 10, 1_000_000, i64::MAX, i64::MIN] {
        assert_eq!(Number::from(value).integer(), Some(value));
    }
    assert_eq!(number("3e1").integer(), Some(30));
    for text in [
        "0.5",
        "1.5",
        "9223372036854775808",
        "1e19",
        "12345678901234567890123",
        "1e999999999",
        "1e-999999999",
    ] {
        assert_eq!(number(text).integer(), None, "{text}");
    }
}
