//! What the log says of itself.

use crate::{
    CursorId, CursorStatus, Lane, Loss, NodeTime, Seq, Spool,
    cursor::Cursor,
    liveness::Lows,
    log::State,
    segment::{Index, Segment},
};

/// A lane as status shows it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct LaneStatus {
    /// Its name.
    pub name: String,
    /// Records still owed to somebody, as far as low marks tell.
    pub pending_records: u64,
    /// Their bytes.
    pub pending_bytes: u64,
    /// What all lanes together may fill before this one has no room.
    pub bound_bytes: u64,
    /// When the oldest of them was appended, to the segment's accuracy.
    pub oldest: Option<NodeTime>,
    /// Whether an append found no room and there is none still.
    pub full: bool,
}

/// Whether the disk takes what it is given.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Health {
    /// The last commit was stored.
    Ok,
    /// Commits fail; nothing is acknowledged; tried again.
    Failing {
        /// What the system said last.
        error: String,
        /// When it began.
        since: NodeTime,
    },
}

/// The log as status shows it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Status {
    /// The first position that may still be kept.
    pub oldest: Seq,
    /// The last on stable storage.
    pub committed: Seq,
    /// The last assigned.
    pub appended: Seq,
    /// Bytes of everything in the directory.
    pub used_bytes: u64,
    /// Their bound.
    pub bound_bytes: u64,
    /// Free bytes of the file system, as of the last look.
    pub free_bytes: u64,
    /// Bytes of these that the log leaves free.
    pub min_free_bytes: u64,
    /// Segments that hold records.
    pub segments: u64,
    /// Commits since the start.
    pub commits: u64,
    /// Median time of the last commits, write and sync, in microseconds.
    pub commit_p50_us: u64,
    /// Longest time of a commit since the start, in microseconds.
    pub commit_max_us: u64,
    /// Bytes that wait for a commit, what the spool itself has to store included.
    pub waiting_bytes: u64,
    /// How many appends, new cursors and new routes were refused since the start because too much waited for a commit.
    pub refused_waiting: u64,
    /// Routes that are known: those on which somebody is owed something, and others as long as they are few.
    pub routes: u64,
    /// Each lane.
    pub lanes: Vec<LaneStatus>,
    /// Each cursor.
    pub cursors: Vec<CursorStatus>,
    /// Everything that was lost.
    pub ledger: Vec<Loss>,
    /// Whether the disk takes what it is given.
    pub health: Health,
}

impl Spool {
    /// Whether the disk takes what it is given.
    pub fn health(&self) -> Health {
        self.inner.lock().health.clone()
    }

    /// The log as it is now. Looks at every segment's summary: not for every message.
    pub fn status(&self) -> Status {
        let state = self.inner.lock();
        let lows = state.lows();
        Status {
            oldest: Seq(state.oldest()),
            committed: Seq(state.committed),
            appended: self.appended(),
            used_bytes: state.files_bytes(),
            bound_bytes: state.sizes.bound,
            free_bytes: state.room.free_bytes,
            min_free_bytes: state.sizes.min_free,
            segments: state.segments.len() as u64,
            commits: state.commits.count,
            commit_p50_us: state.commits.median_us(),
            commit_max_us: state.commits.longest_us,
            waiting_bytes: state.waiting_bytes() as u64,
            refused_waiting: state.refused,
            routes: state.routes.len() as u64,
            lanes: (0..state.lanes.len())
                .map(|lane| state.lane_status(&lows, lane))
                .collect(),
            cursors: state
                .cursors
                .values()
                .map(|cursor| state.cursor_status(cursor))
                .collect(),
            ledger: state.ledger.entries(),
            health: state.health.clone(),
        }
    }

    /// One cursor as it is now.
    pub fn cursor_status(&self, cursor: CursorId) -> Option<CursorStatus> {
        let state = self.inner.lock();
        state
            .cursors
            .get(&cursor.0)
            .map(|cursor| state.cursor_status(cursor))
    }
}

impl State {
    fn cursor_status(&self, cursor: &Cursor) -> CursorStatus {
        let pending = self.pending_of(cursor);
        // Without a window, the first owed is not before the next position.
        let oldest = cursor
            .first_owed()
            .map_or(cursor.low() + 1, |owed| owed.seq);
        CursorStatus {
            name: cursor.name.clone(),
            // History is not owed, but may be still to come.
            low: Seq(
                if pending.records == 0 && cursor.low() >= cursor.history_until {
                    self.committed
                } else {
                    cursor.low()
                },
            ),
            pending_records: pending.records,
            pending_bytes: pending.bytes,
            oldest_pending: (pending.records > 0)
                .then(|| self.time_of(oldest))
                .flatten(),
            acknowledged_records: cursor.acknowledged,
        }
    }

    /// When a position was appended, to the segment's accuracy where that has been sealed.
    fn time_of(&self, seq: u64) -> Option<NodeTime> {
        let segment = self
            .segments
            .get(self.segment_after(seq.saturating_sub(1)))?;
        Some(NodeTime(match &segment.index {
            Index::Open(slots) => slots
                .after(seq.saturating_sub(1))
                .next()
                .map_or(segment.base.time, |place| place.time),
            Index::Sealed(_) => segment.base.time,
        }))
    }

    fn lane_status(&self, lows: &Lows, lane: usize) -> LaneStatus {
        let (mut records, mut bytes, mut oldest) = (0, 0, None);
        for segment in &self.segments {
            let owed = self.owed_in(lows, segment, lane);
            if owed.0 > 0 && oldest.is_none() {
                oldest = Some(owed.2);
            }
            records += owed.0;
            bytes += owed.1;
        }
        LaneStatus {
            name: self
                .lanes
                .get(lane)
                .map(|lane| lane.name.clone())
                .unwrap_or_default(),
            pending_records: records,
            pending_bytes: bytes,
            bound_bytes: self.lane_bound(lane),
            oldest: oldest.map(NodeTime),
            // A lane has no room either where one that is kept longer has none.
            full: self.room.full_lanes & ((2 << lane) - 1) != 0,
        }
    }

    /// Records and bytes of a lane that somebody is owed, and the time of the first.
    fn owed_in(&self, lows: &Lows, segment: &Segment, lane: usize) -> (u64, u64, u64) {
        let mut owed = (0, 0, u64::MAX);
        match &segment.index {
            Index::Open(slots) => {
                let places = slots
                    .iter()
                    .filter(|it| it.tag.is_event() && usize::from(it.tag.lane().0) == lane);
                for place in places.filter(|it| it.seq > self.history_until(lows, it.tag, it.route))
                {
                    owed = (
                        owed.0 + 1,
                        owed.1 + u64::from(place.len),
                        owed.2.min(place.time),
                    );
                }
            }
            Index::Sealed(_) => {
                if let Some(needed) = self.needed(lows, segment) {
                    let amount = needed.owed(Lane(lane as u8));
                    owed = (amount.records, amount.bytes, segment.base.time);
                }
            }
        }
        owed
    }
}
