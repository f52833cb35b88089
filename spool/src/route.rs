//! Routes: interned sets of cursors a record is owed to.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use crate::Lane;

/// Handle of a cursor; never reused.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct CursorId(pub u32);

/// Handle of an interned route: the set of cursors a record is owed to, with the owner's terms for each. Never given to another
/// route while the log is open; the route itself is forgotten some time after nobody is owed anything on it.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct RouteId(pub u32);

impl RouteId {
    /// Owed to nobody: history.
    pub const NOBODY: RouteId = RouteId(0);
}

/// A route as the owner made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Sorted, without doubles. A cursor that was removed since is still named.
    pub cursors: Vec<CursorId>,
    /// The owner's terms.
    pub terms: Arc<[u8]>,
}

/// Records and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Amount {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

impl Amount {
    pub(crate) fn add(&mut self, records: u64, bytes: u64) {
        self.records = self.records.saturating_add(records);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    pub(crate) fn plus(mut self, other: Amount) -> Amount {
        self.add(other.records, other.bytes);
        self
    }

    pub(crate) fn minus(self, other: Amount) -> Amount {
        Amount {
            records: self.records.saturating_sub(other.records),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Interned {
    pub(crate) route: Route,
    /// Every committed event that was ever appended on this route.
    pub(crate) total: Amount,
    /// Of each lane: no committed event of this route is behind this position.
    pub(crate) last: [u64; Lane::MOST],
    /// No record of this route is behind this position, committed or not; zero after a start.
    used: u64,
}

/// Bytes of memory that a route takes beside its terms and cursors, and for each of these, about.
const BYTES: usize = 448;
const BYTES_PER_CURSOR: usize = 12;

impl Interned {
    fn bytes(&self) -> usize {
        BYTES + BYTES_PER_CURSOR * self.route.cursors.len() + self.route.terms.len()
    }

    /// What of its memory each of its cursors answers for.
    pub(crate) fn share(&self) -> usize {
        self.bytes() / self.route.cursors.len().max(1)
    }

    /// Whether none of its records waits for a commit.
    pub(crate) fn is_committed(&self, committed: u64) -> bool {
        self.used <= committed
    }

    pub(crate) fn appended(&mut self, lane: Lane, seq: u64) {
        if let Some(last) = self.last.get_mut(usize::from(lane.0)) {
            *last = (*last).max(seq);
        }
    }
}

/// All routes.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    by_id: BTreeMap<u32, Interned>,
    ids: HashMap<Vec<CursorId>, HashMap<Arc<[u8]>, u32>>,
    of_cursor: HashMap<u32, BTreeSet<u32>>,
    last: u32,
    /// Of memory, about.
    bytes: usize,
    /// As many of them were kept when they were last looked through.
    pub(crate) kept_bytes: usize,
    /// What was ever owed to each cursor on routes that are forgotten.
    forgotten: BTreeMap<u32, Amount>,
}

impl Routes {
    pub(crate) fn find(&self, cursors: &[CursorId], terms: &[u8]) -> Option<RouteId> {
        self.ids.get(cursors)?.get(terms).map(|&id| RouteId(id))
    }

    /// `cursors` sorted and unique.
    pub(crate) fn intern(&mut self, cursors: Vec<CursorId>, terms: &[u8]) -> RouteId {
        let id = self.last.saturating_add(1);
        self.insert(id, cursors, terms);
        RouteId(id)
    }

    pub(crate) fn insert(&mut self, id: u32, cursors: Vec<CursorId>, terms: &[u8]) {
        if self.by_id.contains_key(&id) {
            return;
        }
        self.last = self.last.max(id);
        let terms: Arc<[u8]> = terms.into();
        for cursor in &cursors {
            self.of_cursor.entry(cursor.0).or_default().insert(id);
        }
        self.ids
            .entry(cursors.clone())
            .or_default()
            .insert(terms.clone(), id);
        let interned = Interned {
            route: Route { cursors, terms },
            total: Amount::default(),
            last: [0; Lane::MOST],
            used: 0,
        };
        self.bytes += interned.bytes();
        self.by_id.insert(id, interned);
    }

    /// Notes that the record at this position is of this route; false if there is none of this id.
    pub(crate) fn use_at(&mut self, id: RouteId, seq: u64) -> bool {
        match self.by_id.get_mut(&id.0) {
            Some(interned) => interned.used = interned.used.max(seq),
            None => return id == RouteId::NOBODY,
        }
        true
    }

    /// Takes back a route no record carries.
    pub(crate) fn remove(&mut self, id: RouteId) -> Option<Interned> {
        let interned = self.by_id.remove(&id.0)?;
        self.bytes = self.bytes.saturating_sub(interned.bytes());
        let route = &interned.route;
        // After a crash that took back its being forgotten, the same may be there again under a later id.
        if let Some(ids) = self.ids.get_mut(&route.cursors)
            && ids.get(&route.terms) == Some(&id.0)
        {
            ids.remove(&route.terms);
            if ids.is_empty() {
                self.ids.remove(&route.cursors);
            }
        }
        for cursor in &route.cursors {
            if let Some(of) = self.of_cursor.get_mut(&cursor.0) {
                of.remove(&id.0);
            }
        }
        Some(interned)
    }

    /// Forgets a route on which nobody is owed anything. What was ever owed on it still counts for its cursors.
    pub(crate) fn forget(&mut self, id: RouteId) {
        let Some(interned) = self.remove(id) else {
            return;
        };
        for cursor in &interned.route.cursors {
            // That of a cursor that is gone is gone.
            if self.of_cursor.contains_key(&cursor.0) {
                let forgotten = self.forgotten.entry(cursor.0).or_default();
                *forgotten = forgotten.plus(interned.total);
            }
        }
    }

    /// Bytes of memory that all routes take, about.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// What was ever owed to each cursor on routes that are forgotten.
    pub(crate) fn forgotten(&self) -> &BTreeMap<u32, Amount> {
        &self.forgotten
    }

    pub(crate) fn restore_forgotten(&mut self, forgotten: BTreeMap<u32, Amount>) {
        self.forgotten = forgotten;
    }

    pub(crate) fn last_id(&self) -> u32 {
        self.last
    }

    pub(crate) fn raise_last_id(&mut self, last: u32) {
        self.last = self.last.max(last);
    }

    pub(crate) fn forget_cursor(&mut self, cursor: u32) {
        self.of_cursor.remove(&cursor);
        self.forgotten.remove(&cursor);
    }

    pub(crate) fn get(&self, id: u32) -> Option<&Interned> {
        self.by_id.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut Interned> {
        self.by_id.get_mut(&id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Interned)> {
        self.by_id.iter().map(|(&id, interned)| (id, interned))
    }

    /// The routes of a cursor, by id.
    pub(crate) fn of_cursor(&self, cursor: u32) -> impl Iterator<Item = (u32, &Interned)> {
        let ids = self.of_cursor.get(&cursor).into_iter().flatten();
        ids.filter_map(|id| Some((*id, self.by_id.get(id)?)))
    }

    pub(crate) fn contains(&self, route: u32, cursor: u32) -> bool {
        self.by_id
            .get(&route)
            .is_some_and(|r| r.route.cursors.binary_search(&CursorId(cursor)).is_ok())
    }

    /// Nothing of this lane behind this position is owed to the cursor.
    pub(crate) fn last_of(&self, cursor: u32, lane: Lane) -> u64 {
        self.of_cursor(cursor)
            .filter_map(|(_, route)| route.last.get(usize::from(lane.0)))
            .copied()
            .max()
            .unwrap_or(0)
    }

    /// Everything that was ever owed to this cursor.
    pub(crate) fn total_of(&self, cursor: u32) -> Amount {
        let forgotten = self.forgotten.get(&cursor).copied().unwrap_or_default();
        self.of_cursor(cursor)
            .fold(forgotten, |sum, (_, route)| sum.plus(route.total))
    }
}
