//! Sealing, cleaning and freeing segments.

mod rewrite;

use std::{collections::BTreeSet, io};

pub(crate) use self::rewrite::{Keep, rewritten_size};
use crate::{
    frame::{PAGE, align},
    index,
    lists::Version,
    log::{Inner, State},
    quarantine,
    segment::{Fault, Index, Sealed, Segment, file_name},
};

impl Inner {
    /// Seals every segment behind which another holds committed frames. One that cannot be written anew, and has to be, keeps
    /// no other from it.
    pub(crate) fn seal_all(&self) -> io::Result<()> {
        let (mut tried, mut result) = (BTreeSet::new(), Ok(()));
        loop {
            let Some((version, fault)) = self.lock().next_to_seal(&tried) else {
                return result;
            };
            match fault {
                None => self.seal(version)?,
                Some(fault) => {
                    tried.insert(version.0);
                    result = result.and(self.renew(version, fault));
                }
            }
        }
    }

    /// Writes a segment anew whose file is not written any more. What is found damaged has to be in the ledger on disk first:
    /// then it is tried again.
    fn renew(&self, version: Version, fault: Fault) -> io::Result<()> {
        let aside = match fault {
            Fault::Failed => None,
            Fault::Unreadable => quarantine::free_name(&*self.storage, version.0)?,
        };
        match aside {
            Some(name) => self.set_aside(version, &name),
            None => self.rewrite(version, Keep::All).map(drop),
        }
    }

    fn seal(&self, version: Version) -> io::Result<()> {
        let (slots, file, salt, end, size) = {
            let state = self.lock();
            let Some(segment) = state
                .segment_by_id(version.0)
                .filter(|it| it.generation == version.1)
            else {
                return Ok(());
            };
            let (Index::Open(slots), Some(file)) = (&segment.index, &segment.file) else {
                return Ok(());
            };
            (
                slots.clone(),
                file.clone(),
                segment.salt,
                segment.end,
                segment.size,
            )
        };
        let built = index::build(&slots, salt);
        let sealed = Sealed::new(align(end), &built, salt);
        let trailer_at = size.saturating_sub(PAGE);
        let fits = sealed
            .lists_offset()
            .saturating_add(built.lists.len() as u64)
            <= trailer_at;
        let trailer = {
            let state = self.lock();
            state
                .segment_by_id(version.0)
                .map(|segment| segment.trailer(sealed.clone()).encode(&built.table))
        };
        let Some(trailer) = trailer else {
            return Ok(());
        };
        let written = if fits {
            file.write_at(&[built.table, built.lists].concat(), sealed.index_offset)
                .and_then(|()| file.write_at(&trailer, trailer_at))
                .and_then(|()| file.sync())
        } else {
            Err(io::Error::other(
                "the index does not fit; the segment is rewritten",
            ))
        };
        let mut state = self.lock();
        let Some(segment) = state
            .segment_at(version.0)
            .and_then(|at| state.segments.get_mut(at))
        else {
            return Ok(());
        };
        if segment.generation != version.1 {
            return Ok(());
        }
        if written.is_ok() {
            segment.index = Index::Sealed(sealed);
            segment.file = None;
        } else {
            segment.fault = Some(Fault::Failed);
        }
        state.room.is_stale();
        written
    }

    /// Makes room: gives files back where the file system or the bound asks for it, and rewrites what is half dead
    /// where an append or the next segment finds no room.
    pub(crate) fn clean(&self, most: usize) -> io::Result<()> {
        self.give_back()?;
        let (mut tried, mut result) = (BTreeSet::new(), Ok(()));
        for _ in 0..most {
            let candidate = {
                let mut state = self.lock();
                let fits = state.files_bytes() + state.sizes.segment / 2 <= state.sizes.bound;
                if !state.is_short() || !fits || state.drops != state.drops_stored || !state.began {
                    return result;
                }
                let lows = state.lows();
                let worth = |segment: &&crate::segment::Segment| {
                    segment.is_sealed()
                        && !tried.contains(&segment.id)
                        && !state.is_dead(&lows, segment)
                        && state.is_worth_rewriting(&lows, segment)
                };
                state
                    .segments
                    .iter()
                    .find(worth)
                    .map(|segment| (segment.id, segment.generation))
            };
            let Some(version) = candidate else {
                return result;
            };
            match self.rewrite(version, Keep::Live) {
                Ok(true) => {}
                Ok(false) => return result,
                // One that cannot be read, or not for now, keeps no other from being cleaned.
                Err(error) => {
                    tried.insert(version.0);
                    result = result.and(Err(error));
                }
            }
        }
        if result.is_ok() {
            self.lock().want_chores();
        }
        result
    }

    /// Removes spares and dead segments while the files are over the bound or the file system is short of space.
    fn give_back(&self) -> io::Result<()> {
        loop {
            let name = {
                let mut state = self.lock();
                let over = state.files_bytes() > state.sizes.bound
                    || state.room.free_bytes < state.sizes.min_free;
                if !over {
                    return Ok(());
                }
                match state.room.spares.pop() {
                    Some(name) => name,
                    None => {
                        let Some(dead) = state.oldest_dead_of_any_size() else {
                            return Ok(());
                        };
                        let Some(segment) = state.segments.remove(dead) else {
                            return Ok(());
                        };
                        state.lists.forget(segment.id);
                        self.files.forget(segment.id);
                        file_name(segment.id)
                    }
                }
            };
            if let Err(error) = self.storage.remove(&name) {
                self.lock().room.garbage.push(name);
                return Err(error);
            }
            self.look_at_space()?;
            self.lock().room.is_stale();
        }
    }
}

impl State {
    /// The first segment that is to be sealed and was not `tried`, and why it has to be written anew for it.
    fn next_to_seal(&self, tried: &BTreeSet<u64>) -> Option<(Version, Option<Fault>)> {
        let behind = self.segments.len().saturating_sub(1);
        // Copying one that failed takes a file beside it, and a run's last commit may have had the cleaner's room.
        let room = self.sizes.bound.saturating_sub(self.files_bytes());
        let has_room = |segment: &Segment| match segment.fault {
            None => true,
            Some(Fault::Failed) => segment.size <= room,
            // Its file stays beside: not in the room of the cleaner.
            Some(Fault::Unreadable) => self.creatable() > 0,
        };
        let is_next = |segment: &&Segment| {
            !segment.is_sealed()
                && !tried.contains(&segment.id)
                && !self.is_last_trace(segment)
                && has_room(segment)
                && (segment.fault.is_none() || !self.withheld.is_any_of(segment.version()))
        };
        let segment = self.segments.iter().take(behind).find(is_next)?;
        Some((segment.version(), segment.fault))
    }
}
