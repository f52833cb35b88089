//! The language as tables: an expression, and what it is worth for [`event`].

mod access;
mod casts;
mod functions;
mod like;
mod operators;
mod parse;

use super::{Expression, Value};
use crate::Event;

/// Required attributes, some of the optional ones, and an extension of every kind that matters.
pub(super) fn event() -> Event {
    Event::builder("id-1", "/plant/pump-7", "com.example.reading")
        .subject("Größe")
        .time("2026-11-21T10:00:00.500+01:00")
        .extension("sequence", "010")
        .extension("plus", "+10")
        .extension("word", "abc")
        .extension("path", r"a\b")
        .extension("yes", "TRUE")
        .extension("int", 10)
        .extension("least", i32::MIN)
        .extension("flag", true)
        .extension("bytes", crate::Value::Binary(vec![0, 1, 2]))
        .build()
        .expect("a valid event")
}

/// Each row: an expression, then its value, then the class of its error if it has one.
fn check(table: &[(&str, &str)]) {
    let event = event();
    for (text, expected) in table {
        let expression = Expression::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let evaluation = expression.evaluate(&event);
        let value = match &evaluation.value {
            Value::String(text) => format!("'{text}'"),
            value => value.to_string(),
        };
        let shown = match evaluation.error {
            Some(error) => format!("{value} {}", error.class()),
            None => value,
        };
        assert_eq!(&shown, expected, "{text}");
        assert_eq!(expression.passes(&event), shown == "true", "{text}");
    }
}

#[test]
fn simple_conditions_allocate_nothing() {
    let event = event();
    let view = crate::EventView::of(&event, None);
    for text in [
        "type = 'com.example.reading'",
        "sequence = 10 AND int > 9 AND flag",
        "source LIKE '/plant/%' AND word NOT IN ('x', 'y')",
        "EXISTS subject AND LENGTH(subject) = 5 AND LEFT(word, 1) = 'a'",
        "NOT (missing = 'a')",
    ] {
        let expression = Expression::parse(text).expect("an expression");
        let passes = !text.contains("missing");
        let allocated = allocation_counter::measure(|| {
            assert_eq!(expression.passes(&event), passes, "{text}");
            assert_eq!(expression.passes(&view), passes, "{text}");
        });
        assert_eq!(allocated.count_total, 0, "{text}");
    }
}
