//! Group commit: one frame at a time, one write and one sync each.

use std::{
    io,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Instant,
};

use crate::{
    Health, NodeTime, Spool,
    control::Control,
    frame::{Link, PAGE},
    index::{Slot, Slots},
    log::{Inner, State},
    pending::{Effect, Pending},
    segment::{Fault, Index, Segment},
    target::TargetSegment,
};

/// Records of a segment that memory is set aside for when it is begun.
const MOST_FORESEEN: usize = 64 << 10;

/// How long commits took.
#[derive(Debug, Default)]
pub(crate) struct Commits {
    pub(crate) count: u64,
    pub(crate) longest_us: u64,
    recent_us: Vec<u64>,
}

const RECENT: usize = 128;

impl Commits {
    fn add(&mut self, micros: u64) {
        if self.recent_us.len() < RECENT {
            self.recent_us.push(micros);
        } else if let Some(slot) = self.recent_us.get_mut(self.count as usize % RECENT) {
            *slot = micros;
        }
        self.count += 1;
        self.longest_us = self.longest_us.max(micros);
    }

    pub(crate) fn median_us(&self) -> u64 {
        let mut sorted = self.recent_us.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or(0)
    }
}

impl Spool {
    /// One step of the committer on this thread: writes and syncs what waits. True if there was anything; look at
    /// `committed` for whether it was stored. A frame that could not be stored is tried again by the next call.
    pub fn commit_once(&self) -> bool {
        let inner = &*self.inner;
        let mut target = inner.target.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut batch) = target.retry.take().or_else(|| inner.next_batch()) else {
            return false;
        };
        let began = Instant::now();
        match inner.store(target.segment.take(), &mut batch) {
            Ok(mut segment) => {
                inner.publish(&mut segment, batch, began.elapsed().as_micros() as u64);
                target.segment = Some(segment);
            }
            Err(error) => {
                target.retry = Some(batch);
                inner.failing("a commit", &error);
            }
        }
        drop(target);
        inner.tell();
        true
    }
}

impl Inner {
    /// Takes the next frame, with the changes of the spool's own that are due.
    pub(crate) fn next_batch(&self) -> Option<Pending> {
        let mut state = self.lock();
        let mut batch = state.pending.pop_front()?;
        state.queued_bytes = state.pending.iter().rev().skip(1).map(Pending::len).sum();
        state.add_changes(&mut batch);
        state.committing_bytes = batch.len();
        Some(batch)
    }

    /// Writes and syncs a frame, in the next segment if the last one has no room or has failed; gives where it is.
    fn store(&self, last: Option<TargetSegment>, batch: &mut Pending) -> io::Result<TargetSegment> {
        let segment = match last.filter(|segment| segment.fits(batch)) {
            Some(segment) => segment,
            None => self.take_segment()?.grown_for(batch),
        };
        let link = segment.base.is_none().then(|| self.lock().link());
        let offset = segment.end;
        let written = segment
            .file
            .write_at(batch.seal(segment.salt, offset, link), offset);
        match written.and_then(|()| segment.file.sync()) {
            Ok(()) => Ok(segment),
            Err(error) => {
                // What the file holds of this frame is unknown for good: the frame is written again elsewhere.
                self.abandon(segment.id);
                Err(error)
            }
        }
    }

    fn abandon(&self, failed: u64) {
        let mut state = self.lock();
        match state
            .segments
            .back_mut()
            .filter(|segment| segment.id == failed)
        {
            Some(segment) => segment.fault = Some(Fault::Failed),
            None => state.room.garbage.push(crate::segment::file_name(failed)),
        }
        self.wake_housekeeper(&mut state);
    }

    fn publish(&self, segment: &mut TargetSegment, batch: Pending, micros: u64) {
        let mut state = self.lock();
        let offset = segment.end;
        let mut begun = false;
        if segment.base.is_none() {
            segment.base = Some(batch.base);
            let link = state.link();
            state.start_segment(segment, &batch, link);
            begun = true;
            self.wake_housekeeper(&mut state);
        }
        segment.end = offset.saturating_add(batch.span());
        segment.index_bytes = segment.index_bytes.saturating_add(batch.index_bytes());
        state.extend_segment(segment, &batch, offset);
        state.count(&batch);
        state.committed = batch.last_seq;
        state.committing_bytes = 0;
        state.commits.add(micros);
        if begun {
            // What a segment could not be filled with is known from here on.
            state.measure();
        }
        let mut batch = batch;
        for loss in std::mem::take(&mut batch.debts) {
            state.ledger.add_stored(loss);
        }
        for effect in std::mem::take(&mut batch.effects) {
            state.come_true(effect);
        }
        let well = state.health == Health::Ok;
        state.health = Health::Ok;
        self.committed.store(batch.last_seq, Ordering::Release);
        state.recycle(batch);
        if state.room.is_awaited() || state.checkpoints.is_waiting() {
            self.wake_housekeeper(&mut state);
        }
        drop(state);
        if !well {
            tracing::info!("the spool stores again");
        }
    }

    /// Notes that the disk does not take what it is given; said loudly once per episode.
    pub(crate) fn failing(&self, doing: &str, error: &io::Error) {
        let mut state = self.lock();
        let since = match &state.health {
            Health::Failing { since, .. } => *since,
            Health::Ok => {
                tracing::error!(doing, %error, "the spool cannot store; nothing is acknowledged until it can");
                NodeTime(state.last_time)
            }
        };
        state.health = Health::Failing {
            error: format!("{doing}: {error}"),
            since,
        };
        // It may have gone to sleep for long, and is who notices that there is room again.
        self.wake_housekeeper(&mut state);
    }
}

impl State {
    /// How far the last segment holds valid frames.
    fn link(&self) -> Link {
        self.segments
            .back()
            .map_or_else(Link::default, Segment::link_from_next)
    }

    fn start_segment(&mut self, target: &TargetSegment, batch: &Pending, link: Link) {
        // Segments resemble each other.
        let like_the_last = self.segments.back().map_or(0, |last| last.records);
        let records =
            usize::try_from(like_the_last).map_or(MOST_FORESEEN, |it| it.min(MOST_FORESEEN));
        self.segments.push_back(Segment {
            id: target.id,
            generation: 0,
            salt: target.salt,
            size: target.size,
            first: batch.base.seq,
            last: batch.last_seq,
            base: batch.base,
            last_time: batch.last_time,
            end: PAGE,
            records: 0,
            link,
            index: Index::Open(Arc::new(Slots::with_room(batch.base, records))),
            file: Some(target.file.clone()),
            fault: None,
        });
    }

    fn extend_segment(&mut self, target: &TargetSegment, batch: &Pending, offset: u64) {
        let Some(segment) = self.segments.back_mut() else {
            return;
        };
        segment.last = batch.last_seq;
        segment.last_time = batch.last_time;
        segment.end = target.end;
        segment.records = segment.records.saturating_add(batch.slots.len() as u64);
        if let Index::Open(slots) = &mut segment.index {
            Arc::make_mut(slots).extend_from(batch.base, &batch.slots, offset as u32);
        }
        self.checkpoints.log_bytes += batch.span();
        self.room.pad(batch);
    }

    /// Counts what is owed to the routes of a frame, and what of it bears state, run by run of like records.
    fn count(&mut self, batch: &Pending) {
        let key = |slot: &Slot| (slot.route, slot.tag());
        for run in batch.slots.chunk_by(|a, b| key(a) == key(b)) {
            let Some(&first) = run.first() else {
                continue;
            };
            let bytes = run.iter().map(|slot| u64::from(slot.len())).sum();
            if first.tag().is_state() {
                self.checkpoints.state_bytes += bytes;
            }
            if !first.tag().is_event() {
                continue;
            }
            if let Some(route) = self.routes.get_mut(first.route) {
                route.total.add(run.len() as u64, bytes);
                // Not before the run's last, which is all that is asked of it.
                route.appended(first.tag().lane(), batch.last_seq);
            }
        }
    }

    pub(crate) fn come_true(&mut self, effect: Effect) {
        match effect {
            Effect::Acks(acks) => {
                for (id, seq) in acks {
                    if let Some(cursor) = self.cursors.get_mut(&id) {
                        cursor.ack(seq);
                        cursor.advance();
                    }
                }
            }
            Effect::Joined(runs) => {
                for (id, runs) in runs {
                    if let Some(cursor) = self.cursors.get_mut(&id) {
                        cursor.ack_runs(&runs);
                        cursor.advance();
                    }
                }
            }
            Effect::Removed { cursor, .. } => {
                self.cursors.remove(&cursor);
                self.routes.forget_cursor(cursor);
                self.want_chores();
            }
            Effect::Unpinned(seq) => self.unpin(seq),
            Effect::LedgerStored { losses, drops } => {
                self.ledger_is_stored(losses, drops);
            }
        }
    }

    /// So many losses, and what was given up so many times, are in the ledger on disk.
    pub(crate) fn ledger_is_stored(&mut self, losses: u64, drops: u64) {
        self.ledger.are_stored(losses);
        self.room.is_stale();
        self.drops_stored = drops;
        self.losses_since = self.owes_ledger().then_some(self.last_time);
        if drops == self.drops {
            self.room.garbage.append(&mut self.room.traces);
        }
    }

    /// Adds to a frame what the spool has to store and no transaction brought.
    fn add_changes(&mut self, batch: &mut Pending) {
        let seq = batch.last_seq;
        batch.debts = self.debts_of_removed(batch);
        if self.floors_changed {
            self.floors_changed = false;
            batch.push_control(&Control::Floors(self.floors.clone()), seq);
        }
        let joined = batch.joined.take();
        if !joined.is_empty() {
            batch.push_control(&Control::Marks(self.marks_of(&joined)), seq);
            batch.effects.push(Effect::Joined(joined));
        }
        // Marks, floors, removals and acknowledgements let go what the ledger counts: all it counts comes with them.
        if self.ledger.has_changed() || !batch.debts.is_empty() {
            let losses = self.ledger.take_changed_with(&batch.debts);
            batch.push_control(&Control::Ledger(losses), seq);
        }
        let marks = self.marks_for_commit(seq);
        if !marks.is_empty() {
            batch.push_control(&Control::Marks(marks), seq);
        }
        if let Some(damage) = self.take_changed_damage() {
            // Either without the other would be counted twice after a crash, or never.
            batch.push_control(&Control::Ledger(self.ledger.of_damage()), seq);
            batch.push_control(&damage, seq);
        }
        if self.owes_ledger() {
            batch.effects.push(Effect::LedgerStored {
                losses: self.ledger.added(),
                drops: self.drops,
            });
        }
    }
}
