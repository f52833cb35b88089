//! Taking in the segment files: which hold frames of the log, and how far.

use std::{collections::BTreeMap, sync::Arc};

use super::{Mode, Opening, found::OnDisk};
use crate::{
    OpenError,
    frame::Link,
    housekeeper::MOST_SPARES,
    medium::Medium,
    scan::{Extent, Scan},
    segment::{Fault, Index, Segment, SegmentHeader, file_name},
    storage::File,
    target::TargetSegment,
};

impl Opening<'_> {
    /// Takes the segments in, from the newest to the oldest, since each says how far the one before it is valid. True if
    /// the last run ended with `close`, or there was none.
    pub(super) fn take_segments(
        &mut self,
        found: BTreeMap<u64, OnDisk>,
    ) -> Result<bool, OpenError> {
        self.state.room.last_id = found.keys().next_back().copied().unwrap_or(0);
        let nothing = found.is_empty();
        let mut later: Option<Link> = None;
        for (id, on_disk) in found.into_iter().rev() {
            let Some(segment) = self.take(id, on_disk, later)? else {
                continue;
            };
            self.clean.get_or_insert(false);
            later = Some(segment.link);
            self.state.segments.push_front(segment);
        }
        for (id, size) in std::mem::take(&mut self.unread).into_iter().rev() {
            self.take_newest_unread(id, size)?;
        }
        self.mend_links();
        self.find_holes();
        self.go_on_behind_all();
        Ok(self.clean.unwrap_or(nothing))
    }

    /// Takes one in, if it holds any of the log; `later` is how the one behind it names what is before it.
    fn take(
        &mut self,
        id: u64,
        on_disk: OnDisk,
        later: Option<Link>,
    ) -> Result<Option<Segment>, OpenError> {
        if later.is_some_and(|link| id > link.segment) {
            // Abandoned: what was to be in it was written again in the later one.
            match on_disk {
                OnDisk::Sealed(_) | OnDisk::Open { .. } => self.give_up(id, on_disk.size()),
                OnDisk::Unknown { .. } | OnDisk::Empty { .. } => self.remove(id),
            }
            return Ok(None);
        }
        let known = later.filter(|link| link.segment == id);
        let (header, size) = match on_disk {
            OnDisk::Sealed(segment) => return Ok(Some(*segment)),
            OnDisk::Empty { .. } => {
                self.remove(id);
                return Ok(None);
            }
            OnDisk::Open { header, size } => (header, size),
            OnDisk::Unknown { size } => match (self.salvage(id, size, known)?, later) {
                (Some(header), _) => (header, size),
                (None, Some(later)) => {
                    self.lost(id, later);
                    return Ok(None);
                }
                (None, None) => {
                    self.unread.push((id, size));
                    return Ok(None);
                }
            },
        };
        self.take_open(id, header, size, known, later.is_none())
    }

    /// The next position is behind all that was found, covered or cut.
    fn go_on_behind_all(&mut self) {
        let state = &mut self.state;
        let newest = state.segments.back();
        let (last, last_time) = newest.map_or((0, 0), |it| (it.last, it.last_time));
        let covered = state.checkpoints.newest();
        let raised = state.next_seq.saturating_sub(1);
        state.committed = last.max(covered.spool).max(covered.owner).max(raised);
        state.next_seq = state.committed.saturating_add(1);
        state.last_time = state.last_time.max(last_time);
    }

    pub(super) fn take_open(
        &mut self,
        id: u64,
        header: SegmentHeader,
        size: u64,
        known: Option<Link>,
        is_newest: bool,
    ) -> Result<Option<Segment>, OpenError> {
        let file = self.open_segment(id)?;
        let by_link = known
            .filter(|link| link.salt == header.salt)
            .map(|link| (link.end, link.last_seq));
        let by_header = (header.end > 0).then_some((header.end, header.last));
        let known_end = by_header.or(by_link);
        let medium = Medium::of(&*file);
        let extent = Extent {
            file: &medium,
            salt: header.salt,
            size,
            known_end,
        };
        let scan = extent.scan().map_err(OpenError::io("read a segment"))?;
        self.tails
            .extend(scan.tail.filter(|_| is_newest).map(|tail| (id, tail)));
        // The name and the header of a rewritten one are on disk only together with its records.
        if scan.frames == 0 && known.is_none() && by_header.is_none() {
            match scan.tail {
                // Whether it was abandoned, the damaged frame behind it would tell.
                Some(_) if !is_newest => self.damaged.push(id),
                // Nor is it known whether what the medium withholds was acknowledged.
                Some(_) if !medium.is_whole() => self.damaged.push(id),
                _ => self.give_up(id, size),
            }
            return Ok(None);
        }
        if !scan.gaps.is_empty() {
            self.damaged.push(id);
            self.gaps.insert(id, scan.gaps.clone());
        }
        let is_cut = scan.tail.is_some() || !scan.gaps.is_empty();
        let is_unreadable = is_cut && !medium.is_whole();
        if is_unreadable {
            if scan.gaps.is_empty() {
                self.damaged.push(id);
            }
            self.unreadable.insert(id);
        }
        if is_newest {
            self.clean = Some(scan.ended && self.tails.is_empty());
        }
        if self.mode == Mode::ReadWrite && !(is_newest && self.clean == Some(true)) {
            file.sync()
                .map_err(OpenError::io("sync what was recovered"))?;
        }
        let mut segment = segment_of(id, header, size, scan, file.clone());
        segment.fault = is_unreadable.then_some(Fault::Unreadable);
        if is_newest
            && self.clean == Some(true)
            && size == self.state.sizes.segment
            && !is_unreadable
        {
            self.target = target_of(&segment);
        }
        Ok(Some(segment))
    }

    pub(super) fn open_segment(&self, id: u64) -> Result<Arc<dyn File>, OpenError> {
        let opened = self.storage.open(&file_name(id));
        opened.map_err(OpenError::io("open a segment"))
    }

    /// A file that does not say that it is this one may be another one's second name, left by a rename that a crash cut
    /// short: used again, it would be written over under both. Its other name stays.
    pub(super) fn remove(&mut self, id: u64) {
        self.state.room.garbage.push(file_name(id));
    }

    /// A file of this name that holds nothing is used again or removed.
    fn give_up(&mut self, id: u64, size: u64) {
        let room = &mut self.state.room;
        if size == self.state.sizes.segment && room.spares.len() < MOST_SPARES {
            room.spares.push(file_name(id));
        } else {
            room.garbage.push(file_name(id));
        }
    }
}

fn target_of(segment: &Segment) -> Option<TargetSegment> {
    Some(TargetSegment {
        id: segment.id,
        salt: segment.salt,
        size: segment.size,
        end: segment.end,
        file: segment.file.clone()?,
        base: Some(segment.base),
        index_bytes: segment.records.saturating_mul(50),
    })
}

fn segment_of(
    id: u64,
    header: SegmentHeader,
    size: u64,
    scan: Scan,
    file: Arc<dyn File>,
) -> Segment {
    let rewritten = header.end > 0;
    Segment {
        id,
        generation: 0,
        salt: header.salt,
        size,
        first: if rewritten { header.first } else { scan.first },
        last: if rewritten { header.last } else { scan.last },
        base: scan.base(),
        last_time: scan.last_time,
        end: scan.end,
        records: scan.slots.len() as u64,
        link: scan.link,
        index: Index::Open(Arc::new(scan.slots)),
        file: Some(file),
        fault: None,
    }
}
