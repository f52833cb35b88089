use crate::{paths::as_u32, span::Span};

/// Entries by the hash of path and value. Two values may share what is kept of a hash; the test of the entry tells them apart.
#[derive(Clone, Debug, Default)]
pub(super) struct Exact {
    /// A power of two of them, at most half in use.
    slots: Vec<Slot>,
    /// The pieces of `entries` of the hashes with more than one.
    groups: Vec<Span>,
    entries: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// The upper half of the hash; the lower half says where to look.
    tag: u32,
    /// An entry, or with [`GROUP`] the place of several, or [`FREE`].
    what: u32,
}

const GROUP: u32 = 1 << 31;
const FREE: u32 = u32::MAX;

impl Exact {
    pub(super) fn new(mut pairs: Vec<(u64, u32)>) -> Exact {
        pairs.sort_unstable();
        pairs.dedup();
        let groups = || pairs.chunk_by(|one, other| one.0 == other.0);
        let free = Slot { tag: 0, what: FREE };
        let mut exact = Exact {
            slots: match groups().count() {
                0 => Vec::new(),
                count => vec![free; (2 * count).next_power_of_two()],
            },
            ..Exact::default()
        };
        for group in groups() {
            match group {
                [] => {}
                [(hash, one)] => exact.put(*hash, *one),
                [(hash, _), ..] => {
                    exact.put(*hash, GROUP | as_u32(exact.groups.len()));
                    exact.groups.push(Span {
                        start: as_u32(exact.entries.len()),
                        len: as_u32(group.len()),
                    });
                    exact.entries.extend(group.iter().map(|it| it.1));
                }
            }
        }
        exact.groups.shrink_to_fit();
        exact.entries.shrink_to_fit();
        exact
    }

    fn put(&mut self, hash: u64, what: u32) {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while self.slots.get(at).is_some_and(|it| it.what != FREE) {
            at = (at + 1) & mask;
        }
        if let Some(free) = self.slots.get_mut(at) {
            let tag = (hash >> 32) as u32;
            *free = Slot { tag, what };
        }
    }

    /// Shows the entries under `hash`, and under any other that looks like it.
    pub(super) fn find(&self, hash: u64, out: &mut Vec<u32>) {
        let Some(mask) = self.slots.len().checked_sub(1) else {
            return;
        };
        let tag = (hash >> 32) as u32;
        let mut at = hash as usize & mask;
        while let Some(slot) = self.slots.get(at).filter(|it| it.what != FREE) {
            if slot.tag == tag {
                match slot.what & GROUP {
                    0 => out.push(slot.what),
                    _ => {
                        let group = self.groups.get((slot.what ^ GROUP) as usize);
                        out.extend_from_slice(group.map_or(&[], |it| it.of(&self.entries)));
                    }
                }
            }
            at = (at + 1) & mask;
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
            + self.groups.capacity() * size_of::<Span>()
            + self.entries.capacity() * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_under_hashes_that_look_alike_is_found_under_each() {
        let (one, other, third) = (1 << 32, 1 << 32 | 1 << 16, 2 << 32);
        let exact = Exact::new(vec![(one, 7), (other, 8), (other, 9), (third, 10)]);
        for (hash, expected) in [(one, 7), (other, 8), (other, 9), (third, 10)] {
            let mut found = Vec::new();
            exact.find(hash, &mut found);
            assert!(found.contains(&expected), "{hash:x}: {found:?}");
        }
        let mut found = Vec::new();
        exact.find(3 << 32, &mut found);
        assert!(found.is_empty(), "{found:?}");
    }
}
