//! Events that wait for the jq program of a step on their way out, and what was made of them on its way into the log.

use spool::{Full, LossReason, Seq};

use super::{Broker, journal::Journal};
use crate::{
    jq::Outcome,
    record::Change,
    rules::{JqJob, Settlement},
};

impl Broker {
    /// The event whose program is to be run now. There is one at a time: the next is given after its answer.
    pub(crate) fn take_job(&mut self) -> Option<JqJob> {
        self.judge.take_job()
    }

    /// A program has been run on an event.
    pub(crate) fn handle_outcome(
        &mut self,
        journal: &mut Journal<'_>,
        job: JqJob,
        outcome: Outcome,
    ) {
        let settlement = self.judge.settle(&job, outcome);
        self.write_answer(journal, job, settlement);
    }

    /// Whether an answer waits for room in the log.
    pub(crate) fn has_unsettled(&self) -> bool {
        self.unsettled.is_some()
    }

    /// There may be room for an answer that found none.
    pub(crate) fn write_answer_again(&mut self, journal: &mut Journal<'_>) {
        if let Some((job, settlement)) = self.unsettled.take() {
            self.write_answer(journal, job, settlement);
        }
    }

    fn write_answer(&mut self, journal: &mut Journal<'_>, job: JqJob, settlement: Settlement) {
        let change = Change::JobAnswered {
            stage: job.stage,
            position: job.position,
            answer: settlement.answer.clone(),
        };
        match self.change(journal, change) {
            Ok(_) => {}
            Err(Full::TooLarge) if journal.is_empty() => {
                return self.handle_outcome(journal, job, Outcome::TooMuch);
            }
            Err(_) => {
                self.unsettled = Some((job, settlement));
                return;
            }
        }
        self.judge.count_answer(&job, &settlement);
        if let Some((class, message)) = &settlement.failure {
            tracing::debug!(
                position = job.position,
                class,
                message,
                "a jq program failed"
            );
        }
        if let Some(scope) = settlement.dropped_by {
            let bytes = job.event.len() as u64;
            let reason = LossReason::DroppedByRule;
            self.lose_at(reason, scope, Seq(job.position), bytes, journal.now);
        }
        if self.judge.is_to_close(job.stage) {
            self.handle_stages(journal);
        }
    }
}
