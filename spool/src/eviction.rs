//! What is given up where a lane has no room.

use std::collections::{BTreeSet, HashMap};

use crate::{
    Lane, Loss, LossReason, NodeTime, Seq, WhenFull, lists::Lists, log::State, read::Looked,
    route::Amount,
};

impl State {
    /// The lane of which something is to be given up next, for itself or another, and that has not `failed`.
    pub(crate) fn next_to_drop(&mut self, failed: &BTreeSet<Lane>) -> Option<Lane> {
        self.measure();
        for lane in (0..self.lanes.len() as u8)
            .map(Lane)
            .filter(|lane| self.room.wanting >> lane.0 & 1 == 1)
        {
            if self.lane_room(lane) >= self.sizes.segment / 2 || self.cleaning_will_help() {
                continue;
            }
            let when_full = self
                .lanes
                .get(usize::from(lane.0))
                .map(|lane| lane.when_full)
                .unwrap_or_default();
            let victim = match when_full {
                WhenFull::LowestLaneFirst => self.lowest_live_lane(lane),
                _ => Some(lane),
            };
            if victim.is_some_and(|victim| !failed.contains(&victim)) {
                return victim;
            }
        }
        None
    }

    fn lowest_live_lane(&self, not_above: Lane) -> Option<Lane> {
        let lows = self.lows();
        let lanes = (not_above.0..self.lanes.len() as u8).rev().map(Lane);
        let owes = |lane: Lane| {
            let needed = |segment| self.needed(&lows, segment);
            let mut needed = self.segments.iter().filter_map(needed);
            needed.any(|needed| needed.owed(lane).records > 0)
        };
        lanes.into_iter().find(|&lane| owes(lane))
    }

    /// Gives up what the oldest sealed segment that still owes something of this lane holds of it; false if none does.
    pub(crate) fn drop_oldest(&mut self, lane: Lane, extra: &Lists) -> Looked<bool> {
        let Some(version) = self.oldest_owed(lane, extra)? else {
            return Ok(false);
        };
        let lows = self.lows();
        let Some(segment) = self.segment_by_id(version.0) else {
            return Ok(false);
        };
        let until = segment.last;
        let lists = self.lists_of(
            segment,
            &mut |row| self.is_row_owed(&lows, row, lane),
            extra,
        )?;
        let floor = self.floors.get(usize::from(lane.0)).copied().unwrap_or(0);
        let (mut count, mut bytes, mut first, mut last) = (0, 0, u64::MAX, 0);
        let mut skipped: HashMap<u32, Amount> = HashMap::new();
        for place in lists.iter().flat_map(|list| list.after(floor)) {
            let Some(route) = self.routes.get(place.route) else {
                continue;
            };
            let mut anybody = false;
            for cursor in route
                .route
                .cursors
                .iter()
                .filter_map(|cursor| self.cursors.get(&cursor.0))
            {
                if cursor.owes(lane, place.seq) {
                    anybody = true;
                    if cursor
                        .lane(lane)
                        .is_some_and(|lane| place.seq > lane.filled)
                    {
                        skipped
                            .entry(cursor.id)
                            .or_default()
                            .add(1, u64::from(place.len));
                    }
                }
            }
            if anybody {
                count += 1;
                bytes += u64::from(place.len);
                first = first.min(place.seq);
                last = last.max(place.seq);
            }
        }
        for cursor in self.cursors.values_mut() {
            let known = cursor
                .lane(lane)
                .map(|lane| lane.window.iter())
                .into_iter()
                .flatten();
            let doomed: Vec<u64> = known
                .take_while(|owed| owed.seq <= until)
                .map(|owed| owed.seq)
                .collect();
            for seq in doomed {
                cursor.gave_up |= cursor.mark_done(seq, false);
            }
            cursor.advance();
            if let Some(amount) = skipped.get(&cursor.id)
                && let Some(window) = cursor.lanes.get_mut(usize::from(lane.0))
            {
                window.consumed = window.consumed.plus(*amount);
                (cursor.changed, cursor.gave_up) = (true, true);
            }
        }
        if let Some(floor) = self.floors.get_mut(usize::from(lane.0)) {
            *floor = (*floor).max(until);
        }
        self.floors_changed = true;
        // The table is at hand; without it the segment counts as needed until it is looked at again.
        let _ = self.look_at(version, extra);
        // What nobody is owed any more may have been counted as lost since.
        if count > 0 || !self.ledger.is_stored() {
            self.drops += 1;
        }
        if count > 0 {
            let scope = self
                .lanes
                .get(usize::from(lane.0))
                .map(|lane| lane.name.clone())
                .unwrap_or_default();
            let at = NodeTime(self.last_time);
            let reason = LossReason::DroppedForRoom;
            self.ledger.add(Loss {
                reason,
                scope,
                count,
                bytes,
                first: Seq(first),
                last: Seq(last),
                at,
            });
        }
        Ok(true)
    }
}
