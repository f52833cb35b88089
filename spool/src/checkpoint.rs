//! Checkpoints: the spool's own state and the owner's, so that recovery need not read the whole log.

mod file;

use std::io;

pub(crate) use self::file::{
    Covered, RouteState, SpoolState, Stored, file_name, newer_version, read_both,
};
use self::file::{NEW, encode, read};
use crate::{
    Health, Spool,
    cursor::Cursor,
    log::{Inner, State},
    segment::Segment,
};

/// State-bearing bytes behind a checkpoint that make a new one due, at most.
const STATE_BYTES: u64 = 4 << 20;

/// The checkpoints on disk, and the one that waits to be written.
#[derive(Default)]
pub(crate) struct Checkpoints {
    newest: Option<Covered>,
    older: Option<Covered>,
    waiting: Option<Waiting>,
    /// State-bearing bytes committed since the owner's part of the newest.
    pub(crate) state_bytes: u64,
    /// Bytes committed since the spool's part of the newest.
    pub(crate) log_bytes: u64,
}

/// The owner's part as of a position, written once that is committed.
struct Waiting {
    after: u64,
    owner: Vec<u8>,
    state_bytes: u64,
}

/// A checkpoint to be written: what the log is as of its last commit.
struct Snapshot {
    covered: Covered,
    state: Vec<u8>,
    /// `None`: the owner's part stays as it is.
    owner: Option<Waiting>,
    previous: Option<Covered>,
    log_bytes: u64,
    losses: u64,
    drops: u64,
}

impl Checkpoints {
    /// Up to here both checkpoints cover the spool's own records.
    pub(crate) fn spool_covered(&self) -> u64 {
        self.both().map_or(0, |(a, b)| a.spool.min(b.spool))
    }

    /// Up to here both checkpoints cover the owner's records.
    pub(crate) fn owner_covered(&self) -> u64 {
        self.both().map_or(0, |(a, b)| a.owner.min(b.owner))
    }

    fn both(&self) -> Option<(Covered, Covered)> {
        self.newest.zip(self.older)
    }

    pub(crate) fn newest(&self) -> Covered {
        self.newest.unwrap_or_default()
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.newest.map_or(0, |it| it.bytes) + self.older.map_or(0, |it| it.bytes)
    }

    pub(crate) fn restore(&mut self, newest: Option<Covered>, older: Option<Covered>) {
        (self.newest, self.older) = (newest, older);
    }
}

impl Spool {
    /// Whether enough lies behind the last checkpoint that a new one is due.
    pub fn checkpoint_due(&self) -> bool {
        let state = self.inner.lock();
        let checkpoints = &state.checkpoints;
        let far = checkpoints.log_bytes >= state.checkpoint_interval();
        checkpoints.waiting.is_none()
            && (checkpoints.state_bytes >= STATE_BYTES.min(state.sizes.bound / 16)
                || (far && checkpoints.state_bytes > 0)
                || state.is_held_full(checkpoints.owner_covered()))
    }

    /// Takes the owner's state as of the last appended record; written once that record is committed, by the housekeeper.
    pub fn checkpoint(&self, owner: Vec<u8>) {
        let mut state = self.inner.lock();
        state.capture(owner);
        self.inner.wake_housekeeper(&mut state);
    }
}

impl State {
    /// Whether an append or the next segment finds no room, and segments may stay only for what the checkpoints do not
    /// cover, which is up to `covered`: nothing can be appended that would make another one due.
    fn is_held_full(&self, covered: u64) -> bool {
        // After a start nothing more goes into the last segment either.
        let is_held =
            |segment: &Segment| segment.last > covered && (segment.is_sealed() || !self.began);
        (self.room.full_lanes != 0 || !self.has_next_segment()) && self.segments.iter().any(is_held)
    }

    pub(crate) fn checkpoint_interval(&self) -> u64 {
        (self.sizes.bound / 16).max(self.sizes.segment)
    }

    /// Whether a checkpoint of the spool's part alone is due.
    fn is_checkpoint_due(&self) -> bool {
        let checkpoints = &self.checkpoints;
        let far = checkpoints.log_bytes >= self.checkpoint_interval();
        // Segments are freed only up to what both cover, so the second follows the first without a further interval.
        let lone = checkpoints.newest.is_some() && checkpoints.older.is_none();
        // Where no commit can be stored, a checkpoint may be what lets segments be freed for one.
        let stuck = self.health != Health::Ok
            && (checkpoints.spool_covered() < self.committed || self.owes_ledger());
        far || lone || stuck || self.is_held_full(checkpoints.spool_covered())
    }

    pub(crate) fn capture(&mut self, owner: Vec<u8>) {
        self.checkpoints.waiting = Some(Waiting {
            after: self.next_seq.saturating_sub(1),
            owner,
            state_bytes: self.checkpoints.state_bytes,
        });
    }

    /// What to write: if the owner's part that waits is committed, or if `due`.
    fn snapshot(&mut self, due: bool) -> Option<Snapshot> {
        let committed = self.committed;
        let waiting = &mut self.checkpoints.waiting;
        let owner = waiting.take_if(|waiting| waiting.after <= committed);
        if owner.is_none() && !due {
            return None;
        }
        self.forget_routes_of_the_gone();
        // Without any segment what was cut is all that tells of the positions a checkpoint covers.
        if let Some(oldest) = self.segments.front() {
            self.damage.forget_before(oldest.first);
        }
        let newest = self.checkpoints.newest();
        let covered = Covered {
            // Only what was written has a number, so that the older file is always the one replaced.
            number: newest.number + 1,
            spool: committed,
            owner: owner.as_ref().map_or(newest.owner, |owner| owner.after),
            bytes: 0,
        };
        Some(Snapshot {
            covered,
            state: self.stored().encode(),
            owner,
            previous: self.checkpoints.newest,
            log_bytes: self.checkpoints.log_bytes,
            losses: self.ledger.added(),
            drops: self.drops,
        })
    }

    fn stored(&self) -> Stored {
        Stored {
            state: self.spool_state(),
            damage: self.damage.known.clone(),
            forgotten: self.routes.forgotten().clone(),
        }
    }

    /// As of the last commit: a cursor whose removal waits is there, one whose creation does is not.
    fn spool_state(&self) -> SpoolState {
        let is_there = |cursor: &&Cursor| cursor.is_there(self.committed);
        let there = self.cursors.values().filter(is_there);
        // Ids grow in the order of creation: none that is there comes behind.
        let created = self.cursors.values().find(|cursor| !is_there(cursor));
        SpoolState {
            cursors: there
                .map(|cursor| (cursor.record(), cursor.mark_whole()))
                .collect(),
            routes: self
                .routes
                .iter()
                .map(|(id, interned)| RouteState {
                    id,
                    cursors: interned.route.cursors.clone(),
                    terms: interned.route.terms.to_vec(),
                    total: interned.total,
                    last: interned.last,
                })
                .collect(),
            floors: self.floors.clone(),
            ledger: self.ledger.entries(),
            next_cursor: created.map_or(self.next_cursor, |cursor| cursor.id),
            last_route: self.routes.last_id(),
            last_time: self.last_time,
        }
    }

    pub(crate) fn restore_state(&mut self, stored: Stored) {
        self.damage.restore(&stored.damage);
        self.routes.restore_forgotten(stored.forgotten);
        let stored = stored.state;
        for (record, mark) in stored.cursors {
            self.names.insert(record.name.clone(), record.id);
            let mut cursor = Cursor::new(record);
            cursor.restore(&mark);
            self.cursors.insert(cursor.id, cursor);
        }
        for route in stored.routes {
            self.routes.insert(route.id, route.cursors, &route.terms);
            if let Some(interned) = self.routes.get_mut(route.id) {
                (interned.total, interned.last) = (route.total, route.last);
            }
        }
        for (floor, stored) in self.floors.iter_mut().zip(stored.floors) {
            *floor = stored;
        }
        for loss in stored.ledger {
            self.ledger.restore(loss);
        }
        self.next_cursor = self.next_cursor.max(stored.next_cursor);
        self.routes.raise_last_id(stored.last_route);
        self.last_time = self.last_time.max(stored.last_time);
    }
}

impl Inner {
    pub(crate) fn checkpoint_if_due(&self) -> io::Result<()> {
        let due = self.lock().is_checkpoint_due();
        self.write_checkpoint(due)
    }

    /// Writes a checkpoint if the owner's part that waits is committed, or if `due`.
    pub(crate) fn write_checkpoint(&self, due: bool) -> io::Result<()> {
        let Some(snapshot) = self.lock().snapshot(due) else {
            return Ok(());
        };
        let written = self.write_checkpoint_file(&snapshot);
        let mut state = self.lock();
        match written {
            Ok(bytes) => {
                let covered = Covered {
                    bytes,
                    ..snapshot.covered
                };
                let checkpoints = &mut state.checkpoints;
                checkpoints.older = checkpoints.newest.replace(covered);
                let state_bytes = snapshot.owner.map_or(0, |owner| owner.state_bytes);
                checkpoints.state_bytes = checkpoints.state_bytes.saturating_sub(state_bytes);
                checkpoints.log_bytes = checkpoints.log_bytes.saturating_sub(snapshot.log_bytes);
                if state.health != Health::Ok {
                    state.ledger_is_stored(snapshot.losses, snapshot.drops);
                }
                state.count_other_bytes();
                state.room.is_stale();
                Ok(())
            }
            Err(error) => {
                state.room.garbage.push(NEW.into());
                if state.checkpoints.waiting.is_none() {
                    state.checkpoints.waiting = snapshot.owner;
                }
                Err(error)
            }
        }
    }

    fn write_checkpoint_file(&self, snapshot: &Snapshot) -> io::Result<u64> {
        let kept = match (&snapshot.owner, snapshot.previous) {
            (None, Some(previous)) if previous.owner > 0 => Some(self.read_owner(previous)?),
            _ => None,
        };
        let owner = snapshot.owner.as_ref().map(|owner| &owner.owner);
        let bytes = encode(
            snapshot.covered,
            &snapshot.state,
            owner.or(kept.as_ref()).map(Vec::as_slice),
        );
        match self.storage.remove(NEW) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = self.storage.create(NEW, bytes.len() as u64)?;
        file.write_at(&bytes, 0)?;
        file.sync()?;
        self.storage
            .rename(NEW, &file_name(snapshot.covered.number))?;
        self.storage.sync_directory()?;
        Ok(bytes.len() as u64)
    }

    /// The owner's part of the newest checkpoint. Where that is damaged, nothing says that it is covered until the owner
    /// has given another.
    fn read_owner(&self, newest: Covered) -> io::Result<Vec<u8>> {
        let read = read(&*self.storage, &file_name(newest.number))?;
        let owner = read
            .filter(|read| read.covered.number == newest.number)
            .and_then(|read| read.owner);
        owner.ok_or_else(|| {
            let mut state = self.lock();
            state.checkpoints.state_bytes = state.checkpoints.state_bytes.max(STATE_BYTES);
            io::Error::new(
                io::ErrorKind::InvalidData,
                "the newest checkpoint is damaged; it is replaced once the owner gives another",
            )
        })
    }
}
