//! What is given up at a bound that is not a lane's: the oldest debt of sessions, and routes on which nobody is owed anything.

use std::{collections::BTreeSet, io};

use crate::{
    Full, Lane, Loss, LossReason, NodeTime, RouteId, Seq, WhenFull,
    cursor::Cursor,
    lists::Lists,
    liveness::Lows,
    log::{Inner, State},
    read::Looked,
    route::Interned,
};

/// Memory that routes take at most, about.
const MOST_ROUTE_BYTES: u64 = 32 << 20;
/// The part of the log's bound that this is at most: each checkpoint holds all routes.
const BOUND_PER_ROUTES: u64 = 16;
/// Sessions that lose for the sake of routes in one step.
const MOST_VICTIMS: usize = 4;

impl Inner {
    /// Takes the oldest debt from cursors that are over their bound.
    pub(crate) fn hold_bounds(&self) -> io::Result<()> {
        let over: Vec<u32> = {
            let state = self.lock();
            let is_over = |cursor: &&Cursor| {
                cursor
                    .bound_bytes
                    .is_some_and(|bound| state.pending_of(cursor).bytes > bound)
            };
            let over = state.cursors.values().filter(is_over);
            over.map(|cursor| cursor.id).collect()
        };
        // One whose index cannot be read, or not for now, keeps no other from being held.
        let mut result = Ok(());
        for id in over {
            result = result.and(self.drop_debts(id, 0));
        }
        result
    }

    /// Forgets routes where there are many. Where that leaves too many, whose debt holds most of them loses the older half.
    pub(crate) fn hold_routes(&self) -> io::Result<()> {
        if !self.lock().routes_are_many() {
            return Ok(());
        }
        for _ in 0..MOST_VICTIMS {
            let victim = {
                let mut state = self.lock();
                state.forget_all_routes();
                state.route_victim()
            };
            let Some((id, until)) = victim else {
                return Ok(());
            };
            self.drop_debts(id, until)?;
        }
        self.lock().forget_all_routes();
        Ok(())
    }

    /// Gives up the oldest debt of a cursor until it is within its bound, and all of it up to `until`.
    fn drop_debts(&self, id: u32, until: u64) -> io::Result<()> {
        while self
            .looked(&mut |state, extra| state.drop_debt(id, until, extra))
            .map_err(io::Error::other)?
        {}
        Ok(())
    }
}

impl State {
    /// Gives up the oldest of what is in the windows until the cursor is within its bound, and all of it up to `until`; true
    /// if there is more.
    fn drop_debt(&mut self, id: u32, until: u64, extra: &Lists) -> Looked<bool> {
        let grew = self.fill_all(id, extra)?;
        let at = NodeTime(self.last_time);
        let total = self.routes.total_of(id);
        let Some(cursor) = self.cursors.get_mut(&id) else {
            return Ok(false);
        };
        let Some(bound) = cursor.bound_bytes else {
            return Ok(false);
        };
        let (mut count, mut bytes, mut first, mut last) = (0, 0, 0, 0);
        while let Some(front) = cursor.first_owed()
            && (front.seq <= until || cursor.pending(total).bytes > bound)
        {
            if !front.is_history() {
                count += 1;
                bytes += u64::from(front.len());
                first = if first == 0 { front.seq } else { first };
                last = front.seq;
            }
            cursor.mark_done(front.seq, false);
            cursor.advance();
        }
        let is_unfilled = grew && cursor.filled() < until;
        if count == 0 {
            return Ok(is_unfilled);
        }
        cursor.gave_up = true;
        let more = is_unfilled || cursor.pending(total).bytes > bound;
        let scope = cursor.name.clone();
        self.ledger.add(Loss {
            reason: LossReason::SessionBound,
            scope,
            count,
            bytes,
            first: Seq(first),
            last: Seq(last),
            at,
        });
        self.drops += 1;
        self.note_acks(count);
        self.room.is_stale();
        Ok(more)
    }

    /// Bytes that routes take at most.
    fn route_bound(&self) -> usize {
        let bound = (self.sizes.bound / BOUND_PER_ROUTES).min(MOST_ROUTE_BYTES);
        usize::try_from(bound).unwrap_or(usize::MAX)
    }

    /// Lets a new route in, or says why not.
    pub(crate) fn admit_route(&mut self) -> Result<(), Full> {
        if self.routes.bytes() < self.route_bound() {
            return Ok(());
        }
        self.room.routes_are_full = true;
        let when_full = WhenFull::Refuse;
        Err(Full::Bound { when_full })
    }

    /// Finds out whether another route would be let in again; true if so.
    pub(crate) fn route_room_returned(&mut self) -> bool {
        let bound = self.route_bound();
        let returned = self.room.routes_are_full && self.routes.bytes() < bound - bound / 8;
        self.room.routes_are_full &= !returned;
        returned
    }

    /// Whether some are to be forgotten: not again before there are more than were kept the last time, or at the bound.
    pub(crate) fn routes_are_many(&self) -> bool {
        let (bytes, bound) = (self.routes.bytes(), self.route_bound());
        bytes >= bound / 2 && bytes >= bound.min(self.routes.kept_bytes + bound / 16)
    }

    /// Forgets all routes on which nobody is owed anything. Records on them are history.
    pub(crate) fn forget_all_routes(&mut self) {
        self.forget_routes_if(|_| true);
        self.routes.kept_bytes = self.routes.bytes();
    }

    /// Forgets those of them that nobody can ask for again, since one of their cursors is gone.
    pub(crate) fn forget_routes_of_the_gone(&mut self) {
        let cursors: BTreeSet<u32> = self.cursors.keys().copied().collect();
        self.forget_routes_if(|interned| {
            let mut named = interned.route.cursors.iter();
            named.any(|cursor| !cursors.contains(&cursor.0))
        });
    }

    fn forget_routes_if(&mut self, may_go: impl Fn(&Interned) -> bool) {
        let (lows, committed) = (self.lows(), self.committed);
        let old = self.routes.iter().filter(|(id, interned)| {
            may_go(interned)
                && interned.is_committed(committed)
                && self.is_all_history(&lows, *id, interned)
        });
        let old: Vec<u32> = old.map(|(id, _)| id).collect();
        for id in old {
            self.routes.forget(RouteId(id));
        }
    }

    /// Whether nobody is owed anything of what is committed on a route.
    fn is_all_history(&self, lows: &Lows, id: u32, interned: &Interned) -> bool {
        let mut lasts = (0..).map(Lane).zip(interned.last);
        lasts.all(|(lane, last)| last <= self.lane_history_until(lows, lane, id))
    }

    /// The session whose debt holds the most of the routes, where they are too many, and up to where half of that is.
    fn route_victim(&self) -> Option<(u32, u64)> {
        if self.routes.bytes() < self.route_bound() / 4 * 3 {
            return None;
        }
        let sessions = self.cursors.values().filter(|it| it.bound_bytes.is_some());
        let held = sessions.map(|cursor| (cursor.id, self.routes_held(cursor)));
        let share = |held: &[(u64, usize)]| held.iter().map(|(_, share)| share).sum::<usize>();
        let (id, mut held) = held.max_by_key(|(_, held)| share(held))?;
        held.sort_unstable();
        let (half, mut sum) = (share(&held) / 2, 0);
        let until = held.iter().find(|(_, share)| {
            sum += share;
            sum >= half
        });
        until.map(|(last, _)| (id, *last))
    }

    /// The last position of each route on which the cursor may be owed something, and its share of that.
    fn routes_held(&self, cursor: &Cursor) -> Vec<(u64, usize)> {
        let routes = self
            .routes
            .of_cursor(cursor.id)
            .filter_map(|(_, interned)| {
                let lanes = cursor.lanes.iter().zip(&self.floors).zip(interned.last);
                let owed = lanes.filter(|((lane, floor), last)| *last > lane.low.max(**floor));
                let last = owed.map(|(_, last)| last).max()?;
                Some((last, interned.share()))
            });
        routes.collect()
    }
}
