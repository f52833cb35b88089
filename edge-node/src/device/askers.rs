//! Who asked for commands: who asks twice for the same gets one, and an event that asked gets one in reply.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// What an entry costs beside its texts: itself and its places in the maps.
const ASKER_BYTES: usize = 128;

/// Who asked for a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Asker {
    /// Somebody over HTTP, who calls it so.
    Caller {
        /// What the request names.
        key: String,
    },
    /// An event.
    Event {
        /// Of the event.
        source: String,
        /// Of the event.
        id: String,
    },
}

/// Who asked for the commands that are kept, by their number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Askers {
    all: BTreeMap<u64, Asker>,
    /// Those that are over and whose event has no reply.
    unanswered: BTreeSet<u64>,
}

impl Asker {
    pub(crate) fn bytes(&self) -> usize {
        ASKER_BYTES
            + match self {
                Asker::Caller { key } => key.len(),
                Asker::Event { source, id } => source.len() + id.len(),
            }
    }
}

impl Askers {
    /// What this one asked for already.
    pub(super) fn asked<'a>(&'a self, asker: &'a Asker) -> impl Iterator<Item = u64> {
        let its = self.all.iter().filter(move |(_, it)| *it == asker);
        its.map(|(seq, _)| *seq)
    }

    /// The first that is over and whose event has no reply, and that event's id.
    pub(super) fn first_unanswered(&self) -> Option<(u64, &str)> {
        let seq = self.unanswered.first()?;
        match self.all.get(seq)? {
            Asker::Event { id, .. } => Some((*seq, id)),
            Asker::Caller { .. } => None,
        }
    }

    /// Whether its event waits for a reply, though it is over.
    pub(super) fn waits(&self, seq: u64) -> bool {
        self.unanswered.contains(&seq)
    }

    /// Memory they take.
    pub(super) fn bytes(&self) -> usize {
        self.all.values().map(Asker::bytes).sum()
    }

    /// Folds who asked for a new command.
    pub(super) fn insert(&mut self, seq: u64, asker: Asker) {
        self.all.insert(seq, asker);
    }

    /// Folds that a command is over.
    pub(super) fn end(&mut self, seq: u64) {
        if let Some(Asker::Event { .. }) = self.all.get(&seq) {
            self.unanswered.insert(seq);
        }
    }

    /// Folds that the event of a command has its reply.
    pub(super) fn answer(&mut self, seq: u64) {
        self.unanswered.remove(&seq);
    }

    /// Folds that a command is not kept any more.
    pub(super) fn forget(&mut self, seq: u64) {
        self.all.remove(&seq);
        self.unanswered.remove(&seq);
    }

    /// Folds that only these commands are kept.
    pub(super) fn retain(&mut self, is_kept: impl Fn(u64) -> bool) {
        self.all.retain(|seq, _| is_kept(*seq));
        self.unanswered.retain(|seq| is_kept(*seq));
    }
}
