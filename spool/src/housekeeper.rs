//! Everything that is done beside the commits: preparing, sealing, saving, checkpoints, cleaning, scrubbing.

use std::{collections::BTreeSet, io, sync::atomic::Ordering, time::Duration};

use crate::{
    NodeTime, Spool, StorageError,
    frame::FLAG_END,
    log::{Inner, State},
    marks::{self, LONGEST_WAIT_MS},
};

/// Empty segment files kept for later.
pub(crate) const MOST_SPARES: usize = 2;
/// After a chore failed it is tried again this much later.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// Marks that wait for the ledger are looked at again this much later.
const AFTER_LEDGER: Duration = Duration::from_millis(50);
/// Segments rewritten in one step.
const REWRITES: usize = 4;

impl Spool {
    /// One step of the housekeeper on this thread: prepares the next segment, seals, saves cursors, writes a
    /// checkpoint, cleans, scrubs. Returns when it wants to be called again at the latest.
    pub fn housekeep_once(&self, now: NodeTime) -> Option<Duration> {
        let inner = &*self.inner;
        let now = {
            let mut state = inner.lock();
            state.chores_due = false;
            state.last_time = state.last_time.max(now.0);
            state.last_time
        };
        let failed = [
            ("ask for free space", inner.look_at_space()),
            ("prepare a segment", inner.prepare().map(drop)),
            // Before the cleaner leaves out what is damaged.
            ("copy a damaged segment", inner.fill_quarantine()),
            ("seal a segment", inner.seal_all()),
            ("prepare a segment", inner.prepare().map(drop)),
            ("look at a table", inner.look_at_tables()),
            // Before more is given up, which may be freed only once it is in the ledger on disk.
            ("clean", inner.clean(REWRITES)),
            ("prepare a segment", inner.prepare().map(drop)),
            ("hold sessions to their bound", inner.hold_bounds()),
            ("hold routes to their bound", inner.hold_routes()),
            ("make room in a lane", inner.drop_for_room()),
            ("save the cursors", inner.save_marks(now, false)),
            ("write a checkpoint", inner.checkpoint_if_due()),
            ("prepare a segment", inner.prepare().map(drop)),
            ("remove files", inner.remove_garbage()),
            ("scrub", inner.scrub(now)),
        ]
        .into_iter()
        .filter_map(|(chore, result)| result.err().map(|error| (chore, error)))
        .fold(false, |_, (chore, error)| {
            tracing::warn!(chore, %error, "a chore of the spool failed; it is tried again");
            true
        });
        // Last, since a read that fails may take long.
        inner.look_at_withheld(now);
        let mut state = inner.lock();
        if !state.cleaning_will_help() && state.drops == state.drops_stored {
            state.room.wanting = 0;
        }
        let returned = state.room_returned();
        let mut wake = state.next_chore(now, failed);
        if std::mem::take(&mut state.hurried) {
            // Commits may have done it meanwhile: one wake in a second is enough while they go on.
            let second = Duration::from_millis(LONGEST_WAIT_MS);
            wake = Some(wake.map_or(second, |wake| wake.min(second)));
        }
        let sleeps = wake.and_then(|wake| u64::try_from(wake.as_millis()).ok());
        state.looks_at = now.saturating_add(sleeps.unwrap_or(u64::MAX));
        drop(state);
        if returned {
            inner.tell();
        }
        wake
    }

    /// Commits what waits, saves a checkpoint with the owner's part and the cursors, and writes the end mark. Further
    /// appends are refused. On `Err` everything committed is as safe as after a crash.
    pub fn close(&self, owner: Vec<u8>, now: NodeTime) -> Result<(), StorageError> {
        let inner = &*self.inner;
        let io = StorageError::io;
        {
            let mut state = inner.lock();
            state.last_time = state.last_time.max(now.0);
            state.closed = true;
        }
        self.commit_last()?;
        inner.lock().capture(owner);
        inner
            .write_checkpoint(false)
            .map_err(io("write a checkpoint"))?;
        let end = inner.lock().add_end_mark();
        inner.appended.store(end, Ordering::Release);
        self.commit_last()?;
        inner.remove_garbage().map_err(io("remove files"))?;
        Ok(())
    }

    /// Commits what waits on a closed log. One that is full to its bound may have to free something first, and has the
    /// cleaner's reserve for it.
    fn commit_last(&self) -> Result<(), StorageError> {
        if self.commit_all().is_ok() {
            return Ok(());
        }
        let io = StorageError::io;
        self.inner.seal_all().map_err(io("seal a segment"))?;
        for _ in 0..2 {
            let checkpoint = self.inner.checkpoint_if_due();
            checkpoint.map_err(io("write a checkpoint"))?;
        }
        self.inner.clean(REWRITES).map_err(io("clean"))?;
        self.commit_all()
    }

    fn commit_all(&self) -> Result<(), StorageError> {
        loop {
            let before = self.committed();
            let commits = self.inner.lock().commits.count;
            if !self.commit_once() {
                return Ok(());
            }
            let state = self.inner.lock();
            if state.commits.count == commits && self.committed() == before {
                let error = match &state.health {
                    crate::Health::Failing { error, .. } => error.clone(),
                    crate::Health::Ok => "nothing was stored".into(),
                };
                return Err(StorageError::Io {
                    doing: "commit what waits",
                    source: io::Error::other(error),
                });
            }
        }
    }
}

impl State {
    fn next_chore(&self, now: u64, failed: bool) -> Option<Duration> {
        let least = if self.owes_ledger() {
            AFTER_LEDGER
        } else {
            Duration::ZERO
        };
        let saving = self.next_save(now).map(Duration::from_millis);
        let saving = saving.map(|rest| rest.max(least));
        let again = self.chores_due.then_some(Duration::ZERO);
        let retry =
            (failed || self.room.is_awaited() || self.room.wanting != 0).then_some(AFTER_FAILURE);
        let look = self.withheld.next_look(now);
        // One that is due is on its way, or the disk takes nothing.
        let losses = self.next_ledger(now).map(|rest| match rest {
            0 => LONGEST_WAIT_MS,
            rest => rest,
        });
        let losses = losses.map(Duration::from_millis);
        [saving, again, retry, look, losses, self.next_scrub(now)]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether a loss is counted that is not in the ledger on disk.
    pub(crate) fn owes_ledger(&self) -> bool {
        self.drops != self.drops_stored || !self.ledger.is_stored()
    }

    /// Milliseconds until losses are to be in the ledger on disk, whether or not anything else is committed.
    fn next_ledger(&self, now: u64) -> Option<u64> {
        let since = self.losses_since.filter(|_| self.owes_ledger())?;
        Some(LONGEST_WAIT_MS.saturating_sub(now.saturating_sub(since)))
    }

    /// Makes a commit due although nothing was appended: what is lost may neither be saved in marks nor, if it was given up
    /// for its room, be freed before it is in the ledger on disk; and what lets no cursor move is not to be forgotten.
    fn store_ledger(&mut self, now: u64) -> bool {
        let idle = self.pending.is_empty() && self.committing_bytes == 0;
        let is_short = self.room.full_lanes != 0 || self.room.wanting != 0;
        let wanted = is_short && (self.drops != self.drops_stored || self.holds_lost());
        if self.owes_ledger() {
            self.losses_since.get_or_insert(now);
        }
        let due_by_time = self.next_save(now) == Some(0) || self.next_ledger(now) == Some(0);
        let asked_for = wanted || due_by_time;
        let due = self.owes_ledger() && idle && asked_for && !self.closed;
        if due {
            self.add_control_frame();
        }
        due
    }

    /// Whether room is taken by what was counted as lost and acknowledged.
    fn holds_lost(&self) -> bool {
        let stored = self.ledger.stored();
        self.cursors
            .values()
            .any(|cursor| cursor.is_holding(stored))
    }

    fn add_control_frame(&mut self) -> u64 {
        self.begin(self.last_time);
        let seq = self.next_seq;
        self.next_seq += 1;
        let floors = crate::control::Control::Floors(self.floors.clone());
        self.batch().push_control(&floors, seq);
        seq
    }

    fn add_end_mark(&mut self) -> u64 {
        let seq = self.add_control_frame();
        self.batch().set_flags(FLAG_END);
        seq
    }
}

impl Inner {
    pub(crate) fn look_at_space(&self) -> io::Result<()> {
        let space = self.storage.space()?;
        let mut state = self.lock();
        if state.room.free_bytes != space.free_bytes {
            state.room.free_bytes = space.free_bytes;
            state.room.is_stale();
        }
        Ok(())
    }

    /// Saves the cursors' marks if no commit has carried them in time.
    fn save_marks(&self, now: u64, at_once: bool) -> io::Result<()> {
        let (marks, file, bound) = {
            let mut state = self.lock();
            if state.store_ledger(now) {
                self.appended
                    .store(state.next_seq.saturating_sub(1), Ordering::Release);
                self.wake_committer(&state);
            }
            if state.owes_ledger() {
                return Ok(());
            }
            let Some(marks) = state.marks_for_file(now, at_once) else {
                return Ok(());
            };
            (marks, state.marks.file.take(), state.sizes.bound)
        };
        let saved = match file {
            Some(file) => Ok(file),
            None => self.new_marks_file(bound),
        };
        let saved = saved.and_then(|mut file| file.save(marks).map(|()| file));
        let mut state = self.lock();
        match saved {
            Ok(file) => {
                state.marks.file = Some(file);
                Ok(())
            }
            Err(error) => {
                // The file may not be written again after a failed sync; the next save makes another.
                state
                    .cursors
                    .values_mut()
                    .for_each(|cursor| cursor.changed = true);
                state.note_acks(1);
                Err(error)
            }
        }
    }

    fn new_marks_file(&self, bound: u64) -> io::Result<marks::Slots> {
        const NEW: &str = "cursors.new";
        match self.storage.remove(NEW) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = self.storage.create(NEW, marks::file_bytes(bound))?;
        file.sync()?;
        self.storage.rename(NEW, marks::FILE)?;
        self.storage.sync_directory()?;
        Ok(marks::Slots::open(file)?.0)
    }

    pub(crate) fn remove_garbage(&self) -> io::Result<()> {
        let garbage = std::mem::take(&mut self.lock().room.garbage);
        let mut result = Ok(());
        for name in garbage {
            match self.storage.remove(&name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    self.lock().room.garbage.push(name);
                    result = Err(error);
                }
                _ => self.lock().room.is_stale(),
            }
        }
        result
    }

    /// Gives up the oldest of lanes whose appends asked for it, until there is room or the cleaner can make it.
    pub(crate) fn drop_for_room(&self) -> io::Result<()> {
        if self.lock().room.wanting == 0 {
            return Ok(());
        }
        let (mut in_vain, mut failed, mut result) = (BTreeSet::new(), BTreeSet::new(), Ok(()));
        loop {
            let Some(lane) = self.lock().next_to_drop(&failed) else {
                return result;
            };
            match self.looked(&mut |state, extra| state.drop_oldest(lane, extra)) {
                Ok(true) => {}
                // It may have been thought to hold something; once looked at, another comes next.
                Ok(false) if in_vain.insert(lane) => {}
                Ok(false) => return result,
                // A lane whose oldest cannot be read, or not for now, keeps no other from it.
                Err(error) => {
                    failed.insert(lane);
                    result = result.and(Err(io::Error::other(error)));
                }
            }
        }
    }
}
