//! Reading: what a cursor is owed, one record, or everything in order.

use std::{io, sync::Arc};

use crate::{
    CursorId, Entry, Lane, Loss, LossReason, NodeTime, RouteId, Seq, Spool, StorageError,
    cursor::{Cursor, LaneWindow, Owed},
    index::{Place, Row, decode_list},
    lists::{Lists, Need, Version, What},
    log::{Inner, State},
    record::{Tag, verified_body},
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

/// Records this near to each other are read at once, up to so many bytes.
const NEAR_BYTES: u64 = 1 << 10;
const READ_BYTES: u64 = 256 << 10;
/// Records a fill looks up at once.
const FILL: usize = 1_024;
/// Parts of the index read for one read, from where on it gives what it has found.
const MOST_LOADS: usize = 12;
/// Times a read begins anew because segments were rewritten under it.
const ATTEMPTS: usize = 8;

/// What a look at the index gave: found, or something to be read first.
pub(crate) type Looked<T> = Result<T, Need>;

impl Spool {
    /// Committed records owed to `cursor` after `after`, in order; skips what the cursor has acknowledged. Reads the
    /// index, then only the records themselves. A damaged record is never returned: it is entered in the ledger and
    /// skipped. In each lane at most 4,096 owed records are given ahead of the first that is not acknowledged.
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
            let mut plan = Plan {
                next: seq.0,
                at_end: false,
                found: Vec::new(),
            };
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
            let Some(cursor) = state.cursors.get_mut(&cursor.0) else {
                return;
            };
            for seq in seqs {
                cursor.ack(seq.0);
            }
            cursor.advance();
            let met = cursor.first_early().is_some_and(|seq| seq <= committed);
            state.note_acks(seqs.len() as u64);
            state.room.is_stale();
            if state.room.full_lanes != 0 || state.acks_are_many() {
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

    /// Hands every state-bearing record the checkpoint does not cover to `apply`, in order. Call once, after `open`.
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

pub(crate) fn located(segment: &Segment, place: Place, owed: bool) -> Located {
    Located {
        place,
        version: (segment.id, segment.generation),
        file: segment.file.clone(),
        owed,
    }
}

impl State {
    /// What a sealed segment holds, by key; of an unsealed one nothing.
    pub(crate) fn rows_of(&self, segment: &Segment, extra: &Lists) -> Looked<Arc<[Row]>> {
        let Index::Sealed(sealed) = &segment.index else {
            return Ok(Arc::new([]));
        };
        let version = (segment.id, segment.generation);
        let table = sealed
            .rows
            .as_ref()
            .or_else(|| self.lists.table(version))
            .or_else(|| extra.table(version));
        table.cloned().ok_or(Need {
            version,
            what: What::Table,
        })
    }

    /// The lists of a sealed segment's rows that are wanted.
    pub(crate) fn lists_of(
        &self,
        segment: &Segment,
        wants: &mut dyn FnMut(&Row) -> bool,
        extra: &Lists,
    ) -> Looked<Vec<Arc<crate::index::Slots>>> {
        let version = (segment.id, segment.generation);
        let rows = self.rows_of(segment, extra)?;
        let (mut lists, mut missing) = (Vec::new(), Vec::new());
        for row in rows.iter().filter(|row| wants(row)) {
            match extra
                .list(version, row)
                .or_else(|| self.lists.list(version, row))
            {
                Some(list) => lists.push(list.clone()),
                None => missing.push(*row),
            }
        }
        if missing.is_empty() {
            Ok(lists)
        } else {
            Err(Need {
                version,
                what: What::Lists(missing),
            })
        }
    }

    /// The first `most` records of a segment after a position that are wanted, in order.
    pub(crate) fn gather(
        &self,
        segment: &Segment,
        after: u64,
        wants_row: &mut dyn FnMut(&Row) -> bool,
        wants: &mut dyn FnMut(&Place) -> bool,
        most: usize,
        extra: &Lists,
    ) -> Looked<Vec<Place>> {
        if let Index::Open(slots) = &segment.index {
            return Ok(slots
                .after(after)
                .filter(|place| wants(place))
                .take(most)
                .collect());
        }
        let lists = self.lists_of(
            segment,
            &mut |row| row.last > after && wants_row(row),
            extra,
        )?;
        let mut places = Vec::new();
        for list in &lists {
            places.extend(list.after(after).filter(|place| wants(place)).take(most));
        }
        if lists.len() > 1 {
            places.sort_by_key(|place| place.seq);
            places.truncate(most);
        }
        Ok(places)
    }

    /// Extends a cursor's window of a lane by what the index says next; false if it cannot grow at present.
    fn fill(&mut self, id: u32, lane: Lane, extra: &Lists) -> Looked<bool> {
        let committed = self.committed;
        let last = self.routes.last_of(id, lane);
        let Some(cursor) = self.cursors.get(&id) else {
            return Ok(false);
        };
        let Some(window) = cursor.lane(lane) else {
            return Ok(false);
        };
        let (filled, history, room) = (
            window.filled,
            cursor.history_until,
            window.fill_room().min(FILL),
        );
        if filled >= committed {
            return Ok(false);
        }
        let nothing = filled >= history && last <= filled;
        if room == 0 && !nothing {
            return Ok(false);
        }
        let segment = if nothing {
            None
        } else {
            self.segments.get(self.segment_after(filled))
        };
        let (places, reached) = match segment {
            None => (Vec::new(), committed),
            Some(segment) => {
                let mut memo = (u32::MAX, false);
                let mut is_of = |route: u32| {
                    if memo.0 != route {
                        memo = (route, self.routes.contains(route, id));
                    }
                    memo.1
                };
                let floor = self.floors.get(usize::from(lane.0)).copied().unwrap_or(0);
                let of_lane = |tag: Tag| tag.is_event() && tag.lane() == lane;
                let row = &mut |row: &Row| {
                    of_lane(row.tag)
                        && (row.first <= history || self.routes.contains(row.route, id))
                };
                let place = &mut |place: &Place| {
                    of_lane(place.tag)
                        && (place.seq <= history || is_of(place.route))
                        && place.seq > floor
                        && (self.damaged.is_empty() || !self.damaged.contains(&place.seq))
                };
                let places = self.gather(segment, filled, row, place, room, extra)?;
                let reached = match places.last() {
                    Some(place) if places.len() == room => place.seq,
                    _ => segment.last,
                };
                (places, reached)
            }
        };
        let owed: Vec<bool> = places
            .iter()
            .map(|place| self.routes.contains(place.route, id))
            .collect();
        let total = self.routes.total_of(id);
        let Some(cursor) = self.cursors.get_mut(&id) else {
            return Ok(false);
        };
        for (place, owed) in places.iter().zip(owed) {
            cursor.push(place, !owed);
        }
        cursor.filled_to(lane, reached);
        cursor.settle(committed, total);
        Ok(true)
    }

    /// Extends the windows of all lanes as far as one step each goes.
    pub(crate) fn fill_all(&mut self, id: u32, extra: &Lists) -> Looked<bool> {
        let mut grew = false;
        for lane in (0..Lane::MOST as u8).map(Lane) {
            grew |= self.fill(id, lane, extra)?;
        }
        Ok(grew)
    }

    /// Fills until the windows have met every acknowledgement that came early, or are full.
    fn fill_to_early(&mut self, id: u32, extra: &Lists) -> Looked<()> {
        loop {
            let early = self.cursors.get(&id).and_then(Cursor::first_early);
            if early.is_none_or(|seq| seq > self.committed) || !self.fill_all(id, extra)? {
                return Ok(());
            }
        }
    }

    /// Fills the windows of the wanted lanes until they hold enough, and says how far all of them go.
    fn fill_for(&mut self, id: u32, after: u64, limits: ReadLimits, extra: &Lists) -> Looked<u64> {
        let wanted: Vec<Lane> = (0..Lane::MOST as u8)
            .map(Lane)
            .filter(|&lane| limits.wants_lane(lane))
            .collect();
        loop {
            let Some(cursor) = self.cursors.get(&id) else {
                return Ok(after);
            };
            let windows = wanted
                .iter()
                .filter_map(|&lane| cursor.lane(lane).map(|window| (lane, window)));
            let Some((least, window)) = windows.clone().min_by_key(|(_, window)| window.filled)
            else {
                return Ok(self.committed);
            };
            let reach = window.filled;
            let count = |window: &LaneWindow| {
                let start = window.window.partition_point(|owed| owed.seq <= after);
                let known = window
                    .window
                    .range(start..)
                    .take_while(|owed| owed.seq <= reach);
                known
                    .filter(|owed| !owed.is_done())
                    .take(limits.records)
                    .count()
            };
            let known: usize = windows.map(|(_, window)| count(window)).sum();
            if known >= limits.records || !self.fill(id, least, extra)? {
                return Ok(reach);
            }
        }
    }

    fn plan_read(
        &mut self,
        id: u32,
        after: u64,
        limits: ReadLimits,
        extra: &Lists,
    ) -> Looked<Plan> {
        let reach = self.fill_for(id, after, limits, extra)?;
        let mut plan = Plan {
            found: Vec::new(),
            next: after,
            at_end: false,
        };
        let Some(cursor) = self.cursors.get(&id) else {
            return Ok(plan);
        };
        let mut owed: Vec<Owed> = Vec::new();
        for (lane, window) in cursor.lanes.iter().enumerate() {
            if limits.wants_lane(Lane(lane as u8)) {
                let start = window.window.partition_point(|owed| owed.seq <= after);
                let known = window
                    .window
                    .range(start..)
                    .take_while(|owed| owed.seq <= reach);
                owed.extend(
                    known
                        .filter(|owed| !owed.is_done())
                        .take(limits.records.saturating_add(1)),
                );
            }
        }
        owed.sort_by_key(|owed| owed.seq);
        let (mut bytes, mut cut) = (0usize, false);
        let mut gone = Vec::new();
        let mut at = self.segment_after(after);
        for owed in owed {
            bytes = bytes.saturating_add(owed.len() as usize);
            if plan.found.len() >= limits.records
                || (bytes > limits.bytes && !plan.found.is_empty())
            {
                cut = true;
                break;
            }
            while self
                .segments
                .get(at)
                .is_some_and(|segment| segment.last < owed.seq)
            {
                at += 1;
            }
            let Some(segment) = self.segments.get(at) else {
                break;
            };
            let key = |row: &Row| row.tag == owed.tag() && row.route == owed.route;
            let place = match &segment.index {
                Index::Open(slots) => slots.find(owed.seq),
                Index::Sealed(_) => {
                    let lists = match self.lists_of(segment, &mut |row| key(row), extra) {
                        // What was found so far is given first: memory may not hold the lists of all.
                        Err(_) if plan.next > after && extra.loads >= MOST_LOADS => {
                            cut = true;
                            break;
                        }
                        lists => lists?,
                    };
                    lists.iter().find_map(|list| list.find(owed.seq))
                }
            };
            plan.next = owed.seq;
            match place {
                Some(place) => plan.found.push(located(segment, place, !owed.is_history())),
                None if owed.is_history() => gone.push(owed.seq),
                None => {}
            }
        }
        if !cut {
            plan.next = reach.max(after);
        }
        // History may have been freed since the window saw it. Nobody can acknowledge what is not given: it would hold
        // the low mark, and with it the log, for ever.
        if let Some(cursor) = self.cursors.get_mut(&id).filter(|_| !gone.is_empty()) {
            for seq in gone {
                cursor.mark_done(seq, false);
            }
            cursor.advance();
            self.room.is_stale();
        }
        plan.at_end = plan.next >= self.committed;
        Ok(plan)
    }

    fn plan_scan(
        &self,
        after: u64,
        limits: ReadLimits,
        wants: &dyn Fn(Tag) -> bool,
        extra: &Lists,
    ) -> Looked<Plan> {
        let mut plan = Plan {
            found: Vec::new(),
            next: self.committed.max(after),
            at_end: true,
        };
        let (mut bytes, mut passed) = (0usize, after);
        let at = self.segment_after(after);
        for segment in self.segments.range(at.min(self.segments.len())..) {
            // One more than may be given tells whether there is more.
            let most = limits
                .records
                .saturating_sub(plan.found.len())
                .saturating_add(1);
            let row = &mut |row: &Row| wants(row.tag);
            let place = &mut |place: &Place| wants(place.tag) && !self.damaged.contains(&place.seq);
            let places = match self.gather(segment, after, row, place, most, extra) {
                // What was passed so far is given first: memory may not hold the lists of all.
                Err(_) if passed > after && extra.loads >= MOST_LOADS => {
                    return Ok(Plan {
                        next: passed,
                        at_end: false,
                        ..plan
                    });
                }
                places => places?,
            };
            passed = segment.last;
            for place in places {
                bytes = bytes.saturating_add(place.len as usize);
                if plan.found.len() >= limits.records
                    || (bytes > limits.bytes && !plan.found.is_empty())
                {
                    let last = plan.found.last().map_or(after, |located| located.place.seq);
                    return Ok(Plan {
                        next: last,
                        at_end: false,
                        ..plan
                    });
                }
                plan.found.push(located(segment, place, false));
            }
            if plan.found.len() >= limits.records && segment.last < self.committed {
                let last = plan.found.last().map_or(after, |located| located.place.seq);
                return Ok(Plan {
                    next: last,
                    at_end: false,
                    ..plan
                });
            }
        }
        Ok(plan)
    }

    /// A record that failed its checksum: into the ledger, and no cursor waits for it.
    fn note_damage(&mut self, place: &Place) {
        // One of the spool's own stands at the position of another record, which may be whole.
        if !place.tag.is_control() {
            if !self.damaged.insert(place.seq) {
                return;
            }
            for cursor in self.cursors.values_mut() {
                cursor.give_up(place.seq, place.seq);
            }
        }
        self.drops += 1;
        let lane = self.lanes.get(usize::from(place.tag.lane().0));
        let (seq, at) = (Seq(place.seq), NodeTime(self.last_time));
        let scope = lane.map(|lane| lane.name.clone()).unwrap_or_default();
        let bytes = u64::from(place.len);
        tracing::error!(
            seq = seq.0,
            "a record is damaged; it is in the ledger and left out"
        );
        self.ledger.add(Loss {
            reason: LossReason::Damaged,
            scope,
            count: 1,
            bytes,
            first: seq,
            last: seq,
            at,
        });
    }
}

impl Inner {
    /// Runs a look at the state until nothing has to be read for it first.
    pub(crate) fn looked<T>(
        &self,
        look: &mut dyn FnMut(&mut State, &Lists) -> Looked<T>,
    ) -> Result<T, StorageError> {
        let mut extra = Lists::default();
        // Every round reads what the last one missed; only segments that change meanwhile can make it many.
        for _ in 0..100_000 {
            let need = match look(&mut self.lock(), &extra) {
                Ok(found) => return Ok(found),
                Err(need) => need,
            };
            extra.only(need.version);
            extra.loads += 1;
            self.load(&need, &mut extra)?;
        }
        Err(StorageError::Moved)
    }

    fn read_with(&self, plan: &mut LookForPlan<'_>) -> Result<Batch, StorageError> {
        for _ in 0..ATTEMPTS {
            let plan = self.looked(plan)??;
            let mut entries = Vec::with_capacity(plan.found.len());
            if self.read_located(&plan.found, &mut |located, body| {
                entries.extend(located.entry(body))
            })? {
                return Ok(Batch {
                    entries,
                    next: Seq(plan.next),
                    at_end: plan.at_end,
                });
            }
        }
        Err(StorageError::Moved)
    }

    /// Reads index parts of a sealed segment; if they are damaged, finds them again from the frames.
    fn load(&self, need: &Need, extra: &mut Lists) -> Result<(), StorageError> {
        let found = {
            let state = self.lock();
            let segment = state
                .segment_by_id(need.version.0)
                .filter(|it| it.generation == need.version.1);
            segment.and_then(|segment| match &segment.index {
                Index::Sealed(sealed) => Some((sealed.clone(), segment.salt, segment.base)),
                Index::Open(_) => None,
            })
        };
        // The segment has changed since; the next look sees how.
        let Some((sealed, salt, base)) = found else {
            return Ok(());
        };
        let version = need.version;
        let loaded = self.load_parts(need, &sealed, salt, base);
        match loaded {
            Ok(Some(parts)) => {
                let mut state = self.lock();
                for part in parts {
                    match part {
                        Part::Table(rows) => {
                            let rows: Arc<[Row]> = rows.into();
                            extra.add_table(version, rows.clone());
                            state.lists.add_table(version, rows);
                        }
                        Part::List(row, list) => {
                            let list = Arc::new(list);
                            extra.add_unbounded(version, &row, list.clone());
                            state.lists.add_list(version, &row, list);
                        }
                    }
                }
                Ok(())
            }
            Ok(None) => self.rebuild_index(version),
            Err(error) if self.has_changed(version) => {
                tracing::debug!(%error, "a segment was replaced while its index was read");
                Ok(())
            }
            Err(source) => Err(StorageError::Io {
                doing: "read an index",
                source,
            }),
        }
    }

    /// `None` if the index is damaged.
    fn load_parts(
        &self,
        need: &Need,
        sealed: &crate::segment::Sealed,
        salt: u64,
        base: crate::record::Base,
    ) -> io::Result<Option<Vec<Part>>> {
        let file = self.files.open(&*self.storage, need.version)?;
        match &need.what {
            What::Table => {
                let mut bytes = vec![0; sealed.table_len as usize];
                file.read_at(&mut bytes, sealed.index_offset)?;
                Ok(sealed
                    .decode_table(&bytes, salt, base.seq)
                    .map(|rows| vec![Part::Table(rows)]))
            }
            What::Lists(rows) => {
                let mut parts = Vec::new();
                for row in rows {
                    let mut bytes = vec![0; row.list_len as usize];
                    file.read_at(
                        &mut bytes,
                        sealed.lists_offset().saturating_add(row.list_offset()),
                    )?;
                    let Some(list) = decode_list(&bytes, row, base, salt) else {
                        return Ok(None);
                    };
                    parts.push(Part::List(*row, list));
                }
                Ok(Some(parts))
            }
        }
    }

    pub(crate) fn has_changed(&self, version: Version) -> bool {
        self.lock()
            .segment_by_id(version.0)
            .is_none_or(|segment| segment.generation != version.1)
    }

    /// Some records, for the spool's own use: the wanted ones of the first segment behind a position, and where it ends.
    pub(crate) fn read_own(
        &self,
        after: u64,
        wants: &dyn Fn(Tag) -> bool,
    ) -> Result<(Vec<Vec<u8>>, Option<u64>), StorageError> {
        for _ in 0..ATTEMPTS {
            let (found, next) = self.looked(&mut |state, extra| {
                let Some(segment) = state.segments.get(state.segment_after(after)) else {
                    return Ok((Vec::new(), None));
                };
                let row = &mut |row: &Row| wants(row.tag);
                let place = &mut |place: &Place| wants(place.tag);
                let places = state.gather(segment, after, row, place, usize::MAX, extra)?;
                let found: Vec<Located> = places
                    .into_iter()
                    .map(|place| located(segment, place, false))
                    .collect();
                Ok((found, Some(segment.last)))
            })?;
            let mut bodies = Vec::new();
            if self.read_located(&found, &mut |_, body| bodies.push(body.to_vec()))? {
                return Ok((bodies, next));
            }
        }
        Err(StorageError::Moved)
    }

    /// Reads records, leaving out those that are damaged; false if a segment was replaced meanwhile.
    pub(crate) fn read_located(
        &self,
        found: &[Located],
        each: &mut dyn FnMut(&Located, &[u8]),
    ) -> Result<bool, StorageError> {
        let mut buffer = Vec::new();
        let mut rest = found;
        while let Some(first) = rest.first() {
            let mut end = first.place.end();
            let start = u64::from(first.place.offset);
            let near = rest.iter().skip(1).take_while(|next| {
                let joins = next.version == first.version
                    && (end..=end + NEAR_BYTES).contains(&u64::from(next.place.offset))
                    && next.place.end() - start <= READ_BYTES;
                if joins {
                    end = next.place.end();
                }
                joins
            });
            let count = 1 + near.count();
            let (run, others) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            rest = others;
            buffer.resize(end.saturating_sub(start) as usize, 0);
            if let Err(source) = self.read_run(first, &mut buffer) {
                if self.has_changed(first.version) {
                    return Ok(false);
                }
                return Err(StorageError::Io {
                    doing: "read records",
                    source,
                });
            }
            for located in run {
                let at = (u64::from(located.place.offset) - start) as usize;
                let bytes = buffer
                    .get(at..at + located.place.len as usize)
                    .unwrap_or_default();
                match verified_body(bytes, located.place.identity()) {
                    Some(body) => each(located, body),
                    None if self.has_changed(located.version) => return Ok(false),
                    None => {
                        let mut state = self.lock();
                        state.note_damage(&located.place);
                        state.quarantine.add(located.version.0);
                        self.wake_housekeeper(&mut state);
                    }
                }
            }
        }
        Ok(true)
    }

    fn read_run(&self, first: &Located, buffer: &mut [u8]) -> io::Result<()> {
        let file = match &first.file {
            Some(file) => file.clone(),
            None => self.files.open(&*self.storage, first.version)?,
        };
        file.read_at(buffer, u64::from(first.place.offset))
    }
}

enum Part {
    Table(Vec<Row>),
    List(Row, crate::index::Slots),
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
