mod errors;
mod published;
mod semantics;

use super::Pattern;
use crate::{
    DataView, EventView,
    index::{Budget, IndexBuilder, Rule, Scratch, When},
    oracle,
};

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

/// What the index says; the naive evaluator must say the same.
fn matches(text: &str, event: &EventView<'_>) -> bool {
    let pattern = pattern(text);
    let mut builder = IndexBuilder::new(Budget::default());
    let rule = Rule {
        topic: None,
        when: When::Pattern(&pattern),
    };
    builder.add(&rule).unwrap();
    let found = builder
        .build()
        .matches(event, &mut Scratch::default())
        .len()
        == 1;
    assert_eq!(oracle::matches(&pattern, event), found, "{text}\n{event:?}");
    found
}

fn matches_data(conditions: &str, data: &str) -> bool {
    let event = EventView {
        data: DataView::Json(data.as_bytes()),
        ..EventView::default()
    };
    matches(&format!("{{\"data\": {conditions}}}"), &event)
}
