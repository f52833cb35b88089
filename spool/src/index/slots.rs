//! Where records are, one after the other.

use crate::record::{Base, Identity, Tag};

/// Where one record is, compactly: deltas count from the base of the `Slots` it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(super) seq: u32,
    pub(super) time: u32,
    pub(crate) offset: u32,
    /// Length in the upper 24 bits, tag in the lower 8.
    len_tag: u32,
    pub(crate) route: u32,
}

impl Slot {
    pub(crate) fn new(seq: u32, time: u32, offset: u32, len: u32, tag: Tag, route: u32) -> Slot {
        Slot {
            seq,
            time,
            offset,
            len_tag: len << 8 | u32::from(tag.0),
            route,
        }
    }

    pub(crate) fn at(self, offset: u32) -> Slot {
        Slot { offset, ..self }
    }

    /// The record's position, in a frame that counts from there.
    pub(crate) fn position(self, base: Base) -> u64 {
        base.seq.saturating_add(u64::from(self.seq))
    }

    pub(crate) fn tag(self) -> Tag {
        Tag(self.len_tag as u8)
    }

    pub(crate) fn len(self) -> u32 {
        self.len_tag >> 8
    }
}

/// Where one record is, in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) seq: u64,
    pub(crate) time: u64,
    pub(crate) offset: u32,
    pub(crate) len: u32,
    pub(crate) tag: Tag,
    pub(crate) route: u32,
}

impl Place {
    /// Where the record ends.
    pub(crate) fn end(&self) -> u64 {
        u64::from(self.offset) + u64::from(self.len)
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity {
            seq: self.seq,
            time: self.time,
            route: self.route,
            tag: self.tag,
        }
    }
}

/// Records of one segment in order of position: all of them, or those of one key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slots {
    pub(crate) base: Base,
    pub(super) slots: Vec<Slot>,
}

impl Slots {
    pub(crate) fn new(base: Base) -> Slots {
        Slots {
            base,
            slots: Vec::new(),
        }
    }

    /// An empty list that `records` can be added to without being copied. Memory that is not written to costs nothing.
    pub(crate) fn with_room(base: Base, records: usize) -> Slots {
        Slots {
            base,
            slots: Vec::with_capacity(records),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.slots.truncate(len);
    }

    /// False if the record is too far from the base, in position or time, for this list.
    pub(crate) fn push_place(&mut self, place: &Place) -> bool {
        let seq = place
            .seq
            .checked_sub(self.base.seq)
            .and_then(|delta| u32::try_from(delta).ok());
        let time = place
            .time
            .checked_sub(self.base.time)
            .and_then(|delta| u32::try_from(delta).ok());
        let (Some(seq), Some(time)) = (seq, time) else {
            return false;
        };
        self.slots.push(Slot::new(
            seq,
            time,
            place.offset,
            place.len,
            place.tag,
            place.route,
        ));
        true
    }

    /// Takes over slots that count from a later base and whose offsets count from `offset`.
    pub(crate) fn extend_from(&mut self, base: Base, slots: &[Slot], offset: u32) {
        let seq = base.seq.saturating_sub(self.base.seq) as u32;
        let time = base.time.saturating_sub(self.base.time) as u32;
        self.slots.extend(slots.iter().map(|slot| Slot {
            seq: slot.seq.saturating_add(seq),
            time: slot.time.saturating_add(time),
            offset: slot.offset.saturating_add(offset),
            ..*slot
        }));
    }

    pub(crate) fn place(&self, slot: &Slot) -> Place {
        Place {
            seq: self.base.seq.saturating_add(u64::from(slot.seq)),
            time: self.base.time.saturating_add(u64::from(slot.time)),
            offset: slot.offset,
            len: slot.len(),
            tag: slot.tag(),
            route: slot.route,
        }
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = Place> + '_ {
        self.slots.iter().map(|slot| self.place(slot))
    }

    /// Those after `after`.
    pub(crate) fn after(&self, after: u64) -> impl Iterator<Item = Place> + '_ {
        let start = match after.checked_sub(self.base.seq) {
            Some(delta) => self
                .slots
                .partition_point(|slot| u64::from(slot.seq) <= delta),
            None => 0,
        };
        self.slots
            .get(start..)
            .unwrap_or_default()
            .iter()
            .map(|slot| self.place(slot))
    }

    /// The record at `seq` that is not one of the spool's own.
    pub(crate) fn find(&self, seq: u64) -> Option<Place> {
        self.after(seq.checked_sub(1)?)
            .take_while(|place| place.seq == seq)
            .find(|place| !place.tag.is_control())
    }

    /// The first at or after `time`.
    pub(crate) fn at_time(&self, time: u64) -> Option<u64> {
        let start = match time.checked_sub(self.base.time) {
            Some(delta) => self
                .slots
                .partition_point(|slot| u64::from(slot.time) < delta),
            None => 0,
        };
        self.slots.get(start).map(|slot| self.place(slot).seq)
    }

    pub(crate) fn shrink(&mut self) {
        self.slots.shrink_to_fit();
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
    }
}
