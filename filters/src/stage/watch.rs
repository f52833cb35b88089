use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{Bounds, Moment, Table, table::Evicted};

/// What is kept by key, and which key has been silent longest.
#[derive(Clone, Debug)]
pub(super) struct Watch<S> {
    keys: Table<S>,
    /// The keys whose silence matters, by when it began.
    silences: BTreeSet<(Moment, Arc<str>)>,
    evicted: u64,
}

/// What is kept of a key.
pub(super) trait Watched {
    /// Since when the key is silent; `None` if that does not matter.
    fn silent_since(&self) -> Option<Moment>;

    /// Bytes of its own allocations.
    fn heap_bytes(&self) -> usize;
}

impl<S: Watched> Watch<S> {
    pub(super) fn new(bounds: Bounds) -> Watch<S> {
        Watch {
            keys: Table::new(bounds),
            silences: BTreeSet::new(),
            evicted: 0,
        }
    }

    pub(super) fn take(&mut self, key: &str) -> Option<S> {
        let taken = self.keys.take(key)?;
        self.forget_silence(taken.key, &taken.state);
        Some(taken.state)
    }

    /// Keeps `state` for a key of which nothing is kept; gives what had to go for it.
    pub(super) fn put(&mut self, key: &Arc<str>, state: S) -> Vec<Evicted<S>> {
        if let Some(since) = state.silent_since() {
            self.silences.insert((since, Arc::clone(key)));
        }
        let bytes = state.heap_bytes();
        let evicted = self.keys.put(key, state, bytes).into_evicted();
        for it in &evicted {
            self.evicted += 1;
            self.forget_silence(Arc::clone(&it.key), &it.state);
        }
        evicted
    }

    /// The first key that has been silent for so long.
    pub(super) fn due(&self, now: Moment, silence: Duration) -> Option<&Arc<str>> {
        let (since, key) = self.silences.first()?;
        (now >= since.after(silence)).then_some(key)
    }

    /// When the next key will have been.
    pub(super) fn next_deadline(&self, silence: Duration) -> Option<Moment> {
        let (since, _) = self.silences.first()?;
        Some(since.after(silence))
    }

    /// The names of all keys, as they are now, the one used least recently first.
    pub(super) fn names(&self) -> Vec<String> {
        let keys = self.keys.iter_by_use();
        keys.map(|(key, _)| key.to_owned()).collect()
    }

    /// Changes what is kept of every key, whose sizes and turns stay what they are.
    pub(super) fn change_all(&mut self, change: impl Fn(&mut S)) {
        for key in self.names() {
            if let Some(mut state) = self.take(&key) {
                change(&mut state);
                self.put(&Arc::from(key), state);
            }
        }
    }

    pub(super) fn keys(&self) -> &Table<S> {
        &self.keys
    }

    /// Keys that had to go.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    fn forget_silence(&mut self, key: Arc<str>, state: &S) {
        if let Some(since) = state.silent_since() {
            self.silences.remove(&(since, key));
        }
    }
}
