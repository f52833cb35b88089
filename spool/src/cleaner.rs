//! Sealing, cleaning and freeing segments.

mod rewrite;

use std::io;

pub(crate) use self::rewrite::{Keep, rewritten_size};
use crate::{
    frame::{PAGE, align},
    index,
    lists::Version,
    log::Inner,
    segment::{Index, Sealed, file_name},
};

impl Inner {
    /// Seals every segment behind which another holds committed frames.
    pub(crate) fn seal_all(&self) -> io::Result<()> {
        loop {
            let next = {
                let state = self.lock();
                let behind = state.segments.len().saturating_sub(1);
                let open = state
                    .segments
                    .iter()
                    .take(behind)
                    .find(|segment| !segment.is_sealed() && !state.is_last_trace(segment));
                // Copying one that failed takes a file beside it, and a run's last commit may have had the cleaner's room.
                let room = state.sizes.bound.saturating_sub(state.files_bytes());
                if open.is_some_and(|segment| segment.failed && segment.size > room) {
                    return Ok(());
                }
                open.map(|segment| ((segment.id, segment.generation), segment.failed))
            };
            match next {
                None => return Ok(()),
                Some((version, false)) => self.seal(version)?,
                // What is found damaged has to be in the ledger on disk first.
                Some((version, true)) if !self.rewrite(version, Keep::All)? => return Ok(()),
                Some((_, true)) => {}
            }
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
            segment.failed = true;
        }
        state.room.is_stale();
        written
    }

    /// Makes room: gives files back where the file system or the bound asks for it, and rewrites what is half dead
    /// where an append or the next segment finds no room.
    pub(crate) fn clean(&self, most: usize) -> io::Result<()> {
        self.give_back()?;
        for _ in 0..most {
            let candidate = {
                let mut state = self.lock();
                let fits = state.files_bytes() + state.sizes.segment / 2 <= state.sizes.bound;
                if !state.is_short() || !fits || state.drops != state.drops_stored || !state.began {
                    return Ok(());
                }
                let lows = state.lows();
                let worth = |segment: &&crate::segment::Segment| {
                    segment.is_sealed()
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
                return Ok(());
            };
            if !self.rewrite(version, Keep::Live)? {
                return Ok(());
            }
        }
        self.lock().want_chores();
        Ok(())
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
