//! Acknowledgements that wait for a commit without a record of their own each.
//!
//! While the disk stalls, what was given before it is still acknowledged, one transaction after the other. Behind the bound of
//! what may wait they are kept as runs: a cursor that is acknowledged in order has one, however much it covers, and never more
//! than its windows hold. A frame stores them as marks when it is committed.

use std::collections::BTreeMap;

use crate::{
    control::{LaneMark, Mark},
    cursor::Cursor,
    log::State,
    route::Amount,
};

/// Memory that a run takes.
const RUN_BYTES: usize = size_of::<(u64, u64)>();

/// What is acknowledged for each cursor: first and last of runs that hold nothing else that it is owed, in order.
pub(crate) type Runs = BTreeMap<u32, Vec<(u64, u64)>>;

/// Acknowledgements that become true together with a frame.
#[derive(Debug, Default)]
pub(crate) struct Joined {
    runs: Runs,
    count: usize,
}

impl Joined {
    pub(crate) fn clear(&mut self) {
        *self = Joined::default();
    }

    pub(crate) fn bytes(&self) -> usize {
        self.count * RUN_BYTES
    }

    pub(crate) fn take(&mut self) -> Runs {
        self.count = 0;
        std::mem::take(&mut self.runs)
    }

    /// Whether it acknowledges this record, if that is owed to the cursor.
    pub(crate) fn covers(&self, cursor: u32, seq: u64) -> bool {
        let runs = self.runs.get(&cursor).map_or(&[][..], Vec::as_slice);
        let at = runs.partition_point(|run| run.0 <= seq);
        let last = at.checked_sub(1).and_then(|at| runs.get(at));
        last.is_some_and(|run| seq <= run.1)
    }

    fn join(&mut self, cursor: &Cursor, seq: u64) {
        let runs = self.runs.entry(cursor.id).or_default();
        let before = runs.len();
        let at = runs.partition_point(|run| run.0 <= seq);
        let next = runs.get(at).copied();
        let next = next.filter(|next| !cursor.may_owe_between(seq, next.0));
        let last = at.checked_sub(1).and_then(|at| runs.get_mut(at));
        match last {
            Some(last) if seq <= last.1 => {}
            Some(last) if !cursor.may_owe_between(last.1, seq) => {
                last.1 = next.map_or(seq, |next| next.1);
                if next.is_some() {
                    runs.remove(at);
                }
            }
            _ => match runs.get_mut(at).filter(|_| next.is_some()) {
                Some(next) => next.0 = seq,
                None => runs.insert(at, (seq, seq)),
            },
        }
        self.count = (self.count + runs.len()).saturating_sub(before);
    }
}

impl State {
    /// Has the last frame acknowledge as well.
    pub(crate) fn join_acks(&mut self, acks: &[(u32, u64)]) {
        let Some(batch) = self.pending.back_mut() else {
            return;
        };
        for (id, seq) in acks {
            if let Some(cursor) = self.cursors.get(id).filter(|cursor| *seq > cursor.low()) {
                batch.joined.join(cursor, *seq);
            }
        }
    }

    /// The runs as a frame stores them: marks that say nothing of what is below them.
    pub(crate) fn marks_of(&self, runs: &Runs) -> Vec<Mark> {
        let mark = |(id, runs): (&u32, &Vec<(u64, u64)>)| {
            let cursor = self.cursors.get(id)?;
            Some(Mark {
                id: *id,
                lanes: cursor.lanes_of(runs).map(lane_mark).collect(),
                acknowledged: 0,
            })
        };
        runs.iter().filter_map(mark).collect()
    }
}

fn lane_mark(runs: Vec<(u64, u64)>) -> LaneMark {
    LaneMark {
        low: 0,
        runs,
        consumed: Amount::default(),
    }
}
