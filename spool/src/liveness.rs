//! What of the log somebody still needs.

use std::{collections::HashMap, io};

use crate::{
    Lane,
    cleaner::rewritten_size,
    index::Row,
    lists::{Lists, Version},
    log::{Inner, State},
    read::Looked,
    record::Tag,
    route::Amount,
    segment::{Index, Segment},
};

/// For each route and lane, up to where nobody is owed anything, nor was what the ledger on disk is yet to count.
pub(crate) type Lows = HashMap<u32, [u64; Lane::MOST]>;

/// What of a sealed segment was needed when its table was looked at. Less and less of it is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Needed {
    keys: u64,
    records: u64,
    bytes: u64,
    owed: [Amount; Lane::MOST],
    /// `Room::changes` at that time.
    as_of: u64,
}

impl Needed {
    /// What somebody is owed of a lane.
    pub(crate) fn owed(&self, lane: Lane) -> Amount {
        let owed = self.owed.get(usize::from(lane.0));
        owed.copied().unwrap_or_default()
    }
}

/// Tables read in one step of the housekeeper to see what of them is needed: where room is short, and otherwise.
const MOST_LOOKS: (usize, usize) = (16, 1);

impl Inner {
    /// Looks at segments of more keys than memory holds the table of.
    pub(crate) fn look_at_tables(&self) -> io::Result<()> {
        let most = match self.lock().is_short() {
            true => MOST_LOOKS.0,
            false => MOST_LOOKS.1,
        };
        for _ in 0..most {
            let Some(version) = self.lock().next_to_look_at() else {
                return Ok(());
            };
            self.looked(&mut |state, extra| state.look_at(version, extra))
                .map_err(io::Error::other)?;
        }
        Ok(())
    }
}

impl State {
    pub(crate) fn lows(&self) -> Lows {
        let stored = self.ledger.stored();
        let lows = |route: &crate::Route| {
            let mut lows = [u64::MAX; Lane::MOST];
            for cursor in route
                .cursors
                .iter()
                .filter_map(|cursor| self.cursors.get(&cursor.0))
            {
                for (low, kept) in lows.iter_mut().zip(cursor.kept_behind(stored)) {
                    *low = (*low).min(kept);
                }
            }
            lows
        };
        self.routes
            .iter()
            .map(|(id, interned)| (id, lows(&interned.route)))
            .collect()
    }

    /// Up to where events of this lane and route are history.
    pub(crate) fn history_until(&self, lows: &Lows, tag: Tag, route: u32) -> u64 {
        self.lane_history_until(lows, tag.lane(), route)
    }

    pub(crate) fn lane_history_until(&self, lows: &Lows, lane: Lane, route: u32) -> u64 {
        let lane = usize::from(lane.0);
        let floor = self.floors.get(lane).copied().unwrap_or(0);
        lows.get(&route)
            .and_then(|lows| lows.get(lane))
            .copied()
            .unwrap_or(u64::MAX)
            .max(floor)
    }

    /// Whether anything under this key is still needed.
    pub(crate) fn is_row_live(&self, lows: &Lows, row: &Row) -> bool {
        (row.tag.is_event() && row.last > self.history_until(lows, row.tag, row.route))
            || (row.tag.is_state() && row.last > self.checkpoints.owner_covered())
            || (row.tag.is_control() && row.last >= self.checkpoints.spool_covered())
    }

    fn rows<'a>(&'a self, segment: &'a Segment) -> Option<&'a [Row]> {
        match &segment.index {
            Index::Open(_) => None,
            Index::Sealed(sealed) => sealed.rows.as_deref(),
        }
    }

    /// The segment of a large table that was looked at longest ago, if anything can have changed since.
    fn next_to_look_at(&self) -> Option<Version> {
        let large = self.segments.iter().filter_map(|segment| {
            let is_large = segment.is_sealed() && self.rows(segment).is_none();
            is_large.then_some((segment.id, segment.generation))
        });
        let looked_at = large.filter_map(|version| match self.lists.needed(version) {
            None => Some((0, version)),
            Some(needed) if needed.keys == 0 || needed.as_of == self.room.changes => None,
            Some(needed) => Some((needed.as_of, version)),
        });
        looked_at.min().map(|(_, version)| version)
    }

    pub(crate) fn look_at(&mut self, version: Version, extra: &Lists) -> Looked<()> {
        let lows = self.lows();
        let segment = self.segment_by_id(version.0);
        let is_large = |it: &&Segment| it.is_sealed() && self.rows(it).is_none();
        let Some(segment) = segment.filter(|it| it.generation == version.1 && is_large(it)) else {
            return Ok(());
        };
        let rows = self.rows_of(segment, extra)?;
        let needed = self.needed_of(&lows, &rows);
        self.lists.note_needed(version, needed);
        self.room.is_to_be_measured();
        Ok(())
    }

    fn needed_of(&self, lows: &Lows, rows: &[Row]) -> Needed {
        let mut needed = Needed {
            as_of: self.room.changes,
            ..Needed::default()
        };
        for row in rows.iter().filter(|row| self.is_row_live(lows, row)) {
            needed.keys += 1;
            needed.records += u64::from(row.records);
            needed.bytes += self.live_bytes(lows, row);
            if let Some(owed) = needed.owed.get_mut(usize::from(row.tag.lane().0))
                && row.tag.is_event()
            {
                let (records, bytes) =
                    share_after(row, self.history_until(lows, row.tag, row.route));
                owed.add(records, bytes);
            }
        }
        needed
    }

    /// What of a sealed segment is needed at most; `None` if nobody has looked yet.
    pub(crate) fn needed(&self, lows: &Lows, segment: &Segment) -> Option<Needed> {
        match self.rows(segment) {
            Some(rows) => Some(self.needed_of(lows, rows)),
            None => self.lists.needed((segment.id, segment.generation)).copied(),
        }
    }

    /// Whether nothing in a segment is needed any more.
    pub(crate) fn is_dead(&self, lows: &Lows, segment: &Segment) -> bool {
        let covered = segment.last <= self.checkpoints.spool_covered();
        let pinned = self
            .pins
            .range(segment.first..=segment.last.max(segment.first))
            .next()
            .is_some();
        let is_needed = || match self.rows(segment) {
            Some(rows) => rows.iter().any(|row| self.is_row_live(lows, row)),
            None => self.needed(lows, segment).is_none_or(|it| it.keys > 0),
        };
        covered && !pinned && self.began && !is_needed()
    }

    fn live_bytes(&self, lows: &Lows, row: &Row) -> u64 {
        if !row.tag.is_event() || row.tag.is_state() {
            return row.bytes;
        }
        let (_, bytes) = share_after(row, self.history_until(lows, row.tag, row.route));
        bytes
    }

    /// Whether the cleaner can make room from what is dead already.
    pub(crate) fn cleaning_will_help(&self) -> bool {
        let lows = self.lows();
        self.segments.iter().any(|segment| {
            segment.is_sealed()
                && !self.is_dead(&lows, segment)
                && self.is_worth_rewriting(&lows, segment)
        })
    }

    /// Whether a rewrite would leave at most half of a segment's file. One that cannot be read whole waits until it can.
    pub(crate) fn is_worth_rewriting(&self, lows: &Lows, segment: &Segment) -> bool {
        let Some(needed) = self.needed(lows, segment) else {
            return false;
        };
        let size = rewritten_size(needed.records, needed.bytes, needed.keys);
        segment.last <= self.checkpoints.spool_covered()
            && size <= segment.size / 2
            && !self.withheld.is_any_of(segment.version())
    }

    /// The oldest sealed segment of which somebody is owed something of this lane.
    pub(crate) fn oldest_owed(&mut self, lane: Lane, extra: &Lists) -> Looked<Option<Version>> {
        let lows = self.lows();
        let may_owe = |segment: &&Segment| {
            let needed = self.needed(&lows, segment);
            segment.is_sealed() && needed.is_none_or(|needed| needed.owed(lane).records > 0)
        };
        let candidates: Vec<Version> = (self.segments.iter().filter(may_owe))
            .map(|segment| (segment.id, segment.generation))
            .collect();
        for version in candidates {
            // What it was found to need before may have been more.
            self.look_at(version, extra)?;
            let owes = |segment: &Segment| self.needed(&lows, segment);
            let needed = self.segment_by_id(version.0).and_then(owes);
            if needed.is_some_and(|needed| needed.owed(lane).records > 0) {
                return Ok(Some(version));
            }
        }
        Ok(None)
    }

    pub(crate) fn is_row_owed(&self, lows: &Lows, row: &Row, lane: Lane) -> bool {
        row.tag.is_event()
            && row.tag.lane() == lane
            && row.last > self.history_until(lows, row.tag, row.route)
    }
}

/// Records and bytes of a row after a position, taking them as evenly spread.
pub(crate) fn share_after(row: &Row, after: u64) -> (u64, u64) {
    if after < row.first {
        return (u64::from(row.records), row.bytes);
    }
    if after >= row.last {
        return (0, 0);
    }
    let (left, whole) = (row.last - after, row.last - row.first + 1);
    let part =
        |amount: u64| (u128::from(amount) * u128::from(left)).div_ceil(u128::from(whole)) as u64;
    (part(u64::from(row.records)), part(row.bytes))
}
