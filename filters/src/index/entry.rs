use std::collections::HashMap;

use super::test::{Step, Test};
use crate::{
    TopicFilter, TopicTrie,
    paths::{EVENT, as_u32},
    span::Span,
};

/// One way for a rule to match: a combination of the branches of its `$or`, or its check. Most are whole in one line of the
/// cache: of many rules, an event finds few there.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Entry {
    pub(super) rule: u32,
    /// The topic filter that must match, or [`NO_TOPIC`].
    pub(super) topic: u32,
    pub(super) what: What,
    pub(super) reads_data: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    /// All of them must hold; those below one field stand together, those at it before those below it.
    Steps(Steps),
    /// A check, by its place.
    Check(u32),
}

const _: () = assert!(size_of::<Entry>() == 64);

/// The steps of an entry.
#[derive(Clone, Copy, Debug)]
pub(super) enum Steps {
    /// So many of these.
    Few(u8, [Step; FEW]),
    /// A piece of the list that the index has for those that are more.
    Many(Span),
}

const FEW: usize = 3;

impl Steps {
    /// These; `more` is the list for those that find no place in an entry.
    pub(super) fn new(steps: &[Step], more: &mut Vec<Step>) -> Steps {
        let mut few = [Step {
            path: EVENT,
            test: Test::Exists,
        }; FEW];
        if let (Some(places), Ok(len)) = (few.get_mut(..steps.len()), u8::try_from(steps.len())) {
            places.copy_from_slice(steps);
            return Steps::Few(len, few);
        }
        let start = as_u32(more.len());
        more.extend_from_slice(steps);
        Steps::Many(Span {
            start,
            len: as_u32(steps.len()),
        })
    }

    pub(super) fn of<'a>(&'a self, more: &'a [Step]) -> &'a [Step] {
        match self {
            Steps::Few(len, few) => few.get(..usize::from(*len)).unwrap_or_default(),
            Steps::Many(span) => span.of(more),
        }
    }

    /// Bytes beside the entry.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Steps::Few(..) => 0,
            Steps::Many(span) => span.len as usize * size_of::<Step>(),
        }
    }
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
