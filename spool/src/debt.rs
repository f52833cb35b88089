//! What a cursor is still owed when it is removed: a loss, which the frame that removes it counts.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Loss, LossReason, NodeTime, Seq,
    cursor::{Cursor, Owed},
    index::Slot,
    lists::Lists,
    log::State,
    pending::{Effect, Pending},
    route::Amount,
};

/// What the commit of a frame changes of the debts of cursors.
struct Coming<'a> {
    frame: &'a Pending,
    /// Events of the frame, by route.
    events: BTreeMap<u32, Vec<&'a Slot>>,
    /// What its transactions acknowledge.
    acks: BTreeSet<(u32, u64)>,
}

/// Records that are owed.
#[derive(Default)]
struct Debt {
    amount: Amount,
    first: u64,
    last: u64,
}

impl<'a> Coming<'a> {
    fn of(frame: &'a Pending) -> Coming<'a> {
        let mut events: BTreeMap<u32, Vec<&Slot>> = BTreeMap::new();
        for slot in frame.slots.iter().filter(|slot| slot.tag().is_event()) {
            events.entry(slot.route).or_default().push(slot);
        }
        let acks = frame.effects.iter().flat_map(|effect| match effect {
            Effect::Acks(acks) => acks.as_slice(),
            _ => &[],
        });
        Coming {
            frame,
            events,
            acks: acks.copied().collect(),
        }
    }

    fn is_acked(&self, cursor: &Cursor, seq: u64) -> bool {
        self.acks.contains(&(cursor.id, seq)) || self.frame.joined.covers(cursor.id, seq)
    }
}

impl Debt {
    fn add(&mut self, seq: u64, len: u32) {
        self.first = if self.first == 0 {
            seq
        } else {
            self.first.min(seq)
        };
        self.last = self.last.max(seq);
        self.amount.add(1, u64::from(len));
    }

    fn into_loss(self, reason: LossReason, scope: &str, at: u64) -> Option<Loss> {
        (self.amount.records > 0).then(|| Loss {
            reason,
            scope: scope.to_owned(),
            count: self.amount.records,
            bytes: self.amount.bytes,
            first: Seq(self.first),
            last: Seq(self.last),
            at: NodeTime(at),
        })
    }
}

impl State {
    /// What the cursors that a frame removes are owed as of its commit: what is committed, and what comes with it.
    pub(crate) fn debts_of_removed(&mut self, frame: &Pending) -> Vec<Loss> {
        let mut debts = Vec::new();
        let removed = frame.effects.iter().filter_map(|effect| match effect {
            Effect::Removed { cursor, reason } => Some((*cursor, (*reason)?)),
            _ => None,
        });
        let mut removed = removed.peekable();
        if removed.peek().is_none() {
            return debts;
        }
        let coming = Coming::of(frame);
        for (id, reason) in removed {
            // As far as memory knows the index it is counted exactly.
            let known = Lists::default();
            while self.fill_all(id, &known).unwrap_or(false) {}
            if let Some(cursor) = self.cursors.get(&id) {
                let mut debt = self.committed_debt(cursor, &coming);
                self.add_coming_debt(cursor, &coming, &mut debt);
                debts.extend(debt.into_loss(reason, &cursor.name, self.last_time));
            }
        }
        debts
    }

    fn committed_debt(&self, cursor: &Cursor, coming: &Coming<'_>) -> Debt {
        let known = cursor.owed().filter(|owed| !owed.is_history());
        let (acked, owed): (Vec<&Owed>, Vec<&Owed>) =
            known.partition(|owed| coming.is_acked(cursor, owed.seq));
        let mut debt = Debt::default();
        owed.iter().for_each(|owed| debt.add(owed.seq, owed.len()));
        if cursor.filled() < self.committed {
            // What lies behind the windows is what the counters say.
            let acked = acked.iter().fold(Amount::default(), |mut sum, owed| {
                sum.add(1, u64::from(owed.len()));
                sum
            });
            debt.amount = self.pending_of(cursor).minus(acked);
            if debt.first == 0 {
                debt.first = cursor.low().saturating_add(1);
            }
            debt.last = self.committed;
        }
        debt
    }

    fn add_coming_debt(&self, cursor: &Cursor, coming: &Coming<'_>, debt: &mut Debt) {
        let routes = self.routes.of_cursor(cursor.id);
        for slot in routes
            .filter_map(|(route, _)| coming.events.get(&route))
            .flatten()
        {
            let seq = slot.position(coming.frame.base);
            let is_before = cursor.removed_at.is_none_or(|at| seq < at);
            let is_owed = cursor.owes(slot.tag().lane(), seq) && !coming.is_acked(cursor, seq);
            if is_before && is_owed {
                debt.add(seq, slot.len());
            }
        }
    }
}
