use std::{fmt, sync::Arc};

use crate::{Condition, EventView, Path, Pattern, TopicFilter};

/// What an index holds of a rule: when it matches. Its name, steps and counters are its owner's, by [`RuleId`].
#[derive(Clone, Debug, Default)]
pub struct Rule<'a> {
    /// The topics on which it looks at events at all; without one, all of them.
    pub topic: Option<&'a TopicFilter>,
    /// What it asks of the event.
    pub when: When<'a>,
}

/// The place of a rule among those of its index, from 0 in the order in which they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub u32);

/// What a rule asks of an event, besides its topic.
#[derive(Clone, Debug, Default)]
pub enum When<'a> {
    /// Nothing.
    #[default]
    Always,
    /// What a pattern asks of its attributes and its data.
    Pattern(&'a Pattern),
    /// Something about its attributes.
    Check(Arc<dyn Check>),
}

/// A question about an event's attributes, and how an index finds the rules that may say yes to it. Implemented by every
/// rule language but patterns, which the index takes apart.
pub trait Check: fmt::Debug + Send + Sync {
    /// What an event must have before [`Check::passes`] can be true: of each set at least one. The index uses the set that it
    /// expects to hold least often and asks `passes` only of the events that have something of it. A set may say too much,
    /// never too little: where an event passes and has nothing of one of the sets, the rule is not found.
    ///
    /// None of the sets may contain [`Condition::Missing`] or [`Condition::AnythingBut`]; a set that does is not used. No set
    /// at all means that every event must be asked.
    ///
    /// On attributes, conditions on text look at the canonical text of numbers and booleans too ([`Condition::Equals`] and
    /// `"30"` finds the integer 30), so that what a language casts is found.
    fn access(&self) -> Vec<Vec<Access>>;

    /// Whether the event passes. Must not fail, and must not take long: bounded by the rule's own size and the event's.
    fn passes(&self, event: &EventView<'_>) -> bool;

    /// Bytes it holds on the heap, about: counted against the budget of the rule set.
    fn heap_bytes(&self) -> usize;
}

/// A condition that an index can find the rules of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Where the value stands.
    pub path: Path,
    /// What holds of it.
    pub condition: Condition,
}
