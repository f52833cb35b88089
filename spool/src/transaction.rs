//! Appends that become durable together.

use std::sync::MutexGuard;

use crate::{
    CursorId, Full, Head, Lane, Loss, LossReason, Route, RouteId, Seq, Start,
    control::{Control, CursorRecord},
    cursor::Cursor,
    log::{Inner, State},
    pending::{Effect, Mark},
    record::{Identity, Tag},
};

/// Appends that become durable together, in one frame. Holds the log's lock: keep it short.
pub struct Transaction<'a> {
    inner: &'a Inner,
    state: MutexGuard<'a, State>,
    start: Savepoint,
    /// What to take back if the transaction is dropped.
    changes: Vec<Change>,
    acks: Vec<(u32, u64)>,
    finished: bool,
}

/// What a transaction changed of the spool's own state.
enum Change {
    Created(u32),
    Removed(u32),
    Interned(RouteId),
    Pinned(u64),
}

/// A place in a transaction.
#[derive(Clone, Copy, Debug)]
pub struct Savepoint {
    mark: Mark,
    next_seq: u64,
    changes: usize,
    acks: usize,
}

impl<'a> Transaction<'a> {
    pub(crate) fn begin(
        inner: &'a Inner,
        mut state: MutexGuard<'a, State>,
        now: u64,
    ) -> Transaction<'a> {
        let start = Savepoint {
            mark: state.begin(now),
            next_seq: state.next_seq,
            changes: 0,
            acks: 0,
        };
        Transaction {
            inner,
            state,
            start,
            changes: Vec::new(),
            acks: Vec::new(),
            finished: false,
        }
    }

    /// Appends a record whose body `encode` writes at the end of the buffer it is given. On `Err` this record is not in
    /// the transaction; what was appended before it stays.
    pub fn append(&mut self, head: Head, encode: impl FnOnce(&mut Vec<u8>)) -> Result<Seq, Full> {
        let state = &mut *self.state;
        state.admit()?;
        let lanes = state.lanes.len().saturating_sub(1) as u8;
        let lane = Lane(head.lane.0.min(lanes));
        let tag = Tag::new(head.kind, lane);
        let seq = state.next_seq;
        if !state.routes.use_at(head.route, seq) {
            tracing::error!(
                route = head.route.0,
                "a record on an unknown route is refused"
            );
            return Err(Full::UnknownRoute);
        }
        let identity = Identity {
            seq,
            time: state.last_time,
            route: head.route.0,
            tag,
        };
        let batch = state.batch();
        let before = batch.mark();
        let len = batch.push(identity, encode).map_err(|()| Full::TooLarge)?;
        let since = batch.room_since(&self.start.mark);
        if since > state.largest_transaction() {
            state.batch().back_to(&before);
            return Err(Full::TooLarge);
        }
        if let Err(full) = state.take_room(tag, u64::from(len)) {
            state.batch().back_to(&before);
            // Who notices that there is room again may be asleep for long.
            self.inner.wake_housekeeper(&mut self.state);
            return Err(full);
        }
        state.next_seq += 1;
        Ok(Seq(seq))
    }

    /// Creates a cursor (durable with this transaction). `bound_bytes`: above it the cursor loses its oldest, in the
    /// ledger (an offline session); `None` for a sink. If there is a cursor of this name, it is that one, as it is.
    /// `Err` only with `Full::Waiting`, as for an append; there is no new cursor then.
    pub fn create_cursor(
        &mut self,
        name: &str,
        start: Start,
        bound_bytes: Option<u64>,
    ) -> Result<CursorId, Full> {
        let state = &mut *self.state;
        if let Some(&id) = state.names.get(name) {
            return Ok(CursorId(id));
        }
        state.admit()?;
        let id = state.next_cursor;
        state.next_cursor = state.next_cursor.saturating_add(1);
        let before = state.next_seq.saturating_sub(1);
        let (low, history_until) = match start {
            Start::Now => (before, before),
            Start::Oldest => (state.oldest().saturating_sub(1).min(before), before),
            Start::History { first, last } => {
                (first.0.saturating_sub(1).min(before), last.0.min(before))
            }
        };
        let record = CursorRecord {
            id,
            name: name.into(),
            low,
            history_until,
            bound_bytes,
        };
        let created_at = self.control(&Control::CursorCreated(record.clone()));
        self.state.names.insert(record.name.clone(), id);
        let mut cursor = Cursor::new(record);
        cursor.created_at = created_at;
        self.state.cursors.insert(id, cursor);
        self.changes.push(Change::Created(id));
        Ok(CursorId(id))
    }

    /// Removes a cursor; what it was still owed is entered in the ledger under `reason`, unless `None`. Its name can be
    /// used again at once. Never refused, since it frees; how many can wait is bounded by how many cursors there are.
    pub fn remove_cursor(&mut self, cursor: CursorId, reason: Option<LossReason>) {
        let there = self
            .state
            .cursors
            .get(&cursor.0)
            .is_some_and(|cursor| cursor.removed_at.is_none());
        if !there {
            return;
        }
        let seq = self.control(&Control::CursorRemoved {
            id: cursor.0,
            reason,
        });
        let state = &mut *self.state;
        if let Some(cursor) = state.cursors.get_mut(&cursor.0) {
            cursor.removed_at = Some(seq);
            state.names.remove(&cursor.name);
        }
        state.batch().effects.push(Effect::Removed {
            cursor: cursor.0,
            reason,
        });
        self.changes.push(Change::Removed(cursor.0));
    }

    /// The id of the route to these cursors (sorted, unique) on these terms; durable with this transaction if new.
    /// No cursors gives an interned history route with the terms; neither cursors nor terms give `RouteId::NOBODY`.
    /// It is known until the end of this transaction, and from there on as long as a cursor is owed something on it; when it
    /// is remembered for longer, `has_route` says whether it still is.
    /// `Err` only where the route would be new: with `Full::Waiting` as for an append, or with `Full::Bound` where there are
    /// too many on which somebody is owed something.
    pub fn route(&mut self, cursors: &[CursorId], terms: &[u8]) -> Result<RouteId, Full> {
        if cursors.is_empty() && terms.is_empty() {
            return Ok(RouteId::NOBODY);
        }
        let mut cursors = cursors.to_vec();
        cursors.sort_unstable();
        cursors.dedup();
        if let Some(route) = self.state.routes.find(&cursors, terms) {
            return Ok(route);
        }
        self.state.admit()?;
        if let Err(full) = self.state.admit_route() {
            self.inner.wake_housekeeper(&mut self.state);
            return Err(full);
        }
        let route = self.state.routes.intern(cursors.clone(), terms);
        let seq = self.control(&Control::Route {
            id: route.0,
            cursors,
            terms: terms.to_vec(),
        });
        self.state.routes.use_at(route, seq);
        self.changes.push(Change::Interned(route));
        if self.state.routes_are_many() {
            self.inner.wake_housekeeper(&mut self.state);
        }
        Ok(route)
    }

    /// Whether a record can be appended on this route: it was neither forgotten nor taken back since it was asked for.
    pub fn has_route(&self, route: RouteId) -> bool {
        route == RouteId::NOBODY || self.state.routes.get(route.0).is_some()
    }

    /// Acknowledges in the same commit as the rest of this transaction. Never refused, since it frees: where `waiting_bytes`
    /// wait for a commit, acknowledgements of transactions without a rest are joined, and take memory only for the gaps
    /// between them, of which there are no more than a cursor is given at one time.
    pub fn ack(&mut self, cursor: CursorId, seq: Seq) {
        self.acks.push((cursor.0, seq.0));
    }

    /// As [`crate::Spool::pin`], at once: no commit comes between the append of a record and its pin.
    pub fn pin(&mut self, seq: Seq) {
        self.state.pin(seq.0);
        self.changes.push(Change::Pinned(seq.0));
    }

    /// Takes back one `pin` with the commit of this transaction: until that brings what takes the record's place, it is kept.
    pub fn unpin(&mut self, seq: Seq) {
        self.state.batch().effects.push(Effect::Unpinned(seq.0));
    }

    /// Everything that was lost so far, as `Status::ledger`.
    pub fn ledger(&self) -> Vec<Loss> {
        self.state.ledger.entries()
    }

    /// Stores an entry of the ledger with this transaction, so that it is on disk no later than what is appended beside it.
    pub fn store_loss(&mut self, loss: &Loss) {
        self.control(&Control::Ledger(vec![loss.clone()]));
    }

    /// Counts a loss. It is on disk no later than what is in this transaction, or within a second where nothing is; it stays
    /// counted if the transaction is taken back.
    pub fn record_loss(&mut self, loss: Loss) {
        self.inner.record_loss(&mut self.state, loss);
    }

    /// Whether so much waits for a commit that appends are refused.
    pub fn is_waiting_full(&self) -> bool {
        self.state.is_waiting_full()
    }

    /// Whether so many bytes more leave it at most half as large as a transaction may be; true while it is empty.
    pub fn is_within_half(&self, more: usize) -> bool {
        let batch = self.state.pending.back();
        let taken = batch.map_or(0, |batch| batch.room_since(&self.start.mark));
        taken == 0 || taken + more as u64 <= self.state.largest_transaction() / 2
    }

    /// The last position assigned, in this transaction or before it.
    pub fn appended(&self) -> Seq {
        Seq(self.state.next_seq.saturating_sub(1))
    }

    /// As [`crate::Spool::route`], which must not be called while a transaction is open.
    pub fn find_route(&self, route: RouteId) -> Option<Route> {
        self.state
            .routes
            .get(route.0)
            .map(|interned| interned.route.clone())
    }

    /// Ends the transaction. When `Spool::committed()` reaches the returned position, all of it is durable.
    /// Dropping a transaction instead takes all of it back.
    pub fn finish(mut self) -> Seq {
        if !self.acks.is_empty() {
            self.finish_acks();
        }
        self.finished = true;
        let state = &mut *self.state;
        state.finish(&self.start.mark);
        let last = state.next_seq.saturating_sub(1);
        self.inner
            .appended
            .store(last, std::sync::atomic::Ordering::Release);
        if state.has_work() {
            self.inner.wake_committer(state);
        }
        Seq(last)
    }

    /// Where the transaction stands, to come back to.
    pub fn savepoint(&mut self) -> Savepoint {
        Savepoint {
            mark: self.state.batch().mark(),
            next_seq: self.state.next_seq,
            changes: self.changes.len(),
            acks: self.acks.len(),
        }
    }

    /// Takes back everything behind `savepoint`, which is one of this transaction. The positions assigned since are assigned
    /// again.
    pub fn back_to(&mut self, savepoint: Savepoint) {
        let state = &mut *self.state;
        state.batch().back_to(&savepoint.mark);
        state.next_seq = savepoint.next_seq;
        for change in self.changes.drain(savepoint.changes..).rev() {
            state.take_back(&change);
        }
        self.acks.truncate(savepoint.acks);
        state.room.is_stale();
    }

    fn finish_acks(&mut self) {
        let acks = std::mem::take(&mut self.acks);
        let alone = self.state.batch().bytes_since(&self.start.mark) == 0;
        if alone && self.state.is_waiting_full() && !self.state.batch().is_empty() {
            self.state.join_acks(&acks);
        } else {
            self.control(&Control::Acks(acks.clone()));
            self.state.batch().effects.push(Effect::Acks(acks));
        }
    }

    fn control(&mut self, control: &Control) -> u64 {
        let state = &mut *self.state;
        let seq = state.next_seq;
        state.next_seq += 1;
        state.batch().push_control(control, seq);
        seq
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        self.back_to(self.start);
        self.state.finish(&self.start.mark);
    }
}

impl State {
    fn take_back(&mut self, change: &Change) {
        match *change {
            Change::Created(id) => {
                if let Some(cursor) = self.cursors.remove(&id) {
                    self.names.remove(&cursor.name);
                }
                self.routes.forget_cursor(id);
            }
            Change::Removed(id) => {
                if let Some(cursor) = self.cursors.get_mut(&id) {
                    cursor.removed_at = None;
                    self.names.insert(cursor.name.clone(), id);
                }
            }
            Change::Interned(route) => {
                self.routes.remove(route);
            }
            Change::Pinned(seq) => self.unpin(seq),
        }
    }
}
