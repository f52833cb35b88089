//! The core of an uplink: a plain state machine that knows no clock, no network and no disk.
//!
//! ```text
//!   handle_read ──▶ queue: a line per key ──▶ flights ──handle_answer──▶ Ack · back into its line · Bury
//!        ▲           (ready · resting)        (batches)
//!        └── Read, while less than `read_ahead` is held
//! ```
//!
//! Invariants:
//! - A position is in `Action::Ack` only if the receiver accepted the event, or the sink is not owed it.
//! - Of one key and target at most one batch is in flight, and its events are in order.
//! - After a failure one batch is in flight, until one was accepted.
//! - What is held is bounded by `read_ahead` and one read.

mod action;
mod ahead;
mod backoff;
mod holding;
mod judgement;
mod queue;
mod rate;
mod sending;
#[cfg(test)]
mod simulation;
mod status;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

use spool::{Lane, Seq};

pub use action::{Action, BatchId, Buried, DeadReason, Fitness, Offered};
pub use ahead::ACKS_AHEAD_MAX;
pub use backoff::{BACKOFF_MAX, BACKOFF_MIN, RETRY_AFTER_MAX};
pub use status::{LinkState, UplinkStatus};

use crate::{Answer, Limits};
use ahead::Ahead;
use backoff::Backoff;
use queue::{Queue, Waiting};
use rate::{BatchSize, DrainRate, Pace, Window};

/// One read asks for at most so many records,
const READ_RECORDS: usize = 1024;
/// and so many bytes.
const READ_BYTES: usize = 256 * 1024;
/// What an event costs in memory beside its encoded bytes, roughly.
const EVENT_OVERHEAD_BYTES: usize = 256;

/// Drains lanes of a cursor into a sink.
#[derive(Debug)]
pub struct Uplink {
    limits: Limits,
    rng: fastrand::Rng,
    /// From the lane sent first to the lane sent last.
    lanes: Vec<Reader>,
    reading: Option<Reading>,
    read_backoff: Backoff,
    queue: Queue,
    ahead: Ahead,
    flights: BTreeMap<BatchId, Flight>,
    in_flight_events: usize,
    burying: BTreeMap<Seq, Waiting>,
    /// Since when the log has no room for the dead letters there are, and none was kept.
    no_room_since: Option<Instant>,
    held_bytes: usize,
    next_batch: BatchId,
    backoff: Backoff,
    /// Batches before this one were sent before the last failure: their failing is the same failure.
    failed_before: BatchId,
    /// The same for answers that came late.
    slow_before: BatchId,
    window: Window,
    pace: Pace,
    /// What is ready waits for the pace.
    paced: bool,
    drain: DrainRate,
    /// The largest batch the receiver is known to take.
    batch_size: BatchSize,
    seen: Seen,
    stalled: Option<String>,
    actions: VecDeque<Action>,
}

#[derive(Debug)]
struct Reader {
    lane: Lane,
    after: Seq,
    at_end: bool,
    /// The last read gave nothing and came no further: the cursor can hold no more ahead until something is acknowledged.
    blocked: bool,
}

#[derive(Debug)]
struct Reading {
    lane: Lane,
    /// Something was committed meanwhile: the end it finds is not the end.
    outdated: bool,
}

#[derive(Debug)]
struct Flight {
    sent: Instant,
    events: Vec<Waiting>,
    bytes: usize,
}

/// What status tells.
#[derive(Debug, Default)]
struct Seen {
    started: Option<Instant>,
    last_ack: Option<Instant>,
    canary_refused: Option<Instant>,
    last_error: Option<(Instant, String)>,
    acknowledged: u64,
    repeated: u64,
    dead_letters: u64,
    dead_letters_lost: u64,
    not_sent_back: u64,
    expired: u64,
}

impl Uplink {
    /// An uplink that begins reading behind `after`. `lanes` from the one sent first to the one sent last, without
    /// repeats.
    pub fn new(
        now: Instant,
        limits: Limits,
        lanes: &[Lane],
        after: Seq,
        rng: fastrand::Rng,
    ) -> Uplink {
        let mut uplink = Uplink {
            window: Window::new(limits.in_flight),
            batch_size: BatchSize::new(limits.batch_bytes),
            limits,
            rng,
            lanes: lanes
                .iter()
                .map(|lane| Reader {
                    lane: *lane,
                    after,
                    at_end: false,
                    blocked: false,
                })
                .collect(),
            reading: None,
            read_backoff: Backoff::default(),
            queue: Queue::default(),
            ahead: Ahead::default(),
            flights: BTreeMap::new(),
            in_flight_events: 0,
            burying: BTreeMap::new(),
            no_room_since: None,
            held_bytes: 0,
            next_batch: BatchId(0),
            backoff: Backoff::default(),
            failed_before: BatchId(0),
            slow_before: BatchId(0),
            paced: false,
            pace: Pace::default(),
            drain: DrainRate::default(),
            seen: Seen {
                started: Some(now),
                ..Seen::default()
            },
            stalled: None,
            actions: VecDeque::new(),
        };
        uplink.advance(now);
        uplink
    }

    /// What a read gave: `next` and `at_end` as [`spool::Batch`] has them.
    pub fn handle_read(
        &mut self,
        now: Instant,
        lane: Lane,
        offered: Vec<Offered>,
        next: Seq,
        at_end: bool,
    ) {
        let Some(reading) = self.reading.take_if(|reading| reading.lane == lane) else {
            return;
        };
        self.read_backoff.succeed();
        self.stalled = None;
        let empty = offered.is_empty();
        let mut done = Vec::new();
        for offered in offered {
            if !self.ahead.contains(offered.seq) {
                self.take_in(lane, offered, &mut done);
            }
        }
        if let Some(reader) = self.lanes.iter_mut().find(|reader| reader.lane == lane) {
            reader.blocked = empty && !at_end && next <= reader.after;
            reader.after = reader.after.max(next);
            reader.at_end = at_end && !reading.outdated;
        }
        self.ack(done);
        self.advance(now);
    }

    /// A read failed; it is tried again after a while.
    pub fn handle_read_error(&mut self, now: Instant, error: String) {
        self.reading = None;
        self.read_backoff.fail(now, None, &mut self.rng);
        self.stalled = Some(format!("the spool cannot be read: {error}"));
        self.note_error(now, error);
    }

    /// Records were committed since the last read.
    pub fn handle_commit(&mut self, now: Instant) {
        for reader in &mut self.lanes {
            (reader.at_end, reader.blocked) = (false, false);
        }
        if let Some(reading) = &mut self.reading {
            reading.outdated = true;
        }
        self.advance(now);
    }

    /// What the receiver said of a batch.
    pub fn handle_answer(&mut self, now: Instant, batch: BatchId, answer: Answer) {
        let Some(flight) = self.flights.remove(&batch) else {
            return;
        };
        self.in_flight_events -= flight.events.len();
        let slow = now.saturating_duration_since(flight.sent) > self.limits.slow_answer;
        if flight.events.is_empty() {
            self.judge_canary(now, batch, &answer);
        } else {
            self.judge_batch(now, batch, flight, answer);
        }
        if slow && batch >= self.slow_before {
            self.window.halve();
            self.slow_before = self.next_batch;
        }
        self.advance(now);
    }

    /// What became of a dead letter.
    pub fn handle_buried(&mut self, now: Instant, seq: Seq, buried: Buried) {
        let Some(event) = self.burying.remove(&seq) else {
            return;
        };
        self.stalled = None;
        // Where none is left that looks for room, what is known of it grows old.
        if buried == Buried::Kept || self.burying.is_empty() {
            self.no_room_since = None;
        }
        self.seen.dead_letters += 1;
        self.seen.dead_letters_lost += u64::from(buried == Buried::AtBound);
        self.close(&event);
        self.advance(now);
    }

    /// The spool has no room for a dead letter; the shell tries again, and asks [`Uplink::gives_up_graves`].
    pub fn handle_no_grave(&mut self, now: Instant, error: &str) {
        self.no_room_since.get_or_insert(now);
        self.handle_bury_error(now, error);
    }

    /// Whether dead letters have found no room for so long ([`Limits::bury_for`]) that those that find none are gone.
    pub fn gives_up_graves(&self, now: Instant) -> bool {
        let waited = |since| now.saturating_duration_since(since) >= self.limits.bury_for;
        self.no_room_since.is_some_and(waited)
    }

    /// Dead letters cannot be kept at the moment; the shell tries again.
    pub fn handle_bury_error(&mut self, now: Instant, error: &str) {
        let reason = format!("a dead letter cannot be kept: {error}");
        self.note_error(now, reason.clone());
        self.stalled = Some(reason);
    }

    /// The deadline has come.
    pub fn handle_deadline(&mut self, now: Instant) {
        self.advance(now);
    }

    /// When `handle_deadline` is to be called at the latest.
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let resting = self.backoff.resting(now);
        let sending = match resting {
            Some(until) => Some(until),
            None => self.pace.ready_at().filter(|_| self.paced),
        };
        let reading = self.read_backoff.resting(now);
        let canary = self
            .canary_at()
            .map(|at| resting.map_or(at, |until| at.max(until)));
        [sending, reading, self.queue.next_wake(), canary]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether all there was to read has been read, and is done with.
    pub fn is_drained(&self) -> bool {
        self.lanes.iter().all(|reader| reader.at_end)
            && self.reading.is_none()
            && self.queue.len() == 0
            && self.flights.is_empty()
            && self.burying.is_empty()
            && self.actions.is_empty()
    }

    /// What is to be done next.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }
}
