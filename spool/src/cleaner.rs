//! Sealing, rewriting and freeing segments.

use std::io;

use crate::{
    StorageError,
    frame::{HEADER, PAGE, align},
    index::{self, Place, Row, Slots},
    lists::Version,
    log::{Inner, State},
    pending::Pending,
    read::{Located, located},
    record::Base,
    segment::{Index, Sealed, SegmentHeader, file_name, rewrite_name},
};

/// What a rewritten segment keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    /// Everything, since its file cannot be written any more.
    All,
    /// What somebody still needs.
    Live,
}

/// Records in one frame of a rewritten segment.
const FRAME_BYTES: u64 = 256 << 10;

/// Bytes of a rewritten segment's file, at most.
pub(crate) fn rewritten_size(records: u64, bytes: u64, keys: u64) -> u64 {
    // Deltas count from each frame's own base and may take a few bytes more.
    let content = bytes + records * 4;
    let frames = bytes / FRAME_BYTES + 1;
    let index = records * 18 + keys * 40 + PAGE;
    align(content + frames * (HEADER as u64 + PAGE) + index) + 2 * PAGE
}

impl Inner {
    /// Seals every segment behind which another holds committed frames.
    pub(crate) fn seal_all(&self) -> io::Result<()> {
        loop {
            let next = {
                let mut state = self.lock();
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
                let next = open.map(|segment| ((segment.id, segment.generation), segment.failed));
                if next.is_none() {
                    state.room.segments_changed = false;
                }
                next
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
            let space = self.storage.space()?;
            let mut state = self.lock();
            state.room.free_bytes = space.free_bytes;
            state.room.is_stale();
        }
    }

    /// False if it found damage, which has to be in the ledger on disk before its last trace goes.
    fn rewrite(&self, version: Version, keep: Keep) -> io::Result<bool> {
        let all = self.all_of(version).map_err(io::Error::other)?;
        let kept: Vec<Located> = {
            let state = self.lock();
            // Its index may have been made again for this.
            let segment = state.segment_by_id(version.0);
            if segment.is_some_and(|segment| state.is_last_trace(segment)) {
                return Ok(false);
            }
            all.into_iter()
                .filter(|located| keep == Keep::All || state.is_live(&located.place))
                .collect()
        };
        let Some(old) = self
            .lock()
            .segment_by_id(version.0)
            .filter(|it| it.generation == version.1)
            .map(|segment| (segment.first, segment.last, segment.last_time, segment.link))
        else {
            return Ok(true);
        };
        let salt = fastrand::u64(1..);
        let name = rewrite_name(version.0);
        match self.storage.remove(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let written = self.write_anew(&name, version.0, salt, &kept, old);
        let new = match written {
            Ok(Some(new)) => new,
            Ok(None) => {
                let mut state = self.lock();
                state.room.garbage.push(name);
                return Ok(state.drops == state.drops_stored);
            }
            Err(error) => {
                self.lock().room.garbage.push(name);
                return Err(error);
            }
        };
        let mut state = self.lock();
        state.lists.forget(version.0);
        self.files.forget(version.0);
        if let Some(segment) = state
            .segment_at(version.0)
            .and_then(|at| state.segments.get_mut(at))
        {
            let generation = segment.generation + 1;
            *segment = new;
            segment.generation = generation;
        }
        state.room.is_stale();
        drop(state);
        // The name leads to the new file already, whatever becomes of this; a crash may bring either back, and each serves:
        // the old one holds all the new one does at the same positions, and what it holds beyond was acknowledged, given up
        // in a ledger on disk or covered by both checkpoints when the new one was made. The bytes won are counted from here
        // on, and become a segment only with another sync of the directory. This one keeps a crash from taking the cleaner's
        // work back.
        self.storage.sync_directory()?;
        Ok(true)
    }

    /// Where every record of a segment is.
    fn all_of(&self, version: Version) -> Result<Vec<Located>, StorageError> {
        self.looked(&mut |state, extra| {
            let Some(segment) = state
                .segment_by_id(version.0)
                .filter(|it| it.generation == version.1)
            else {
                return Ok(Vec::new());
            };
            let row = &mut |_: &Row| true;
            let place = &mut |_: &Place| true;
            let places = state.gather(segment, 0, row, place, usize::MAX, extra)?;
            Ok(places
                .into_iter()
                .map(|place| located(segment, place, false))
                .collect())
        })
    }

    /// Writes these records into a file of their own and puts it in the segment's place; `None` if the segment changed
    /// meanwhile.
    fn write_anew(
        &self,
        name: &str,
        id: u64,
        salt: u64,
        kept: &[Located],
        (first, last, last_time, link): (u64, u64, u64, crate::frame::Link),
    ) -> io::Result<Option<crate::segment::Segment>> {
        let base = kept.first().map_or(
            Base {
                seq: first,
                time: last_time,
            },
            |located| Base {
                seq: located.place.seq,
                time: located.place.time,
            },
        );
        let bytes = kept
            .iter()
            .map(|located| u64::from(located.place.len))
            .sum();
        let keys: std::collections::BTreeSet<_> = kept
            .iter()
            .map(|located| (located.place.tag, located.place.route))
            .collect();
        let size = rewritten_size(kept.len() as u64, bytes, keys.len() as u64);
        let file = self.storage.create(name, size)?;

        let mut slots = Slots::new(base);
        let mut end = PAGE;
        let mut rest = kept;
        let mut frame = Pending::default();
        while !rest.is_empty() {
            let (mut taken, mut bytes) = (0, 0);
            for located in rest {
                taken += 1;
                bytes += u64::from(located.place.len);
                if bytes >= FRAME_BYTES {
                    break;
                }
            }
            let (now, later) = rest.split_at_checked(taken).unwrap_or((rest, &[]));
            rest = later;
            let Some(start) = now.first() else { break };
            frame.restart(Base {
                seq: start.place.seq,
                time: start.place.time,
            });
            let (mut too_long, drops) = (false, self.lock().drops);
            let whole = self.read_located(now, &mut |located, body| {
                too_long |= frame
                    .push(located.place.identity(), |bytes| {
                        bytes.extend_from_slice(body)
                    })
                    .is_err();
            });
            let damaged = self.lock().drops != drops;
            if !whole.map_err(io::Error::other)? || too_long || damaged {
                return Ok(None);
            }
            if frame.is_empty() {
                continue;
            }
            slots.extend_from(frame.base, &frame.slots, end as u32);
            let span = frame.span();
            file.write_at(frame.seal(salt, end, None), end)?;
            end += span;
        }
        slots.shrink();
        let built = index::build(&slots, salt);
        let sealed = Sealed::new(end, &built, salt);
        let segment = crate::segment::Segment {
            id,
            generation: 0,
            salt,
            size,
            first,
            last,
            base,
            last_time,
            end,
            records: slots.len() as u64,
            link,
            index: Index::Sealed(sealed.clone()),
            file: None,
            failed: false,
        };
        let trailer = segment.trailer(sealed.clone()).encode(&built.table);
        let lists_end = sealed
            .lists_offset()
            .saturating_add(built.lists.len() as u64);
        if lists_end > size - PAGE {
            return Err(io::Error::other(
                "the index of a rewritten segment does not fit",
            ));
        }
        file.write_at(&[built.table, built.lists].concat(), sealed.index_offset)?;
        file.write_at(&trailer, size - PAGE)?;
        file.write_at(
            &SegmentHeader {
                id,
                salt,
                end,
                first,
                last,
            }
            .encode(),
            0,
        )?;
        file.sync()?;
        self.storage.rename(name, &file_name(id))?;
        Ok(Some(segment))
    }
}

impl State {
    /// Whether somebody still needs a record.
    fn is_live(&self, place: &Place) -> bool {
        let tag = place.tag;
        if tag.is_control() {
            return place.seq >= self.checkpoints.spool_covered();
        }
        if self.pins.contains_key(&place.seq)
            || (tag.is_state() && place.seq > self.checkpoints.owner_covered())
        {
            return true;
        }
        let floor = self
            .floors
            .get(usize::from(tag.lane().0))
            .copied()
            .unwrap_or(0);
        let route = self
            .routes
            .get(place.route)
            .filter(|_| tag.is_event() && place.seq > floor);
        route.is_some_and(|route| {
            let mut cursors = route
                .route
                .cursors
                .iter()
                .filter_map(|cursor| self.cursors.get(&cursor.0));
            cursors.any(|cursor| cursor.owes(tag.lane(), place.seq))
        })
    }
}
