//! CESQL and the filter dialects: no text panics a parser or makes an evaluation long, and an index told what a filter
//! needs finds every event that passes.
//!
//! ```text
//! the first line: an expression, or a filter in JSON; each further line: an attribute of the event as NAME=VALUE,
//! typed where VALUE is `#10` or `?true`
//! ```
#![no_main]

use std::sync::Arc;

use filters::{
    AttributeValue, Attributes, DataView, EventView, SubscriptionFilter,
    cesql::{Expression, Value},
    index::{Budget, Check, IndexBuilder, Rule, Scratch, When},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let mut lines = input.lines();
    let rule = lines.next().unwrap_or_default();
    let mut attributes = Attributes::new();
    for line in lines {
        if let Some((name, value)) = line.split_once('=')
            && filters::is_attribute_name(name)
            && attributes.find(name).is_none()
        {
            attributes.push(name, typed(value));
        }
    }
    for required in ["specversion", "id", "source", "type"] {
        if attributes.find(required).is_none() {
            attributes.push(required, "1.0");
        }
    }
    let event = EventView {
        topic: None,
        attributes,
        data: DataView::Absent,
    };
    if let Ok(expression) = Expression::parse(rule) {
        let evaluation = expression.evaluate(&event);
        let is_true = evaluation.value == Value::Boolean(true) && evaluation.error.is_none();
        assert_eq!(expression.passes(&event), is_true);
        found(expression, &event, is_true);
    }
    if let Ok(filter) = serde_json::from_str::<SubscriptionFilter>(rule) {
        let passes = filter.passes(&event);
        found(filter, &event, passes);
    }
});

fn typed(value: &str) -> AttributeValue<'_> {
    let integer = value.strip_prefix('#').and_then(|it| it.parse().ok());
    let boolean = value.strip_prefix('?').and_then(|it| it.parse().ok());
    match (integer, boolean) {
        (Some(value), _) => AttributeValue::Integer(value),
        (_, Some(value)) => AttributeValue::Boolean(value),
        _ => value.into(),
    }
}

fn found(check: impl Check + 'static, event: &EventView<'_>, passes: bool) {
    let mut index = IndexBuilder::new(Budget::default());
    let added = index.add(&Rule {
        topic: None,
        when: When::Check(Arc::new(check)),
    });
    // A rule may be beyond what the index takes.
    if added.is_ok() {
        let index = index.build();
        assert_eq!(!index.matches(event, &mut Scratch::default()).is_empty(), passes);
    }
}
