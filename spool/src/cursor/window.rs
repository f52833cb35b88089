//! What a cursor is owed next in one lane, and what of it is done.

use std::collections::VecDeque;

use crate::{control::LaneMark, index::Place, record::Tag, route::Amount};

/// Owed records that may be known ahead of the low mark of a lane: 64 KiB of them, for each lane apart, so that a backlog in one
/// hides nothing of another. A cursor that is owed as many in all three lanes takes 192 KiB.
pub(crate) const WINDOW: usize = 4_096;
/// Room the window must have before it is filled again, so that a fill is worth its search.
const FILL_AT_LEAST: usize = 256;
/// A record in the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owed {
    pub(crate) seq: u64,
    pub(crate) route: u32,
    /// Length in the upper 24 bits, then two flags, then the tag's six bits.
    packed: u32,
}

const DONE: u32 = 1 << 7;
const HISTORY: u32 = 1 << 6;

impl Owed {
    pub(crate) fn new(place: &Place, history: bool) -> Owed {
        let flags = if history { HISTORY } else { 0 };
        Owed {
            seq: place.seq,
            route: place.route,
            packed: place.len << 8 | flags | u32::from(place.tag.0 & 0x3f),
        }
    }

    pub(crate) fn tag(self) -> Tag {
        Tag(self.packed as u8 & 0x3f)
    }

    pub(crate) fn len(self) -> u32 {
        self.packed >> 8
    }

    /// Acknowledged or given up.
    pub(crate) fn is_done(self) -> bool {
        self.packed & DONE != 0
    }

    /// From before the cursor's creation: offered, not owed.
    pub(crate) fn is_history(self) -> bool {
        self.packed & HISTORY != 0
    }
}

/// A cursor's place in one lane.
#[derive(Debug, Default)]
pub(crate) struct LaneWindow {
    pub(crate) low: u64,
    /// Owed records in order of position, from the first that is not done.
    pub(crate) window: VecDeque<Owed>,
    /// Every record up to here that is owed is in the window or done.
    pub(crate) filled: u64,
    /// Acknowledged before the last start, not met by the window yet.
    pub(super) runs: Vec<(u64, u64)>,
    /// Owed, and done or given up, apart from what is done inside the window.
    pub(crate) consumed: Amount,
    pub(super) done_in_window: Amount,
}

impl LaneWindow {
    pub(super) fn at(low: u64) -> LaneWindow {
        LaneWindow {
            low,
            filled: low,
            ..LaneWindow::default()
        }
    }

    pub(super) fn restore(&mut self, mark: &LaneMark) {
        if mark.low >= self.low {
            self.consumed = mark.consumed;
        }
        self.low = self.low.max(mark.low);
        self.filled = self.filled.max(self.low);
        self.runs.extend_from_slice(&mark.runs);
        self.normalize_runs();
    }

    pub(super) fn clamp(&mut self, end: u64) {
        self.low = self.low.min(end);
        self.filled = self.filled.min(end);
        self.runs.retain(|run| run.0 <= end);
        for run in &mut self.runs {
            run.1 = run.1.min(end);
        }
    }

    pub(super) fn normalize_runs(&mut self) {
        let low = self.low;
        self.runs.retain(|run| run.1 > low && run.0 <= run.1);
        self.runs.sort_unstable();
        self.runs.dedup();
    }

    pub(super) fn ran(&self, seq: u64) -> bool {
        // Runs may overlap, so the one that starts last before `seq` is not the only one that can hold it.
        self.runs
            .iter()
            .take_while(|run| run.0 <= seq)
            .any(|run| seq <= run.1)
    }

    /// How many records a fill may add; zero while that is not worth the search.
    pub(crate) fn fill_room(&self) -> usize {
        let room = WINDOW.saturating_sub(self.window.len());
        if room >= FILL_AT_LEAST { room } else { 0 }
    }

    /// What the window holds from `first` to `last`.
    pub(super) fn between(&self, first: u64, last: u64) -> impl Iterator<Item = &Owed> {
        let start = self.window.partition_point(|owed| owed.seq < first);
        let rest = self.window.range(start..);
        rest.take_while(move |owed| owed.seq <= last)
    }

    /// Marks a record of the window as done; false if it is not there or was done.
    pub(super) fn mark_done(&mut self, seq: u64) -> bool {
        let Ok(at) = self.window.binary_search_by_key(&seq, |owed| owed.seq) else {
            return false;
        };
        let Some(owed) = self.window.get_mut(at) else {
            return false;
        };
        if owed.is_done() {
            return false;
        }
        owed.packed |= DONE;
        if !owed.is_history() {
            self.done_in_window.add(1, u64::from(owed.len()));
        }
        true
    }

    /// Moves the low mark past everything done.
    pub(super) fn advance(&mut self) {
        while let Some(front) = self.window.front().copied().filter(|owed| owed.is_done()) {
            self.window.pop_front();
            self.low = front.seq;
            if !front.is_history() {
                let amount = Amount {
                    records: 1,
                    bytes: u64::from(front.len()),
                };
                self.done_in_window = self.done_in_window.minus(amount);
                self.consumed = self.consumed.plus(amount);
            }
        }
        let reached = self
            .window
            .front()
            .map_or(self.filled, |front| front.seq.saturating_sub(1));
        self.low = self.low.max(reached);
        if self.window.is_empty() && self.window.capacity() > 64 {
            self.window.shrink_to(64);
        }
    }

    pub(super) fn owes(&self, seq: u64) -> bool {
        if seq <= self.low {
            return false;
        }
        if seq > self.filled {
            return !self.ran(seq);
        }
        match self.window.binary_search_by_key(&seq, |owed| owed.seq) {
            Ok(at) => self.window.get(at).is_some_and(|owed| !owed.is_done()),
            Err(_) => false,
        }
    }

    pub(super) fn mark(&self) -> LaneMark {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        let mut open = false;
        for owed in &self.window {
            match runs.last_mut() {
                _ if !owed.is_done() => open = false,
                Some(run) if open => run.1 = owed.seq,
                _ => {
                    runs.push((owed.seq, owed.seq));
                    open = true;
                }
            }
        }
        runs.extend(self.runs.iter().filter(|run| run.1 > self.filled));
        LaneMark {
            low: self.low,
            runs,
            consumed: self.consumed,
        }
    }
}
