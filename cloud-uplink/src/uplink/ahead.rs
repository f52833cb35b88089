//! What was read and is not done with, and how far acknowledgements run ahead of it.

use std::collections::{BTreeMap, BTreeSet};

use spool::Seq;

use super::queue::LineKey;

/// Acknowledged positions above the lowest open one that a cursor of the spool can hold.
pub const ACKS_AHEAD_MAX: usize = 4096;

/// Positions that are open, and the acknowledged ones above the lowest of them.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    open: BTreeMap<Seq, LineKey>,
    acked: BTreeSet<Seq>,
}

impl Ahead {
    pub(crate) fn open(&mut self, seq: Seq, line: LineKey) {
        self.open.insert(seq, line);
    }

    pub(crate) fn contains(&self, seq: Seq) -> bool {
        self.open.contains_key(&seq) || self.acked.contains(&seq)
    }

    /// `unread` is the lowest position behind which records may still be read.
    pub(crate) fn close(&mut self, seq: Seq, unread: Option<Seq>) {
        self.open.remove(&seq);
        self.acked.insert(seq);
        self.forget_below(unread);
    }

    pub(crate) fn forget_below(&mut self, unread: Option<Seq>) {
        let lowest_open = self.open.keys().next().copied();
        let lowest = [lowest_open, unread].into_iter().flatten().min();
        match lowest {
            None => self.acked.clear(),
            Some(lowest) => {
                while self.acked.first().is_some_and(|seq| *seq <= lowest) {
                    self.acked.pop_first();
                }
            }
        }
    }

    pub(crate) fn acked(&self) -> usize {
        self.acked.len()
    }

    pub(crate) fn lowest(&self) -> Option<(Seq, LineKey)> {
        self.open.first_key_value().map(|(seq, line)| (*seq, *line))
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }
}
