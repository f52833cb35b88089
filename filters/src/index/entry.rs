use std::collections::HashMap;

use super::test::Span;
use crate::{TopicFilter, TopicTrie, paths::as_u32};

/// One way for a rule to match: a combination of the branches of its `$or`, or its check.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) rule: u32,
    /// The topic filter that must match, or [`NO_TOPIC`].
    pub(super) topic: u32,
    pub(super) what: What,
    pub(super) reads_data: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    /// Steps that all must hold; those below one field stand together, those at it before those below it.
    Steps(Span),
    /// A check, by its place.
    Check(u32),
}

/// How an entry is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It is tested on every event.
    Always,
    /// By its topic.
    Topic,
    /// By one of these steps.
    Steps(Span),
}

pub(super) const NO_TOPIC: u32 = u32::MAX;

/// The topic filters of all rules, each once.
#[derive(Clone, Debug, Default)]
pub(super) struct Topics {
    pub(super) trie: TopicTrie<u32, ()>,
    pub(super) list: Vec<Topic>,
    /// By filter; needed while rules are added.
    pub(super) ids: HashMap<TopicFilter, u32>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Topic {
    pub(super) filter: Box<str>,
    /// Whether some level has a name; else nearly every topic matches.
    pub(super) has_literal: bool,
    /// Entries found by it.
    pub(super) entries: Vec<u32>,
    /// Whether an entry behind it is found by a value in `data`.
    pub(super) finds_in_data: bool,
}

impl Topics {
    pub(super) fn intern(&mut self, filter: &TopicFilter) -> u32 {
        let new = as_u32(self.list.len());
        if let Some(id) = self.ids.get(filter) {
            return *id;
        }
        self.ids.insert(filter.clone(), new);
        self.trie.insert(filter, new, ());
        self.list.push(Topic {
            filter: filter.as_str().into(),
            has_literal: filter.levels().any(|it| it != "+" && it != "#"),
            entries: Vec::new(),
            finds_in_data: false,
        });
        new
    }

    pub(super) fn get(&self, id: u32) -> Option<&Topic> {
        self.list.get(id as usize)
    }
}
