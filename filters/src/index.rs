//! Many rules as one index: which of them match an event, at a cost that follows the matches and not the rules.

mod rule;

pub use rule::{Access, Check, Rule, RuleId, When};

use crate::EventView;

/// Rules, compiled.
#[derive(Debug, Default)]
pub struct Index {
    rules: Vec<(Option<crate::TopicFilter>, When)>,
}

impl Index {
    /// Adds a rule.
    pub fn add(&mut self, rule: &Rule<'_>) -> RuleId {
        self.rules.push((rule.topic.cloned(), rule.when.clone()));
        RuleId(u32::try_from(self.rules.len() - 1).unwrap_or(u32::MAX))
    }

    /// The rules that match `event`, in the order in which they were added.
    pub fn matches(&self, event: &EventView<'_>) -> Vec<RuleId> {
        let passes = |(topic, when): &(Option<crate::TopicFilter>, When)| {
            topic
                .as_ref()
                .is_none_or(|it| event.topic.is_some_and(|topic| it.matches(topic)))
                && match when {
                    When::Always => true,
                    When::Check(check) => check.passes(event),
                }
        };
        (0..)
            .zip(&self.rules)
            .filter(|(_, rule)| passes(rule))
            .map(|(id, _)| RuleId(id))
            .collect()
    }
}
