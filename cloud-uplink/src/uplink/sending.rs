//! What goes next, and when: batches, canaries, reads.

use std::{sync::Arc, time::Instant};

use spool::{Lane, Seq};

use super::{
    ACKS_AHEAD_MAX, Action, BatchId, Flight, READ_BYTES, READ_RECORDS, Reading, Uplink,
    queue::{Room, Waiting},
};

impl Uplink {
    pub(super) fn advance(&mut self, now: Instant) {
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
            bytes: self.batch_size.bytes(),
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

    pub(super) fn canary_at(&self) -> Option<Instant> {
        let every = self.limits.canary_every?;
        if !self.flights.is_empty() || self.queue.len() > 0 {
            return None;
        }
        let seen = &self.seen;
        let last = seen.last_ack.or(seen.started).max(seen.canary_refused);
        Some(last? + every)
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
        let Some((lane, after)) = self.unread_lane_in_the_way().or_else(|| self.next_lane()) else {
            return;
        };
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
    }

    fn next_lane(&self) -> Option<(Lane, Seq)> {
        let lanes = self.lanes.len();
        let next = self.lanes.iter().enumerate().find(|(index, reader)| {
            // A lane above may read on when those below it have filled the memory.
            let extra = self.limits.read_ahead_bytes / 8 * (lanes - 1 - index);
            let room = self.held_bytes < self.limits.read_ahead_bytes + extra;
            !reader.at_end && !reader.blocked && room
        });
        next.map(|(_, reader)| (reader.lane, reader.after))
    }

    /// A lane that was not read as far as the lowest open event keeps the cursor's mark back. When acknowledgements have run
    /// far ahead of it, it is read before all others and whatever is held: what it gives is lower, and so is sent first.
    fn unread_lane_in_the_way(&self) -> Option<(Lane, Seq)> {
        if self.ahead.acked() < ACKS_AHEAD_MAX / 2 {
            return None;
        }
        let (open, _) = self.ahead.lowest()?;
        let unread = self.lanes.iter().filter(|reader| !reader.at_end);
        let lowest = unread.min_by_key(|reader| reader.after)?;
        (lowest.after < open && !lowest.blocked).then_some((lowest.lane, lowest.after))
    }
}
