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
mod queue;
mod rate;
#[cfg(test)]
mod simulation;
mod status;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use spool::{Lane, Seq};

pub use action::{Action, BatchId, Buried, DeadReason, Fitness, Offered};
pub use ahead::ACKS_AHEAD_MAX;
pub use backoff::{BACKOFF_MAX, BACKOFF_MIN, RETRY_AFTER_MAX};
pub use status::{LinkState, UplinkStatus};

use crate::{Answer, Limits, MAX_HOPS, Outcome};
use ahead::Ahead;
use backoff::Backoff;
use queue::{Doubt, LineKey, Queue, Room, Waiting};
use rate::{DrainRate, Pace, Window};

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
    batch_bytes: usize,
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
            batch_bytes: limits.batch_bytes,
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
        self.seen.dead_letters += 1;
        self.seen.dead_letters_lost += u64::from(buried == Buried::AtBound);
        self.close(&event);
        self.advance(now);
    }

    /// Dead letters cannot be kept at the moment, since the spool has no room; the shell tries again.
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

    /// What is to be done next.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The state of the link; `pending` as the spool counts it.
    pub fn status(&self, now: Instant, pending: u64) -> UplinkStatus {
        let ago = |at: Instant| duration_ms(now.saturating_duration_since(at));
        let drain = self.drain.per_second(now);
        let retry = self.backoff.resting(now).or_else(|| self.blocked_until());
        let catch_up = drain
            .filter(|rate| *rate > 0.0)
            .map(|rate| (pending as f64 / rate * 1000.0) as u64);
        UplinkStatus {
            state: self.state(now, pending),
            pending,
            acknowledged: self.seen.acknowledged,
            repeated: self.seen.repeated,
            in_flight: self.in_flight_events as u64,
            held_bytes: self.held_bytes as u64,
            last_error: self
                .seen
                .last_error
                .as_ref()
                .map(|(_, error)| error.clone()),
            last_error_ms: self.seen.last_error.as_ref().map(|(at, _)| ago(*at)),
            last_ack_ms: self.seen.last_ack.map(ago),
            next_retry_ms: retry.map(|until| duration_ms(until.saturating_duration_since(now))),
            drain_per_second: drain,
            catch_up_ms: if pending == 0 { Some(0) } else { catch_up },
            rate_limit: self.pace.events_per_second(),
            dead_letters: self.seen.dead_letters,
            dead_letters_lost: self.seen.dead_letters_lost,
            not_sent_back: self.seen.not_sent_back,
            expired: self.seen.expired,
        }
    }

    fn state(&self, now: Instant, pending: u64) -> LinkState {
        if self.backoff.resting(now).is_some() || self.blocked_until().is_some() {
            let error = self
                .seen
                .last_error
                .as_ref()
                .map(|(_, error)| error.clone());
            return LinkState::BackingOff {
                error: error.unwrap_or_default(),
            };
        }
        if let Some(reason) = &self.stalled {
            return LinkState::Stalled {
                reason: reason.clone(),
            };
        }
        let lately = |at: Instant| now.saturating_duration_since(at) <= self.limits.connected_for;
        if self.seen.last_ack.is_some_and(lately) {
            return LinkState::Connected;
        }
        if pending > 0 || self.ahead.len() > 0 {
            LinkState::Connecting
        } else {
            LinkState::Idle
        }
    }

    /// When something is tried again, if all there is to send was refused and rests.
    fn blocked_until(&self) -> Option<Instant> {
        let blocked = self.queue.len() > 0 && !self.queue.is_ready() && self.flights.is_empty();
        self.queue.next_wake().filter(|_| blocked)
    }

    fn take_in(&mut self, lane: Lane, offered: Offered, done: &mut Vec<Seq>) {
        let seq = offered.seq;
        let waiting = |key, target: Arc<str>, bytes| Waiting {
            seq,
            line: LineKey::new(lane, key, &target),
            target,
            bytes,
            batch_max: usize::MAX,
            tries: 0,
            doubt: None,
        };
        match offered.fitness {
            Fitness::NotOwed => done.push(seq),
            Fitness::FromPeer => {
                self.seen.not_sent_back += 1;
                done.push(seq);
            }
            Fitness::Expired { bytes } => {
                self.seen.expired += 1;
                self.actions.push_back(Action::Expire { seq, bytes });
                done.push(seq);
            }
            Fitness::Unsendable(error) => {
                self.bury_unsent(waiting(0, "".into(), 0), DeadReason::Unsendable(error))
            }
            Fitness::Send {
                key,
                target,
                bytes,
                hops,
            } if hops > MAX_HOPS => {
                self.bury_unsent(waiting(key, target, bytes), DeadReason::TooManyHops);
            }
            Fitness::Send {
                key, target, bytes, ..
            } => {
                let waiting = waiting(key, target, bytes);
                self.hold(&waiting);
                self.queue.push(waiting);
            }
        }
    }

    fn bury_unsent(&mut self, event: Waiting, reason: DeadReason) {
        self.hold(&event);
        self.queue.count(&event.target);
        self.bury(event, reason);
    }

    fn hold(&mut self, event: &Waiting) {
        self.held_bytes += event.bytes + EVENT_OVERHEAD_BYTES;
        self.ahead.open(event.seq, event.line);
    }

    /// The event is done with.
    fn close(&mut self, event: &Waiting) {
        self.held_bytes -= event.bytes + EVENT_OVERHEAD_BYTES;
        self.queue.forget(event);
        let unread = self.unread();
        self.ahead.close(event.seq, unread);
        self.unblock();
    }

    /// The lowest position behind which there may be records that were not read.
    fn unread(&self) -> Option<Seq> {
        self.lanes
            .iter()
            .filter(|reader| !reader.at_end)
            .map(|reader| reader.after)
            .min()
    }

    fn bury(&mut self, event: Waiting, reason: DeadReason) {
        self.actions.push_back(Action::Bury {
            seq: event.seq,
            reason,
            tries: event.tries,
        });
        self.burying.insert(event.seq, event);
    }

    /// Something is acknowledged: the cursor can hold more ahead.
    fn unblock(&mut self) {
        for reader in &mut self.lanes {
            reader.blocked = false;
        }
    }

    fn ack(&mut self, seqs: Vec<Seq>) {
        if !seqs.is_empty() {
            self.unblock();
            self.actions.push_back(Action::Ack { seqs });
        }
    }

    fn note_error(&mut self, now: Instant, error: String) {
        self.seen.last_error = Some((now, error));
    }

    fn note_ack(&mut self, now: Instant, batch: BatchId) {
        self.seen.last_ack = Some(now);
        if batch >= self.failed_before {
            self.backoff.succeed();
            self.window.grow();
        }
    }

    fn judge_canary(&mut self, now: Instant, batch: BatchId, answer: &Answer) {
        let outcome = match answer {
            Answer::All(outcome) => Some(outcome),
            Answer::Each(outcomes) => outcomes.first(),
        };
        match outcome {
            Some(Outcome::Accepted) => self.note_ack(now, batch),
            Some(outcome) => self.fail_sink(now, batch, outcome),
            None => self.fail_sink(now, batch, &unanswered()),
        }
    }

    fn judge_batch(&mut self, now: Instant, batch: BatchId, flight: Flight, answer: Answer) {
        let lines: Vec<LineKey> = flight.events.iter().map(|event| event.line).collect();
        let mut verdict = Verdict {
            batch,
            ..Verdict::default()
        };
        match answer {
            Answer::All(outcome) if flight.events.len() > 1 && outcome.is_refusal() => {
                self.split(now, flight, &outcome);
            }
            Answer::All(outcome) => {
                for event in flight.events {
                    self.judge(now, event, outcome.clone(), &mut verdict);
                }
            }
            Answer::Each(outcomes) => {
                if outcomes.is_empty() {
                    verdict.fail(unanswered());
                }
                let mut outcomes = outcomes.into_iter();
                for event in flight.events {
                    match outcomes.next() {
                        Some(outcome) => self.judge(now, event, outcome, &mut verdict),
                        None => self.queue.give_back(event),
                    }
                }
            }
        }
        if !verdict.accepted.is_empty() {
            self.note_ack(now, batch);
            self.seen.acknowledged += verdict.accepted.len() as u64;
            self.drain.accept(now, verdict.accepted.len());
            self.ack(verdict.accepted);
        }
        for (line, until) in verdict.resting {
            self.queue.rest_line(line, until);
        }
        for line in verdict.probing {
            self.queue.probe(line, self.limits.refused_tries);
        }
        for line in lines {
            self.queue.release(line);
        }
        if let Some(outcome) = verdict.failure {
            self.fail_sink(now, batch, &outcome);
        }
    }

    /// One event of the batch is at fault, nobody knows which: smaller batches will tell.
    fn split(&mut self, now: Instant, flight: Flight, outcome: &Outcome) {
        let half = (flight.events.len() / 2).max(1);
        if matches!(outcome, Outcome::TooLarge { .. }) {
            self.batch_bytes = self.batch_bytes.min((flight.bytes / 2).max(1));
        }
        let error = outcome.error().to_owned();
        if let Some(first) = flight.events.first() {
            let target = Arc::clone(&first.target);
            self.queue.strike(&target, now, &mut self.rng);
        }
        for mut event in flight.events {
            event.batch_max = event.batch_max.min(half);
            self.queue.give_back(event);
        }
        self.note_error(now, error);
    }

    fn judge(&mut self, now: Instant, event: Waiting, outcome: Outcome, verdict: &mut Verdict) {
        match outcome {
            Outcome::Accepted => {
                self.queue.accept(&event.target, verdict.batch);
                verdict.accepted.push(event.seq);
                self.close(&event);
            }
            Outcome::Overloaded { .. } | Outcome::Unavailable { .. } => {
                self.queue.give_back(event);
                verdict.fail(outcome);
            }
            Outcome::Refused { error } => {
                self.strike(now, &event, &error);
                self.bury(event, DeadReason::Refused(error));
            }
            Outcome::TooLarge { error } => {
                self.strike(now, &event, &error);
                self.bury(event, DeadReason::TooLarge(error));
            }
            Outcome::Doubtful { error } => {
                self.strike(now, &event, &error);
                self.doubt(now, event, error, verdict);
            }
        }
    }

    fn doubt(&mut self, now: Instant, mut event: Waiting, error: String, verdict: &mut Verdict) {
        let since = self.next_batch;
        let doubt = event.doubt.get_or_insert_with(|| Doubt {
            refusals: 0,
            since,
            backoff: Backoff::default(),
        });
        doubt.refusals += 1;
        let often = doubt.refusals >= self.limits.refused_tries;
        if often && self.queue.accepted_since(&event.target, doubt.since) {
            self.bury(event, DeadReason::Doubtful(error));
            return;
        }
        let until = doubt.backoff.fail(now, None, &mut self.rng);
        let line = event.line;
        let first = self.queue.is_first(&event);
        self.queue.give_back(event);
        // Whether the event or its target is at fault can be learned only from another event. Where all others of the
        // target are behind this one in its line, the next of them goes before it.
        if often && first {
            verdict.probing.push(line);
        }
        verdict.resting.push((line, until));
    }

    fn strike(&mut self, now: Instant, event: &Waiting, error: &str) {
        self.note_error(now, error.to_owned());
        let target = Arc::clone(&event.target);
        self.queue.strike(&target, now, &mut self.rng);
    }

    /// Nothing got through: the sink as a whole rests.
    fn fail_sink(&mut self, now: Instant, batch: BatchId, outcome: &Outcome) {
        self.note_error(now, outcome.error().to_owned());
        let (retry_after, overloaded) = match outcome {
            Outcome::Overloaded { retry_after, .. } => (*retry_after, true),
            Outcome::Unavailable { retry_after, .. } => (*retry_after, false),
            _ => (None, false),
        };
        if batch < self.failed_before {
            if let Some(rest) = retry_after {
                self.backoff.rest(now + rest.min(RETRY_AFTER_MAX));
            }
            return;
        }
        self.failed_before = self.next_batch;
        self.backoff.fail(now, retry_after, &mut self.rng);
        if overloaded {
            self.pace.slow_down(now, self.drain.per_second(now));
            self.window.halve();
        } else {
            self.window.close();
        }
    }

    fn advance(&mut self, now: Instant) {
        self.queue.wake(now);
        self.paced = false;
        let unread = self.unread();
        self.ahead.forget_below(unread);
        if self.queue.len() == 0 && self.flights.is_empty() {
            self.drain.idle();
        }
        if self.backoff.resting(now).is_none() {
            while self.flights.len() < self.window_batches() && self.send(now) {}
            self.send_canary(now);
        }
        self.read(now);
    }

    fn window_batches(&self) -> usize {
        if self.backoff.failing() {
            1
        } else {
            self.window.batches()
        }
    }

    /// Sends one batch, if there is one that may be sent.
    fn send(&mut self, now: Instant) -> bool {
        if !self.queue.is_ready() {
            return false;
        }
        let allowed = self.pace.allowance(now);
        let ahead = self.ahead.acked() + self.in_flight_events;
        let mut room = Room {
            events: self
                .limits
                .batch_events
                .min(allowed)
                .min(ACKS_AHEAD_MAX.saturating_sub(ahead)),
            bytes: self.batch_bytes,
            by_position: ahead >= ACKS_AHEAD_MAX / 2,
        };
        self.paced = allowed == 0;
        if self.paced {
            return false;
        }
        if room.events == 0 {
            // Too far ahead: only the lowest open event brings the mark on.
            if !self
                .ahead
                .lowest()
                .is_some_and(|(seq, line)| self.queue.is_next(seq, line))
            {
                return false;
            }
            room.events = 1;
        }
        let mut events = self.queue.take(room);
        if events.is_empty() {
            return false;
        }
        for event in &mut events {
            event.tries += 1;
            self.seen.repeated += u64::from(event.tries > 1);
        }
        self.pace.spend(events.len());
        self.drain.busy(now);
        self.launch(now, events);
        true
    }

    fn launch(&mut self, now: Instant, events: Vec<Waiting>) {
        let batch = self.next_batch;
        self.next_batch = BatchId(batch.0 + 1);
        self.in_flight_events += events.len();
        let seqs: Vec<Seq> = events.iter().map(|event| event.seq).collect();
        self.actions.push_back(match events.first() {
            Some(first) => Action::Send {
                batch,
                target: Arc::clone(&first.target),
                seqs,
            },
            None => Action::Canary { batch },
        });
        let bytes = events.iter().map(|event| event.bytes).sum();
        self.flights.insert(
            batch,
            Flight {
                sent: now,
                events,
                bytes,
            },
        );
    }

    fn canary_at(&self) -> Option<Instant> {
        let every = self.limits.canary_every?;
        if !self.flights.is_empty() || self.queue.len() > 0 {
            return None;
        }
        Some(self.seen.last_ack.or(self.seen.started)? + every)
    }

    fn send_canary(&mut self, now: Instant) {
        if self.canary_at().is_some_and(|at| at <= now) {
            self.launch(now, Vec::new());
        }
    }

    fn read(&mut self, now: Instant) {
        if self.reading.is_some() || self.read_backoff.resting(now).is_some() {
            return;
        }
        let lanes = self.lanes.len();
        for (index, reader) in self.lanes.iter().enumerate() {
            // A lane above may read on when those below it have filled the memory.
            let extra = self.limits.read_ahead_bytes / 8 * (lanes - 1 - index);
            if !reader.at_end
                && !reader.blocked
                && self.held_bytes < self.limits.read_ahead_bytes + extra
            {
                let (lane, after) = (reader.lane, reader.after);
                self.reading = Some(Reading {
                    lane,
                    outdated: false,
                });
                self.actions.push_back(Action::Read {
                    lane,
                    after,
                    records: READ_RECORDS,
                    bytes: READ_BYTES,
                });
                return;
            }
        }
    }
}

/// What the answers of one batch add up to.
#[derive(Debug, Default)]
struct Verdict {
    batch: BatchId,
    accepted: Vec<Seq>,
    resting: Vec<(LineKey, Instant)>,
    probing: Vec<LineKey>,
    failure: Option<Outcome>,
}

impl Verdict {
    /// Keeps the graver one: unavailable, then the one that asks for the longer rest.
    fn fail(&mut self, outcome: Outcome) {
        let grave = |outcome: &Outcome| match outcome {
            Outcome::Unavailable { retry_after, .. } => (1, *retry_after),
            Outcome::Overloaded { retry_after, .. } => (0, *retry_after),
            _ => (0, None),
        };
        if self
            .failure
            .as_ref()
            .is_none_or(|old| grave(old) < grave(&outcome))
        {
            self.failure = Some(outcome);
        }
    }
}

fn unanswered() -> Outcome {
    Outcome::Unavailable {
        retry_after: None,
        error: "the sink gave no answer".to_owned(),
    }
}

fn duration_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
