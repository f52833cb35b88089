//! Rules and events by a fuzzer's choice: no panic, and the index says what the naive evaluator says.
//!
//! ```text
//! lines: a pattern in JSON, then a payload; where the first line is no pattern, the bytes choose both
//! ```
#![no_main]

use filters::{
    DataView, EventView, Pattern,
    index::{Budget, IndexBuilder, Rule, Scratch, When},
    oracle::{self, random::Choices},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|it| *it == b'\n').unwrap_or(input.len());
    let (first, rest) = input.split_at(end);
    let payload = rest.get(1..).unwrap_or_default();
    match str::from_utf8(first).ok().map(Pattern::parse) {
        Some(Ok(pattern)) => same(&pattern, payload),
        _ => {
            let mut bytes = input.iter();
            let mut choices = Choices::new(|_| bytes.next().map_or(0, |it| usize::from(*it)));
            let pattern = choices.pattern();
            let json = choices.json(3);
            if let Ok(pattern) = Pattern::parse(&pattern) {
                same(&pattern, json.as_bytes());
            }
        }
    }
});

fn same(pattern: &Pattern, payload: &[u8]) {
    let mut builder = IndexBuilder::new(Budget::default());
    let when = When::Pattern(pattern);
    if builder.add(&Rule { topic: None, when }).is_err() {
        return;
    }
    let event = EventView {
        data: DataView::Json(payload),
        ..EventView::default()
    };
    let index = builder.build();
    let verdict = !index.matches(&event, &mut Scratch::default()).is_empty();
    // The naive evaluator tries each element of each array with each of the others.
    let is_small = payload.iter().filter(|it| matches!(it, b'[')).count() < 8 && payload.len() < 2_000;
    if is_small && oracle::is_json(payload) {
        assert_eq!(verdict, oracle::matches(pattern, &event));
    }
}
