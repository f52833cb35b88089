//! Many rules as one index: which of them match an event, at a cost that follows the matches and not the rules.
//!
//! ```text
//!  rules ─▶ IndexBuilder ─▶ Index
//!                             │  event: topic ─▶ trie of topic filters ─┐
//!                             └─        attributes ─▶ tables ───────────┼─▶ entries that may match ─▶ tested one by one
//!                                       data ─▶ one scan ─▶ tables ─────┘
//! ```
//!
//! A rule is an *entry*, or several: one for each combination of the branches of its `$or`. Each entry is found by one of its
//! conditions, the *access*: the one that is expected to hold least often. What is found that way is tested exactly.
//! The payload is read only if an entry is found by something in it, or tests something in it.

mod access;
mod arena;
mod budget;
mod builder;
mod entry;
mod explain;
mod matching;
mod rule;
mod select;
mod test;

use std::sync::Arc;

pub use budget::{Budget, IndexError};
pub use builder::IndexBuilder;
pub use explain::Explanation;
pub use matching::Scratch;
pub use rule::{Access, Check, Rule, RuleId, When};

use crate::paths::Paths;
use access::Tables;
use arena::Arena;
use entry::{Entry, Found, Topics};
use test::Step;

/// Rules, compiled. Does not change any more; see [`IndexBuilder`].
///
/// ```
/// use filters::{DataView, EventView, Pattern, index::{Budget, IndexBuilder, Rule, RuleId, Scratch, When}};
///
/// let hot = Pattern::parse(r#"{"type": ["reading"], "data": {"temperature": [{"numeric": [">", 60]}]}}"#)?;
/// let mut builder = IndexBuilder::new(Budget::default());
/// let hot = builder.add(&Rule { topic: None, when: When::Pattern(&hot) })?;
/// let index = builder.build();
///
/// let mut event = EventView { data: DataView::Json(br#"{"temperature": 61.2}"#), ..EventView::default() };
/// event.attributes.push("type", "reading");
/// let mut scratch = Scratch::default();
/// assert_eq!(index.matches(&event, &mut scratch), [hot]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Index {
    rule_count: u32,
    paths: Paths,
    has_attributes: bool,
    arena: Arena,
    steps: Vec<Step>,
    entries: Vec<Entry>,
    found: Vec<Found>,
    found_steps: Vec<Step>,
    checks: Vec<Arc<dyn Check>>,
    check_bytes: usize,
    topics: Topics,
    tables: Tables,
    /// Entries to test on every event.
    always: Vec<u32>,
    /// Whether an entry without a topic is found by something in `data`.
    finds_in_data: bool,
    unindexed: Vec<RuleId>,
}

#[cfg(test)]
mod tests;
