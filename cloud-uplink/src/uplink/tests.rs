//! The promises of the core, one by one.

use std::time::{Duration, Instant};

use spool::{Lane, Seq};

use super::{Action, BatchId, Buried, DeadReason, Fitness, LinkState, Offered, Uplink};
use crate::{Answer, Limits, Outcome};

mod delivering;
mod judging;
mod link;

fn unavailable() -> Answer {
    Answer::All(Outcome::Unavailable {
        retry_after: None,
        error: "no answer".to_owned(),
    })
}

fn doubtful() -> Outcome {
    Outcome::Doubtful {
        error: "400".to_owned(),
    }
}

struct Bench {
    uplink: Uplink,
    now: Instant,
    queued: Vec<Action>,
    acked: Vec<u64>,
    told: usize,
}

impl Bench {
    fn new(limits: Limits) -> Bench {
        Bench::with_lanes(limits, &[Lane(0)])
    }

    fn with_lanes(limits: Limits, lanes: &[Lane]) -> Bench {
        let now = Instant::now();
        let uplink = Uplink::new(now, limits, lanes, Seq::ZERO, fastrand::Rng::with_seed(7));
        Bench {
            uplink,
            now,
            queued: Vec::new(),
            acked: Vec::new(),
            told: 0,
        }
    }

    /// Commits and reads these, each with a key of its own.
    fn offer(&mut self, seqs: std::ops::RangeInclusive<u64>) {
        self.offer_as(seqs, |seq| seq);
    }

    fn offer_as(&mut self, seqs: std::ops::RangeInclusive<u64>, key: impl Fn(u64) -> u64) {
        self.uplink.handle_commit(self.now);
        self.take_reads();
        self.read_as(Lane(0), seqs, key, true);
    }

    fn read(&mut self, lane: Lane, seqs: std::ops::RangeInclusive<u64>) {
        let at_end = lane == Lane(1);
        self.take_reads();
        self.read_as(lane, seqs, |seq| seq, at_end);
    }

    fn read_as(
        &mut self,
        lane: Lane,
        seqs: std::ops::RangeInclusive<u64>,
        key: impl Fn(u64) -> u64,
        at_end: bool,
    ) {
        let next = Seq(*seqs.end());
        let fitness = |seq| Fitness::Send {
            key: key(seq),
            target: "t".into(),
            bytes: 100,
            hops: 0,
        };
        let offered = seqs
            .map(|seq| Offered {
                seq: Seq(seq),
                fitness: fitness(seq),
            })
            .collect();
        self.uplink
            .handle_read(self.now, lane, offered, next, at_end);
    }

    fn answer(&mut self, batch: BatchId, answer: Answer) {
        self.uplink.handle_answer(self.now, batch, answer);
        self.poll();
    }

    /// Lets time pass until the deadline.
    fn wait(&mut self) {
        if let Some(deadline) = self.uplink.next_deadline(self.now) {
            self.now = self.now.max(deadline);
        }
        self.uplink.handle_deadline(self.now);
    }

    /// Lets time pass until something is sent.
    fn wait_for_send(&mut self) {
        while !self
            .queued
            .iter()
            .any(|action| matches!(action, Action::Send { .. }))
        {
            self.wait();
            self.poll();
        }
    }

    fn poll(&mut self) {
        while let Some(action) = self.uplink.poll_action() {
            match action {
                Action::Ack { seqs } => self.acked.extend(seqs.iter().map(|seq| seq.0)),
                action => self.queued.push(action),
            }
        }
    }

    /// What is to be done, but for reads.
    fn actions(&mut self) -> Vec<Action> {
        self.take_reads();
        std::mem::take(&mut self.queued)
    }

    fn all_actions(&mut self) -> Vec<Action> {
        self.poll();
        std::mem::take(&mut self.queued)
    }

    /// Behind which positions it wants to read.
    fn reads(&mut self) -> Vec<Seq> {
        let actions = self.all_actions().into_iter();
        let reads = actions.filter_map(|action| match action {
            Action::Read { after, .. } => Some(after),
            _ => None,
        });
        reads.collect()
    }

    fn take_reads(&mut self) {
        self.poll();
        self.queued
            .retain(|action| !matches!(action, Action::Read { .. }));
    }

    /// The next batch to be sent.
    fn sent(&mut self) -> (BatchId, Vec<u64>) {
        self.poll();
        let is_send = |action: &Action| matches!(action, Action::Send { .. });
        let Some(index) = self.queued.iter().position(is_send) else {
            panic!("nothing to send: {:?}", self.uplink.status(self.now, 0));
        };
        let Action::Send { batch, seqs, .. } = self.queued.remove(index) else {
            unreachable!()
        };
        (batch, seqs.into_iter().map(|seq| seq.0).collect())
    }

    fn all_sent(&mut self) -> Vec<BatchId> {
        self.take_reads();
        let sends = std::mem::take(&mut self.queued).into_iter();
        sends
            .filter_map(|action| {
                if let Action::Send { batch, .. } = action {
                    Some(batch)
                } else {
                    None
                }
            })
            .collect()
    }

    /// What was acknowledged since this was asked last, in order.
    fn acked(&mut self) -> Vec<u64> {
        self.poll();
        let mut fresh = self.acked.split_off(self.told);
        fresh.sort_unstable();
        self.acked.extend(&fresh);
        self.told = self.acked.len();
        fresh
    }

    fn state(&self) -> LinkState {
        self.uplink.status(self.now, 0).state
    }
}
