//! Filling a cursor's windows with what it is owed next.

use super::{Looked, ReadLimits};
use crate::{
    Lane,
    cursor::{Cursor, LaneWindow},
    index::{Place, Row},
    lists::Lists,
    log::State,
    record::Tag,
    segment::Segment,
};

/// Records a fill looks up at once.
const FILL: usize = 1_024;

/// Where a window is to be filled from.
struct Step {
    /// The segment to look in; `None` if nothing more is owed up to the last commit.
    segment: Option<usize>,
    /// The window holds everything up to here.
    filled: u64,
    /// Records up to here are offered, whoever they are owed to.
    history: u64,
    /// Records at most.
    room: usize,
}

impl State {
    /// Extends a cursor's window of a lane by what the index says next; false if it cannot grow at present.
    fn fill(&mut self, id: u32, lane: Lane, extra: &Lists) -> Looked<bool> {
        let committed = self.committed;
        let Some(step) = self.next_step(id, lane) else {
            return Ok(false);
        };
        let (places, reached) = match step.segment.and_then(|at| self.segments.get(at)) {
            None => (Vec::new(), committed),
            Some(segment) => {
                let places = self.places_for(id, lane, &step, segment, extra)?;
                let reached = match places.last() {
                    Some(place) if places.len() == step.room => place.seq,
                    _ => segment.last,
                };
                (places, reached)
            }
        };
        let owed: Vec<bool> = places
            .iter()
            .map(|place| self.routes.contains(place.route, id))
            .collect();
        let total = self.routes.total_of(id);
        let Some(cursor) = self.cursors.get_mut(&id) else {
            return Ok(false);
        };
        for (place, owed) in places.iter().zip(owed) {
            cursor.push(place, !owed);
        }
        cursor.filled_to(lane, reached);
        cursor.settle(committed, total);
        Ok(true)
    }

    /// Where to look next; `None` if the window is full or has reached the last commit.
    fn next_step(&self, id: u32, lane: Lane) -> Option<Step> {
        let cursor = self.cursors.get(&id)?;
        let window = cursor.lane(lane)?;
        let (filled, history) = (window.filled, cursor.history_until);
        let room = window.fill_room().min(FILL);
        let nothing = filled >= history && self.routes.last_of(id, lane) <= filled;
        if filled >= self.committed || (room == 0 && !nothing) {
            return None;
        }
        Some(Step {
            segment: (!nothing).then(|| self.segment_after(filled)),
            filled,
            history,
            room,
        })
    }

    /// What a segment holds that is owed to the cursor in this lane, or offered to it, and not given up.
    fn places_for(
        &self,
        id: u32,
        lane: Lane,
        step: &Step,
        segment: &Segment,
        extra: &Lists,
    ) -> Looked<Vec<Place>> {
        let mut memo = (u32::MAX, false);
        let mut is_of = |route: u32| {
            if memo.0 != route {
                memo = (route, self.routes.contains(route, id));
            }
            memo.1
        };
        let floor = self.floors.get(usize::from(lane.0)).copied().unwrap_or(0);
        let of_lane = |tag: Tag| tag.is_event() && tag.lane() == lane;
        let row = &mut |row: &Row| {
            of_lane(row.tag) && (row.first <= step.history || self.routes.contains(row.route, id))
        };
        let place = &mut |place: &Place| {
            of_lane(place.tag)
                && (place.seq <= step.history || is_of(place.route))
                && place.seq > floor
                && !self.damage.known.records.contains(place.seq)
        };
        self.gather(segment, step.filled, row, place, step.room, extra)
    }

    /// Extends the windows of all lanes as far as one step each goes.
    pub(crate) fn fill_all(&mut self, id: u32, extra: &Lists) -> Looked<bool> {
        let mut grew = false;
        for lane in (0..Lane::MOST as u8).map(Lane) {
            grew |= self.fill(id, lane, extra)?;
        }
        Ok(grew)
    }

    /// Fills until the windows have met every acknowledgement that came early, or are full.
    pub(super) fn fill_to_early(&mut self, id: u32, extra: &Lists) -> Looked<()> {
        loop {
            let early = self.cursors.get(&id).and_then(Cursor::first_early);
            if early.is_none_or(|seq| seq > self.committed) || !self.fill_all(id, extra)? {
                return Ok(());
            }
        }
    }

    /// Fills the windows of the wanted lanes until they hold enough, and says how far all of them go.
    pub(super) fn fill_for(
        &mut self,
        id: u32,
        after: u64,
        limits: ReadLimits,
        extra: &Lists,
    ) -> Looked<u64> {
        let wanted: Vec<Lane> = (0..Lane::MOST as u8)
            .map(Lane)
            .filter(|&lane| limits.wants_lane(lane))
            .collect();
        loop {
            let Some(cursor) = self.cursors.get(&id) else {
                return Ok(after);
            };
            let windows = wanted
                .iter()
                .filter_map(|&lane| cursor.lane(lane).map(|window| (lane, window)));
            let Some((least, window)) = windows.clone().min_by_key(|(_, window)| window.filled)
            else {
                return Ok(self.committed);
            };
            let reach = window.filled;
            let count = |window: &LaneWindow| {
                let start = window.window.partition_point(|owed| owed.seq <= after);
                let known = window
                    .window
                    .range(start..)
                    .take_while(|owed| owed.seq <= reach);
                known
                    .filter(|owed| !owed.is_done())
                    .take(limits.records)
                    .count()
            };
            let known: usize = windows.map(|(_, window)| count(window)).sum();
            if known >= limits.records || !self.fill(id, least, extra)? {
                return Ok(reach);
            }
        }
    }
}
