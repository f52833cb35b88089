//! Reading: what a cursor is owed, one record, or everything in order.

mod fill;
mod load;
mod plan;

use std::sync::Arc;

use crate::{
    CursorId, Entry, Lane, NodeTime, RouteId, Seq, Spool, StorageError,
    index::{Place, Row},
    lists::{Lists, Need, Version},
    log::State,
    record::Tag,
    segment::{Index, Segment},
    storage::File,
};

/// What one read gave.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// In order of position.
    pub entries: Vec<Entry>,
    /// Read on from here: `read(cursor, next, …)` or `scan(next, …)`. Advances past records that are not owed,
    /// acknowledged, dropped or lost.
    pub next: Seq,
    /// Whether `next` has reached the last committed record.
    pub at_end: bool,
}

/// How much one read may give.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimits {
    /// Records at most.
    pub records: usize,
    /// A first record is given even when it alone is over this.
    pub bytes: usize,
    /// Only these lanes (bit n = lane n).
    pub lanes: u32,
}

impl ReadLimits {
    fn wants(&self, tag: Tag) -> bool {
        self.wants_lane(tag.lane())
    }

    fn wants_lane(&self, lane: Lane) -> bool {
        self.lanes >> lane.0 & 1 == 1
    }
}

/// A record to be read, in the file as it was when it was looked up.
#[derive(Clone)]
pub(crate) struct Located {
    pub(crate) place: Place,
    pub(crate) version: Version,
    file: Option<Arc<dyn File>>,
    owed: bool,
}

/// What a look at the index gave: found, or something to be read first.
pub(crate) type Looked<T> = Result<T, Need>;

impl Spool {
    /// Committed records owed to `cursor` after `after`, in order; skips what the cursor has acknowledged. Reads the
    /// index, then only the records themselves. A damaged record is never returned: it is entered in the ledger and
    /// skipped. One that cannot be read holds the read up until it can, or for about a minute: then it is damaged. In each lane at most 4,096 owed records are given ahead of the first that is not acknowledged.
    pub fn read(
        &self,
        cursor: CursorId,
        after: Seq,
        limits: ReadLimits,
    ) -> Result<Batch, StorageError> {
        self.inner.read_with(&mut |state, extra| {
            let there = state.cursors.get(&cursor.0);
            if there.is_none_or(|cursor| cursor.removed_at.is_some()) {
                return Ok(Err(StorageError::NoSuchCursor));
            }
            state.plan_read(cursor.0, after.0, limits, extra).map(Ok)
        })
    }

    /// One committed record, whatever its route; `None` if it is gone.
    pub fn read_at(&self, seq: Seq) -> Result<Option<Entry>, StorageError> {
        let batch = self.inner.read_with(&mut |state, extra| {
            let at = state.segment_after(seq.0.saturating_sub(1));
            let mut plan = Plan::at(seq.0);
            if let Some(segment) = state.segments.get(at) {
                let all = &mut |place: &Place| place.seq == seq.0 && !place.tag.is_control();
                let rows = &mut |row: &Row| !row.tag.is_control() && row.first <= seq.0;
                let places = state.gather(segment, seq.0.saturating_sub(1), rows, all, 1, extra)?;
                plan.found.extend(
                    places
                        .into_iter()
                        .map(|place| located(segment, place, false)),
                );
            }
            Ok(Ok(plan))
        })?;
        Ok(batch.entries.into_iter().next())
    }

    /// Every committed event in order from `from` on, whatever its route (export, replay). `from` by time: `seek`.
    pub fn scan(&self, from: Seq, limits: ReadLimits) -> Result<Batch, StorageError> {
        self.inner.read_with(&mut |state, extra| {
            let events = &|tag: Tag| tag.is_event() && limits.wants(tag);
            let plan = state.plan_scan(from.0.saturating_sub(1), limits, events, extra)?;
            Ok(Ok(Plan {
                next: plan.next.saturating_add(1),
                ..plan
            }))
        })
    }

    /// The first position whose record was appended at or after `time`; the next to be assigned if there is none.
    pub fn seek(&self, time: NodeTime) -> Result<Seq, StorageError> {
        self.inner.looked(&mut |state, extra| {
            for segment in state
                .segments
                .iter()
                .filter(|segment| segment.last_time >= time.0)
            {
                let found = match &segment.index {
                    Index::Open(slots) => slots.at_time(time.0),
                    Index::Sealed(_) => {
                        let lists =
                            state.lists_of(segment, &mut |row| !row.tag.is_control(), extra)?;
                        lists.iter().filter_map(|list| list.at_time(time.0)).min()
                    }
                };
                if let Some(seq) = found {
                    return Ok(Seq(seq));
                }
            }
            Ok(Seq(state.committed.saturating_add(1)))
        })
    }

    /// Acknowledges positions for a cursor; durable lazily (within 1 s or 10,000 acknowledgements, in the next commit
    /// if there is one). May read the index of a sealed segment.
    pub fn ack(&self, cursor: CursorId, seqs: &[Seq]) {
        let (met, returned) = {
            let mut state = self.inner.lock();
            let committed = state.committed;
            let (counted, stored) = (state.ledger.added(), state.ledger.stored());
            let Some(cursor) = state.cursors.get_mut(&cursor.0) else {
                return;
            };
            cursor.hold(counted, stored);
            for seq in seqs {
                cursor.ack(seq.0);
            }
            cursor.advance();
            let met = cursor.first_early().is_some_and(|seq| seq <= committed);
            let is_first = state.note_acks(seqs.len() as u64);
            state.room.is_stale();
            if is_first {
                self.inner.look_in_time(&mut state);
            }
            if state.room.is_awaited() || state.acks_are_many() {
                self.inner.wake_housekeeper(&mut state);
            }
            (met, state.room_returned())
        };
        if returned {
            self.inner.tell();
        }
        if !met {
            return;
        }
        // An index that cannot be read leaves the acknowledgement for the next fill.
        let _ = self
            .inner
            .looked(&mut |state, extra| state.fill_to_early(cursor.0, extra));
    }

    /// Hands every state-bearing record the checkpoint does not cover to `apply`, in order. Call once, after `open`: until it
    /// has returned, what cannot be read is damaged at once.
    pub fn replay_state(&self, apply: &mut dyn FnMut(&Entry)) -> Result<(), StorageError> {
        let limits = ReadLimits {
            records: 1_024,
            bytes: 1 << 20,
            lanes: u32::MAX,
        };
        let mut after = self.inner.lock().checkpoints.newest().owner;
        loop {
            let batch = self.inner.read_with(&mut |state, extra| {
                state
                    .plan_scan(after, limits, &|tag: Tag| tag.is_state(), extra)
                    .map(Ok)
            })?;
            batch.entries.iter().for_each(&mut *apply);
            after = batch.next.0;
            if batch.at_end {
                self.inner.lock().opening = false;
                return Ok(());
            }
        }
    }
}

type LookForPlan<'a> = dyn FnMut(&mut State, &Lists) -> Looked<Result<Plan, StorageError>> + 'a;

/// Records to read, found under the lock.
pub(crate) struct Plan {
    found: Vec<Located>,
    next: u64,
    at_end: bool,
}

impl Plan {
    fn at(seq: u64) -> Plan {
        Plan {
            found: Vec::new(),
            next: seq,
            at_end: false,
        }
    }
}

pub(crate) fn located(segment: &Segment, place: Place, owed: bool) -> Located {
    Located {
        place,
        version: (segment.id, segment.generation),
        file: segment.file.clone(),
        owed,
    }
}

impl Located {
    fn entry(&self, body: &[u8]) -> Option<Entry> {
        let place = &self.place;
        Some(Entry {
            seq: Seq(place.seq),
            time: NodeTime(place.time),
            kind: place.tag.kind()?,
            lane: place.tag.lane(),
            route: RouteId(place.route),
            owed: self.owed,
            body: body.into(),
        })
    }
}
