//! Rules at work: every publish is judged as it is taken in, and what was decided is stored with it.
//!
//! ```text
//!  publish ─▶ Judge::judge ─▶ Judged: lane, uplinks, Settled ─▶ appended ──▶ Judge::count
//!                                │                            └ no room ─▶ Judge::take_back
//!                                └▶ Settled in the record ─▶ node::source: whether an uplink is owed it, and in which form
//! ```
//!
//! What decoders know of births and what gates remember moves when an event is judged, and back if it is not appended. What must survive stands in the record, or in a record of its own
//! if nobody is owed the event ([`Change::Judged`](crate::record::Change::Judged)): the fold of these is the memory at recovery. What windows and their like take of an event
//! stands there too, and they are told of it once it is appended: see `derivations`.
//!
//! An event is judged by one set of rules, in the transaction that appends it. A record keeps what was decided and not who decided, so that no set
//! of rules is needed to read it: retries, restarts and other rules give every uplink the same bytes.

mod derivations;
mod judged;
mod log;
mod payloads;
mod settled;
mod stages;
mod subject;
mod verdict;
mod work;

pub(crate) use judged::{Crowded, Judged, OwedUplinks};
pub use settled::{Settled, Uplinks};
pub use stages::NamedStage;
pub(crate) use subject::{Parts, Subject};
pub use work::JqJob;
pub(crate) use work::Settlement;

use std::collections::{BTreeMap, HashMap};

use filters::{
    DataView, EventView,
    decode::{StoredBirths, View, sparkplug::Rebirth},
    index::{RuleId, Scratch},
    rules::{
        Arrival, Fate, Owed, RuleDefinition, RuleMemory, Ruling, StageId, StageInput,
        StepDefinition,
    },
    stage::Moment,
};
use spool::{CursorId, Lane, Seq, clock::ClockMark};

use derivations::{Derivations, Inputs};
use payloads::Payloads;
use stages::{Remembered, Stages};
use subject::nothing;

use crate::{
    config::Rules,
    node::status::{DecodersStatus, RuleStatus, StageStatus},
};

/// A set of rules, the uplinks it names, and what it counts.
#[derive(Debug)]
pub struct Judge {
    rules: Rules,
    /// The cursors of the uplinks, by their places among those the set knows.
    cursors: Vec<CursorId>,
    memory: RuleMemory,
    scratch: Scratch,
    counts: Vec<Counts>,
    /// The rules by name.
    places: HashMap<String, usize>,
    stages: Stages,
    /// The stages of the set that derive.
    deriving: Vec<StageId>,
    derivations: Derivations,
    payloads: Payloads,
}

#[derive(Clone, Debug, Default)]
struct Counts {
    matched: u64,
    dropped: u64,
    /// By what went wrong.
    errors: BTreeMap<&'static str, u64>,
}

impl Judge {
    /// Rules that have judged nothing and have yet to meet the uplinks they know.
    pub fn new(mut rules: Rules) -> Judge {
        forget_conditions(&mut rules.definitions);
        let places = rules.definitions.iter().zip(0..);
        Judge {
            memory: RuleMemory::new(&rules.set),
            counts: vec![Counts::default(); rules.set.len()],
            places: places.map(|(it, place)| (it.name.clone(), place)).collect(),
            stages: Stages::of(&rules.definitions),
            deriving: deriving(&rules.definitions),
            derivations: Derivations::default(),
            scratch: Scratch::default(),
            cursors: Vec::new(),
            payloads: Payloads::default(),
            rules,
        }
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.rules.set.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.set.is_empty()
    }

    /// Learns the cursor of each uplink the rules know.
    pub(crate) fn meet_uplinks(&mut self, cursor: impl FnMut(&str) -> CursorId) {
        let names = self.rules.known.sinks.iter();
        self.cursors = names.map(String::as_str).map(cursor).collect();
    }

    /// Takes over what rules of the same name have counted, what stages remember that are the same, and what decoders know.
    pub(crate) fn go_on_from(&mut self, before: &mut Judge) {
        self.payloads = std::mem::take(&mut before.payloads);
        let memory = std::mem::take(&mut before.memory);
        self.memory = RuleMemory::carry(memory, &before.rules.set, &self.rules.set);
        self.stages.go_on_from(&before.stages);
        self.derivations = std::mem::take(&mut before.derivations);
        for (rule, counts) in before.rules.definitions.iter().zip(&before.counts) {
            let place = self.places.get(&rule.name);
            if let Some(mine) = place.and_then(|it| self.counts.get_mut(*it)) {
                mine.clone_from(counts);
            }
        }
    }

    /// Judges a publish that would be kept in `lane` and, if it is appended, stands at `position`; `derived_by` are the rules from which it
    /// is derived.
    pub(crate) fn judge(
        &mut self,
        subject: &Subject<'_>,
        lane: Lane,
        position: Seq,
        clock: ClockMark,
        derived_by: &[String],
    ) -> Judged {
        let arrival = Arrival {
            at: Moment(clock.node.0),
            derived_by,
        };
        let mut judged = self.judge_as_arrived(subject, lane, position, &arrival);
        let ruling = judged.ruling.as_mut();
        let inputs = ruling.map(|it| std::mem::take(&mut it.inputs));
        self.add_inputs(&mut judged, inputs.unwrap_or_default(), clock, derived_by);
        judged.settled = judged.decision.encode();
        judged
    }

    /// Puts beside what was decided what stages that derive are to be told.
    fn add_inputs(
        &self,
        judged: &mut Judged,
        inputs: Vec<StageInput>,
        clock: ClockMark,
        derived_by: &[String],
    ) {
        if inputs.is_empty() && derived_by.is_empty() {
            return;
        }
        let count = inputs.len();
        let told = inputs.into_iter().filter_map(|StageInput { stage, told }| {
            let number = self.stages.number(stage)?;
            self.derivations.is_open(number).then_some((number, told))
        });
        let told: Vec<_> = told.collect();
        // What is derived makes room where too much of it waits.
        let has_room = |number: u32| self.derivations.has_room(number);
        let is_full = derived_by.is_empty()
            && count > 0
            && (self.derivations.is_full() || !told.iter().all(|(number, _)| has_room(*number)));
        judged.waits = told.len() < count || is_full;
        judged.decision.inputs = Inputs::new(clock, told, derived_by);
        judged.is_remembered = true;
    }

    fn judge_as_arrived(
        &mut self,
        subject: &Subject<'_>,
        lane: Lane,
        position: Seq,
        arrival: &Arrival<'_>,
    ) -> Judged {
        if self.rules.set.is_empty() && self.rules.decoders.is_empty() {
            return Judged::untouched(lane);
        }
        let decoders = &self.rules.decoders;
        let decoding = self
            .payloads
            .decode(decoders, subject, position, arrival.at);
        let judged = match self.ruling(subject, &decoding.view, arrival) {
            Some(ruling) => self.judged(ruling, subject, lane),
            None => Judged::untouched(lane),
        };
        Judged { decoding, ..judged }
    }

    fn ruling(
        &mut self,
        subject: &Subject<'_>,
        view: &View,
        arrival: &Arrival<'_>,
    ) -> Option<Ruling> {
        let data = match (view, self.rules.set.index().reads_attributes()) {
            (_, true) => None,
            (View::Plain, false) => subject.data(),
            (decoded, false) => Some(decoded.data(DataView::Absent)),
        };
        let topic = Some(subject.record.topic);
        let seen = match data {
            Some(data) => EventView {
                topic,
                data,
                ..EventView::default()
            },
            None => {
                let seen = EventView::of(subject.event()?, topic);
                let data = view.data(seen.data);
                EventView { data, ..seen }
            }
        };
        self.rule(&seen, subject, arrival)
    }

    /// `None`: what was minted for the publish does not belong to it; no rule looks at it.
    fn rule(
        &mut self,
        seen: &EventView<'_>,
        subject: &Subject<'_>,
        arrival: &Arrival<'_>,
    ) -> Option<Ruling> {
        let mut is_event = true;
        let event = || {
            let event = subject.event().cloned();
            is_event = event.is_some();
            event.unwrap_or_else(nothing)
        };
        let (memory, scratch) = (&mut self.memory, &mut self.scratch);
        let ruling = self.rules.set.judge(memory, scratch, seen, event, arrival);
        if is_event {
            return Some(ruling);
        }
        self.memory.undo(ruling);
        None
    }

    /// What decoders know, for a checkpoint.
    pub(crate) fn births(&self) -> StoredBirths {
        self.payloads.births()
    }

    /// Begins recovery with what a checkpoint kept of births.
    pub(crate) fn restore_births(&mut self, births: StoredBirths) {
        self.payloads.restore(births);
    }

    /// The next node that is to be asked for its births.
    pub(crate) fn poll_rebirth(&mut self) -> Option<Rebirth> {
        self.payloads.poll_rebirth()
    }

    /// The publish is not in the log.
    pub(crate) fn take_back(&mut self, judged: Judged) {
        if let Some(ruling) = judged.ruling {
            self.memory.undo(ruling);
        }
        self.payloads.take_back(judged.decoding);
    }

    /// The publish is taken in, at `position` if it has one. Gives what the ledger calls the rule that dropped it, if one did.
    pub(crate) fn count(&mut self, judged: &Judged, position: Option<Seq>) -> Option<String> {
        self.payloads.count(&judged.decoding, position);
        let ruling = judged.ruling.as_ref()?;
        for rule in &ruling.matched {
            self.count_of(*rule).matched += 1;
        }
        for failure in &ruling.failures {
            let errors = &mut self.count_of(failure.rule).errors;
            *errors.entry(failure.class).or_default() += 1;
        }
        match ruling.fate {
            Fate::Dropped { rule, step, .. } => {
                self.count_of(rule).dropped += 1;
                Some(self.scope(rule, step))
            }
            Fate::Owed(_) | Fate::DeadLetter { .. } => None,
        }
    }

    /// What every rule did since the set is in use.
    pub fn status(&self) -> Vec<RuleStatus> {
        let rules = self.rules.definitions.iter().zip(&self.counts);
        let status = |((rule, counts), place): ((&RuleDefinition, &Counts), u32)| RuleStatus {
            name: rule.name.clone(),
            matched: counts.matched,
            dropped: counts.dropped,
            errors: counts.errors.values().sum(),
            errors_by_class: counts
                .errors
                .iter()
                .map(|it| (it.0.to_string(), *it.1))
                .collect(),
            stages: self.stages_status(place, rule),
        };
        rules.zip(0..).map(status).collect()
    }

    /// What decoders did since the node started.
    pub fn decoders_status(&self) -> DecodersStatus {
        self.payloads.status()
    }

    fn stages_status(&self, rule: u32, definition: &RuleDefinition) -> Vec<StageStatus> {
        let steps = (0..).zip(&definition.step);
        let stages = steps.filter_map(|(step, it)| Some((StageId { rule, step }, it.stage()?)));
        let status = |(id, stage): (StageId, &str)| {
            let number = self.stages.number(id);
            let derives = number.and_then(|it| self.derivations.usage(it));
            let usage = derives
                .or_else(|| self.memory.usage(id))
                .unwrap_or_default();
            StageStatus {
                step: id.step + 1,
                stage: stage.to_owned(),
                keys: usage.keys as u64,
                bytes: usage.bytes as u64,
                forgotten: usage.evicted,
                late: usage.late,
                invalid: usage.invalid,
            }
        };
        stages.map(status).collect()
    }

    fn judged(&self, ruling: Ruling, subject: &Subject<'_>, lane: Lane) -> Judged {
        if ruling.is_untouched() {
            return Judged {
                ruling: Some(ruling),
                ..Judged::untouched(lane)
            };
        }
        let names = &self.rules.known.sinks;
        let cursors = |sinks: &Vec<usize>| {
            let cursors = sinks.iter().filter_map(|it| self.cursors.get(*it));
            OwedUplinks::Named(cursors.copied().collect())
        };
        let owed_to =
            |sinks: &Option<Vec<usize>>| sinks.as_ref().map_or(OwedUplinks::Accepting, cursors);
        let (owed, mut settled) = match &ruling.fate {
            Fate::Owed(owed) => {
                let original = is_shaped(owed).then(|| subject.event()).flatten();
                (owed_to(&owed.sinks), Settled::owed(owed, names, original))
            }
            Fate::Dropped { .. } => (OwedUplinks::None, Settled::dropped()),
            Fate::DeadLetter {
                rule,
                message,
                sinks,
            } => {
                let reason = format!("rule `{}`: {message}", self.name(*rule));
                let settled = Settled::dead(reason, sinks.as_deref(), names);
                (owed_to(sinks), settled)
            }
        };
        let lane = match ruling.lane.map(u8::try_from) {
            Some(Ok(place)) => Lane(place),
            _ => lane,
        };
        let remembered = ruling.moves.iter().filter_map(|moved| {
            Some(Remembered {
                stage: self.stages.number(moved.gate)?,
                key: moved.key.clone(),
                memory: moved.stored.clone()?,
            })
        });
        settled.remembered = remembered.collect();
        Judged {
            lane,
            owed,
            is_remembered: !settled.remembered.is_empty(),
            decision: settled,
            ruling: Some(ruling),
            ..Judged::untouched(lane)
        }
    }

    /// The rule, with the step of it that suppressed an event or failed.
    fn scope(&self, rule: RuleId, step: Option<u32>) -> String {
        let name = self.name(rule);
        let Some(step) = step else {
            return name.to_owned();
        };
        let definition = self.rules.definitions.get(rule.0 as usize);
        let definition = definition.and_then(|it| it.step.get(step as usize));
        match definition.and_then(StepDefinition::stage) {
            Some(stage) => format!("{name}/{stage}"),
            None => format!("{name}/step {}", step + 1),
        }
    }

    fn name(&self, rule: RuleId) -> &str {
        self.rules.set.name(rule).unwrap_or_default()
    }

    fn count_of(&mut self, rule: RuleId) -> &mut Counts {
        let place = rule.0 as usize;
        self.counts.get_mut(place).expect("a set knows its rules")
    }
}

impl Default for Judge {
    /// One without rules.
    fn default() -> Judge {
        Judge::new(Rules::default())
    }
}

/// The set has them in another form.
fn forget_conditions(definitions: &mut [RuleDefinition]) {
    for definition in definitions {
        definition.pattern = None;
        definition.sql = None;
        definition.filter = None;
    }
}

fn deriving(definitions: &[RuleDefinition]) -> Vec<StageId> {
    let rules = (0..).zip(definitions);
    let stages = rules.flat_map(|(rule, definition)| {
        let steps = (0..).zip(&definition.step);
        let deriving = steps.filter(|(_, it)| it.derives().is_some());
        deriving.map(move |(step, _)| StageId { rule, step })
    });
    stages.collect()
}

fn is_shaped(owed: &Owed) -> bool {
    let mut forms = [&owed.common].into_iter().chain(owed.by_sink.values());
    forms.any(|it| it.event.is_some())
}

#[cfg(test)]
mod tests;
