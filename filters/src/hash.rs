//! A fast hash without a secret, and a table of ids by it. For rules, which come from the operator: an event can at most make
//! a lookup find what is then refused.

const FACTORS: [u64; 3] = [
    0x9e37_79b9_7f4a_7c15,
    0xd6e8_feb8_6659_fd93,
    0xa076_1d64_78bd_642f,
];

/// The hash of `bytes`, another one for each `seed`.
pub(crate) fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let [length, word, last] = FACTORS;
    let mut state = seed.wrapping_add(length) ^ (bytes.len() as u64).wrapping_mul(length);
    let mut rest = bytes;
    while let Some((chunk, behind)) = rest.split_first_chunk::<8>() {
        state = mix(state ^ u64::from_le_bytes(*chunk), word);
        rest = behind;
    }
    mix(state ^ tail(rest), last)
}

/// The hash of one number.
pub(crate) fn hash_word(seed: u64, word: u64) -> u64 {
    let [_, factor, last] = FACTORS;
    mix(mix(seed ^ word, factor), last)
}

/// The first and the last eight bytes as numbers: with its length they say all of what has up to sixteen bytes.
#[inline]
pub(crate) fn ends(bytes: &[u8]) -> (u64, u64) {
    match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => (tail(bytes), 0),
    }
}

/// Up to seven bytes as one number.
fn tail(rest: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (rest.first_chunk::<4>(), rest.last_chunk::<4>()) {
        return u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last));
    }
    rest.iter()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn mix(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    (product >> 64) as u64 ^ product as u64
}

/// Ids found by the hash of what they stand for; that itself is kept elsewhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdTable {
    /// A power of two of them, at most two thirds in use.
    slots: Vec<Slot>,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// The upper half of the hash.
    tag: u32,
    /// An id and 1; 0 where there is none.
    id: u32,
}

const FREE: Slot = Slot { tag: 0, id: 0 };

impl IdTable {
    #[inline]
    pub(crate) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let tag = tag(hash);
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = tag as usize & mask;
        loop {
            let slot = self.slots.get(at)?;
            let id = slot.id.checked_sub(1)?;
            if slot.tag == tag && is_it(id) {
                return Some(id);
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds an id that is not there.
    pub(crate) fn insert(&mut self, hash: u64, id: u32) {
        if (self.len + 1) * 3 > self.slots.len() * 2 {
            let larger = vec![FREE; (self.slots.len() * 2).max(8)];
            let slots = std::mem::replace(&mut self.slots, larger);
            for slot in slots.into_iter().filter(|it| it.id > 0) {
                self.put(slot);
            }
        }
        self.put(Slot {
            tag: tag(hash),
            id: id + 1,
        });
        self.len += 1;
    }

    fn put(&mut self, slot: Slot) {
        let mask = self.slots.len() - 1;
        let mut at = slot.tag as usize & mask;
        while self.slots.get(at).is_some_and(|it| it.id > 0) {
            at = (at + 1) & mask;
        }
        if let Some(free) = self.slots.get_mut(at) {
            *free = slot;
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
    }
}

fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}
