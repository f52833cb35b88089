//! Index tables and lists of sealed segments that were read from disk lately.

use std::{collections::HashMap, sync::Arc};

use crate::{
    index::{Row, Slots},
    liveness::Needed,
    record::Tag,
};

/// A segment's file as it is at present: rewriting gives another generation.
pub(crate) type Version = (u64, u32);
type ListKey = (Version, Tag, u32);

/// What has to be read from disk, without the lock, before an operation can go on.
#[derive(Debug)]
pub(crate) struct Need {
    pub(crate) version: Version,
    pub(crate) what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    Table,
    Lists(Vec<Row>),
}

/// The cache: at most so many bytes and lists, and the most recently added whatever its size. Beside it, what was seen
/// in tables it does not hold any more.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    tables: HashMap<Version, Arc<[Row]>>,
    lists: HashMap<ListKey, (Arc<Slots>, u64)>,
    bytes: usize,
    tick: u64,
    /// How often something had to be read for one operation.
    pub(crate) loads: usize,
    /// Of segments whose table is too large to be kept.
    needed: HashMap<Version, Needed>,
}

const MOST_BYTES: usize = 2 << 20;
const MOST_LISTS: usize = 512;
const MOST_TABLES: usize = 16;

impl Lists {
    pub(crate) fn table(&self, version: Version) -> Option<&Arc<[Row]>> {
        self.tables.get(&version)
    }

    pub(crate) fn list(&self, version: Version, row: &Row) -> Option<&Arc<Slots>> {
        self.lists
            .get(&(version, row.tag, row.route))
            .map(|(list, _)| list)
    }

    pub(crate) fn add_table(&mut self, version: Version, rows: Arc<[Row]>) {
        if self.tables.len() >= MOST_TABLES {
            self.tables.clear();
        }
        self.tables.insert(version, rows);
    }

    pub(crate) fn add_list(&mut self, version: Version, row: &Row, list: Arc<Slots>) {
        while self.bytes > 0
            && (self.bytes + list.memory_bytes() > MOST_BYTES || self.lists.len() >= MOST_LISTS)
        {
            let Some(oldest) = self
                .lists
                .iter()
                .min_by_key(|(_, (_, tick))| *tick)
                .map(|(key, _)| *key)
            else {
                break;
            };
            self.remove(oldest);
        }
        self.add_unbounded(version, row, list);
    }

    /// For the time of one operation, which needs all its lists at once.
    pub(crate) fn add_unbounded(&mut self, version: Version, row: &Row, list: Arc<Slots>) {
        self.tick += 1;
        self.bytes += list.memory_bytes();
        let key = (version, row.tag, row.route);
        if let Some((old, _)) = self.lists.insert(key, (list, self.tick)) {
            self.bytes = self.bytes.saturating_sub(old.memory_bytes());
        }
    }

    fn remove(&mut self, key: ListKey) {
        if let Some((list, _)) = self.lists.remove(&key) {
            self.bytes = self.bytes.saturating_sub(list.memory_bytes());
        }
    }

    pub(crate) fn needed(&self, version: Version) -> Option<&Needed> {
        self.needed.get(&version)
    }

    pub(crate) fn note_needed(&mut self, version: Version, needed: Needed) {
        self.needed.insert(version, needed);
    }

    pub(crate) fn forget(&mut self, segment: u64) {
        self.needed.retain(|version, _| version.0 != segment);
        self.tables.retain(|version, _| version.0 != segment);
        let gone: Vec<ListKey> = self
            .lists
            .keys()
            .filter(|key| key.0.0 == segment)
            .copied()
            .collect();
        for key in gone {
            self.remove(key);
        }
    }

    /// Empties what holds lists of other segments than this one.
    pub(crate) fn only(&mut self, version: Version) {
        if self.lists.keys().any(|key| key.0 != version)
            || self.tables.keys().any(|other| *other != version)
        {
            *self = Lists {
                loads: self.loads,
                ..Lists::default()
            };
        }
    }
}
