use std::{collections::BTreeMap, sync::Arc};

/// How much a stage may remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Keys at once, at least 1.
    pub keys: usize,
    /// Bytes of keys and what is kept for them, as the table counts them.
    pub bytes: usize,
}

/// What is remembered by key. At its bounds the key that was used least recently goes.
#[derive(Clone, Debug)]
pub struct Table<S> {
    bounds: Bounds,
    /// Boxed, since a node of the map has room for eleven, and many tables hold one.
    entries: BTreeMap<Arc<str>, Box<Slot<S>>>,
    /// Keys by when they were used last.
    order: BTreeMap<u64, Arc<str>>,
    uses: u64,
    bytes: usize,
}

#[derive(Clone, Debug)]
struct Slot<S> {
    state: S,
    used: u64,
    bytes: usize,
}

/// One key and what a table held for it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Evicted<S> {
    pub(super) key: Arc<str>,
    pub(super) state: S,
    used: u64,
}

/// How to put a [`Table`] back to what it was before one [`Table::put`].
#[derive(Clone, Debug)]
pub(super) struct Before<S> {
    key: Arc<str>,
    previous: Option<(S, u64)>,
    evicted: Vec<Evicted<S>>,
}

/// What a key costs beside its bytes and its state: two map entries and a shared count.
const KEY_OVERHEAD_BYTES: usize = 64;

impl<S> Table<S> {
    /// Empty.
    pub fn new(bounds: Bounds) -> Table<S> {
        Table {
            bounds,
            entries: BTreeMap::new(),
            order: BTreeMap::new(),
            uses: 0,
            bytes: 0,
        }
    }

    /// What is kept for `key`.
    pub fn get(&self, key: &str) -> Option<&S> {
        self.entries.get(key).map(|slot| &slot.state)
    }

    /// Keys held.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no key is held.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes held, as counted against the bound.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// All keys, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &S)> {
        self.entries.iter().map(|(key, slot)| (&**key, &slot.state))
    }

    /// All keys, the one used least recently first: put back in this order, the same key goes next.
    pub fn iter_by_use(&self) -> impl Iterator<Item = (&str, &S)> {
        let keys = self.order.values();
        keys.filter_map(|key| Some((&**key, &self.entries.get(key)?.state)))
    }

    /// Keeps `state`, whose own allocations hold `heap_bytes`, for `key`, which thereby is the key used last. What had to go for it is in what
    /// is given back, and so is what was there before.
    pub(super) fn put(&mut self, key: &str, state: S, heap_bytes: usize) -> Before<S> {
        let removed = self.take(key);
        let key = removed
            .as_ref()
            .map_or_else(|| Arc::from(key), |it| Arc::clone(&it.key));
        self.uses += 1;
        self.insert(Arc::clone(&key), state, heap_bytes, self.uses);
        let mut evicted = Vec::new();
        while self.is_over() {
            match self.take_oldest() {
                Some(oldest) => evicted.push(oldest),
                None => break,
            }
        }
        Before {
            key,
            previous: removed.map(|it| (it.state, it.used)),
            evicted,
        }
    }

    /// Takes back the latest [`Table::put`] that was not taken back.
    pub(super) fn restore(&mut self, before: Before<S>, heap_bytes: impl Fn(&S) -> usize) {
        self.take(&before.key);
        if let Some((state, used)) = before.previous {
            let bytes = heap_bytes(&state);
            self.insert(before.key, state, bytes, used);
        }
        for Evicted { key, state, used } in before.evicted {
            let bytes = heap_bytes(&state);
            self.insert(key, state, bytes, used);
        }
    }

    /// Forgets all keys.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.order.clear();
        self.bytes = 0;
    }

    /// Forgets `key`.
    pub(super) fn take(&mut self, key: &str) -> Option<Evicted<S>> {
        let (key, slot) = self.entries.remove_entry(key)?;
        let slot = *slot;
        self.order.remove(&slot.used);
        self.bytes -= slot.bytes;
        Some(Evicted {
            key,
            state: slot.state,
            used: slot.used,
        })
    }

    fn insert(&mut self, key: Arc<str>, state: S, heap_bytes: usize, used: u64) {
        let bytes = KEY_OVERHEAD_BYTES + key.len() + size_of::<S>() + heap_bytes;
        self.bytes += bytes;
        self.order.insert(used, Arc::clone(&key));
        self.entries
            .insert(key, Box::new(Slot { state, used, bytes }));
    }

    /// One key may always be held, so that a stage goes on whatever its bound in bytes.
    fn is_over(&self) -> bool {
        self.entries.len() > 1
            && (self.entries.len() > self.bounds.keys || self.bytes > self.bounds.bytes)
    }

    fn take_oldest(&mut self) -> Option<Evicted<S>> {
        let key = self
            .order
            .first_key_value()
            .map(|(_, key)| Arc::clone(key))?;
        self.take(&key)
    }
}

impl<S> Before<S> {
    /// What had to go.
    pub(super) fn evicted(&self) -> &[Evicted<S>] {
        &self.evicted
    }

    /// What had to go, where nothing is to be taken back.
    pub(super) fn into_evicted(self) -> Vec<Evicted<S>> {
        self.evicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(keys: usize) -> Table<u32> {
        Table::new(Bounds {
            keys,
            bytes: usize::MAX,
        })
    }

    fn contents(table: &Table<u32>) -> Vec<(String, u32)> {
        table
            .iter()
            .map(|(key, it)| (key.to_owned(), *it))
            .collect()
    }

    #[test]
    fn the_key_used_least_recently_goes() {
        let mut table = table(2);
        table.put("a", 1, 0);
        table.put("b", 2, 0);
        table.put("a", 3, 0);
        let before = table.put("c", 4, 0);
        assert_eq!(before.evicted().len(), 1);
        assert_eq!(&*before.evicted()[0].key, "b");
        assert_eq!(contents(&table), [("a".into(), 3), ("c".into(), 4)]);
    }

    #[test]
    fn the_bound_in_bytes_holds_and_one_key_always_fits() {
        let mut table = Table::new(Bounds {
            keys: 100,
            bytes: 300,
        });
        for key in ["a", "b", "c", "d", "e"] {
            table.put(key, 1_u32, 20);
        }
        assert!(table.bytes() <= 300 && table.len() == 3, "{}", table.len());
        table.put("huge", 1, 1_000_000);
        assert_eq!(table.len(), 1);
        table.put("a", 1, 0);
        assert_eq!(contents(&table), [("a".into(), 1)]);
    }

    #[test]
    fn a_put_taken_back_leaves_no_trace() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut table = table(random.usize(1..5));
            for _ in 0..random.usize(0..10) {
                table.put(
                    ["a", "b", "c", "d", "e", "f"][random.usize(0..6)],
                    random.u32(..),
                    0,
                );
            }
            let (was, bytes, order) = (contents(&table), table.bytes(), table.order.clone());
            let mut undos = Vec::new();
            for _ in 0..random.usize(1..8) {
                undos.push(table.put(["a", "b", "c", "x", "y"][random.usize(0..5)], 0, 0));
            }
            for undo in undos.into_iter().rev() {
                table.restore(undo, |_| 0);
            }
            assert_eq!(contents(&table), was, "seed {seed}");
            assert_eq!((table.bytes(), table.order), (bytes, order), "seed {seed}");
        }
    }
}
