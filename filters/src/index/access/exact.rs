use crate::{index::test::Span, paths::as_u32};

/// Entries by the hash of path and value. Two values may share a hash; the test of the entry tells them apart.
#[derive(Clone, Debug, Default)]
pub(super) struct Exact {
    /// A power of two of them, at most half in use.
    slots: Vec<Slot>,
    /// Of the hashes with more than one.
    entries: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: u64,
    /// The one entry itself, where `len` is 1; none in a free slot.
    start: u32,
    len: u32,
}

impl Exact {
    pub(super) fn new(mut pairs: Vec<(u64, u32)>) -> Exact {
        pairs.sort_unstable();
        pairs.dedup();
        let groups = || pairs.chunk_by(|one, other| one.0 == other.0);
        let free = Slot {
            hash: 0,
            start: 0,
            len: 0,
        };
        let mut exact = Exact {
            slots: match groups().count() {
                0 => Vec::new(),
                count => vec![free; (2 * count).next_power_of_two()],
            },
            entries: Vec::new(),
        };
        for group in groups() {
            let Some((hash, first)) = group.first() else {
                continue;
            };
            let mut start = *first;
            if group.len() > 1 {
                start = as_u32(exact.entries.len());
                exact.entries.extend(group.iter().map(|it| it.1));
            }
            exact.put(Slot {
                hash: *hash,
                start,
                len: as_u32(group.len()),
            });
        }
        exact.entries.shrink_to_fit();
        exact
    }

    fn put(&mut self, slot: Slot) {
        let mask = self.slots.len() - 1;
        let mut at = slot.hash as usize & mask;
        while self.slots.get(at).is_some_and(|it| it.len > 0) {
            at = (at + 1) & mask;
        }
        if let Some(free) = self.slots.get_mut(at) {
            *free = slot;
        }
    }

    /// Shows the entries under `hash`.
    pub(super) fn find(&self, hash: u64, out: &mut Vec<u32>) {
        let Some(mask) = self.slots.len().checked_sub(1) else {
            return;
        };
        let mut at = hash as usize & mask;
        while let Some(slot) = self.slots.get(at).filter(|it| it.len > 0) {
            if slot.hash == hash {
                let (start, len) = (slot.start, slot.len);
                match len {
                    1 => out.push(start),
                    _ => out.extend_from_slice(Span { start, len }.of(&self.entries)),
                }
                return;
            }
            at = (at + 1) & mask;
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>() + self.entries.capacity() * 4
    }
}
