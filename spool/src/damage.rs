//! Where something was found damaged: each position enters the ledger once, however often it is met.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Loss, LossReason, NodeTime, Seq, control::Control, log::State, segment::Segment};

/// Ranges remembered of each kind. Of more the oldest are forgotten: they count again when they are met again.
const MOST_RANGES: usize = 1_024;

/// Ids passed over where it is not known how many were given out.
const IDS_OF_CHECKPOINTS: u64 = 1 << 16;

/// Positions, as ranges that do not touch: first to last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Positions(BTreeMap<u64, u64>);

impl Positions {
    pub(crate) fn contains(&self, seq: u64) -> bool {
        let before = self.0.range(..=seq).next_back();
        before.is_some_and(|(_, &last)| seq <= last)
    }

    fn any_within(&self, first: u64, last: u64) -> bool {
        let before = self.0.range(..=last).next_back();
        before.is_some_and(|(_, &end)| end >= first)
    }

    /// Adds every position from `first` to `last`; how many of them were not there.
    fn add(&mut self, first: u64, last: u64) -> u64 {
        let (mut from, mut to, mut known) = (first, last, 0);
        // Ranges that touch it become one with it; the last that begins before its end comes first.
        while let Some((&start, &end)) = self.0.range(..=last.saturating_add(1)).next_back()
            && end.saturating_add(1) >= first
        {
            known += (end.min(last) + 1).saturating_sub(start.max(first));
            (from, to) = (from.min(start), to.max(end));
            self.0.remove(&start);
        }
        self.0.insert(from, to);
        if self.0.len() > MOST_RANGES {
            self.0.pop_first();
        }
        last - first + 1 - known
    }

    fn add_all(&mut self, other: &Positions) {
        for (&first, &last) in &other.0 {
            if first <= last {
                self.add(first, last);
            }
        }
    }

    fn forget_before(&mut self, oldest: u64) {
        self.0.retain(|_, last| *last >= oldest);
    }
}

/// What is known of damage, as it is stored with the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    /// Of which no event and no state can be read.
    pub(crate) records: Positions,
    /// At which a record of the spool's own cannot be read; the event or state at the same position may be whole.
    pub(crate) own: Positions,
}

/// What is known of damage.
#[derive(Debug, Default)]
pub(crate) struct Damage {
    pub(crate) known: Known,
    /// Whether a commit is to carry `known`.
    changed: bool,
    /// Found while the log is opened. What of it is new can be told once everything that was stored is known.
    opening: Option<Vec<Found>>,
}

impl Damage {
    /// Of a log that is being opened.
    pub(crate) fn opening() -> Damage {
        Damage {
            opening: Some(Vec::new()),
            ..Damage::default()
        }
    }

    pub(crate) fn restore(&mut self, stored: &Known) {
        self.known.records.add_all(&stored.records);
        self.known.own.add_all(&stored.own);
    }

    pub(crate) fn forget_before(&mut self, oldest: u64) {
        self.known.records.forget_before(oldest);
        self.known.own.forget_before(oldest);
    }
}

/// Something damaged.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) what: What,
    /// Whose loss it is, as in [`Loss::scope`].
    pub(crate) scope: String,
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Events and state at these positions.
    Records,
    /// Records of the spool's own.
    Own,
    /// What may have stood in unfinished frames at the end of a segment.
    Tail { segment: u64 },
    /// What both checkpoints held of these positions, and no segment does any more.
    Checkpoints,
}

impl Found {
    pub(crate) fn in_log(what: What, first: u64, last: u64, bytes: u64) -> Found {
        let scope = "log".into();
        Found {
            what,
            scope,
            first,
            last,
            bytes,
        }
    }

    /// For those who operate the node.
    fn finding(&self) -> String {
        let (first, last, bytes) = (self.first, self.last, self.bytes);
        match self.what {
            What::Records => format!("positions {first} to {last} are damaged and lost"),
            What::Own => format!("what the log noted for itself at {first} is damaged and lost"),
            What::Checkpoints => format!(
                "both checkpoints are damaged: what only they held of positions up to {last} is lost"
            ),
            What::Tail { segment } => format!(
                "tail cut at {first} in segment {segment:016x}, at most {bytes} bytes; unacknowledged unless the medium is damaged"
            ),
        }
    }
}

impl State {
    /// Enters what was found in the ledger, as far as it is new, and no cursor waits for it any longer.
    pub(crate) fn enter_damage(&mut self, found: Found) {
        match &mut self.damage.opening {
            Some(waiting) => waiting.push(found),
            None => drop(self.enter_new_damage(&found)),
        }
    }

    /// Enters what was found while the log was opened; what to say of it.
    pub(crate) fn enter_damage_of_opening(&mut self) -> Vec<String> {
        let found = self.damage.opening.take().unwrap_or_default();
        let mut findings = Vec::new();
        for found in &found {
            let new = self.enter_new_damage(found);
            if new > 0 {
                findings.push(found.finding());
            }
            // Each lost position may have made a cursor or a route.
            self.pass_over_ids(match found.what {
                What::Records | What::Own => new,
                What::Tail { .. } => 0,
                What::Checkpoints => IDS_OF_CHECKPOINTS,
            });
        }
        findings
    }

    /// How much of it is new: positions, or one where they cannot be told.
    fn enter_new_damage(&mut self, found: &Found) -> u64 {
        let (first, last) = (found.first, found.last);
        if last < first {
            return 0;
        }
        let known = &mut self.damage.known;
        let (new, of) = match found.what {
            What::Records | What::Tail { .. } => (known.records.add(first, last), last - first + 1),
            What::Own => (known.own.add(first, last), last - first + 1),
            What::Checkpoints => (1, 1),
        };
        if new == 0 {
            return 0;
        }
        self.damage.changed = true;
        if matches!(found.what, What::Records | What::Tail { .. }) {
            for cursor in self.cursors.values_mut() {
                cursor.give_up(first, last);
            }
        }
        // How many records an unfinished frame held is not known.
        let (reason, count) = match found.what {
            What::Tail { .. } => (LossReason::TailCut, 1),
            What::Records | What::Own | What::Checkpoints => (LossReason::Damaged, new),
        };
        self.ledger.add(Loss {
            reason,
            scope: found.scope.clone(),
            count,
            bytes: (u128::from(found.bytes) * u128::from(new) / u128::from(of)) as u64,
            first: Seq(first),
            last: Seq(last),
            at: NodeTime(self.last_time),
        });
        new
    }

    /// Whether the file of a segment may be all that tells of damage in it: an index that lacks what was damaged, or a file
    /// without it, is written only once the ledger is on disk.
    pub(crate) fn is_last_trace(&self, segment: &Segment) -> bool {
        let records = &self.damage.known.records;
        self.drops != self.drops_stored && records.any_within(segment.first, segment.last)
    }

    /// What a commit is to carry of it, beside what the ledger says of it.
    pub(crate) fn take_changed_damage(&mut self) -> Option<Control> {
        std::mem::take(&mut self.damage.changed).then(|| Control::Damage {
            known: self.damage.known.clone(),
            next_cursor: self.next_cursor,
            last_route: self.routes.last_id(),
        })
    }

    /// Ids that may have been given out are not given out again.
    fn pass_over_ids(&mut self, lost: u64) {
        let ids = u32::try_from(lost).unwrap_or(u32::MAX);
        self.next_cursor = self.next_cursor.saturating_add(ids);
        let last_route = self.routes.last_id().saturating_add(ids);
        self.routes.raise_last_id(last_route);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_counted_once_however_their_ranges_meet() {
        let mut positions = Positions::default();
        assert_eq!(positions.add(10, 19), 10);
        assert_eq!(positions.add(10, 19), 0);
        assert_eq!(positions.add(30, 30), 1);
        assert_eq!(positions.add(15, 32), 12, "20 to 29, 31 and 32");
        assert_eq!(positions.add(5, 9), 5);
        assert_eq!(positions.add(33, 33), 1);
        assert_eq!(positions, Positions([(5, 33)].into()));
        assert_eq!(positions.add(1, 3), 3);
        let held = (0..40).filter(|seq| positions.contains(*seq)).count();
        assert_eq!(held, 3 + 29);
        positions.forget_before(4);
        assert_eq!(positions, Positions([(5, 33)].into()));
    }

    #[test]
    fn ranges_are_bounded_and_the_oldest_go_first() {
        let mut positions = Positions::default();
        for n in 0..2_000 {
            positions.add(2 * n, 2 * n);
        }
        assert_eq!(positions.0.len(), MOST_RANGES);
        assert!(!positions.contains(2 * 975));
        assert!(positions.contains(2 * 976) && positions.contains(2 * 1_999));
    }
}
