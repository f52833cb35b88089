//! Rules at work: every publish is judged as it is taken in, and what was decided is stored with it.
//!
//! ```text
//!  publish ─▶ Judge::judge ─▶ Judged: lane, uplinks, Settled ─▶ appended ──▶ Judge::count
//!                                │                            └ no room ─▶ Judge::take_back
//!                                └▶ Settled in the record ─▶ node::source: whether an uplink is owed it, and in which form
//! ```
//!
//! What gates remember moves when an event is judged, and back if it is not appended. What must survive stands in the record, or in a record of its own
//! if nobody is owed the event ([`Change::Judged`]): the fold of these is the memory at recovery.
//!
//! An event is judged by one set of rules, in the transaction that appends it. A record keeps what was decided and not who decided, so that no set
//! of rules is needed to read it: retries, restarts and other rules give every uplink the same bytes.

mod judged;
mod settled;
mod stages;
mod subject;

pub(crate) use judged::{Judged, OwedUplinks};
pub use settled::{Settled, Uplinks};
pub use stages::NamedStage;

use std::collections::HashMap;

use filters::{
    DataView, EventView,
    index::{RuleId, Scratch},
    rules::{Arrival, Fate, Owed, RuleDefinition, RuleMemory, Ruling, StageId},
    stage::Moment,
};
use serde::{Deserialize, Serialize};
use spool::{CursorId, Lane, NodeTime};

use stages::{Remembered, Stages};
use subject::{Subject, decoded, nothing};

use crate::{
    config::Rules,
    node::status::RuleStatus,
    record::{Change, PublishRecord},
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
}

/// What rules remember, as a checkpoint keeps it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Memories {
    next: u32,
    stages: Vec<NamedStage>,
    gates: Vec<Remembered>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    matched: u64,
    dropped: u64,
    errors: u64,
}

impl Judge {
    /// Rules that have judged nothing and have yet to meet the uplinks they know.
    pub fn new(rules: Rules) -> Judge {
        let places = rules.definitions.iter().zip(0..);
        Judge {
            memory: RuleMemory::new(&rules.set),
            counts: vec![Counts::default(); rules.set.len()],
            places: places.map(|(it, place)| (it.name.clone(), place)).collect(),
            stages: Stages::of(&rules.definitions),
            scratch: Scratch::default(),
            cursors: Vec::new(),
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

    /// Takes over what rules of the same name have counted, and what stages remember that are the same.
    pub(crate) fn go_on_from(&mut self, before: &mut Judge) {
        let memory = std::mem::take(&mut before.memory);
        self.memory = RuleMemory::carry(memory, &before.rules.set, &self.rules.set);
        self.stages.go_on_from(&before.stages);
        for (rule, counts) in before.rules.definitions.iter().zip(&before.counts) {
            let place = self.places.get(&rule.name);
            if let Some(mine) = place.and_then(|it| self.counts.get_mut(*it)) {
                *mine = *counts;
            }
        }
    }

    /// Judges a publish that would be kept in `lane`.
    pub(crate) fn judge(
        &mut self,
        record: &PublishRecord<'_>,
        lane: Lane,
        now: NodeTime,
    ) -> Judged {
        if self.rules.set.is_empty() {
            return Judged::untouched(lane);
        }
        let subject = Subject::new(record);
        let data = match self.rules.set.index().reads_attributes() {
            true => None,
            false => subject.data(),
        };
        let ruling = match data {
            Some(data) => {
                let seen = EventView {
                    topic: Some(record.topic),
                    data,
                    ..EventView::default()
                };
                self.rule(&seen, &subject, now)
            }
            None => self.rule_by_event(&subject, now),
        };
        match ruling {
            Some(ruling) => self.judged(ruling, &subject, lane),
            None => Judged::untouched(lane),
        }
    }

    fn rule_by_event(&mut self, subject: &Subject<'_>, now: NodeTime) -> Option<Ruling> {
        let event = subject.event()?;
        let decoded = decoded(event);
        let mut seen = EventView::of(event, Some(subject.record.topic));
        match &decoded {
            Some(Some(json)) => seen.data = DataView::Json(json),
            Some(None) => seen.data = DataView::Opaque,
            None => {}
        }
        self.rule(&seen, subject, now)
    }

    /// `None`: what was minted for the publish does not belong to it; no rule looks at it.
    fn rule(
        &mut self,
        seen: &EventView<'_>,
        subject: &Subject<'_>,
        now: NodeTime,
    ) -> Option<Ruling> {
        let arrival = Arrival {
            at: Moment(now.0),
            derived_by: &[],
        };
        let mut is_event = true;
        let event = || {
            let event = subject.event().cloned();
            is_event = event.is_some();
            event.unwrap_or_else(nothing)
        };
        let (memory, scratch) = (&mut self.memory, &mut self.scratch);
        let ruling = self.rules.set.judge(memory, scratch, seen, event, &arrival);
        if is_event {
            return Some(ruling);
        }
        self.memory.undo(ruling);
        None
    }

    /// What the log has to learn of the stages: which numbers are no stage any more, and which stages get one.
    pub(crate) fn stage_changes(&self) -> Vec<Change> {
        let (numbers, named) = self.stages.news();
        let closed = (!numbers.is_empty()).then_some(Change::StagesClosed { numbers });
        let named = named
            .into_iter()
            .map(|stages| Change::StagesNamed { stages });
        closed.into_iter().chain(named).collect()
    }

    /// Whether what a stage remembers is in no record until the log knows the stage.
    pub(crate) fn has_unnamed_stages(&self) -> bool {
        self.stages.has_unnamed()
    }

    /// The log knows these stages.
    pub(crate) fn apply_named(&mut self, stages: Vec<NamedStage>) {
        self.stages.open(stages);
    }

    /// These numbers are no stages any more.
    pub(crate) fn apply_closed(&mut self, numbers: &[u32]) {
        for number in numbers {
            if let Some(gate) = self.stages.close(*number) {
                self.memory.forget(gate);
            }
        }
    }

    /// Puts back what gates came to remember of a record, at recovery.
    pub(crate) fn recover(&mut self, settled: &[u8]) {
        let settled = Settled::decode(settled).unwrap_or_default(); // what it cannot read may let an event pass twice
        self.recover_all(settled.remembered);
    }

    /// What is remembered, for a checkpoint.
    pub(crate) fn memories(&self) -> Memories {
        let (next, stages) = self.stages.snapshot();
        let gates = self.memory.iter().filter_map(|(id, key, memory)| {
            Some(Remembered {
                stage: self.stages.number(id)?,
                key: key.to_owned(),
                memory: memory.clone(),
            })
        });
        Memories {
            next,
            stages,
            gates: gates.collect(),
        }
    }

    /// Begins recovery with what a checkpoint kept.
    pub(crate) fn restore(&mut self, memories: Memories) {
        self.stages.restore(memories.next, memories.stages);
        self.recover_all(memories.gates);
    }

    fn recover_all(&mut self, remembered: Vec<Remembered>) {
        for Remembered { stage, key, memory } in remembered {
            if let Some(gate) = self.stages.stage(stage) {
                self.memory.recover(gate, &key, memory);
            }
        }
    }

    /// The publish is not in the log.
    pub(crate) fn take_back(&mut self, judged: Judged) {
        if let Some(ruling) = judged.ruling {
            self.memory.undo(ruling);
        }
    }

    /// The publish is taken in. Gives what the ledger calls the rule that dropped it, if one did.
    pub(crate) fn count(&mut self, judged: &Judged) -> Option<String> {
        let ruling = judged.ruling.as_ref()?;
        for rule in &ruling.matched {
            self.count_of(*rule).matched += 1;
        }
        for failure in &ruling.failures {
            self.count_of(failure.rule).errors += 1;
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
            errors: counts.errors,
            forgotten: self.forgotten(place, rule.step.len()),
        };
        rules.zip(0..).map(status).collect()
    }

    fn forgotten(&self, rule: u32, steps: usize) -> u64 {
        let steps = (0..).take(steps).map(|step| StageId { rule, step });
        steps.map(|stage| self.memory.evicted(stage)).sum()
    }

    fn judged(&self, ruling: Ruling, subject: &Subject<'_>, lane: Lane) -> Judged {
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
            settled: settled.encode(),
            ruling: Some(ruling),
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
        match definition.and_then(filters::rules::StepDefinition::stage) {
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

fn is_shaped(owed: &Owed) -> bool {
    let mut forms = [&owed.common].into_iter().chain(owed.by_sink.values());
    forms.any(|it| it.event.is_some())
}
