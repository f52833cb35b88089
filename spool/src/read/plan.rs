//! What the index says there is to read.

use std::sync::Arc;

use super::{Looked, Plan, ReadLimits, located};
use crate::{
    Lane,
    cursor::{Cursor, Owed},
    index::{Place, Row},
    lists::{Lists, Need, What},
    log::State,
    record::Tag,
    segment::{Index, Segment},
};

/// Parts of the index read for one read, from where on it gives what it has found.
const MOST_LOADS: usize = 12;

/// Where what a cursor is owed was looked for.
struct Places {
    plan: Plan,
    /// Whether the limits allowed all of it.
    found_all: bool,
    /// What the index does not hold.
    gone: Vec<Owed>,
}

impl Cursor {
    /// What it is owed after one position and up to another, in order; more in each lane than a read may give, so that it
    /// is known whether there is more.
    fn owed_between(&self, after: u64, reach: u64, limits: ReadLimits) -> Vec<Owed> {
        let mut owed: Vec<Owed> = Vec::new();
        for (lane, window) in self.lanes.iter().enumerate() {
            if !limits.wants_lane(Lane(lane as u8)) {
                continue;
            }
            let start = window.window.partition_point(|owed| owed.seq <= after);
            let known = window.window.range(start..);
            let known = known.take_while(|owed| owed.seq <= reach);
            let open = known.filter(|owed| !owed.is_done());
            owed.extend(open.take(limits.records.saturating_add(1)));
        }
        owed.sort_by_key(|owed| owed.seq);
        owed
    }
}

impl State {
    /// What a sealed segment holds, by key; of an unsealed one nothing.
    pub(crate) fn rows_of(&self, segment: &Segment, extra: &Lists) -> Looked<Arc<[Row]>> {
        let Index::Sealed(sealed) = &segment.index else {
            return Ok(Arc::new([]));
        };
        let version = (segment.id, segment.generation);
        let table = sealed
            .rows
            .as_ref()
            .or_else(|| self.lists.table(version))
            .or_else(|| extra.table(version));
        table.cloned().ok_or(Need {
            version,
            what: What::Table,
        })
    }

    /// The lists of a sealed segment's rows that are wanted.
    pub(crate) fn lists_of(
        &self,
        segment: &Segment,
        wants: &mut dyn FnMut(&Row) -> bool,
        extra: &Lists,
    ) -> Looked<Vec<Arc<crate::index::Slots>>> {
        let version = (segment.id, segment.generation);
        let rows = self.rows_of(segment, extra)?;
        let (mut lists, mut missing) = (Vec::new(), Vec::new());
        for row in rows.iter().filter(|row| wants(row)) {
            match extra
                .list(version, row)
                .or_else(|| self.lists.list(version, row))
            {
                Some(list) => lists.push(list.clone()),
                None => missing.push(*row),
            }
        }
        if missing.is_empty() {
            Ok(lists)
        } else {
            Err(Need {
                version,
                what: What::Lists(missing),
            })
        }
    }

    /// The first `most` records of a segment after a position that are wanted, in order.
    pub(crate) fn gather(
        &self,
        segment: &Segment,
        after: u64,
        wants_row: &mut dyn FnMut(&Row) -> bool,
        wants: &mut dyn FnMut(&Place) -> bool,
        most: usize,
        extra: &Lists,
    ) -> Looked<Vec<Place>> {
        if let Index::Open(slots) = &segment.index {
            return Ok(slots
                .after(after)
                .filter(|place| wants(place))
                .take(most)
                .collect());
        }
        let lists = self.lists_of(
            segment,
            &mut |row| row.last > after && wants_row(row),
            extra,
        )?;
        let mut places = Vec::new();
        for list in &lists {
            places.extend(list.after(after).filter(|place| wants(place)).take(most));
        }
        if lists.len() > 1 {
            places.sort_by_key(|place| place.seq);
            places.truncate(most);
        }
        Ok(places)
    }

    pub(super) fn plan_read(
        &mut self,
        id: u32,
        after: u64,
        limits: ReadLimits,
        extra: &Lists,
    ) -> Looked<Plan> {
        let reach = self.fill_for(id, after, limits, extra)?;
        let Some(cursor) = self.cursors.get(&id) else {
            return Ok(Plan::at(after));
        };
        let owed = cursor.owed_between(after, reach, limits);
        let mut places = self.places_of(&owed, after, limits, extra)?;
        if places.found_all {
            places.plan.next = reach.max(after);
        }
        self.pass_over(id, &places.gone);
        places.plan.at_end = places.plan.next >= self.committed;
        Ok(places.plan)
    }

    /// Where the first of these are, in order, up to the limits.
    fn places_of(
        &self,
        owed: &[Owed],
        after: u64,
        limits: ReadLimits,
        extra: &Lists,
    ) -> Looked<Places> {
        let mut places = Places {
            plan: Plan::at(after),
            found_all: false,
            gone: Vec::new(),
        };
        let plan = &mut places.plan;
        let mut bytes = 0usize;
        let mut at = self.segment_after(after);
        for owed in owed {
            bytes = bytes.saturating_add(owed.len() as usize);
            if plan.found.len() >= limits.records
                || (bytes > limits.bytes && !plan.found.is_empty())
            {
                return Ok(places);
            }
            let is_before = |segment: &Segment| segment.last < owed.seq;
            while self.segments.get(at).is_some_and(is_before) {
                at += 1;
            }
            let segment = self.segments.get(at);
            let place = match segment.map(|segment| self.place_of(segment, owed, extra)) {
                None => None,
                // What was found so far is given first: memory may not hold the lists of all.
                Some(Err(_)) if plan.next > after && extra.loads >= MOST_LOADS => {
                    return Ok(places);
                }
                Some(place) => place?,
            };
            plan.next = owed.seq;
            match segment.zip(place) {
                Some((segment, place)) => {
                    plan.found.push(located(segment, place, !owed.is_history()));
                }
                None => places.gone.push(*owed),
            }
        }
        places.found_all = true;
        Ok(places)
    }

    fn place_of(&self, segment: &Segment, owed: &Owed, extra: &Lists) -> Looked<Option<Place>> {
        if let Index::Open(slots) = &segment.index {
            return Ok(slots.find(owed.seq));
        }
        let is_its = |row: &Row| row.tag == owed.tag() && row.route == owed.route;
        let lists = self.lists_of(segment, &mut |row| is_its(row), extra)?;
        Ok(lists.iter().find_map(|list| list.find(owed.seq)))
    }

    /// What the index does not hold, though a window does. History may have been freed since the window saw it. What is
    /// owed never is: it is damaged. Nobody can acknowledge what is not given: it would hold the low mark, and with it the
    /// log, for ever.
    fn pass_over(&mut self, id: u32, gone: &[Owed]) {
        if gone.is_empty() {
            return;
        }
        for owed in gone.iter().filter(|owed| !owed.is_history()) {
            self.note_damage(owed.tag(), owed.seq, owed.len());
            self.want_chores();
        }
        if let Some(cursor) = self.cursors.get_mut(&id) {
            for owed in gone {
                cursor.mark_done(owed.seq, false);
            }
            cursor.advance();
        }
        self.room.is_stale();
    }

    pub(super) fn plan_scan(
        &self,
        after: u64,
        limits: ReadLimits,
        wants: &dyn Fn(Tag) -> bool,
        extra: &Lists,
    ) -> Looked<Plan> {
        let mut plan = Plan {
            found: Vec::new(),
            next: self.committed.max(after),
            at_end: true,
        };
        let (mut bytes, mut passed) = (0usize, after);
        let at = self.segment_after(after);
        for segment in self.segments.range(at.min(self.segments.len())..) {
            // One more than may be given tells whether there is more.
            let most = limits
                .records
                .saturating_sub(plan.found.len())
                .saturating_add(1);
            let row = &mut |row: &Row| wants(row.tag);
            let damaged = &self.damage.known.records;
            let place = &mut |place: &Place| wants(place.tag) && !damaged.contains(place.seq);
            let places = match self.gather(segment, after, row, place, most, extra) {
                // What was passed so far is given first: memory may not hold the lists of all.
                Err(_) if passed > after && extra.loads >= MOST_LOADS => {
                    return Ok(Plan {
                        next: passed,
                        at_end: false,
                        ..plan
                    });
                }
                places => places?,
            };
            passed = segment.last;
            for place in places {
                bytes = bytes.saturating_add(place.len as usize);
                if plan.found.len() >= limits.records
                    || (bytes > limits.bytes && !plan.found.is_empty())
                {
                    let last = plan.found.last().map_or(after, |located| located.place.seq);
                    return Ok(Plan {
                        next: last,
                        at_end: false,
                        ..plan
                    });
                }
                plan.found.push(located(segment, place, false));
            }
            if plan.found.len() >= limits.records && segment.last < self.committed {
                let last = plan.found.last().map_or(after, |located| located.place.seq);
                return Ok(Plan {
                    next: last,
                    at_end: false,
                    ..plan
                });
            }
        }
        Ok(plan)
    }
}
