//! What recovery finds damaged or missing: into the findings, the ledger, and a copy of the file.

use std::{collections::BTreeSet, io};

use super::{Mode, Opening};
use crate::{
    damage::{Found, What},
    frame::Link,
    log::{Inner, State},
    quarantine,
    scan::Gap,
    segment::{Segment, file_name, parse_name},
};

impl Opening<'_> {
    /// Where the frame that would tell it is damaged, the segment before is the one that is there, as far as it goes: from
    /// here on its end is known again, whatever becomes of it.
    pub(super) fn mend_links(&mut self) {
        let segments = &mut self.state.segments;
        for at in 1..segments.len() {
            let before = segments.get(at - 1).map(Segment::link_from_next);
            if let Some((segment, before)) = segments.get_mut(at).zip(before)
                && segment.link == Link::UNKNOWN
            {
                segment.link = before;
            }
        }
    }

    /// Enters what is missing between segments that are there.
    pub(super) fn find_holes(&mut self) {
        let mut holes = Vec::new();
        let mut before: Option<(u64, u64)> = None;
        for segment in &self.state.segments {
            let (id, last) = before.unwrap_or_default();
            let link = segment.link;
            let is_known = link.segment == id || self.damaged.contains(&link.segment);
            let mut until = if is_known { link.last_seq } else { 0 };
            // One that cannot be read, and that nothing names any more.
            if self
                .damaged
                .iter()
                .any(|&lost| id < lost && lost < segment.id)
            {
                until = until.max(segment.first.saturating_sub(1));
            }
            if until > last {
                holes.push(Gap {
                    first: last + 1,
                    last: until,
                    bytes: 0,
                });
            }
            for gap in self.gaps.get(&segment.id).into_iter().flatten() {
                let first = if gap.first == 1 { last + 1 } else { gap.first };
                holes.push(Gap { first, ..*gap });
            }
            before = Some((segment.id, segment.last));
        }
        for hole in &holes {
            self.enter(What::Records, hole.first, hole.last, hole.bytes);
        }
        let held = before.map_or(0, |(_, last)| last);
        if let Some(bytes) = self.lost_checkpoints {
            self.enter(What::Checkpoints, 1, held, bytes);
        }
        let covered = self.state.checkpoints.newest();
        // A checkpoint covers only what was committed. While its owner runs the files may have gone on since it was read.
        if self.mode == Mode::ReadWrite {
            self.enter(What::Records, held + 1, covered.spool.max(covered.owner), 0);
        }
        for (segment, tail) in std::mem::take(&mut self.tails) {
            let last = tail.last_after(held);
            self.enter(What::Tail { segment }, held + 1, last, tail.bytes);
            // None of these positions is given out again, in case the medium lost what was acknowledged.
            self.state.next_seq = self.state.next_seq.max(last.saturating_add(1));
        }
    }

    fn enter(&mut self, what: What, first: u64, last: u64, bytes: u64) {
        if first <= last {
            self.state
                .enter_damage(Found::in_log(what, first, last, bytes));
        }
    }
}

impl State {
    /// The ledger finds no room on disk: until it does, no file goes that may be all that tells of damage.
    pub(super) fn hold_traces(&mut self, damaged: &[u64]) {
        let is_segment = |name: &mut String| parse_name(name, ".segment").is_some();
        let room = &mut self.room;
        let mut traces: Vec<String> = room.garbage.extract_if(.., is_segment).collect();
        // One that is used again tells of nothing any more.
        traces.extend(room.spares.extract_if(.., is_segment));
        for &id in damaged {
            match self.segment_by_id(id) {
                Some(_) => self.quarantine.add(id),
                None => traces.push(file_name(id)),
            }
        }
        self.room.traces = traces;
    }
}

impl Inner {
    /// Keeps damaged segments for those who want to look into them: at most a few, and never for the price of the start. One
    /// that holds nothing more goes out of the log by it, so the ledger on disk has to tell of it first.
    pub(super) fn keep_copies(&self, damaged: Vec<u64>, unreadable: &BTreeSet<u64>) {
        for id in damaged {
            if let Err(error) = self.keep_copy(id, unreadable.contains(&id)) {
                tracing::warn!(%error, "a damaged segment could not be kept as quarantine");
            }
        }
    }

    fn keep_copy(&self, id: u64, is_unreadable: bool) -> io::Result<()> {
        let storage = &*self.storage;
        let name = quarantine::free_name(storage, id)?;
        let mut state = self.lock();
        let Some(version) = state.segment_by_id(id).map(Segment::version) else {
            let Some(name) = name else {
                state.room.garbage.push(file_name(id));
                return Ok(());
            };
            let size = storage.open(&file_name(id))?.len()?;
            storage.rename(&file_name(id), &name)?;
            state.room.quarantine_bytes += size;
            state.count_other_bytes();
            return Ok(());
        };
        let Some(name) = name.filter(|_| state.creatable() > 0) else {
            return Ok(());
        };
        if is_unreadable {
            drop(state);
            return self.set_aside(version, &name);
        }
        state.room.quarantine_bytes += quarantine::copy(storage, id, &name)?;
        state.count_other_bytes();
        Ok(())
    }
}
