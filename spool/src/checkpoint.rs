//! Checkpoints: the spool's own state and the owner's, so that recovery need not read the whole log.
//!
//! ```text
//! checkpoint-0, checkpoint-1: written in turn, each beside the old file and renamed over it
//! magic 8 | crc32c of the rest of these 80 bytes 4 | version 2 | zero 2 | number 8 | spool covered 8
//! | owner covered 8 | length of the spool's part 8 | length of the owner's part + 1, zero for none 8
//! | crc32c of both parts 8 | zeros | the spool's part (postcard) | the owner's part
//! ```
//!
//! "Covered" is a position: records after it are applied to what the checkpoint holds. What needs records up to it is
//! freed only when both files are past it, so that either one can serve.

use std::io;

use serde::{Deserialize, Serialize};

use crate::{
    CursorId, Health, Loss, OpenError, Spool, StorageError,
    control::{CursorRecord, Mark},
    cursor::Cursor,
    damage::Known,
    log::{Inner, State},
    page::{Page, check_page, finish_page, start_page},
    route::Amount,
    segment::Segment,
    storage::Storage,
};

const MAGIC: u64 = u64::from_le_bytes(*b"SPOOLCHK");
const HEADER: usize = 80;
/// State-bearing bytes behind a checkpoint that make a new one due, at most.
const STATE_BYTES: u64 = 4 << 20;

pub(crate) fn file_name(number: u64) -> String {
    format!("checkpoint-{}", number % 2)
}

pub(crate) const NEW: &str = "checkpoint.new";

/// What a checkpoint file says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Covered {
    pub(crate) number: u64,
    pub(crate) spool: u64,
    pub(crate) owner: u64,
    pub(crate) bytes: u64,
}

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

/// The spool's part.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct SpoolState {
    pub(crate) cursors: Vec<(CursorRecord, Mark)>,
    pub(crate) routes: Vec<RouteState>,
    pub(crate) floors: Vec<u64>,
    pub(crate) ledger: Vec<Loss>,
    pub(crate) next_cursor: u32,
    pub(crate) last_route: u32,
    pub(crate) last_time: u64,
}

/// A route with what was counted on it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RouteState {
    pub(crate) id: u32,
    pub(crate) cursors: Vec<CursorId>,
    pub(crate) terms: Vec<u8>,
    pub(crate) total: Amount,
    pub(crate) last: [u64; crate::Lane::MOST],
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
            && (checkpoints.spool_covered() < self.committed || self.drops != self.drops_stored);
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
        self.forget_routes();
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
            state: self.encode_state(),
            owner,
            previous: self.checkpoints.newest,
            log_bytes: self.checkpoints.log_bytes,
            drops: self.drops,
        })
    }

    fn encode_state(&self) -> Vec<u8> {
        let state = postcard::to_stdvec(&self.spool_state());
        state
            .and_then(|bytes| postcard::to_extend(&self.damage.known, bytes))
            .unwrap_or_default()
    }

    /// As of the last commit: a cursor whose removal waits is there, one whose creation does is not.
    fn spool_state(&self) -> SpoolState {
        let is_committed = |cursor: &&Cursor| cursor.history_until < self.committed;
        let there = self.cursors.values().filter(is_committed);
        let created = self.cursors.values().find(|cursor| !is_committed(cursor));
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

    pub(crate) fn restore_state(&mut self, stored: SpoolState, damage: &Known) {
        self.damage.restore(damage);
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

    /// Forgets routes that no record carries and, since one of their cursors is gone, none will.
    fn forget_routes(&mut self) {
        let oldest = self.oldest();
        let waits = !self.pending.is_empty() || self.committing_bytes > 0;
        if waits {
            return;
        }
        let gone = |cursor: &CursorId| !self.cursors.contains_key(&cursor.0);
        let old = self.routes.iter().filter(|(_, route)| {
            route.last.iter().all(|&last| last < oldest) && route.route.cursors.iter().any(gone)
        });
        let old: Vec<u32> = old.map(|(id, _)| id).collect();
        for id in old {
            self.routes.remove(crate::RouteId(id));
        }
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
                    state.drops_stored = snapshot.drops;
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
}

impl Inner {
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

fn encode(covered: Covered, state: &[u8], owner: Option<&[u8]>) -> Vec<u8> {
    let mut bytes = start_page(MAGIC);
    let parts_crc = crc32c::crc32c_append(crc32c::crc32c(state), owner.unwrap_or_default());
    for word in [
        covered.number,
        covered.spool,
        covered.owner,
        state.len() as u64,
        owner.map_or(0, |owner| owner.len() as u64 + 1),
        u64::from(parts_crc),
    ] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    finish_page(&mut bytes, HEADER);
    bytes.extend_from_slice(state);
    bytes.extend_from_slice(owner.unwrap_or_default());
    bytes
}

/// A checkpoint as read.
pub(crate) struct Read {
    pub(crate) covered: Covered,
    pub(crate) state: SpoolState,
    pub(crate) damage: Known,
    pub(crate) owner: Option<Vec<u8>>,
}

/// Reads a file; `None` if it is not there or damaged.
pub(crate) fn read(storage: &dyn Storage, name: &str) -> io::Result<Option<Read>> {
    let Some(bytes) = read_all(storage, name)? else {
        return Ok(None);
    };
    Ok(match decode(&bytes) {
        Page::Valid(read) => Some(read),
        Page::Newer(_) | Page::Invalid => None,
    })
}

/// The version of a file that a newer release wrote.
pub(crate) fn newer_version(storage: &dyn Storage, name: &str) -> Result<Option<u16>, OpenError> {
    let bytes = read_all(storage, name).map_err(OpenError::io("read a checkpoint"))?;
    let header = bytes
        .as_ref()
        .and_then(|bytes| bytes.get(..HEADER))
        .unwrap_or_default();
    Ok(match check_page(header, MAGIC) {
        Page::Newer(version) => Some(version),
        _ => None,
    })
}

fn read_all(storage: &dyn Storage, name: &str) -> io::Result<Option<Vec<u8>>> {
    let file = match storage.open(name) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(0)];
    file.read_at(&mut bytes, 0)?;
    Ok(Some(bytes))
}

fn decode(bytes: &[u8]) -> Page<Read> {
    let mut words = match check_page(bytes.get(..HEADER).unwrap_or_default(), MAGIC) {
        Page::Valid(words) => words,
        Page::Newer(version) => return Page::Newer(version),
        Page::Invalid => return Page::Invalid,
    };
    let covered = Covered {
        number: words.take(),
        spool: words.take(),
        owner: words.take(),
        bytes: bytes.len() as u64,
    };
    let (state_len, owner_len, crc) = (words.take(), words.take(), words.take());
    let parts = bytes.get(HEADER..).unwrap_or_default();
    let lengths = state_len.checked_add(owner_len.saturating_sub(1));
    if lengths != Some(parts.len() as u64) || u64::from(crc32c::crc32c(parts)) != crc {
        return Page::Invalid;
    }
    let (state, owner) = parts
        .split_at_checked(state_len as usize)
        .unwrap_or_default();
    match decode_state(state) {
        Ok((state, damage)) => Page::Valid(Read {
            covered,
            state,
            damage,
            owner: (owner_len > 0).then(|| owner.to_vec()),
        }),
        Err(_) => Page::Invalid,
    }
}

/// The spool's part: what every release writes, then what is known of damage, which the first did not.
fn decode_state(bytes: &[u8]) -> postcard::Result<(SpoolState, Known)> {
    let (state, rest) = postcard::take_from_bytes(bytes)?;
    let damage = match rest {
        [] => Known::default(),
        rest => postcard::from_bytes(rest)?,
    };
    Ok((state, damage))
}

/// The checkpoints in a directory, newest first.
pub(crate) fn read_both(storage: &dyn Storage) -> Result<Vec<Read>, StorageError> {
    let mut found = Vec::new();
    for number in 0..2 {
        found.extend(
            read(storage, &file_name(number)).map_err(StorageError::io("read a checkpoint"))?,
        );
    }
    found.sort_by_key(|read| std::cmp::Reverse(read.covered.number));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_comes_back_whole_or_not_at_all() {
        let covered = Covered {
            number: 4,
            spool: 10,
            owner: 12,
            bytes: 0,
        };
        let state = postcard::to_stdvec(&SpoolState {
            next_cursor: 7,
            ..SpoolState::default()
        })
        .unwrap();
        for owner in [None, Some(b"".as_slice()), Some(b"sessions".as_slice())] {
            let bytes = encode(covered, &state, owner);
            let Page::Valid(read) = decode(&bytes) else {
                panic!("damaged")
            };
            assert_eq!(
                read.covered,
                Covered {
                    bytes: bytes.len() as u64,
                    ..covered
                }
            );
            assert_eq!(read.state.next_cursor, 7);
            assert_eq!(read.owner.as_deref(), owner);
            for byte in 0..bytes.len() {
                let mut flipped = bytes.clone();
                flipped[byte] ^= 0x20;
                assert!(!matches!(decode(&flipped), Page::Valid(_)), "byte {byte}");
            }
            assert!(!matches!(decode(&bytes[..bytes.len() - 1]), Page::Valid(_)));
        }
    }
}
