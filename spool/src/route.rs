//! Routes: interned sets of cursors a record is owed to.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use crate::Lane;

/// Handle of a cursor; never reused.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct CursorId(pub u32);

/// Handle of an interned route: the set of cursors a record is owed to, with the owner's terms for each.
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
}

impl Interned {
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
    of_cursor: HashMap<u32, Vec<u32>>,
    last: u32,
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
            self.of_cursor.entry(cursor.0).or_default().push(id);
        }
        self.ids
            .entry(cursors.clone())
            .or_default()
            .insert(terms.clone(), id);
        self.by_id.insert(
            id,
            Interned {
                route: Route { cursors, terms },
                total: Amount::default(),
                last: [0; Lane::MOST],
            },
        );
    }

    /// Takes back a route no record carries.
    pub(crate) fn remove(&mut self, id: RouteId) {
        let Some(interned) = self.by_id.remove(&id.0) else {
            return;
        };
        if let Some(terms) = self.ids.get_mut(&interned.route.cursors) {
            terms.remove(&interned.route.terms);
            if terms.is_empty() {
                self.ids.remove(&interned.route.cursors);
            }
        }
        for cursor in &interned.route.cursors {
            if let Some(of) = self.of_cursor.get_mut(&cursor.0) {
                of.retain(|&route| route != id.0);
            }
        }
    }

    pub(crate) fn last_id(&self) -> u32 {
        self.last
    }

    pub(crate) fn raise_last_id(&mut self, last: u32) {
        self.last = self.last.max(last);
    }

    pub(crate) fn forget_cursor(&mut self, cursor: u32) {
        self.of_cursor.remove(&cursor);
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

    pub(crate) fn of_cursor(&self, cursor: u32) -> &[u32] {
        self.of_cursor.get(&cursor).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn contains(&self, route: u32, cursor: u32) -> bool {
        self.by_id
            .get(&route)
            .is_some_and(|r| r.route.cursors.binary_search(&CursorId(cursor)).is_ok())
    }

    /// Nothing of this lane behind this position is owed to the cursor.
    pub(crate) fn last_of(&self, cursor: u32, lane: Lane) -> u64 {
        let routes = self
            .of_cursor(cursor)
            .iter()
            .filter_map(|id| self.by_id.get(id));
        routes
            .filter_map(|route| route.last.get(usize::from(lane.0)))
            .copied()
            .max()
            .unwrap_or(0)
    }

    /// Everything that was ever owed to this cursor.
    pub(crate) fn total_of(&self, cursor: u32) -> Amount {
        let routes = self
            .of_cursor(cursor)
            .iter()
            .filter_map(|id| self.by_id.get(id));
        routes.fold(Amount::default(), |sum, route| sum.plus(route.total))
    }
}
