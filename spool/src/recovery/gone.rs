//! What damage took that tells to whom records are owed.

use std::collections::BTreeSet;

use crate::{CursorId, Route, control::Control, index::Row, log::State, route::Amount};

/// Cursors and routes whose making was lost with a damaged part of the log.
pub(super) struct Gone {
    /// The checkpoint knows of every cursor below.
    known: u32,
    /// Created or removed by records behind the checkpoint.
    told: BTreeSet<u32>,
    /// Up to here the checkpoint has every route that was not forgotten.
    last_route: u32,
    /// What it covers.
    covered: u64,
}

impl Gone {
    pub(super) fn note(&mut self, control: &Control) {
        match control {
            Control::CursorCreated(record) => self.told.insert(record.id),
            Control::CursorRemoved { id, .. } => self.told.insert(*id),
            _ => false,
        };
    }

    /// Whether a route that is not known was forgotten, so that the events on it are history: nothing is appended on it since.
    pub(super) fn was_forgotten(&self, row: &Row) -> bool {
        row.route <= self.last_route && row.last <= self.covered
    }

    pub(super) fn any_of(&self, route: &Route) -> bool {
        let is_gone = |cursor: &CursorId| cursor.0 >= self.known && !self.told.contains(&cursor.0);
        route.cursors.iter().any(is_gone)
    }
}

/// Events owed to nobody who is known, since damage took their route or a cursor of it.
#[derive(Default)]
pub(super) struct Orphans {
    pub(super) amount: Amount,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) routes: BTreeSet<u32>,
}

impl Orphans {
    pub(super) fn add(&mut self, row: &Row) {
        self.first = if self.amount.records == 0 {
            row.first
        } else {
            self.first.min(row.first)
        };
        self.last = self.last.max(row.last);
        self.amount.add(u64::from(row.records), row.bytes);
        self.routes.insert(row.route);
    }
}

impl State {
    /// As the checkpoint has it, before what is behind it is applied.
    pub(super) fn gone_behind_checkpoint(&self) -> Gone {
        Gone {
            known: self.next_cursor,
            told: BTreeSet::new(),
            last_route: self.routes.last_id(),
            covered: self.checkpoints.newest().spool,
        }
    }
}
