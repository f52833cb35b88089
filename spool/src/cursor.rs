//! A reader's durable place: a low mark, and what is acknowledged above it.

use std::collections::{BTreeSet, VecDeque};

use crate::{
    Lane, NodeTime,
    control::{CursorRecord, LaneMark, Mark},
    index::Place,
    record::Tag,
    route::Amount,
};

/// Owed records that may be known ahead of the low mark of a lane: 64 KiB of them, for each lane apart, so that a backlog in one
/// hides nothing of another. A cursor that is owed as many in all three lanes takes 192 KiB.
pub(crate) const WINDOW: usize = 4_096;
/// Room the window must have before it is filled again, so that a fill is worth its search.
const FILL_AT_LEAST: usize = 256;
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
    runs: Vec<(u64, u64)>,
    /// Owed, and done or given up, apart from what is done inside the window.
    pub(crate) consumed: Amount,
    done_in_window: Amount,
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
    pub(crate) acknowledged: u64,
    /// The transaction that removed it; it counts as there until that is committed.
    pub(crate) removed_at: Option<u64>,
    /// Whether the stored mark is behind.
    pub(crate) changed: bool,
}

impl LaneWindow {
    fn at(low: u64) -> LaneWindow {
        LaneWindow {
            low,
            filled: low,
            ..LaneWindow::default()
        }
    }

    fn restore(&mut self, mark: &LaneMark) {
        if mark.low >= self.low {
            self.consumed = mark.consumed;
        }
        self.low = self.low.max(mark.low);
        self.filled = self.filled.max(self.low);
        self.runs.extend_from_slice(&mark.runs);
        self.normalize_runs();
    }

    fn clamp(&mut self, end: u64) {
        self.low = self.low.min(end);
        self.filled = self.filled.min(end);
        self.runs.retain(|run| run.0 <= end);
        for run in &mut self.runs {
            run.1 = run.1.min(end);
        }
    }

    fn normalize_runs(&mut self) {
        let low = self.low;
        self.runs.retain(|run| run.1 > low && run.0 <= run.1);
        self.runs.sort_unstable();
        self.runs.dedup();
    }

    fn ran(&self, seq: u64) -> bool {
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
    fn between(&self, first: u64, last: u64) -> impl Iterator<Item = &Owed> {
        let start = self.window.partition_point(|owed| owed.seq < first);
        let rest = self.window.range(start..);
        rest.take_while(move |owed| owed.seq <= last)
    }

    /// Marks a record of the window as done; false if it is not there or was done.
    fn mark_done(&mut self, seq: u64) -> bool {
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
    fn advance(&mut self) {
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

    fn owes(&self, seq: u64) -> bool {
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

    fn mark(&self) -> LaneMark {
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
            acknowledged: 0,
            removed_at: None,
            changed: false,
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
