//! A reader's durable place: a low mark, and what is acknowledged above it.

mod hold;
mod window;

use std::collections::BTreeSet;

use self::hold::Holds;
pub(crate) use self::window::{LaneWindow, Owed, WINDOW};
use crate::{
    Lane, NodeTime,
    control::{CursorRecord, Mark},
    index::Place,
    route::Amount,
};

/// Acknowledgements of records the window has not reached; more are forgotten, and their records given again.
const MOST_EARLY: usize = 2 * WINDOW;

/// Where a new cursor starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// After the last record appended before it.
    Now,
    /// At the oldest record kept. Records from before the cursor's creation are offered to it whatever their route
    /// (`Entry::owed` is false for them), so that the owner can decide; they are history and pin nothing.
    Oldest,
    /// At `first`, and nothing behind `last` is for it: these records are history, offered as for `Oldest`.
    History {
        /// First position of the range.
        first: crate::Seq,
        /// Last position of the range; what was appended after the creation is not in it.
        last: crate::Seq,
    },
}

/// A cursor as status shows it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct CursorStatus {
    /// The name it was created with.
    pub name: String,
    /// Everything up to here is acknowledged, dropped or not owed.
    pub low: crate::Seq,
    /// Records owed and not acknowledged.
    pub pending_records: u64,
    /// Their bytes in the log.
    pub pending_bytes: u64,
    /// When the oldest of them was appended.
    pub oldest_pending: Option<NodeTime>,
    /// Acknowledged since the cursor was created.
    pub acknowledged_records: u64,
}

/// A cursor.
#[derive(Debug)]
pub(crate) struct Cursor {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) bound_bytes: Option<u64>,
    /// Everything up to here was there before it, and is owed to it in no lane.
    start: u64,
    pub(crate) history_until: u64,
    pub(crate) lanes: [LaneWindow; Lane::MOST],
    early: BTreeSet<u64>,
    holds: Holds,
    pub(crate) acknowledged: u64,
    /// The record that created it, and the one that removed it, since the start: it is there between their commits.
    pub(crate) created_at: u64,
    pub(crate) removed_at: Option<u64>,
    /// Whether the stored mark is behind.
    pub(crate) changed: bool,
    /// Whether it is behind what was given up, and the ledger counts.
    pub(crate) gave_up: bool,
}

impl Cursor {
    pub(crate) fn new(record: CursorRecord) -> Cursor {
        Cursor {
            id: record.id,
            name: record.name,
            bound_bytes: record.bound_bytes,
            start: record.low,
            history_until: record.history_until,
            lanes: std::array::from_fn(|_| LaneWindow::at(record.low)),
            early: BTreeSet::new(),
            holds: Holds::default(),
            acknowledged: 0,
            created_at: 0,
            removed_at: None,
            changed: false,
            gave_up: false,
        }
    }

    pub(crate) fn record(&self) -> CursorRecord {
        CursorRecord {
            id: self.id,
            name: self.name.clone(),
            low: self.start,
            history_until: self.history_until,
            bound_bytes: self.bound_bytes,
        }
    }

    /// Whether there is such a cursor once everything up to `committed` is committed, and nothing behind it.
    pub(crate) fn is_there(&self, committed: u64) -> bool {
        self.created_at <= committed && self.removed_at.is_none_or(|at| at > committed)
    }

    pub(crate) fn lane(&self, lane: Lane) -> Option<&LaneWindow> {
        self.lanes.get(usize::from(lane.0))
    }

    pub(crate) fn low(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.low).min().unwrap_or(0)
    }

    /// Everything owed up to here is known, in every lane.
    pub(crate) fn filled(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.filled).min().unwrap_or(0)
    }

    /// What is known to be owed, lane by lane.
    pub(crate) fn owed(&self) -> impl Iterator<Item = &Owed> {
        self.lanes
            .iter()
            .flat_map(|lane| &lane.window)
            .filter(|owed| !owed.is_done())
    }

    /// The first known to be owed.
    pub(crate) fn first_owed(&self) -> Option<Owed> {
        self.owed().min_by_key(|owed| owed.seq).copied()
    }

    /// Takes a stored mark, which may be older than what is known.
    pub(crate) fn restore(&mut self, mark: &Mark) {
        for (lane, mark) in self.lanes.iter_mut().zip(&mark.lanes) {
            lane.restore(mark);
        }
        self.acknowledged = self.acknowledged.max(mark.acknowledged);
    }

    /// Takes an acknowledgement that was stored as a record of its own.
    pub(crate) fn restore_ack(&mut self, seq: u64) {
        for lane in &mut self.lanes {
            lane.runs.push((seq, seq));
            lane.normalize_runs();
        }
    }

    /// Nothing behind `end` was ever committed.
    pub(crate) fn clamp(&mut self, end: u64) {
        self.lanes.iter_mut().for_each(|lane| lane.clamp(end));
    }

    /// Adds the next owed record of a lane. Records of a lane come in order of position.
    pub(crate) fn push(&mut self, place: &Place, history: bool) {
        let Some(lane) = self.lanes.get_mut(usize::from(place.tag.lane().0)) else {
            return;
        };
        lane.window.push_back(Owed::new(place, history));
        lane.filled = lane.filled.max(place.seq);
        let ran = lane.ran(place.seq);
        if self.early.remove(&place.seq) {
            self.mark_done(place.seq, true);
        } else if ran {
            self.mark_done(place.seq, false);
        }
    }

    /// Everything owed in a lane up to `seq` was pushed.
    pub(crate) fn filled_to(&mut self, lane: Lane, seq: u64) {
        if let Some(lane) = self.lanes.get_mut(usize::from(lane.0)) {
            lane.filled = lane.filled.max(seq);
            let filled = lane.filled;
            lane.runs.retain(|run| run.1 > filled);
            lane.advance();
        }
        self.early = self.early.split_off(&self.filled().saturating_add(1));
    }

    /// The lowest acknowledgement that a window has not met yet.
    pub(crate) fn first_early(&self) -> Option<u64> {
        self.early.first().copied()
    }

    pub(crate) fn ack(&mut self, seq: u64) {
        if seq <= self.low() || self.mark_done(seq, true) {
            return;
        }
        if seq > self.filled() && self.early.len() < MOST_EARLY {
            self.early.insert(seq);
        }
    }

    /// Acknowledges all that is owed within runs.
    pub(crate) fn ack_runs(&mut self, runs: &[(u64, u64)]) {
        for &(first, last) in runs {
            if first == last {
                self.ack(first);
                continue;
            }
            let known = self.lanes.iter().flat_map(|lane| lane.between(first, last));
            let known: Vec<u64> = known.map(|owed| owed.seq).collect();
            for seq in known {
                self.mark_done(seq, true);
            }
        }
    }

    /// Whether it is owed something behind one position and before another, or that is not known.
    pub(crate) fn may_owe_between(&self, after: u64, before: u64) -> bool {
        let (first, last) = (after.saturating_add(1), before.saturating_sub(1));
        let mut within = self.lanes.iter().flat_map(|lane| lane.between(first, last));
        before > self.filled() || within.any(|owed| !owed.is_done())
    }

    /// The runs of each lane, out of runs of positions.
    pub(crate) fn lanes_of(&self, runs: &[(u64, u64)]) -> impl Iterator<Item = Vec<(u64, u64)>> {
        let filled = self.filled();
        self.lanes.iter().map(move |lane| {
            let is_in =
                |run: &&(u64, u64)| run.1 > filled || lane.between(run.0, run.1).next().is_some();
            runs.iter().filter(is_in).copied().collect()
        })
    }

    /// Marks a record as done if it is in a window and was not.
    pub(crate) fn mark_done(&mut self, seq: u64, acknowledged: bool) -> bool {
        let done = self.lanes.iter_mut().any(|lane| lane.mark_done(seq));
        if done {
            self.acknowledged += u64::from(acknowledged);
            self.changed = true;
        }
        done
    }

    /// Gives up what the windows hold from `first` to `last`.
    pub(crate) fn give_up(&mut self, first: u64, last: u64) {
        let within = |owed: &&Owed| (first..=last).contains(&owed.seq);
        let known: Vec<u64> = self.owed().filter(within).map(|owed| owed.seq).collect();
        for seq in known {
            self.mark_done(seq, false);
        }
        self.advance();
    }

    /// Moves the low marks past everything done.
    pub(crate) fn advance(&mut self) {
        self.lanes.iter_mut().for_each(LaneWindow::advance);
    }

    /// Whether a committed record of a lane is owed and not acknowledged, given that its route contains the cursor.
    pub(crate) fn owes(&self, lane: Lane, seq: u64) -> bool {
        !self.early.contains(&seq) && self.lane(lane).is_some_and(|lane| lane.owes(seq))
    }

    /// What is owed of a total, ever.
    pub(crate) fn pending(&self, total: Amount) -> Amount {
        let consumed =
            |left: Amount, lane: &LaneWindow| left.minus(lane.consumed).minus(lane.done_in_window);
        self.lanes.iter().fold(total, consumed)
    }

    /// If nothing is owed, everything was consumed, whatever the counters say.
    pub(crate) fn settle(&mut self, committed: u64, total: Amount) {
        let drained = self
            .lanes
            .iter()
            .all(|lane| lane.window.is_empty() && lane.filled >= committed);
        if drained {
            for lane in &mut self.lanes {
                lane.consumed = Amount::default();
            }
            if let Some(lane) = self.lanes.first_mut() {
                lane.consumed = total;
            }
        }
    }

    pub(crate) fn mark(&self) -> Mark {
        let lanes = self.lanes.iter().map(LaneWindow::mark).collect();
        Mark {
            id: self.id,
            lanes,
            acknowledged: self.acknowledged,
        }
    }

    /// As `mark`, without what is acknowledged above the low marks.
    pub(crate) fn mark_low(&self) -> Mark {
        let mut mark = self.mark();
        mark.lanes.iter_mut().for_each(|lane| lane.runs.clear());
        mark
    }

    /// As `mark`, with the acknowledgements that no window has met: what a checkpoint covers is not read again, and those of a
    /// transaction are durable. Which lane each is of is not known.
    pub(crate) fn mark_whole(&self) -> Mark {
        let mut mark = self.mark();
        for (lane, marked) in self.lanes.iter().zip(&mut mark.lanes) {
            let unmet = self.early.range(lane.filled.saturating_add(1)..);
            marked.runs.extend(unmet.map(|&seq| (seq, seq)));
        }
        mark
    }
}
