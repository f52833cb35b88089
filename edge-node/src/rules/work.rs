//! Events that wait for the jq program of a step, and what comes of them.

use filters::rules::{Answer, OnError, RuleDefinition};

use super::Judge;
use crate::jq::Outcome;

/// An event and the program that is to be run on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JqJob {
    pub(crate) stage: u32,
    /// Where the event stands in the log.
    pub(crate) position: u64,
    /// The program.
    pub program: String,
    /// In structured JSON.
    pub event: Vec<u8>,
}

/// What is to be done about an event whose program has been run.
#[derive(Clone, Debug)]
pub(crate) struct Settlement {
    pub(crate) answer: Answer,
    /// What the ledger calls the step that dropped it.
    pub(crate) dropped_by: Option<String>,
    /// Why the program made nothing.
    pub(crate) failure: Option<(&'static str, String)>,
}

impl Judge {
    /// The event whose turn it is, unless one is being worked on or what was derived before waits for room.
    pub(crate) fn take_job(&mut self) -> Option<JqJob> {
        self.derivations.take_job()
    }

    /// What the outcome means to the event: the rule says what becomes of it if its program failed.
    pub(crate) fn settle(&self, job: &JqJob, outcome: Outcome) -> Settlement {
        let failure = outcome.failure();
        let mut settlement = Settlement {
            answer: Answer::GoesOn,
            dropped_by: None,
            failure,
        };
        match outcome {
            Outcome::Made(values) => settlement.answer = Answer::Made(values),
            // It went on when it was published, unless the step consumed it.
            _ if self.drops(job.stage) => {
                settlement.answer = Answer::Ended;
                let class = settlement.failure.as_ref().map_or("", |it| it.0);
                let rule = self.rule_of(job.stage);
                settlement.dropped_by = rule.map(|it| format!("{}/jq/{class}", it.name));
            }
            _ => {}
        }
        settlement
    }

    /// The answer to an event is in the log.
    pub(crate) fn count_answer(&mut self, job: &JqJob, settlement: &Settlement) {
        let place = self.stages.stage(job.stage).map(|it| it.rule as usize);
        let Some(counts) = place.and_then(|it| self.counts.get_mut(it)) else {
            return;
        };
        if let Some((class, _)) = settlement.failure {
            *counts.errors.entry(class).or_default() += 1;
        }
        counts.dropped += u64::from(settlement.dropped_by.is_some());
    }

    /// The log says what became of an event.
    pub(crate) fn apply_answer(&mut self, stage: u32, position: u64, answer: &Answer) {
        self.derivations.answer(stage, position, answer);
    }

    /// Whether the stage of this number is to end, and has no event left that waits.
    pub(crate) fn is_to_close(&self, stage: u32) -> bool {
        self.stages.stage(stage).is_none() && !self.derivations.is_working(stage)
    }

    fn drops(&self, stage: u32) -> bool {
        let Some((rule, id)) = self.rule_of(stage).zip(self.stages.stage(stage)) else {
            return false;
        };
        let jq = rule
            .step
            .get(id.step as usize)
            .and_then(|it| it.jq.as_ref());
        rule.on_error == OnError::Drop && jq.is_some_and(|it| it.consume)
    }

    fn rule_of(&self, stage: u32) -> Option<&RuleDefinition> {
        let id = self.stages.stage(stage)?;
        self.rules.definitions.get(id.rule as usize)
    }
}
