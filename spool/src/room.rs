//! Who may still append how much, and what is given up when nobody may.

use std::collections::VecDeque;

use crate::{
    Full, Lane, WhenFull, frame::PAGE, log::State, pending::Pending, prepare::Prepared, record::Tag,
};

/// Segments only the cleaner may use.
const CLEANER_SEGMENTS: u64 = 2;
/// Segments beyond the lanes' for state, control records and the ends of segments that a frame did not fit.
const STATE_SEGMENTS: u64 = 2;
/// Segments beyond its bound that a lane may begin while the housekeeper gives up its oldest.
const AHEAD_SEGMENTS: u64 = 2;
/// Index bytes counted for each record.
const PER_RECORD: u64 = 16;

/// Files and room.
#[derive(Default)]
pub(crate) struct Room {
    /// The next segments, made before they are needed.
    pub(crate) ready: VecDeque<Prepared>,
    /// Files of a segment's size that hold nothing.
    pub(crate) spares: Vec<String>,
    /// Files to remove.
    pub(crate) garbage: Vec<String>,
    /// Segments that may be all that tells of damage; garbage once the ledger on disk tells of it.
    pub(crate) traces: Vec<String>,
    /// Bytes of files that are neither segments nor spares.
    pub(crate) other_bytes: u64,
    pub(crate) quarantine_bytes: u64,
    pub(crate) free_bytes: u64,
    pub(crate) last_id: u64,
    /// Lanes (bit n = lane n) that found no room and were not told of any since; bit 31 stands for state.
    pub(crate) full_lanes: u32,
    /// A new route found no room, and whoever asked was not told of any since.
    pub(crate) routes_are_full: bool,
    /// Bytes appended since the start.
    taken: u64,
    /// Bytes that could not be used again, and whether another segment could be begun, when that was last measured.
    occupied: u64,
    files_left: bool,
    /// Lanes (bit n = lane n) for which something is to be given up.
    pub(crate) wanting: u32,
    /// What `taken` may reach, by lane and, last, for state.
    limits: Vec<u64>,
    stale: bool,
    /// How often there was reason to measure again.
    pub(crate) changes: u64,
}

const STATE_BIT: u32 = 1 << 31;

impl Room {
    /// Acknowledgements, files or commits changed what there is.
    pub(crate) fn is_stale(&mut self) {
        self.changes += 1;
        self.stale = true;
    }

    /// Whether somebody waits for room.
    pub(crate) fn is_awaited(&self) -> bool {
        self.full_lanes != 0 || self.routes_are_full
    }

    /// More is known of what there is.
    pub(crate) fn is_to_be_measured(&mut self) {
        self.stale = true;
    }

    /// Counts what a frame takes beyond its records.
    pub(crate) fn pad(&mut self, batch: &Pending) {
        self.taken = self
            .taken
            .saturating_add(batch.span().saturating_sub(batch.content_len() as u64));
        self.is_stale();
    }
}

impl State {
    pub(crate) fn files_bytes(&self) -> u64 {
        let segments: u64 = self.segments.iter().map(|segment| segment.size).sum();
        let room = &self.room;
        let others = room.spares.len() + room.garbage.len() + room.traces.len() + room.ready.len();
        segments
            .saturating_add((others as u64).saturating_mul(self.sizes.segment))
            .saturating_add(self.room.other_bytes)
    }

    /// What all files together may fill: the bound, or where that is less what they do and the file system has for more.
    fn bound(&self) -> u64 {
        let with_free = self.files_bytes().saturating_add(self.room.free_bytes);
        let by_disk = with_free.saturating_sub(self.sizes.min_free);
        by_disk.min(self.sizes.bound)
    }

    /// What of a bound all files but the cleaner's may fill.
    fn files_limit(&self, bound: u64) -> u64 {
        bound.saturating_sub(CLEANER_SEGMENTS * self.sizes.segment)
    }

    /// Segment files that may still be created.
    pub(crate) fn creatable(&self) -> u64 {
        self.creatable_within(self.files_limit(self.bound()), 0)
    }

    /// Segment files a commit may create that nothing else can make room for: what it brings may be the very thing
    /// that lets others be freed. A rewrite needs no more than half a segment, so that one is left for the cleaner, but
    /// for the last commit of a run.
    pub(crate) fn creatable_in_need(&self) -> u64 {
        let for_cleaner = if self.closed { 0 } else { self.sizes.segment };
        self.creatable_within(self.bound().saturating_sub(for_cleaner), 0)
    }

    fn creatable_within(&self, limit: u64, freed: u64) -> u64 {
        let more = limit
            .saturating_add(freed)
            .saturating_sub(self.files_bytes());
        more / self.sizes.segment
    }

    /// What all lanes together may fill before this one has no room.
    pub(crate) fn lane_bound(&self, lane: usize) -> u64 {
        let bound = self.bound();
        let kept_for_others = bound / 10 * lane as u64;
        self.files_limit(bound)
            .saturating_sub(STATE_SEGMENTS * self.sizes.segment)
            .saturating_sub(kept_for_others)
    }

    pub(crate) fn measure(&mut self) {
        let lows = self.lows();
        let size = self.sizes.segment;
        let dead: Vec<u64> = self
            .segments
            .iter()
            .filter(|segment| self.is_dead(&lows, segment))
            .map(|segment| segment.size)
            .collect();
        let whole_dead = dead.iter().filter(|&&bytes| bytes == size).count() as u64;
        let segments: u64 = self.segments.iter().map(|segment| segment.size).sum();
        let occupied = segments
            .saturating_sub(dead.iter().sum())
            .saturating_add(self.room.other_bytes);
        let files = (self.room.spares.len() + self.room.ready.len()) as u64;
        // The bytes of dead segments that were rewritten can be used again, though not their files.
        let small_dead = dead.iter().filter(|&&bytes| bytes != size).sum();
        let files_limit = self.files_limit(self.bound());
        let by_files = files + whole_dead + self.creatable_within(files_limit, small_dead);
        let usable = size / 8 * 7;
        let waiting: u64 = self
            .pending
            .iter()
            .map(|batch| batch.len() as u64 + batch.index_bytes())
            .sum();
        let waiting = waiting + self.committing_bytes as u64;
        let active = self
            .segments
            .back()
            .filter(|segment| !segment.is_sealed() && segment.fault.is_none());
        let left = active.map_or(0, |segment| {
            let used = segment.end + segment.records * PER_RECORD + 2 * PAGE;
            segment.size.saturating_sub(used) / 8 * 7
        });
        let lanes = self.lanes.len();
        let limit = |bound: u64| {
            // The end of a segment that a frame did not fit into gives no right to another segment.
            let Some(beyond) = bound.checked_sub(occupied) else {
                return self.room.taken;
            };
            let slots = (beyond / size).min(by_files);
            self.room
                .taken
                .saturating_add((left + slots * usable).saturating_sub(waiting))
        };
        let mut limits: Vec<u64> = (0..lanes)
            .map(|lane| limit(self.lane_bound(lane)))
            .collect();
        // Where others have taken what the files of the log could grow by, state still has those that are there.
        limits.push(limit(self.files_limit(self.sizes.bound)));
        self.room.limits = limits;
        (self.room.occupied, self.room.files_left) = (occupied, by_files > 0);
        self.room.stale = false;
    }

    /// Whether some lane is about to run out of room.
    fn is_nearly_full(&mut self) -> bool {
        if self.room.stale {
            self.measure();
        }
        let least = self.room.limits.iter().min().copied().unwrap_or(u64::MAX);
        least.saturating_sub(self.room.taken) < 2 * self.sizes.segment
    }

    /// Whether there is a file for the next segment, or one may be created.
    pub(crate) fn has_next_segment(&self) -> bool {
        !self.room.ready.is_empty() || !self.room.spares.is_empty() || self.creatable() > 0
    }

    /// Whether an append or the next segment finds no room, or soon will.
    pub(crate) fn is_short(&mut self) -> bool {
        !self.has_next_segment()
            || self.room.full_lanes != 0
            || self.room.wanting != 0
            || self.is_nearly_full()
    }

    fn room_for(&self, tag: Tag) -> u64 {
        if tag.is_event() {
            self.lane_room(tag.lane())
        } else {
            self.room_within(self.lanes.len())
        }
    }

    /// What a lane may still append, as of the last measurement.
    pub(crate) fn lane_room(&self, lane: Lane) -> u64 {
        self.room_within(usize::from(lane.0))
    }

    fn room_within(&self, at: usize) -> u64 {
        self.room
            .limits
            .get(at)
            .copied()
            .unwrap_or(0)
            .saturating_sub(self.room.taken)
    }

    /// Counts a record in, or says why not.
    pub(crate) fn take_room(&mut self, tag: Tag, len: u64) -> Result<(), Full> {
        let need = len + PER_RECORD;
        if self.room_for(tag) < need && !self.find_room(tag, need) {
            let lane = usize::from(tag.lane().0);
            let when_full = self
                .lanes
                .get(lane)
                .map(|lane| lane.when_full)
                .unwrap_or_default();
            self.room.full_lanes |= if tag.is_event() { 1 << lane } else { STATE_BIT };
            self.want_chores();
            return Err(Full::Bound { when_full });
        }
        self.room.taken += need;
        Ok(())
    }

    fn find_room(&mut self, tag: Tag, need: u64) -> bool {
        if self.room.stale || self.room.limits.is_empty() {
            self.measure();
            if self.room_for(tag) >= need {
                return true;
            }
        }
        let lane = tag.lane();
        let when_full = self
            .lanes
            .get(usize::from(lane.0))
            .map(|lane| lane.when_full)
            .unwrap_or_default();
        if !tag.is_event() || matches!(when_full, WhenFull::Refuse | WhenFull::Reject) {
            return false;
        }
        // What is given up is found by the housekeeper; so much may be appended meanwhile.
        self.room.wanting |= 1 << lane.0;
        self.want_chores();
        let ahead = AHEAD_SEGMENTS * self.sizes.segment;
        self.room.files_left && self.room.occupied <= self.lane_bound(usize::from(lane.0)) + ahead
    }

    /// Finds out for which of the full lanes, or for routes, room has returned; true if for any.
    pub(crate) fn room_returned(&mut self) -> bool {
        let for_routes = self.route_room_returned();
        if self.room.full_lanes == 0 {
            return for_routes;
        }
        self.measure();
        let before = self.room.full_lanes;
        let enough = self.sizes.segment / 8;
        for (at, limit) in self.room.limits.iter().enumerate() {
            let bit = if at == self.lanes.len() {
                STATE_BIT
            } else {
                1 << at
            };
            if limit.saturating_sub(self.room.taken) >= enough {
                self.room.full_lanes &= !bit;
            }
        }
        for_routes || before != self.room.full_lanes
    }
}
