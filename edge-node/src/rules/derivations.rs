//! Stages that derive, as a fold over the log: windows, debounces and absences, and what they derived that is in no record yet.
//!
//! ```text
//!  record with inputs ─▶ tell ─┐                                 ┌▶ published: its record says from which rules it is, and takes it out
//!  StageOpened, KeyClosed,     ├─▶ RuleStages ─▶ derived, waiting ┤
//!  StagesClosed, Downtime,     │                                 └▶ DerivedLost
//!  JobAnswered ────────────────┘
//! ```
//!
//! A stage goes by its number in the log, so that a set of rules which replaces another changes nothing here: the log says which stages begin and end.

use std::collections::{BTreeMap, VecDeque};

use filters::{
    rules::{Answer, Derived, KeyMemory, RuleStages, StageUsage, StepDefinition, Stored, Told},
    stage::{EventTime, Moment},
};
use serde::{Deserialize, Serialize};
use spool::{NodeTime, Seq, clock::ClockMark};

use super::JqJob;

/// What stages are told of an event, as its record keeps it behind what rules settled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Inputs {
    /// When it was taken in, by the wall clock.
    time: EventTime,
    /// By the numbers of the stages.
    told: Vec<(u32, Told)>,
    /// Of an event that a stage derived: from which rules, the latest last.
    derived_by: Vec<String>,
}

/// Stages by their numbers in the log, and what they derived.
#[derive(Debug, Default)]
pub(super) struct Derivations {
    stages: RuleStages<u32>,
    /// The definitions of the stages, as text.
    definitions: BTreeMap<u32, Box<str>>,
    /// In no record yet, oldest first.
    waiting: VecDeque<Derived>,
    /// The source of what stages say.
    source: String,
    /// Inputs that no checkpoint holds, and since when.
    uncovered: u64,
    uncovered_since: Option<NodeTime>,
    covered_at: NodeTime,
    /// Stage and position of the event that is being worked on.
    in_work: Option<(u32, u64)>,
}

/// All of it, as a checkpoint keeps it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct KeptDerivations {
    definitions: BTreeMap<u32, Box<str>>,
    keys: Vec<(u32, String, KeyMemory)>,
    waiting: Vec<KeptDerived>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptDerived {
    topic: String,
    /// As JSON.
    event: Vec<u8>,
    derived_by: Vec<String>,
}

/// Derived events that may wait for room before no more is taken in that derives.
const MAX_WAITING: usize = 4096;
/// After so many inputs a checkpoint is due, but not more often than [`BETWEEN_CHECKPOINTS_MS`].
const INPUTS_BETWEEN_CHECKPOINTS: u64 = 10_000;
const BETWEEN_CHECKPOINTS_MS: u64 = 1_000;
/// As long after the first input that no checkpoint holds.
const CHECKPOINT_AFTER_MS: u64 = 60_000;

impl Inputs {
    pub(super) fn new(clock: ClockMark, told: Vec<(u32, Told)>, derived_by: &[String]) -> Inputs {
        if told.is_empty() && derived_by.is_empty() {
            return Inputs::default();
        }
        Inputs {
            time: EventTime(i64::try_from(clock.wall.0).unwrap_or(i64::MAX)),
            told,
            derived_by: derived_by.to_vec(),
        }
    }

    /// Tells no stage; gives the numbers of those that were to be told.
    pub(super) fn untell(&mut self) -> Vec<u32> {
        let told = std::mem::take(&mut self.told);
        told.into_iter().map(|(number, _)| number).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.told.is_empty() && self.derived_by.is_empty()
    }
}

impl Derivations {
    /// Names the node in what its stages say.
    pub(super) fn name_node(&mut self, node: &str) {
        self.source = format!("urn:edge-node:{node}");
    }

    /// The log says that a stage of that rule and step begins.
    pub(super) fn open(
        &mut self,
        number: u32,
        (rule, step): (&str, u32),
        definition: &str,
        (seq, at): (Seq, NodeTime),
    ) {
        let stored = Stored {
            position: seq.0,
            at: Moment(at.0),
            time: EventTime::default(),
            derived_by: &[],
        };
        let read = StepDefinition::from_text(definition).map_err(|error| error.to_string());
        let opened = read.and_then(|it| {
            let opened = self.stages.open(number, rule, step, &it, stored);
            opened.map_err(|error| error.to_string())
        });
        match opened {
            Ok(()) => drop(self.definitions.insert(number, definition.into())),
            Err(error) => tracing::error!(
                rule,
                step,
                error,
                "a stage in the log cannot be read: what it holds is lost"
            ),
        }
    }

    pub(super) fn is_open(&self, number: u32) -> bool {
        self.stages.is_open(number)
    }

    /// Whether there are any stages.
    pub(super) fn is_any_open(&self) -> bool {
        !self.definitions.is_empty()
    }

    /// The log says that a stage ends.
    pub(super) fn release(&mut self, number: u32) {
        self.stages.release(number, &self.source);
        self.definitions.remove(&number);
        self.take_derived();
    }

    /// The log has an event that stages are told of, or that one derived.
    pub(super) fn tell(&mut self, inputs: &Inputs, seq: Seq, at: NodeTime) {
        if inputs.is_empty() {
            return;
        }
        if let Some(rule) = inputs.derived_by.last() {
            self.is_out(rule);
        }
        let stored = Stored {
            position: seq.0,
            at: Moment(at.0),
            time: inputs.time,
            derived_by: &inputs.derived_by,
        };
        for (number, told) in &inputs.told {
            self.stages
                .handle_input(*number, told, stored, &self.source);
        }
        self.uncovered += 1;
        self.uncovered_since.get_or_insert(at);
        self.take_derived();
    }

    /// The log says that the time of a key is over.
    pub(super) fn close_key(&mut self, number: u32, key: &str) {
        self.stages.close(number, key, &self.source);
        self.take_derived();
    }

    /// The log says that the node was down for so long.
    pub(super) fn handle_downtime(&mut self, milliseconds: u64) {
        let downtime = std::time::Duration::from_millis(milliseconds);
        self.stages.handle_downtime(downtime);
    }

    /// What this rule derived first is in the log, or lost.
    pub(super) fn is_out(&mut self, rule: &str) {
        let place = self.waiting.iter().position(|it| it.rule() == rule);
        if let Some(place) = place {
            self.waiting.remove(place);
        }
    }

    /// Whether a stage may be told of one more event.
    pub(super) fn has_room(&self, number: u32) -> bool {
        self.stages.has_room(number)
    }

    /// Whether events of this stage wait for work.
    pub(super) fn is_working(&self, number: u32) -> bool {
        self.stages.is_working(number)
    }

    /// The event whose turn it is to be worked on, unless one is, or what was derived before waits for room.
    pub(super) fn take_job(&mut self) -> Option<JqJob> {
        if self.in_work.is_some() || !self.waiting.is_empty() {
            return None;
        }
        let (stage, job, program) = self.stages.job()?;
        self.in_work = Some((stage, job.position));
        Some(JqJob {
            stage,
            position: job.position,
            program: program.to_owned(),
            event: job.event.clone(),
        })
    }

    /// The log says what became of an event that waited for work.
    pub(super) fn answer(&mut self, stage: u32, position: u64, answer: &Answer) {
        if self.in_work == Some((stage, position)) {
            self.in_work = None;
        }
        self.stages.answer(stage, position, answer, &self.source);
        self.take_derived();
    }

    fn take_derived(&mut self) {
        let stages = &mut self.stages;
        self.waiting
            .extend(std::iter::from_fn(|| stages.poll_derived()));
    }

    /// What waits to be published, by its place.
    pub(super) fn waiting(&self, place: usize) -> Option<&Derived> {
        self.waiting.get(place)
    }

    /// How many wait.
    pub(super) fn waiting_count(&self) -> usize {
        self.waiting.len()
    }

    /// Whether so much waits that nothing is taken in that may derive more.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= MAX_WAITING
    }

    /// A stage and key whose time is over.
    pub(super) fn due(&self, now: NodeTime) -> Option<(u32, String)> {
        self.stages.due(Moment(now.0)).filter(|_| !self.is_full())
    }

    /// When the next one's is.
    pub(super) fn next_deadline(&self) -> Option<NodeTime> {
        let next = self.stages.next_deadline().filter(|_| !self.is_full());
        next.map(|it| NodeTime(it.0))
    }

    pub(super) fn usage(&self, number: u32) -> Option<StageUsage> {
        self.stages.usage(number)
    }

    /// Whether so much was taken in that a checkpoint is to hold it.
    pub(super) fn is_checkpoint_due(&self, now: NodeTime) -> bool {
        let since = |then: NodeTime| now.0.saturating_sub(then.0);
        let is_old = |then| since(then) >= CHECKPOINT_AFTER_MS;
        let is_much = self.uncovered >= INPUTS_BETWEEN_CHECKPOINTS
            && since(self.covered_at) >= BETWEEN_CHECKPOINTS_MS;
        is_much || self.uncovered_since.is_some_and(is_old)
    }

    /// A checkpoint is taken.
    pub(super) fn is_covered(&mut self, now: NodeTime) {
        self.uncovered = 0;
        self.uncovered_since = None;
        self.covered_at = now;
    }

    pub(super) fn kept(&self) -> KeptDerivations {
        let waiting = self.waiting.iter().map(|it| KeptDerived {
            topic: it.topic.clone(),
            event: filters::json::encode(&it.event),
            derived_by: it.derived_by.clone(),
        });
        KeptDerivations {
            definitions: self.definitions.clone(),
            keys: self.stages.memories(),
            waiting: waiting.collect(),
        }
    }

    /// Begins recovery with what a checkpoint kept; `named` gives rule and step of a number.
    pub(super) fn restore(
        &mut self,
        kept: KeptDerivations,
        named: impl Fn(u32) -> Option<(String, u32)>,
    ) {
        for (number, definition) in kept.definitions {
            if let Some((rule, step)) = named(number) {
                let from = (Seq::ZERO, NodeTime::default());
                self.open(number, (&rule, step), &definition, from);
                self.stages.forget_listed(number);
            }
        }
        for (number, key, memory) in kept.keys {
            self.stages.recover(number, &key, memory);
        }
        let derived = kept.waiting.into_iter().filter_map(|it| {
            Some(Derived {
                topic: it.topic,
                event: filters::json::decode(&it.event).ok()?,
                derived_by: it.derived_by,
            })
        });
        self.waiting.extend(derived);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_due_after_ten_thousand_inputs_but_not_twice_in_a_second() {
        let mut derivations = Derivations::default();
        let clock = ClockMark {
            node: NodeTime(0),
            wall: spool::clock::WallTime(0),
        };
        let input = Inputs::new(clock, Vec::new(), &["sum".to_owned()]);
        let tell = |derivations: &mut Derivations, count: u64, at: u64| {
            (0..count).for_each(|_| derivations.tell(&input, Seq(1), NodeTime(at)));
            derivations.is_checkpoint_due(NodeTime(at))
        };
        assert!(!tell(&mut derivations, 9_999, 1_000));
        assert!(tell(&mut derivations, 1, 1_000));
        derivations.is_covered(NodeTime(1_000));
        assert!(!tell(&mut derivations, 10_000, 1_999));
        assert!(tell(&mut derivations, 0, 2_000));
    }
}
