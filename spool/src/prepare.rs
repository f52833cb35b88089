//! Making segment files: from a spare, anew, or from a segment that nothing needs any more.

use std::{
    io,
    sync::{Arc, PoisonError},
};

use crate::{
    frame::PAGE,
    log::{Inner, State},
    segment::{SegmentHeader, file_name},
    storage::File,
    target::TargetSegment,
};

/// A segment that holds no frame yet: header on disk, name on disk.
pub(crate) struct Prepared {
    id: u64,
    salt: u64,
    file: Arc<dyn File>,
}

/// Segments made before they are needed: while the one is filled, the housekeeper makes another, and may be late by a segment.
const SEGMENTS_AHEAD: usize = 2;

/// Where its file comes from.
enum Source {
    /// A file of the right size under this name.
    Existing(String),
    New,
}

impl Inner {
    /// The segment for the next frame; made on the spot if none is ready.
    pub(crate) fn take_segment(&self) -> io::Result<TargetSegment> {
        let ready = self.lock().room.ready.pop_front();
        let prepared = match ready {
            Some(prepared) => prepared,
            None => {
                let _one = self
                    .preparing
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                let ready = self.lock().room.ready.pop_front();
                match ready {
                    Some(prepared) => prepared,
                    None => self.make_segment(true)?,
                }
            }
        };
        let size = self.lock().sizes.segment;
        Ok(TargetSegment {
            id: prepared.id,
            salt: prepared.salt,
            size,
            end: PAGE,
            file: prepared.file,
            base: None,
            index_bytes: 0,
        })
    }

    /// Makes a segment before it is needed; true if it did.
    pub(crate) fn prepare(&self) -> io::Result<bool> {
        let Ok(_one) = self.preparing.try_lock() else {
            return Ok(false);
        };
        {
            let state = self.lock();
            // One segment stays for a commit that comes while nothing is freed yet.
            let roomy = !state.room.spares.is_empty() || state.creatable() > 1;
            // Nothing is dead before the owner has said what it needs, and a log that nobody writes to needs no more than one.
            let ahead = if state.began { SEGMENTS_AHEAD } else { 1 };
            if state.room.ready.len() >= ahead || !(roomy || state.oldest_dead().is_some()) {
                return Ok(false);
            }
        }
        let prepared = self.make_segment(false)?;
        self.lock().room.ready.push_back(prepared);
        Ok(true)
    }

    fn make_segment(&self, in_need: bool) -> io::Result<Prepared> {
        let (source, id, size, freed) = loop {
            // Checkpoints and others on the file system have taken of it since, and what was removed here is free.
            self.look_at_space()?;
            let mut state = self.lock();
            if let Some((source, freed)) = state.take_source(in_need) {
                state.room.last_id += 1;
                break (source, state.room.last_id, state.sizes.segment, freed);
            }
            // A segment that was rewritten is too small to be used again, but its bytes can be.
            let dead = state
                .oldest_dead_of_any_size()
                .and_then(|at| state.segments.remove(at));
            let Some(dead) = dead else {
                let reason = "the spool's bound or the file system leaves no room for a segment";
                return Err(io::Error::new(io::ErrorKind::StorageFull, reason));
            };
            state.lists.forget(dead.id);
            drop(state);
            self.files.forget(dead.id);
            if let Err(error) = self.storage.remove(&file_name(dead.id)) {
                self.lock().room.garbage.push(file_name(dead.id));
                return Err(error);
            }
        };
        if let Some(freed) = freed {
            self.files.forget(freed);
        }
        let salt = fastrand::u64(1..);
        let made = self.make_file(&source, id, salt, size);
        if made.is_err() {
            // Under whichever of its names the file is, it holds nothing that is needed.
            let mut state = self.lock();
            if let Source::Existing(name) = source {
                state.room.garbage.push(name);
            }
            state.room.garbage.push(file_name(id));
        }
        made.map(|file| Prepared { id, salt, file })
    }

    fn make_file(
        &self,
        source: &Source,
        id: u64,
        salt: u64,
        size: u64,
    ) -> io::Result<Arc<dyn File>> {
        let name = file_name(id);
        let file = match source {
            Source::Existing(old) => {
                self.storage.rename(old, &name)?;
                let file = self.storage.open(&name)?;
                // So that the file cannot be taken for the sealed segment it was.
                file.write_at(&[0; PAGE as usize], size.saturating_sub(PAGE))?;
                file
            }
            Source::New => self.storage.create(&name, size)?,
        };
        file.write_at(&SegmentHeader::of_open(id, salt).encode(), 0)?;
        file.sync()?;
        self.storage.sync_directory()?;
        Ok(file)
    }
}

impl State {
    /// The oldest segment that is dead for good and has a whole segment's size.
    pub(crate) fn oldest_dead(&self) -> Option<usize> {
        if self.drops != self.drops_stored {
            return None;
        }
        let lows = self.lows();
        let size = self.sizes.segment;
        self.segments
            .iter()
            .position(|segment| segment.size == size && self.is_dead(&lows, segment))
    }

    fn take_source(&mut self, in_need: bool) -> Option<(Source, Option<u64>)> {
        self.room.is_stale();
        if let Some(name) = self.room.spares.pop() {
            return Some((Source::Existing(name), None));
        }
        if self.creatable() > 0 {
            return Some((self.new_file(), None));
        }
        if let Some(dead) = self.oldest_dead().and_then(|at| self.segments.remove(at)) {
            self.lists.forget(dead.id);
            return Some((Source::Existing(file_name(dead.id)), Some(dead.id)));
        }
        let small_dead = self.oldest_dead_of_any_size().is_some();
        (in_need && !small_dead && self.creatable_in_need() > 0).then(|| (self.new_file(), None))
    }

    /// What it takes of the file system is not free until the next look says otherwise.
    fn new_file(&mut self) -> Source {
        self.room.free_bytes = self.room.free_bytes.saturating_sub(self.sizes.segment);
        Source::New
    }

    pub(crate) fn oldest_dead_of_any_size(&self) -> Option<usize> {
        if self.drops != self.drops_stored {
            return None;
        }
        let lows = self.lows();
        self.segments
            .iter()
            .position(|segment| self.is_dead(&lows, segment))
    }
}
