//! What the records that were found mean: the spool's own are applied, events are counted.

use std::{io, sync::Arc};

use super::gone::{Gone, Orphans};
use crate::{
    Loss, LossReason, NodeTime, OpenError, RouteId, Seq, StorageError,
    control::{Control, Mark},
    cursor::Cursor,
    damage::{Found, What},
    index::Row,
    lists::Lists,
    log::{Inner, State},
    marks,
    medium::Medium,
    read::Looked,
    record::Tag,
    route::Amount,
    scan::Extent,
    segment::{Index, Segment},
    storage::File,
};

impl Inner {
    /// Takes in what the records mean, then where the cursors were; what to say of it.
    pub(super) fn take_contents(&self, marks: &[Mark]) -> Result<Vec<String>, StorageError> {
        let gone = self.apply_control()?;
        let mut findings = Vec::from_iter(self.count_events(&gone)?);
        let mut state = self.lock();
        findings.extend(state.enter_damage_of_opening());
        state.restore_marks(marks);
        Ok(findings)
    }

    /// Applies the spool's own records that the checkpoint does not cover.
    fn apply_control(&self) -> Result<Gone, StorageError> {
        let mut gone = self.lock().gone_behind_checkpoint();
        // Those a commit added at the covered position itself may be missing in the checkpoint.
        let mut after = self.lock().checkpoints.newest().spool.saturating_sub(1);
        loop {
            let (controls, next) = self.read_controls(after)?;
            let mut state = self.lock();
            for control in controls {
                gone.note(&control);
                state.apply(control);
            }
            match next {
                Some(next) => after = next,
                None => return Ok(gone),
            }
        }
    }

    /// Counts the events the checkpoint has not counted, and finds the last of each route. What is owed to somebody who
    /// is not known any more goes into the ledger.
    fn count_events(&self, gone: &Gone) -> Result<Option<String>, StorageError> {
        let versions: Vec<_> = self
            .lock()
            .segments
            .iter()
            .map(|s| (s.id, s.generation))
            .collect();
        let mut orphans = Orphans::default();
        for version in versions {
            let counted = self.looked(&mut |state, extra| state.count_of(version.0, extra))?;
            self.lock().take_count(&counted, gone, &mut orphans);
        }
        Ok(self.lock().enter_orphans(&orphans))
    }

    /// What recovery entered in the ledger is on disk before what it was found in may be written over; whether it is.
    pub(super) fn store_losses(&self) -> Result<bool, OpenError> {
        let (due, drops) = {
            let state = self.lock();
            (state.ledger.has_changed(), state.drops)
        };
        match self.write_checkpoint(due) {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                // The next commit brings it; until then nothing is freed.
                self.lock().drops += 1;
                Ok(false)
            }
            Err(error) => Err(OpenError::io("store what was lost")(error)),
            Ok(()) => {
                // The next commit brings what is counted all the same, in case the older checkpoint has to serve one day.
                self.lock().drops_stored = drops;
                Ok(true)
            }
        }
    }

    /// Some of the spool's own records after a position, and where to go on, if there are more.
    fn read_controls(&self, after: u64) -> Result<(Vec<Control>, Option<u64>), StorageError> {
        let (bodies, next) = self.read_own(after, &|tag: Tag| tag.is_control())?;
        Ok((
            bodies
                .iter()
                .filter_map(|body| Control::decode(body))
                .collect(),
            next,
        ))
    }

    /// Finds the index of a sealed segment again from its frames, since what is on disk of it is damaged. Frames that cannot be
    /// read are damaged too if this `gives_up`; otherwise they are waited for.
    pub(crate) fn rebuild_index(
        &self,
        version: (u64, u32),
        gives_up: bool,
    ) -> Result<(), StorageError> {
        let known = {
            let state = self.lock();
            let segment = state
                .segment_by_id(version.0)
                .filter(|segment| segment.generation == version.1);
            segment.map(|s| (s.salt, s.size, s.end, s.last))
        };
        let Some((salt, size, end, last)) = known else {
            return Ok(());
        };
        // As long as a page still cannot be read, all the others need not be.
        let waited_for = self.lock().withheld.pages_for_index(version);
        if !gives_up && matches!(self.has_pages(version, &waited_for), Ok(false)) {
            return Err(StorageError::Withheld);
        }
        tracing::warn!(
            segment = version.0,
            "the index of a segment is damaged; it is made again from the records"
        );
        let io = StorageError::io("read a segment");
        let file = self.files.open(&*self.storage, version);
        let scan = |file: Arc<dyn File>| {
            let medium = Medium::of(&*file);
            let extent = Extent {
                file: &medium,
                salt,
                size,
                known_end: Some((end, last)),
            };
            let (scan, lost) = (extent.scan()?, medium.lost());
            Ok((file, scan, lost))
        };
        let scanned = file.and_then(scan);
        let (file, scan, lost) = match scanned {
            Ok(scanned) => scanned,
            Err(_) if self.has_changed(version) => return Ok(()),
            Err(error) => return Err(io(error)),
        };
        let mut guard = self.lock();
        let state = &mut *guard;
        let at = state.segment_at(version.0);
        let Some(segment) = at.and_then(|at| state.segments.get_mut(at)) else {
            return Ok(());
        };
        if segment.generation != version.1 {
            return Ok(());
        }
        if !lost.is_empty() && !gives_up {
            state.note_withheld_index(version, lost);
            self.wake_housekeeper(state);
            return Err(StorageError::Withheld);
        }
        segment.generation += 1;
        // The lists are written from the base of the first frame that is whole, and are to be read from it.
        segment.base = scan.base();
        segment.records = scan.slots.len() as u64;
        segment.index = Index::Open(Arc::new(scan.slots));
        segment.file = Some(file);
        state.lists.forget(version.0);
        let own = segment.first;
        // A frame may count from a base that the segment before still holds.
        let before = at.and_then(|at| state.segments.get(at.checked_sub(1)?));
        let first = own.max(before.map_or(0, |before| before.last) + 1);
        for gap in scan.gaps.iter().filter(|gap| gap.bytes > 0) {
            let first = gap.first.max(first);
            state.drops += 1;
            state.enter_damage(Found::in_log(What::Records, first, gap.last, gap.bytes));
        }
        Ok(())
    }
}

/// What a segment holds under each key, and how much of that no checkpoint has counted.
#[derive(Default)]
struct Counted {
    rows: Vec<(Row, Amount)>,
    log_bytes: u64,
}

impl State {
    fn count_of(&self, segment: u64, extra: &Lists) -> Looked<Counted> {
        let Some(segment) = self.segment_by_id(segment) else {
            return Ok(Counted::default());
        };
        let after = self.checkpoints.newest().spool;
        let mut rows = Vec::new();
        match &segment.index {
            Index::Open(slots) => {
                for place in slots.iter().filter(|place| !place.tag.is_control()) {
                    let new = u64::from(place.seq > after);
                    let amount = Amount {
                        records: new,
                        bytes: new * u64::from(place.len),
                    };
                    rows.push((Row::of(&place), amount));
                }
            }
            Index::Sealed(_) => {
                for row in self.rows_of(segment, extra)?.iter().copied() {
                    rows.push((row, self.count_of_row(segment, &row, after, extra)?));
                }
            }
        }
        Ok(Counted {
            rows,
            log_bytes: if segment.last > after { segment.end } else { 0 },
        })
    }

    fn count_of_row(
        &self,
        segment: &Segment,
        row: &Row,
        after: u64,
        extra: &Lists,
    ) -> Looked<Amount> {
        let mut amount = Amount::default();
        if row.first > after {
            amount.add(u64::from(row.records), row.bytes);
        } else if row.last > after && !row.tag.is_control() {
            let lists = self.lists_of(segment, &mut |other| other == row, extra)?;
            for place in lists.iter().flat_map(|list| list.after(after)) {
                amount.add(1, u64::from(place.len));
            }
        }
        Ok(amount)
    }

    fn take_count(&mut self, counted: &Counted, gone: &Gone, orphans: &mut Orphans) {
        let owner_after = self.checkpoints.newest().owner;
        self.checkpoints.log_bytes += counted.log_bytes;
        for (row, new) in &counted.rows {
            if row.tag.is_state() && row.last > owner_after {
                self.checkpoints.state_bytes += row.bytes;
            }
            if !row.tag.is_event() || row.route == RouteId::NOBODY.0 {
                continue;
            }
            let Some(route) = self.routes.get_mut(row.route) else {
                if !gone.was_forgotten(row) {
                    orphans.add(row);
                }
                continue;
            };
            route.total.add(new.records, new.bytes);
            route.appended(row.tag.lane(), row.last);
            if gone.any_of(&route.route) {
                orphans.add(row);
            }
        }
    }

    fn enter_orphans(&mut self, orphans: &Orphans) -> Option<String> {
        if orphans.amount.records == 0 {
            return None;
        }
        // A route that is not known is history from here on, and its id is not given out again.
        for &route in &orphans.routes {
            self.routes.insert(route, Vec::new(), b"");
        }
        let (count, first, last) = (orphans.amount.records, orphans.first, orphans.last);
        self.ledger.add(Loss {
            reason: LossReason::Damaged,
            scope: "log".into(),
            count,
            bytes: orphans.amount.bytes,
            first: Seq(first),
            last: Seq(last),
            at: NodeTime(self.last_time),
        });
        Some(format!(
            "damage took to whom {count} records from {first} to {last} were owed"
        ))
    }

    fn apply(&mut self, control: Control) {
        match control {
            Control::Route { id, cursors, terms } => {
                let named = cursors.iter().map(|cursor| cursor.0).max();
                self.raise_next_cursor(named.unwrap_or(0));
                self.routes.insert(id, cursors, &terms);
            }
            Control::CursorCreated(record) => {
                self.raise_next_cursor(record.id);
                if !self.cursors.contains_key(&record.id) {
                    self.names.insert(record.name.clone(), record.id);
                    self.cursors.insert(record.id, Cursor::new(record));
                }
            }
            Control::CursorRemoved { id, .. } => {
                self.raise_next_cursor(id);
                if let Some(cursor) = self.cursors.remove(&id)
                    && self.names.get(&cursor.name) == Some(&id)
                {
                    self.names.remove(&cursor.name);
                }
                self.routes.forget_cursor(id);
            }
            Control::Marks(marks) => {
                for mark in marks {
                    self.raise_next_cursor(mark.id);
                    if let Some(cursor) = self.cursors.get_mut(&mark.id) {
                        cursor.restore(&mark);
                    }
                }
            }
            Control::Acks(acks) => {
                for (id, seq) in acks {
                    self.raise_next_cursor(id);
                    if let Some(cursor) = self.cursors.get_mut(&id) {
                        cursor.restore_ack(seq);
                    }
                }
            }
            Control::Floors(floors) => {
                for (floor, stored) in self.floors.iter_mut().zip(floors) {
                    *floor = (*floor).max(stored);
                }
            }
            Control::Ledger(losses) => losses
                .into_iter()
                .for_each(|loss| self.ledger.restore(loss)),
            Control::Damage {
                known,
                next_cursor,
                last_route,
            } => {
                self.damage.restore(&known);
                self.next_cursor = self.next_cursor.max(next_cursor);
                self.routes.raise_last_id(last_route);
            }
        }
    }

    /// Takes the cursors' places as the file of marks has them.
    fn restore_marks(&mut self, marks: &[Mark]) {
        for mark in marks {
            self.raise_next_cursor(mark.id);
            if let Some(cursor) = self.cursors.get_mut(&mark.id) {
                cursor.restore(mark);
            }
        }
        let last = self.committed;
        let cursors = self.cursors.values_mut();
        cursors.for_each(|cursor| cursor.clamp(last));
    }

    /// A cursor was there, although the record of its creation may be lost: its id is not given out again.
    fn raise_next_cursor(&mut self, id: u32) {
        self.next_cursor = self.next_cursor.max(id.saturating_add(1));
    }

    pub(crate) fn count_other_bytes(&mut self) {
        let cursors = marks::file_bytes(self.sizes.bound);
        self.room.other_bytes = self.checkpoints.bytes() + cursors + self.room.quarantine_bytes;
    }
}
