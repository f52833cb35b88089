//! Opening a log: what the directory holds becomes the state in memory, after any crash.

mod contents;
mod found;
mod losses;
mod unread;

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use self::found::{OnDisk, find};
use crate::{
    NodeTime, OpenError, Options, Spool, checkpoint,
    commit::{Target, TargetSegment},
    damage::Damage,
    files::Files,
    frame::Link,
    log::{Inner, State},
    marks,
    options::Sizes,
    quarantine,
    scan::{Extent, Gap, Scan, Tail},
    segment::{Index, Segment, SegmentHeader, file_name, parse_name},
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
    state.damage = Damage::opening();

    let mut opening = Opening {
        storage: &*storage,
        state,
        findings: Vec::new(),
        mode,
        target: None,
        damaged: Vec::new(),
        gaps: BTreeMap::new(),
        tails: Vec::new(),
        lost_checkpoints: None,
    };
    let owner = opening.take_checkpoints(&files)?;
    let clean = opening.take_segments(found)?;
    opening.take_files(&files)?;
    let (marks, cursors_file) = opening.take_marks()?;
    let Opening {
        mut state,
        mut findings,
        target,
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
    findings.extend(spool.inner.count_events(&gone)?);
    findings.extend(spool.inner.lock().enter_damage_of_opening());
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
    tails: Vec<(u64, Tail)>,
    /// Bytes of both checkpoints, if both are damaged.
    lost_checkpoints: Option<u64>,
}

impl Opening<'_> {
    fn take_checkpoints(&mut self, files: &[(String, u64)]) -> Result<Option<Vec<u8>>, OpenError> {
        let mut read = checkpoint::read_both(self.storage)?.into_iter();
        let is_checkpoint = |name: &str| (0..2).any(|n| checkpoint::file_name(n) == name);
        let there = files.iter().filter(|(name, _)| is_checkpoint(name));
        // As long as there was one only, nothing was freed that it covers.
        if read.len() == 0 && there.clone().count() == 2 {
            self.lost_checkpoints = Some(there.map(|(_, len)| len).sum());
        }
        let (newest, older) = (read.next(), read.next());
        self.state.checkpoints.restore(
            newest.as_ref().map(|it| it.covered),
            older.as_ref().map(|it| it.covered),
        );
        let Some(newest) = newest else {
            return Ok(None);
        };
        self.state.restore_state(newest.state, &newest.damage);
        Ok(newest.owner)
    }

    /// Takes the segments in, from the newest to the oldest, since each says how far the one before it is valid.
    fn take_segments(&mut self, found: BTreeMap<u64, OnDisk>) -> Result<bool, OpenError> {
        self.state.room.last_id = found.keys().next_back().copied().unwrap_or(0);
        let nothing = found.is_empty();
        let mut clean = None;
        let mut later: Option<(u64, Link)> = None;
        let mut unread = Vec::new();
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
                OnDisk::Unknown { size } => match self.salvage(id, size, known)? {
                    Some(header) => {
                        self.take_open(id, header, size, known, later.is_none(), &mut clean)?
                    }
                    None => {
                        match link {
                            Some(link) => self.lost(id, link),
                            None => unread.push((id, size)),
                        }
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
        for (id, size) in unread.into_iter().rev() {
            self.take_newest_unread(id, size, &mut clean)?;
        }
        self.mend_links();
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
        let file = self.open_segment(id)?;
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

    fn open_segment(&self, id: u64) -> Result<Arc<dyn File>, OpenError> {
        let opened = self.storage.open(&file_name(id));
        opened.map_err(OpenError::io("open a segment"))
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
