//! Opening a log: what the directory holds becomes the state in memory, after any crash.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    CursorId, Loss, LossReason, NodeTime, OpenError, Options, Route, RouteId, Seq, Spool,
    StorageError, checkpoint,
    commit::{Target, TargetSegment},
    control::Control,
    cursor::Cursor,
    files::Files,
    frame::{Found, HEADER, Header, Link, PAGE},
    index::Row,
    lists::Lists,
    log::{Inner, State},
    marks,
    options::Sizes,
    page::Page,
    quarantine,
    read::Looked,
    record::Tag,
    route::Amount,
    scan::{Extent, Gap, Scan, Tail},
    segment::{Index, Segment, SegmentHeader, Trailer, file_name, parse_name},
    storage::{File, Storage},
};

/// What recovery found; the owner's state is rebuilt from `checkpoint`, then from each record of
/// [`Spool::replay_state`].
#[derive(Debug)]
pub struct Recovery {
    /// The owner's part of the newest valid checkpoint.
    pub checkpoint: Option<Vec<u8>>,
    /// Whether the last run ended with `Spool::close`, or there was none.
    pub clean: bool,
    /// What was cut, quarantined or found missing, for the log; each is in the ledger too.
    pub findings: Vec<String>,
}

/// Whether the log is opened to go on, or to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    ReadWrite,
    ReadOnly,
}

impl Spool {
    /// Opens or creates the log. `notify` is called, from any thread and without locks held, after a commit, when room
    /// returns, and when health changes; it must not block.
    ///
    /// Torn and damaged parts never stop it: they are in the ledger. Nothing is served that could still be lost: after
    /// an unclean stop what was found at the end is synced first.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "options are given over once, at the start"
    )]
    pub fn open(
        storage: Arc<dyn Storage>,
        options: Options,
        now: NodeTime,
        notify: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<(Spool, Recovery), OpenError> {
        open(storage, &options, now, notify, Mode::ReadWrite)
    }
}

pub(crate) fn open(
    storage: Arc<dyn Storage>,
    options: &Options,
    now: NodeTime,
    notify: Arc<dyn Fn() + Send + Sync>,
    mode: Mode,
) -> Result<(Spool, Recovery), OpenError> {
    let files = storage
        .list()
        .map_err(OpenError::io("list the data directory"))?;
    let found = find(&*storage, &files)?;
    let used = files.iter().map(|(_, len)| len).sum();
    let space = storage
        .space()
        .map_err(OpenError::io("ask for free space"))?;
    let sizes = Sizes::of(options, space, used)?;
    let mut state = State::new(sizes, options, now);
    state.room.free_bytes = space.free_bytes;

    let mut opening = Opening {
        storage: &*storage,
        state,
        findings: Vec::new(),
        mode,
        target: None,
        damaged: Vec::new(),
        gaps: BTreeMap::new(),
        lost: 0,
        tails: Vec::new(),
    };
    let owner = opening.take_checkpoints()?;
    let clean = opening.take_segments(found)?;
    opening.take_files(&files)?;
    let (marks, cursors_file) = opening.take_marks()?;
    let Opening {
        mut state,
        mut findings,
        target,
        lost,
        ..
    } = opening;
    state.marks.file = cursors_file;

    let inner = Inner {
        target: Mutex::new(Target::at(target)),
        preparing: Mutex::new(()),
        state: Mutex::new(state),
        files: Files::default(),
        storage,
        notify,
        committed: AtomicU64::new(0),
        appended: AtomicU64::new(0),
        work: Condvar::new(),
        chores: Condvar::new(),
    };
    let spool = Spool {
        inner: Arc::new(inner),
    };
    let gone = spool.inner.apply_control()?;
    spool.inner.lock().pass_over_ids(lost);
    findings.extend(spool.inner.count_events(&gone)?);
    {
        let mut state = spool.inner.lock();
        let last = state.committed;
        for mark in &marks {
            if let Some(cursor) = state.cursors.get_mut(&mark.id) {
                cursor.restore(mark);
            }
        }
        state
            .cursors
            .values_mut()
            .for_each(|cursor| cursor.clamp(last));
    }
    if mode == Mode::ReadWrite {
        spool.inner.store_losses()?;
    }
    let committed = spool.inner.lock().committed;
    spool.inner.committed.store(committed, Ordering::Release);
    spool.inner.appended.store(committed, Ordering::Release);
    for finding in &findings {
        tracing::warn!("{finding}");
    }
    Ok((
        spool,
        Recovery {
            checkpoint: owner,
            clean,
            findings,
        },
    ))
}

/// A segment file as far as its first and last page tell.
enum OnDisk {
    Sealed(Box<Segment>),
    Open {
        header: SegmentHeader,
        size: u64,
    },
    /// Neither page can be read.
    Unknown {
        size: u64,
    },
    /// Of another life: a recycled file that was not begun.
    Empty {
        size: u64,
    },
}

/// Looks at every segment and checkpoint, and refuses newer ones before anything is changed.
fn find(
    storage: &dyn Storage,
    files: &[(String, u64)],
) -> Result<BTreeMap<u64, OnDisk>, OpenError> {
    for number in 0..2 {
        let file = checkpoint::file_name(number);
        if let Some(found) = checkpoint::newer_version(storage, &file)? {
            return Err(OpenError::NewerVersion {
                file,
                found,
                supported: crate::page::VERSION,
            });
        }
    }
    let mut segments = BTreeMap::new();
    for (name, size) in files {
        let Some(id) = parse_name(name, ".segment") else {
            continue;
        };
        let found = look(storage, name, id, *size).map_err(OpenError::io("read a segment"))?;
        match found {
            Page::Newer(found) => {
                return Err(OpenError::NewerVersion {
                    file: name.clone(),
                    found,
                    supported: crate::page::VERSION,
                });
            }
            Page::Valid(segment) => {
                segments.insert(id, segment);
            }
            Page::Invalid => {
                segments.insert(id, OnDisk::Unknown { size: *size });
            }
        }
    }
    Ok(segments)
}

fn look(storage: &dyn Storage, name: &str, id: u64, size: u64) -> io::Result<Page<OnDisk>> {
    if size < 2 * PAGE {
        return Ok(Page::Valid(OnDisk::Empty { size }));
    }
    let file = storage.open(name)?;
    let mut page = vec![0; PAGE as usize];
    file.read_at(&mut page, size - PAGE)?;
    match Trailer::decode(&page) {
        Page::Valid(trailer) if trailer.id == id => {
            return Ok(Page::Valid(OnDisk::Sealed(Box::new(
                Segment::from_trailer(trailer, size),
            ))));
        }
        Page::Newer(version) => return Ok(Page::Newer(version)),
        _ => {}
    }
    file.read_at(&mut page, 0)?;
    Ok(match SegmentHeader::decode(&page) {
        Page::Valid(header) if header.id == id => Page::Valid(OnDisk::Open { header, size }),
        Page::Valid(_) => Page::Valid(OnDisk::Empty { size }),
        Page::Newer(version) => Page::Newer(version),
        Page::Invalid => Page::Invalid,
    })
}

struct Opening<'a> {
    storage: &'a dyn Storage,
    state: State,
    findings: Vec<String>,
    mode: Mode,
    /// The segment to go on with after a clean stop.
    target: Option<TargetSegment>,
    /// Segments of which a copy is kept.
    damaged: Vec<u64>,
    gaps: BTreeMap<u64, Vec<Gap>>,
    /// Committed positions that are gone.
    lost: u64,
    tails: Vec<(u64, Tail)>,
}

impl Opening<'_> {
    fn take_checkpoints(&mut self) -> Result<Option<Vec<u8>>, OpenError> {
        let mut read = checkpoint::read_both(self.storage)?.into_iter();
        let (newest, older) = (read.next(), read.next());
        self.state.checkpoints.restore(
            newest.as_ref().map(|it| it.covered),
            older.as_ref().map(|it| it.covered),
        );
        let Some(newest) = newest else {
            return Ok(None);
        };
        self.state.restore_state(newest.state);
        Ok(newest.owner)
    }

    /// Takes the segments in, from the newest to the oldest, since each says how far the one before it is valid.
    fn take_segments(&mut self, found: BTreeMap<u64, OnDisk>) -> Result<bool, OpenError> {
        self.state.room.last_id = found.keys().next_back().copied().unwrap_or(0);
        let nothing = found.is_empty();
        let mut clean = None;
        let mut later: Option<(u64, Link)> = None;
        for (id, segment) in found.into_iter().rev() {
            let link = later.map(|(_, link)| link);
            if link.is_some_and(|link| id > link.segment) {
                // Abandoned: what was to be in it was written again in the later one.
                match segment {
                    OnDisk::Sealed(_) | OnDisk::Open { .. } => self.give_up(id, segment.size()),
                    OnDisk::Unknown { .. } | OnDisk::Empty { .. } => self.remove(id),
                }
                continue;
            }
            let known = link.filter(|link| link.segment == id);
            let taken = match segment {
                OnDisk::Sealed(segment) => Some(*segment),
                OnDisk::Empty { .. } => {
                    self.remove(id);
                    None
                }
                OnDisk::Open { header, size } => {
                    self.take_open(id, header, size, known, later.is_none(), &mut clean)?
                }
                OnDisk::Unknown { size } => match self.salvage(id, size)? {
                    Some(header) => {
                        self.take_open(id, header, size, known, later.is_none(), &mut clean)?
                    }
                    None => {
                        self.lost(id, known);
                        None
                    }
                },
            };
            let Some(segment) = taken else { continue };
            if clean.is_none() {
                clean = Some(false);
            }
            later = Some((segment.id, segment.link));
            self.state.segments.push_front(segment);
        }
        self.find_holes();
        let last = self.state.segments.back().map_or(0, |segment| segment.last);
        let covered = self.state.checkpoints.newest();
        let last = last.max(covered.spool).max(covered.owner);
        let raised = self.state.next_seq.saturating_sub(1);
        self.state.committed = last.max(raised);
        self.state.next_seq = self.state.committed.saturating_add(1);
        let time = self
            .state
            .segments
            .back()
            .map_or(0, |segment| segment.last_time);
        self.state.last_time = self.state.last_time.max(time);
        self.keep_copies();
        Ok(clean.unwrap_or(nothing))
    }

    fn take_open(
        &mut self,
        id: u64,
        header: SegmentHeader,
        size: u64,
        known: Option<Link>,
        is_newest: bool,
        clean: &mut Option<bool>,
    ) -> Result<Option<Segment>, OpenError> {
        let file = self
            .storage
            .open(&file_name(id))
            .map_err(OpenError::io("open a segment"))?;
        let by_link = known
            .filter(|link| link.salt == header.salt)
            .map(|link| (link.end, link.last_seq));
        let by_header = (header.end > 0).then_some((header.end, header.last));
        let known_end = by_header.or(by_link);
        let extent = Extent {
            file: &*file,
            salt: header.salt,
            size,
            known_end,
        };
        let scan = extent.scan().map_err(OpenError::io("read a segment"))?;
        self.tails
            .extend(scan.tail.filter(|_| is_newest).map(|tail| (id, tail)));
        if scan.frames == 0 && known.is_none() {
            self.give_up(id, size);
            return Ok(None);
        }
        if !scan.gaps.is_empty() {
            self.damaged.push(id);
            self.gaps.insert(id, scan.gaps.clone());
        }
        if is_newest {
            *clean = Some(scan.ended && self.tails.is_empty());
        }
        if self.mode == Mode::ReadWrite && !(is_newest && *clean == Some(true)) {
            file.sync()
                .map_err(OpenError::io("sync what was recovered"))?;
        }
        let is_target = is_newest && *clean == Some(true) && size == self.state.sizes.segment;
        let segment = segment_of(id, header, size, scan, file.clone());
        if is_target {
            self.target = Some(TargetSegment {
                id,
                salt: header.salt,
                size,
                end: segment.end,
                file,
                base: Some(segment.base),
                index_bytes: segment.records.saturating_mul(50),
            });
        }
        Ok(Some(segment))
    }

    /// The salt of a segment whose header is damaged, from its first frame.
    fn salvage(&self, id: u64, size: u64) -> Result<Option<SegmentHeader>, OpenError> {
        let file = self
            .storage
            .open(&file_name(id))
            .map_err(OpenError::io("open a segment"))?;
        let mut bytes = [0; HEADER];
        file.read_at(&mut bytes, PAGE)
            .map_err(OpenError::io("read a segment"))?;
        let salt = bytes
            .get(8..)
            .and_then(|b| b.first_chunk())
            .map_or(0, |b| u64::from_le_bytes(*b));
        let Found::Header(first) = Header::decode(&bytes, salt, PAGE) else {
            return Ok(None);
        };
        // A recycled file whose new header was torn still shows a frame of its former life; that one names an older
        // predecessor than the file's name allows only by chance, so the names have to be near.
        let near = first
            .link()
            .is_some_and(|link| link.segment < id && id - link.segment <= 8);
        Ok((near && size >= 2 * PAGE).then_some(SegmentHeader {
            id,
            salt,
            end: 0,
            first: 0,
            last: 0,
        }))
    }

    /// A segment of which nothing can be read.
    fn lost(&mut self, id: u64, known: Option<Link>) {
        if known.is_none() {
            self.remove(id);
            return;
        }
        self.findings.push(format!(
            "segment {id:016x} cannot be read; it is kept as quarantine"
        ));
        self.damaged.push(id);
    }

    /// Enters what is missing between segments that are there.
    fn find_holes(&mut self) {
        let mut holes = Vec::new();
        let mut before: Option<(u64, u64)> = None;
        for segment in &self.state.segments {
            let link = segment.link;
            let is_lost = self.damaged.contains(&link.segment);
            let known = before.is_some_and(|(id, _)| id == link.segment);
            let last = before.map_or(0, |(_, last)| last);
            if (known || is_lost) && link.last_seq > last {
                holes.push(Gap {
                    first: last + 1,
                    last: link.last_seq,
                    bytes: 0,
                });
            }
            for gap in self.gaps.get(&segment.id).into_iter().flatten() {
                let first = if gap.first == 1 { last + 1 } else { gap.first };
                holes.push(Gap { first, ..*gap });
            }
            before = Some((segment.id, segment.last));
        }
        for hole in holes.iter().filter(|hole| hole.first <= hole.last) {
            self.enter_gap(hole);
            self.lost += hole.last - hole.first + 1;
        }
        for (id, tail) in std::mem::take(&mut self.tails) {
            self.enter_tail(id, &tail);
        }
    }

    fn enter_gap(&mut self, gap: &Gap) {
        let Gap { first, last, bytes } = *gap;
        self.findings
            .push(format!("positions {first} to {last} are damaged and lost"));
        self.enter(LossReason::Damaged, first, last, bytes);
    }

    fn enter_tail(&mut self, id: u64, tail: &Tail) {
        let before = self.state.segments.back().map_or(0, |segment| segment.last);
        let (first, last, bytes) = (before + 1, tail.last_after(before), tail.bytes);
        if last < first {
            return;
        }
        self.findings.push(format!(
            "tail cut at {first} in segment {id:016x}, at most {bytes} bytes; unacknowledged unless the medium is damaged"
        ));
        self.enter(LossReason::TailCut, first, last, bytes);
        // None of these positions is given out again, in case the medium lost what was acknowledged.
        self.state.next_seq = self.state.next_seq.max(last.saturating_add(1));
    }

    fn enter(&mut self, reason: LossReason, first: u64, last: u64, bytes: u64) {
        let count = if reason == LossReason::TailCut {
            1
        } else {
            last.saturating_sub(first).saturating_add(1)
        };
        let kept = self.state.segments.back();
        let at = kept.map_or(0, |segment| segment.last_time);
        let at = NodeTime(at.max(self.state.last_time));
        self.state.ledger.add(Loss {
            reason,
            scope: "log".into(),
            count,
            bytes,
            first: Seq(first),
            last: Seq(last),
            at,
        });
    }

    /// A file that does not say that it is this one may be another one's second name, left by a rename that a crash cut
    /// short: used again, it would be written over under both. Its other name stays.
    fn remove(&mut self, id: u64) {
        self.state.room.garbage.push(file_name(id));
    }

    /// A file of this name that holds nothing is used again or removed.
    fn give_up(&mut self, id: u64, size: u64) {
        let room = &mut self.state.room;
        if size == self.state.sizes.segment && room.spares.len() < crate::housekeeper::MOST_SPARES {
            room.spares.push(file_name(id));
        } else {
            room.garbage.push(file_name(id));
        }
    }

    /// Keeps a damaged segment for those who want to look into it: at most a few, and never for the price of the start.
    fn keep_copies(&mut self) {
        if self.mode == Mode::ReadOnly {
            return;
        }
        for id in std::mem::take(&mut self.damaged) {
            if let Err(error) = self.keep_copy(id) {
                tracing::warn!(%error, "a damaged segment could not be kept as quarantine");
            }
        }
    }

    fn keep_copy(&mut self, id: u64) -> io::Result<()> {
        let Some(name) = quarantine::free_name(self.storage, id)? else {
            return Ok(());
        };
        if self.state.segment_by_id(id).is_none() {
            return self.storage.rename(&file_name(id), &name);
        }
        if self.state.creatable() == 0 {
            return Ok(());
        }
        self.state.room.quarantine_bytes += quarantine::copy(self.storage, id, &name)?;
        self.state.count_other_bytes();
        Ok(())
    }

    /// Spares, leftovers, and the bytes of what is neither.
    fn take_files(&mut self, files: &[(String, u64)]) -> Result<(), OpenError> {
        let room = &mut self.state.room;
        for (name, size) in files {
            if let Some(id) = parse_name(name, ".spare") {
                room.last_id = room.last_id.max(id);
                if *size == self.state.sizes.segment
                    && room.spares.len() < crate::housekeeper::MOST_SPARES
                {
                    room.spares.push(name.clone());
                } else {
                    room.garbage.push(name.clone());
                }
            } else if parse_name(name, ".rewrite").is_some() || name.ends_with(".new") {
                room.garbage.push(name.clone());
            }
        }
        if self.mode == Mode::ReadWrite {
            let garbage = std::mem::take(&mut room.garbage);
            for name in garbage {
                match self.storage.remove(&name) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        self.state.room.garbage.push(name)
                    }
                    _ => {}
                }
            }
        }
        let kept: u64 = files
            .iter()
            .filter(|(name, _)| quarantine::is_copy(name))
            .map(|(_, len)| len)
            .sum();
        self.state.room.quarantine_bytes += kept;
        self.state.count_other_bytes();
        Ok(())
    }

    fn take_marks(&self) -> Result<(Vec<crate::control::Mark>, Option<marks::Slots>), OpenError> {
        let read = OpenError::io("read the cursors file");
        if self.mode == Mode::ReadOnly {
            return match self.storage.open(marks::FILE) {
                Ok(file) => marks::Slots::open(file)
                    .map(|(_, marks)| (marks, None))
                    .map_err(read),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((Vec::new(), None)),
                Err(error) => Err(read(error)),
            };
        }
        let (slots, marks) =
            marks::open_file(self.storage, self.state.sizes.bound).map_err(read)?;
        Ok((marks, Some(slots)))
    }
}

impl OnDisk {
    fn size(&self) -> u64 {
        match self {
            OnDisk::Sealed(segment) => segment.size,
            OnDisk::Open { size, .. } | OnDisk::Unknown { size } | OnDisk::Empty { size } => *size,
        }
    }
}

pub(crate) fn segment_of(
    id: u64,
    header: SegmentHeader,
    size: u64,
    scan: Scan,
    file: Arc<dyn File>,
) -> Segment {
    let rewritten = header.end > 0;
    Segment {
        id,
        generation: 0,
        salt: header.salt,
        size,
        first: if rewritten { header.first } else { scan.first },
        last: if rewritten { header.last } else { scan.last },
        base: scan.base(),
        last_time: scan.last_time,
        end: scan.end,
        records: scan.slots.len() as u64,
        link: scan.link,
        index: Index::Open(Arc::new(scan.slots)),
        file: Some(file),
        failed: false,
    }
}

/// Cursors whose creation was lost with a damaged part of the log.
struct GoneCursors {
    /// The checkpoint knows of every cursor below.
    known: u32,
    /// Created or removed by records behind the checkpoint.
    told: BTreeSet<u32>,
}

impl GoneCursors {
    fn note(&mut self, control: &Control) {
        match control {
            Control::CursorCreated(record) => self.told.insert(record.id),
            Control::CursorRemoved { id, .. } => self.told.insert(*id),
            _ => false,
        };
    }

    fn any_of(&self, route: &Route) -> bool {
        let is_gone = |cursor: &CursorId| cursor.0 >= self.known && !self.told.contains(&cursor.0);
        route.cursors.iter().any(is_gone)
    }
}

/// Events owed to nobody who is known, since damage took their route or a cursor of it.
#[derive(Default)]
struct Orphans {
    amount: Amount,
    first: u64,
    last: u64,
    routes: BTreeSet<u32>,
}

impl Orphans {
    fn add(&mut self, row: &Row) {
        self.first = if self.amount.records == 0 {
            row.first
        } else {
            self.first.min(row.first)
        };
        self.last = self.last.max(row.last);
        self.amount.add(u64::from(row.records), row.bytes);
        self.routes.insert(row.route);
    }
}

impl Inner {
    /// Applies the spool's own records that the checkpoint does not cover.
    fn apply_control(&self) -> Result<GoneCursors, StorageError> {
        let mut gone = GoneCursors {
            known: self.lock().next_cursor,
            told: BTreeSet::new(),
        };
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
    fn count_events(&self, gone: &GoneCursors) -> Result<Option<String>, StorageError> {
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

    /// What recovery entered in the ledger is on disk before what it was found in may be written over.
    fn store_losses(&self) -> Result<(), OpenError> {
        let due = self.lock().ledger.has_changed();
        match self.write_checkpoint(due) {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                // The next commit brings it; until then nothing is freed.
                self.lock().drops += 1;
                Ok(())
            }
            stored => stored.map_err(OpenError::io("store what was lost")),
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

    /// Finds the index of a sealed segment again from its frames, since what is on disk of it is damaged.
    pub(crate) fn rebuild_index(&self, version: (u64, u32)) -> Result<(), StorageError> {
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
        tracing::warn!(
            segment = version.0,
            "the index of a segment is damaged; it is made again from the records"
        );
        let io = StorageError::io("read a segment");
        let file = self.files.open(&*self.storage, version);
        let extent = |file: &Arc<dyn File>| {
            let extent = Extent {
                file: &**file,
                salt,
                size,
                known_end: Some((end, last)),
            };
            extent.scan()
        };
        let scanned = file.and_then(|file| extent(&file).map(|scan| (file, scan)));
        let (file, scan) = match scanned {
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
        segment.generation += 1;
        // The lists are written from the base of the first frame that is whole, and are to be read from it.
        segment.base = scan.base();
        segment.records = scan.slots.len() as u64;
        segment.index = Index::Open(Arc::new(scan.slots));
        segment.file = Some(file);
        state.lists.forget(version.0);
        state.room.segments_changed = true;
        let first = segment.first;
        for gap in scan.gaps.iter().filter(|gap| gap.bytes > 0) {
            state.enter_gap(gap.first.max(first), gap.last, gap.bytes);
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

    fn take_count(&mut self, counted: &Counted, gone: &GoneCursors, orphans: &mut Orphans) {
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
                orphans.add(row);
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

    /// Positions of which nothing can be read any more: no cursor waits for them.
    fn enter_gap(&mut self, first: u64, last: u64, bytes: u64) {
        for cursor in self.cursors.values_mut() {
            cursor.give_up(first, last);
        }
        self.drops += 1;
        self.ledger.add(Loss {
            reason: LossReason::Damaged,
            scope: "log".into(),
            count: last.saturating_sub(first).saturating_add(1),
            bytes,
            first: Seq(first),
            last: Seq(last),
            at: NodeTime(self.last_time),
        });
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
        }
    }

    /// Each lost position may have made a cursor or a route: their ids are not given out again. Nor are those of the
    /// spool's own records that were found damaged, each of which is among the drops.
    fn pass_over_ids(&mut self, lost: u64) {
        let ids = u32::try_from(lost.saturating_add(self.drops)).unwrap_or(u32::MAX);
        self.next_cursor = self.next_cursor.saturating_add(ids);
        let last_route = self.routes.last_id().saturating_add(ids);
        self.routes.raise_last_id(last_route);
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
