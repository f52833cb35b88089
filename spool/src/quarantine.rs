//! Copies of damaged segments, for those who want to look into them: a few, and only where there is room.

use std::{collections::BTreeSet, io};

use crate::{
    log::{Inner, State},
    medium::Medium,
    segment::{Fault, Segment, file_name},
    storage::Storage,
};

/// Copies that are kept.
const MOST: usize = 2;
const PREFIX: &str = "quarantine-";
const COPIED_AT_ONCE: u64 = 256 << 10;

/// Whether a file of this name is such a copy.
pub(crate) fn is_copy(name: &str) -> bool {
    name.starts_with(PREFIX)
}

pub(crate) fn copy_name(id: u64) -> String {
    format!("{PREFIX}{id:016x}")
}

/// The name for a copy of this segment; `None` if there is one, or enough of others.
pub(crate) fn free_name(storage: &dyn Storage, id: u64) -> io::Result<Option<String>> {
    let name = copy_name(id);
    let files = storage.list()?;
    let kept = || files.iter().filter(|(name, _)| is_copy(name));
    let is_free = kept().count() < MOST && kept().all(|(other, _)| *other != name);
    Ok(is_free.then_some(name))
}

/// Copies a segment's file and returns its length. Where it cannot be read the copy has zeros.
pub(crate) fn copy(storage: &dyn Storage, id: u64, name: &str) -> io::Result<u64> {
    let from = storage.open(&file_name(id))?;
    let (medium, len) = (Medium::of(&*from), from.len()?);
    let to = storage.create(name, len)?;
    let mut bytes = vec![0; COPIED_AT_ONCE as usize];
    for at in (0..len).step_by(bytes.len()) {
        let part = bytes
            .get_mut(..(len - at).min(COPIED_AT_ONCE) as usize)
            .unwrap_or_default();
        medium.read(part, at)?;
        to.write_at(part, at)?;
    }
    to.sync()?;
    Ok(len)
}

/// Segments in which damage was found while the log runs, and of which no copy was made yet.
#[derive(Debug, Default)]
pub(crate) struct Quarantine {
    due: BTreeSet<u64>,
}

impl Quarantine {
    pub(crate) fn add(&mut self, segment: u64) {
        self.due.insert(segment);
    }
}

impl Inner {
    /// Makes the copies that are due. Each is tried once, since nothing depends on it.
    pub(crate) fn fill_quarantine(&self) -> io::Result<()> {
        loop {
            let Some(id) = self.lock().quarantine.due.pop_first() else {
                return Ok(());
            };
            let Some(name) = free_name(&*self.storage, id)? else {
                continue;
            };
            let is_unreadable = |segment: &Segment| segment.fault == Some(Fault::Unreadable);
            if self.lock().segment_by_id(id).is_some_and(is_unreadable) {
                // Its file is kept as it is once it is written anew.
                continue;
            }
            if !self.lock().take_room_for_copy(id) {
                tracing::warn!(segment = id, "no room for a copy of a damaged segment");
                continue;
            }
            if let Err(error) = copy(&*self.storage, id, &name) {
                self.lock().room.garbage.push(name);
                return Err(error);
            }
        }
    }
}

impl State {
    /// Counts the copy of a segment in before it is made, and leaves room for a segment that is being made meanwhile.
    fn take_room_for_copy(&mut self, id: u64) -> bool {
        let Some(size) = self.segment_by_id(id).map(|segment| segment.size) else {
            return false;
        };
        let fits = self.creatable() > 1;
        if fits {
            self.room.quarantine_bytes += size;
            self.count_other_bytes();
            self.room.is_stale();
        }
        fits
    }
}
