//! Opening a log: what the directory holds becomes the state in memory, after any crash.

mod aside;
mod contents;
mod found;
mod gone;
mod losses;
mod segments;
mod unread;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use self::{aside::bring_back, found::find};
use crate::{
    NodeTime, OpenError, Options, Spool, checkpoint,
    control::Mark,
    damage::Damage,
    files::Files,
    log::{Inner, State},
    marks,
    options::Sizes,
    quarantine,
    scan::{Gap, Tail},
    segment::parse_name,
    storage::Storage,
    target::{Target, TargetSegment},
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
    let list = || {
        storage
            .list()
            .map_err(OpenError::io("list the data directory"))
    };
    let mut files = list()?;
    if mode == Mode::ReadWrite && bring_back(&*storage, &files)? {
        files = list()?;
    }
    let found = find(&*storage, &files)?;
    let state = state_before(&*storage, &files, options, now)?;
    let mut opening = Opening::begin(&*storage, state, mode);
    let checkpoint = opening.take_checkpoints(&files)?;
    let clean = opening.take_segments(found)?;
    opening.take_files(&files)?;
    let marks = opening.take_marks()?;
    let Opening {
        state,
        mut findings,
        target,
        damaged,
        unreadable,
        ..
    } = opening;
    let inner = Arc::new(inner_of(storage, state, target, notify));
    findings.extend(inner.take_contents(&marks)?);
    if mode == Mode::ReadWrite {
        if inner.store_losses()? {
            inner.keep_copies(damaged, &unreadable);
        } else {
            inner.lock().hold_traces(&damaged);
        }
        if let Err(error) = inner.remove_garbage() {
            tracing::warn!(%error, "files that hold nothing could not be removed; it is tried again");
        }
    }
    let committed = inner.lock().committed;
    inner.committed.store(committed, Ordering::Release);
    inner.appended.store(committed, Ordering::Release);
    for finding in &findings {
        tracing::warn!("{finding}");
    }
    let recovery = Recovery {
        checkpoint,
        clean,
        findings,
    };
    Ok((Spool { inner }, recovery))
}

/// Of a log of which nothing was read yet.
fn state_before(
    storage: &dyn Storage,
    files: &[(String, u64)],
    options: &Options,
    now: NodeTime,
) -> Result<State, OpenError> {
    let used = files.iter().map(|(_, len)| len).sum();
    let space = storage
        .space()
        .map_err(OpenError::io("ask for free space"))?;
    let mut state = State::new(Sizes::of(options, space, used)?, options, now);
    state.room.free_bytes = space.free_bytes;
    state.damage = Damage::opening();
    Ok(state)
}

fn inner_of(
    storage: Arc<dyn Storage>,
    state: State,
    target: Option<TargetSegment>,
    notify: Arc<dyn Fn() + Send + Sync>,
) -> Inner {
    Inner {
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
    }
}

struct Opening<'a> {
    storage: &'a dyn Storage,
    state: State,
    findings: Vec<String>,
    mode: Mode,
    /// Whether the last frame is an end mark, once a frame was found.
    clean: Option<bool>,
    /// The segment to go on with after a clean stop.
    target: Option<TargetSegment>,
    /// Files newer than any segment, of which nothing tells the salt, and their bytes.
    unread: Vec<(u64, u64)>,
    /// Segments of which a copy is kept.
    damaged: Vec<u64>,
    /// Those of them that the medium did not give back whole: their files are kept as they are, in case it does one day.
    unreadable: BTreeSet<u64>,
    gaps: BTreeMap<u64, Vec<Gap>>,
    tails: Vec<(u64, Tail)>,
    /// Bytes of both checkpoints, if both are damaged.
    lost_checkpoints: Option<u64>,
}

impl<'a> Opening<'a> {
    fn begin(storage: &'a dyn Storage, state: State, mode: Mode) -> Opening<'a> {
        Opening {
            storage,
            state,
            findings: Vec::new(),
            mode,
            clean: None,
            target: None,
            unread: Vec::new(),
            damaged: Vec::new(),
            unreadable: BTreeSet::new(),
            gaps: BTreeMap::new(),
            tails: Vec::new(),
            lost_checkpoints: None,
        }
    }
}

impl Opening<'_> {
    fn take_checkpoints(&mut self, files: &[(String, u64)]) -> Result<Option<Vec<u8>>, OpenError> {
        let (read, unread) = checkpoint::read_both(self.storage)?;
        let mut read = read.into_iter();
        let is_checkpoint = |name: &str| (0..2).any(|n| checkpoint::file_name(n) == name);
        let there = files.iter().filter(|(name, _)| is_checkpoint(name));
        // As long as there was one only, nothing was freed that it covers.
        if read.len() == 0 && there.clone().count() == 2 {
            // A disk that is away for a moment is not to cost every cursor.
            if let Some(error) = unread {
                return Err(error.into());
            }
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
        self.state.restore_state(newest.stored);
        Ok(newest.owner)
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
            // A segment may be all that tells of its damage: it goes only once the ledger is on disk.
            let (segments, leftovers) = std::mem::take(&mut room.garbage)
                .into_iter()
                .partition(|name| parse_name(name, ".segment").is_some());
            room.garbage = segments;
            for name in leftovers {
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

    fn take_marks(&mut self) -> Result<Vec<Mark>, OpenError> {
        let read = OpenError::io("read the cursors file");
        if self.mode == Mode::ReadOnly {
            return match self.storage.open(marks::FILE) {
                Ok(file) => marks::Slots::open(file)
                    .map(|(_, marks)| marks)
                    .map_err(read),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
                Err(error) => Err(read(error)),
            };
        }
        let (slots, marks) =
            marks::open_file(self.storage, self.state.sizes.bound).map_err(read)?;
        self.state.marks.file = Some(slots);
        Ok(marks)
    }
}
