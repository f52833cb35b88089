//! What of the log somebody still needs.

use std::collections::HashMap;

use crate::{
    Lane,
    index::Row,
    log::State,
    record::Tag,
    segment::{Index, Segment},
};

/// For each route and lane, up to where nobody is owed anything.
pub(crate) type Lows = HashMap<u32, [u64; Lane::MOST]>;

impl State {
    pub(crate) fn lows(&self) -> Lows {
        let lows = |route: &crate::Route| {
            let mut lows = [u64::MAX; Lane::MOST];
            for cursor in route
                .cursors
                .iter()
                .filter_map(|cursor| self.cursors.get(&cursor.0))
            {
                for (low, lane) in lows.iter_mut().zip(&cursor.lanes) {
                    *low = (*low).min(lane.low);
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
        let lane = usize::from(tag.lane().0);
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

    pub(crate) fn rows<'a>(&'a self, segment: &'a Segment) -> Option<&'a [Row]> {
        match &segment.index {
            Index::Open(_) => None,
            Index::Sealed(sealed) => match &sealed.rows {
                Some(rows) => Some(rows),
                None => self
                    .lists
                    .table((segment.id, segment.generation))
                    .map(|rows| &**rows),
            },
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
        let Some(rows) = self.rows(segment) else {
            return false;
        };
        covered && !pinned && self.began && !rows.iter().any(|row| self.is_row_live(lows, row))
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

    /// Whether a rewrite would leave at most half of a segment's file.
    pub(crate) fn is_worth_rewriting(&self, lows: &Lows, segment: &Segment) -> bool {
        let Some(rows) = self.rows(segment) else {
            return false;
        };
        let live = rows
            .iter()
            .filter(|row| self.is_row_live(lows, row))
            .map(|row| (self.live_bytes(lows, row), row));
        let (mut bytes, mut records, mut keys) = (0u64, 0u64, 0u64);
        for (live, row) in live {
            bytes += live;
            records += u64::from(row.records);
            keys += 1;
        }
        segment.last <= self.checkpoints.spool_covered()
            && crate::cleaner::rewritten_size(records, bytes, keys) <= segment.size / 2
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
