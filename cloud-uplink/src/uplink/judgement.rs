//! What an answer means: for each event of the batch, for its line, its target, and the sink as a whole.

use std::{sync::Arc, time::Instant};

use spool::Seq;

use super::{
    BatchId, DeadReason, Flight, RETRY_AFTER_MAX, Uplink,
    backoff::Backoff,
    queue::{Doubt, LineKey, Waiting},
};
use crate::{Answer, Outcome};

impl Uplink {
    pub(super) fn note_error(&mut self, now: Instant, error: String) {
        self.seen.last_error = Some((now, error));
    }

    fn note_ack(&mut self, now: Instant, batch: BatchId) {
        self.seen.last_ack = Some(now);
        if batch >= self.failed_before {
            self.backoff.succeed();
            self.window.grow();
        }
    }

    pub(super) fn judge_canary(&mut self, now: Instant, batch: BatchId, answer: &Answer) {
        let outcome = match answer {
            Answer::All(outcome) => Some(outcome),
            Answer::Each(outcomes) => outcomes.first(),
        };
        match outcome {
            Some(Outcome::Accepted) => self.note_ack(now, batch),
            // That the receiver takes no such event says nothing of those that are owed to it.
            Some(outcome) if outcome.is_refusal() => {
                self.seen.canary_refused = Some(now);
                self.note_error(now, format!("the canary: {}", outcome.error()));
            }
            Some(outcome) => self.fail_sink(now, batch, outcome),
            None => self.fail_sink(now, batch, &unanswered()),
        }
    }

    pub(super) fn judge_batch(
        &mut self,
        now: Instant,
        batch: BatchId,
        flight: Flight,
        answer: Answer,
    ) {
        let bytes = flight.bytes;
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
            if verdict.failure.is_none() {
                self.batch_size.take(bytes);
            }
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
            self.batch_size.refuse(flight.bytes);
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
