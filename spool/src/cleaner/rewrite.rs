//! A segment's file written anew: with what of it is still needed, at the same positions.

use std::{collections::BTreeSet, io, sync::Arc};

use crate::{
    frame::{HEADER, Link, PAGE, align},
    index::{self, Place, Slots},
    lists::Version,
    log::{Inner, State},
    pending::Pending,
    read::Located,
    record::Base,
    segment::{Index, Sealed, Segment, SegmentHeader, file_name, rewrite_name},
    storage::File,
};

/// What a rewritten segment keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep<'a> {
    /// Everything, since its file cannot be written any more.
    All,
    /// What somebody still needs.
    Live,
    /// The same, and the old file under this name.
    AllAndTheOld(&'a str),
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

/// What a rewritten segment goes on standing for.
#[derive(Clone, Copy, Debug)]
struct Range {
    id: u64,
    first: u64,
    last: u64,
    last_time: u64,
    link: Link,
}

impl Range {
    fn of(segment: &Segment) -> Range {
        Range {
            id: segment.id,
            first: segment.first,
            last: segment.last,
            last_time: segment.last_time,
            link: segment.link,
        }
    }
}

impl Inner {
    /// False if it found damage, which has to be in the ledger on disk before its last trace goes.
    pub(crate) fn rewrite(&self, version: Version, keep: Keep<'_>) -> io::Result<bool> {
        let all = self.located_in(version, &|_| true);
        let all = all.map_err(io::Error::other)?;
        let (old, kept) = {
            let state = self.lock();
            let segment = state.segment_by_id(version.0);
            // Its index may have been made again for this.
            if segment.is_some_and(|segment| state.is_last_trace(segment)) {
                return Ok(false);
            }
            let Some(segment) = segment.filter(|it| it.generation == version.1) else {
                return Ok(true);
            };
            let mut kept = all;
            kept.retain(|located| keep != Keep::Live || state.is_live(&located.place));
            (Range::of(segment), kept)
        };
        let name = rewrite_name(version.0);
        match self.storage.remove(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Who has looked up where something is reads it there, whatever the name leads to meanwhile.
        self.files.keep(&*self.storage, version)?;
        let written = self.write_anew(&name, old, &kept, keep);
        if !matches!(written, Ok(Some(_))) {
            self.files.forget(version.0);
        }
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

    /// Writes these records into a file of their own and puts it in the segment's place; `None` if the segment changed
    /// meanwhile.
    fn write_anew(
        &self,
        name: &str,
        range: Range,
        kept: &[Located],
        keep: Keep<'_>,
    ) -> io::Result<Option<Segment>> {
        let size = size_of(kept);
        let mut anew = Anew::begin(self.storage.create(name, size)?, size, range, kept);
        let mut rest = kept;
        while let Some((frame, later)) = split_frame(rest) {
            if !anew.push_frame(self, frame)? {
                return Ok(None);
            }
            rest = later;
        }
        let segment = anew.finish(range)?;
        let own = file_name(range.id);
        match keep {
            Keep::AllAndTheOld(aside) => self.exchange(name, &own, aside)?,
            Keep::All | Keep::Live => self.storage.rename(name, &own)?,
        }
        Ok(Some(segment))
    }

    /// Puts `new` in the place of `own`, whose file goes on as `aside`. As long as `new` has its name, a start takes this back
    /// where it does not find `own`: so neither name may reach the disk before the one it makes up for.
    fn exchange(&self, new: &str, own: &str, aside: &str) -> io::Result<()> {
        self.storage.sync_directory()?;
        self.storage.rename(own, aside)?;
        let exchanged = self
            .storage
            .sync_directory()
            .and_then(|()| self.storage.rename(new, own));
        if exchanged.is_err() {
            self.storage.rename(aside, own)?;
        }
        exchanged
    }
}

/// Bytes of the file for these records.
fn size_of(kept: &[Located]) -> u64 {
    let places = || kept.iter().map(|located| &located.place);
    let bytes = places().map(|place| u64::from(place.len)).sum();
    let keys: BTreeSet<_> = places().map(|place| (place.tag, place.route)).collect();
    rewritten_size(kept.len() as u64, bytes, keys.len() as u64)
}

/// The records of the next frame, and those behind it; `None` if there are no more.
fn split_frame(rest: &[Located]) -> Option<(&[Located], &[Located])> {
    let mut bytes = 0;
    let is_within = |located: &&Located| {
        let fits = bytes < FRAME_BYTES;
        bytes += u64::from(located.place.len);
        fits
    };
    let taken = rest.iter().take_while(is_within).count();
    rest.split_at_checked(taken).filter(|_| taken > 0)
}

/// A segment's new file while it is written.
struct Anew {
    file: Arc<dyn File>,
    size: u64,
    salt: u64,
    /// Where the next frame goes.
    end: u64,
    slots: Slots,
    frame: Pending,
}

impl Anew {
    fn begin(file: Arc<dyn File>, size: u64, range: Range, kept: &[Located]) -> Anew {
        let nothing = Base {
            seq: range.first,
            time: range.last_time,
        };
        Anew {
            file,
            size,
            salt: fastrand::u64(1..),
            end: PAGE,
            slots: Slots::new(kept.first().map_or(nothing, base_of)),
            frame: Pending::default(),
        }
    }

    /// Writes these records as one frame; false if not all of them are as they were looked up.
    fn push_frame(&mut self, inner: &Inner, located: &[Located]) -> io::Result<bool> {
        let frame = &mut self.frame;
        frame.restart(located.first().map(base_of).unwrap_or_default());
        let (mut too_long, drops) = (false, inner.lock().drops);
        let whole = inner.read_located(located, &mut |located, body| {
            let encode = |bytes: &mut Vec<u8>| bytes.extend_from_slice(body);
            too_long |= frame.push(located.place.identity(), encode).is_err();
        });
        let damaged = inner.lock().drops != drops;
        if !whole.map_err(io::Error::other)? || too_long || damaged {
            return Ok(false);
        }
        self.slots
            .extend_from(frame.base, &frame.slots, self.end as u32);
        let span = frame.span();
        self.file
            .write_at(frame.seal(self.salt, self.end, None), self.end)?;
        self.end += span;
        Ok(true)
    }

    /// Writes the index and both pages, and syncs the file.
    fn finish(mut self, range: Range) -> io::Result<Segment> {
        let (file, size, salt, end) = (self.file, self.size, self.salt, self.end);
        self.slots.shrink();
        let built = index::build(&self.slots, salt);
        let sealed = Sealed::new(end, &built, salt);
        let lists_end = sealed
            .lists_offset()
            .saturating_add(built.lists.len() as u64);
        if lists_end > size - PAGE {
            return Err(io::Error::other(
                "the index of a rewritten segment does not fit",
            ));
        }
        let Range {
            id,
            first,
            last,
            last_time,
            link,
        } = range;
        let segment = Segment {
            id,
            generation: 0,
            salt,
            size,
            first,
            last,
            base: self.slots.base,
            last_time,
            end,
            records: self.slots.len() as u64,
            link,
            index: Index::Sealed(sealed.clone()),
            file: None,
            fault: None,
        };
        let header = SegmentHeader {
            id,
            salt,
            end,
            first,
            last,
        };
        let trailer = segment.trailer(sealed.clone()).encode(&built.table);
        file.write_at(&[built.table, built.lists].concat(), sealed.index_offset)?;
        file.write_at(&trailer, size - PAGE)?;
        file.write_at(&header.encode(), 0)?;
        file.sync()?;
        Ok(segment)
    }
}

fn base_of(located: &Located) -> Base {
    Base {
        seq: located.place.seq,
        time: located.place.time,
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
            let (lane, seq) = (tag.lane(), place.seq);
            let stored = self.ledger.stored();
            cursors.any(|cursor| cursor.owes(lane, seq) || cursor.holds(lane, seq, stored))
        })
    }
}
