//! What waits for a commit: records encoded as they will stand in their frame.

use crate::{
    Loss, LossReason, checksum,
    control::Control,
    frame::{self, FLAG_LINK, HEADER, Header, Link, PAGE},
    index::Slot,
    joined::{Joined, Runs},
    record::{self, Base, Identity, Tag},
};

/// Index bytes a record may take, and a key.
const INDEX_PER_RECORD: u64 = 10;
const INDEX_PER_KEY: u64 = 40;
/// Bytes of a frame whose checksum is taken at once, before it is committed.
const SUMMED_AT_ONCE: usize = 32 << 10;

/// What comes true once the frame is committed.
#[derive(Debug)]
pub(crate) enum Effect {
    Acks(Vec<(u32, u64)>),
    Joined(Runs),
    Removed {
        cursor: u32,
        reason: Option<LossReason>,
    },
    /// What came beside it takes the place of a record.
    Unpinned(u64),
    /// So many losses, and what was given up so many times, are in the ledger on disk.
    LedgerStored {
        losses: u64,
        drops: u64,
    },
}

/// The frame of a coming commit.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// Room for the header, then records.
    pub(crate) bytes: Vec<u8>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) base: Base,
    first_seq: u64,
    pub(crate) last_seq: u64,
    pub(crate) last_time: u64,
    keys: u32,
    last_key: (u8, u32),
    pub(crate) effects: Vec<Effect>,
    /// Stored when the frame is committed.
    pub(crate) joined: Joined,
    /// What the cursors it removes were owed: in the ledger that it stores, and in that of memory once it is committed. A
    /// checkpoint that overtakes it has the cursors still.
    pub(crate) debts: Vec<Loss>,
    flags: u16,
    /// Bytes of the content whose checksum is known, and it.
    summed: (usize, u32),
}

/// A state of a `Pending` to go back to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    bytes: usize,
    slots: usize,
    effects: usize,
    first_seq: u64,
    last_seq: u64,
    last_time: u64,
}

impl Pending {
    pub(crate) fn with_room(bytes: usize) -> Pending {
        Pending {
            bytes: Vec::with_capacity(bytes),
            ..Pending::default()
        }
    }

    pub(crate) fn restart(&mut self, base: Base) {
        self.bytes.clear();
        self.bytes.resize(HEADER, 0);
        self.slots.clear();
        self.effects.clear();
        self.joined.clear();
        self.debts.clear();
        self.base = base;
        self.first_seq = 0;
        self.last_seq = base.seq.saturating_sub(1);
        self.last_time = base.time;
        self.keys = 0;
        self.last_key = (u8::MAX, u32::MAX);
        self.flags = 0;
        self.summed = (0, 0);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len() + self.joined.bytes()
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark {
            bytes: self.bytes.len(),
            slots: self.slots.len(),
            effects: self.effects.len(),
            first_seq: self.first_seq,
            last_seq: self.last_seq,
            last_time: self.last_time,
        }
    }

    pub(crate) fn bytes_since(&self, mark: &Mark) -> usize {
        self.bytes.len().saturating_sub(mark.bytes)
    }

    /// Bytes of the records since, and of their index entries at most.
    pub(crate) fn room_since(&self, mark: &Mark) -> u64 {
        let records = self.slots.len().saturating_sub(mark.slots) as u64;
        self.bytes_since(mark) as u64 + records * INDEX_PER_RECORD
    }

    pub(crate) fn back_to(&mut self, mark: &Mark) {
        self.bytes.truncate(mark.bytes);
        self.slots.truncate(mark.slots);
        self.effects.truncate(mark.effects);
        self.first_seq = mark.first_seq;
        self.last_seq = mark.last_seq;
        self.last_time = mark.last_time;
    }

    /// Appends a record and returns its length; `Err` if it is too long for one.
    pub(crate) fn push(
        &mut self,
        identity: Identity,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<u32, ()> {
        let offset = self.bytes.len();
        let len = record::encode(&mut self.bytes, identity, self.base, encode)?;
        let seq = identity.seq.saturating_sub(self.base.seq) as u32;
        let time = identity.time.saturating_sub(self.base.time) as u32;
        self.slots.push(Slot::new(
            seq,
            time,
            offset as u32,
            len,
            identity.tag,
            identity.route,
        ));
        if self.first_seq == 0 {
            self.first_seq = identity.seq;
        }
        self.last_seq = identity.seq;
        self.last_time = identity.time;
        let key = (identity.tag.0, identity.route);
        if key != self.last_key {
            self.last_key = key;
            self.keys = self.keys.saturating_add(1);
        }
        Ok(len)
    }

    /// Appends one of the spool's own records at a position that may be its predecessor's.
    pub(crate) fn push_control(&mut self, control: &Control, seq: u64) {
        let identity = Identity {
            seq,
            time: self.last_time,
            route: 0,
            tag: Tag::CONTROL,
        };
        // Longer than a record may be means that it is not stored; none of ours comes near that.
        let _ = self.push(identity, |bytes| control.encode(bytes));
    }

    /// Moves what came after `mark` into a frame of its own.
    pub(crate) fn split_off(&mut self, mark: &Mark, mut into: Pending) -> Pending {
        into.restart(self.base);
        let moved = mark.bytes as u32;
        into.bytes
            .extend_from_slice(self.bytes.get(mark.bytes..).unwrap_or_default());
        let slots = self.slots.get(mark.slots..).unwrap_or_default();
        let behind = |slot: &Slot| {
            slot.offset
                .saturating_sub(moved)
                .saturating_add(HEADER as u32)
        };
        into.slots
            .extend(slots.iter().map(|slot| slot.at(behind(slot))));
        into.effects
            .extend(self.effects.drain(mark.effects.min(self.effects.len())..));
        into.first_seq = mark.last_seq.saturating_add(1);
        into.last_seq = self.last_seq;
        into.last_time = self.last_time;
        into.keys = self.keys;
        self.back_to(mark);
        into
    }

    pub(crate) fn set_flags(&mut self, flags: u16) {
        self.flags |= flags;
    }

    /// Bytes the frame takes in its segment.
    pub(crate) fn span(&self) -> u64 {
        frame::align(self.bytes.len() as u64)
    }

    /// Bytes to keep for its part of the segment's index.
    pub(crate) fn index_bytes(&self) -> u64 {
        self.slots.len() as u64 * INDEX_PER_RECORD + u64::from(self.keys) * INDEX_PER_KEY
    }

    /// Takes the checksum of what no transaction takes back any more, while it is at hand: the committer, which everybody
    /// waits for, has less to do.
    pub(crate) fn sum_ahead(&mut self) {
        let rest = self.bytes.get(HEADER + self.summed.0..).unwrap_or_default();
        if rest.len() >= SUMMED_AT_ONCE {
            self.summed = (
                self.summed.0 + rest.len(),
                crc32c::crc32c_append(self.summed.1, rest),
            );
        }
    }

    /// The checksum over the salt, then the content.
    fn content_crc(&self, salt: u64, content: &[u8]) -> u32 {
        let (len, crc) = self.summed;
        if len == 0 {
            return frame::salted(salt, content);
        }
        let rest = content.get(len..).unwrap_or_default();
        let crc = crc32c::crc32c_append(crc, rest);
        checksum::joined(frame::salted(salt, &[]), crc, content.len() as u32)
    }

    /// The whole frame, ready to be written at `offset` of the segment with this salt.
    pub(crate) fn seal(&mut self, salt: u64, offset: u64, link: Option<Link>) -> &[u8] {
        let content_len = self.content_len();
        let content = self
            .bytes
            .get(HEADER..HEADER + content_len)
            .unwrap_or_default();
        let header = Header {
            content_len: content_len as u32,
            content_crc: self.content_crc(salt, content),
            flags: self.flags | if link.is_some() { FLAG_LINK } else { 0 },
            records: self.slots.len() as u32,
            base: self.base,
            first_seq: self.first_seq,
            last_seq: self.last_seq,
            last_time: self.last_time,
            link: link.unwrap_or_default(),
        };
        for (to, from) in self.bytes.iter_mut().zip(header.encode(salt, offset)) {
            *to = from;
        }
        let padded = self.bytes.len().next_multiple_of(PAGE as usize);
        self.bytes.resize(padded, 0);
        &self.bytes
    }

    /// A frame that was padded for a write that failed is as long as its records say.
    pub(crate) fn content_len(&self) -> usize {
        let end = self
            .slots
            .last()
            .map_or(HEADER, |slot| slot.offset as usize + slot.len() as usize);
        end.saturating_sub(HEADER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_summed_ahead_is_the_frame_summed_at_once() {
        let frame = |ahead: bool| {
            let mut frame = Pending::default();
            frame.restart(Base { seq: 1, time: 1 });
            for seq in 1..=1_000 {
                let mark = frame.mark();
                append(&mut frame, seq, 200);
                if seq % 3 == 0 {
                    frame.back_to(&mark);
                }
                if ahead {
                    frame.sum_ahead();
                }
            }
            assert_eq!(frame.summed.0 > 0, ahead);
            frame.seal(77, 8 * PAGE, None).to_vec()
        };
        assert_eq!(frame(true), frame(false));
    }

    #[test]
    fn a_frame_is_sealed_again_for_another_segment() {
        let mut frame = Pending::default();
        frame.restart(Base { seq: 1, time: 1 });
        append(&mut frame, 1, 100 << 10);
        frame.sum_ahead();
        let first = frame.seal(77, PAGE, None).to_vec();
        frame.seal(78, 2 * PAGE, None);
        assert_eq!(frame.seal(77, PAGE, None), first);
    }

    fn append(frame: &mut Pending, seq: u64, len: usize) {
        let identity = Identity {
            seq,
            time: 1,
            route: 3,
            tag: Tag(0),
        };
        frame
            .push(identity, |bytes| bytes.resize(bytes.len() + len, seq as u8))
            .unwrap();
    }
}
