use std::collections::BTreeMap;

/// What stood for a key from which position of the log on. Positions only rise.
#[derive(Clone, Debug)]
pub(super) struct History<K, V> {
    versions: BTreeMap<K, Vec<Version<V>>>,
}

/// From a position on: a value, or that there is none.
#[derive(Clone, Debug)]
pub(super) struct Version<V> {
    pub(super) position: u64,
    pub(super) value: Option<V>,
}

impl<K: Ord, V> History<K, V> {
    pub(super) fn new() -> History<K, V> {
        History {
            versions: BTreeMap::new(),
        }
    }

    /// What stood at a position, which belongs to it.
    pub(super) fn at<Q>(&self, key: &Q, position: u64) -> Option<(u64, &V)>
    where
        K: std::borrow::Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let versions = self.versions.get(key)?;
        let behind = versions.partition_point(|it| it.position <= position);
        let stood = versions.get(behind.checked_sub(1)?)?;
        Some((stood.position, stood.value.as_ref()?))
    }

    /// What stands from `position` on. What was said of that or a later position is replaced, so that a log that is read again says the same.
    pub(super) fn put(&mut self, key: K, position: u64, value: Option<V>) {
        let versions = self.versions.entry(key).or_default();
        let behind = versions.partition_point(|it| it.position < position);
        versions.truncate(behind);
        versions.push(Version { position, value });
    }

    /// Takes back what stands from `position` on.
    pub(super) fn take_back(&mut self, key: &K, position: u64) {
        if let Some(versions) = self.versions.get_mut(key) {
            versions.retain(|it| it.position != position);
        }
    }

    /// Forgets what stood at no position from `position` on.
    pub(super) fn forget_before(&mut self, position: u64) {
        self.versions.retain(|_, versions| {
            let behind = versions.partition_point(|it| it.position <= position);
            versions.drain(..behind.saturating_sub(1));
            versions.iter().any(|it| it.value.is_some())
        });
    }

    /// Forgets all keys that are not to be kept.
    pub(super) fn retain(&mut self, keeps: impl Fn(&K) -> bool) {
        self.versions.retain(|key, _| keeps(key));
    }

    /// Keys of which anything is known.
    pub(super) fn len(&self) -> usize {
        self.versions.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &Version<V>)> {
        let all = self.versions.iter();
        all.flat_map(|(key, versions)| versions.iter().map(move |it| (key, it)))
    }
}
