use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::stage::{EventTime, Held, Job, KeyPanes, Moment, Presence, lineage};

use super::{Derived, Known, RuleProblem, RuleSet, StageId, StepDefinition, Told, compile};

mod deriving;

use deriving::Deriving;

/// Stages that derive, each under an id of its owner's choice: windows, debounces, absences and jq steps, with what they remember.
///
/// It is told the inputs of committed events, in the order of the log, and of every closing that was written into the log. What it derives of them it derives again
/// whenever it is told them again.
#[derive(Debug)]
pub struct RuleStages<Id = StageId> {
    stages: BTreeMap<Id, Deriving>,
    /// Of every stage that waits for a time, when that is.
    deadlines: BTreeSet<(Moment, Id)>,
    /// What was derived and is not taken yet.
    derived: VecDeque<Derived>,
    /// Those with events that wait for work.
    working: BTreeSet<Id>,
}

/// What became of an event that waited for work, as the log says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// These values, as JSON.
    Made(Vec<Vec<u8>>),
    /// Nothing; where its stage consumed it, the event goes on as the stage saw it.
    GoesOn,
    /// Nothing, and the event ends here.
    Ended,
}

/// What a stage holds, and what happened to its inputs and to what was derived of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageUsage {
    /// Keys it remembers.
    pub keys: usize,
    /// Bytes these take, as counted against its bound.
    pub bytes: usize,
    /// Keys that went at a bound.
    pub evicted: u64,
    /// Events that came too late for their windows.
    pub late: u64,
    /// Derivations whose event would not have been valid.
    pub invalid: u64,
}

/// Where and when an input was stored.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// Where in the log; never 0.
    pub position: u64,
    /// By the node's clock.
    pub at: Moment,
    /// By the wall clock.
    pub time: EventTime,
    /// As in [`Arrival`](super::Arrival).
    pub derived_by: &'a [String],
}

/// What a stage remembers of one key, for checkpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyMemory {
    state: KeyState,
    /// The rules from which its inputs are derived, if any.
    derived_by: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum KeyState {
    Window(KeyPanes),
    Debounce(Held<Vec<u8>>),
    Absence(Presence),
    Work(Job),
}

impl RuleStages<StageId> {
    /// Those of a set, with nothing remembered.
    pub fn new(rules: &RuleSet) -> RuleStages<StageId> {
        let mut stages = RuleStages::default();
        for (id, step) in rules.steps() {
            if let Some(deriving) = Deriving::new(rules.name_of(id), id.step, step) {
                stages.insert(id, deriving);
            }
        }
        stages
    }
}

impl<Id: Copy + Ord> RuleStages<Id> {
    /// Begins a stage, which is the step of that number in the rule of that name. Keys that it lists are watched from now on.
    ///
    /// # Errors
    ///
    /// The definition cannot be used, or is none of a stage that derives.
    pub fn open(
        &mut self,
        id: Id,
        rule: &str,
        number: u32,
        definition: &StepDefinition,
        stored: Stored<'_>,
    ) -> Result<(), RuleProblem> {
        let step = compile::step(definition, &Known::default(), stored.at)?;
        let deriving = Deriving::new(rule, number, &step);
        let mut deriving = deriving.ok_or(RuleProblem::Value("a stage that derives"))?;
        deriving.watch_from(stored.position);
        self.insert(id, deriving);
        Ok(())
    }

    /// Whether there is such a stage.
    pub fn is_open(&self, id: Id) -> bool {
        self.stages.contains_key(&id)
    }

    /// Ends a stage; what it holds is derived as partial, from `source`.
    pub fn release(&mut self, id: Id, source: &str) {
        if let Some(mut deriving) = self.remove(id) {
            deriving.release(source, &mut self.derived);
            deriving.take_derived(source, &mut self.derived);
        }
    }

    /// Tells a stage of a committed event; what follows is from `source`.
    pub fn handle_input(&mut self, id: Id, told: &Told, stored: Stored<'_>, source: &str) {
        self.change(id, |deriving, derived| {
            derived.extend(deriving.handle_input(told, stored));
            deriving.take_derived(source, derived);
        });
    }

    /// Whether a stage may be told of one more event. What is derived need not ask.
    pub fn has_room(&self, id: Id) -> bool {
        self.stages.get(&id).is_none_or(Deriving::has_room)
    }

    /// Whether events of this stage wait for work.
    pub fn is_working(&self, id: Id) -> bool {
        self.working.contains(&id)
    }

    /// The event whose turn it is to be worked on, with its stage and program: first what is derived from most rules, then by position.
    pub fn job(&self) -> Option<(Id, &Job, &str)> {
        let jobs = self.working.iter().filter_map(|id| {
            let (job, program) = self.stages.get(id)?.job()?;
            Some((*id, job, program))
        });
        jobs.min_by_key(|(_, job, _)| (Reverse(lineage::depth(&job.derived_by)), job.position))
    }

    /// The work on an event of a stage is done; what follows is from `source`.
    pub fn answer(&mut self, id: Id, position: u64, answer: &Answer, source: &str) {
        self.change(id, |deriving, derived| {
            deriving.answer(position, answer, source, derived);
        });
    }

    /// A stage and key whose time is over; it is to be closed when that has been written into the log.
    pub fn due(&self, now: Moment) -> Option<(Id, String)> {
        let (_, id) = self.deadlines.first()?;
        Some((*id, self.stages.get(id)?.due(now)?))
    }

    /// When the next will be.
    pub fn next_deadline(&self) -> Option<Moment> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Closes a key of a stage; what follows is from `source`.
    pub fn close(&mut self, id: Id, key: &str, source: &str) {
        self.change(id, |deriving, derived| {
            deriving.close(key);
            deriving.take_derived(source, derived);
        });
    }

    /// The node was down for so long: that was no silence of anybody.
    pub fn handle_downtime(&mut self, downtime: Duration) {
        let ids: Vec<Id> = self.stages.keys().copied().collect();
        for id in ids {
            self.change(id, |deriving, _| deriving.handle_downtime(downtime));
        }
    }

    /// What was derived, in order.
    pub fn poll_derived(&mut self) -> Option<Derived> {
        self.derived.pop_front()
    }

    /// What a stage holds and counted.
    pub fn usage(&self, id: Id) -> Option<StageUsage> {
        self.stages.get(&id).map(Deriving::usage)
    }

    /// All that is remembered, for a checkpoint: of each stage the key used least recently first, so that after a recovery in this
    /// order the same keys go at a bound.
    pub fn memories(&self) -> Vec<(Id, String, KeyMemory)> {
        let mut all = Vec::new();
        for (id, deriving) in &self.stages {
            deriving.memories(|key, memory| all.push((*id, key.to_owned(), memory)));
        }
        all
    }

    /// Forgets what a stage watches by its definition: a checkpoint says what it watches.
    pub fn forget_listed(&mut self, id: Id) {
        self.change(id, |deriving, _| deriving.forget_listed());
    }

    /// Puts back what a checkpoint kept. What belongs to another kind of stage is not taken.
    pub fn recover(&mut self, id: Id, key: &str, memory: KeyMemory) {
        self.change(id, |deriving, _| deriving.recover(key, memory));
    }

    fn insert(&mut self, id: Id, deriving: Deriving) {
        self.remove(id);
        self.deadlines
            .extend(deriving.next_deadline().map(|it| (it, id)));
        self.stages.insert(id, deriving);
    }

    fn remove(&mut self, id: Id) -> Option<Deriving> {
        let deriving = self.stages.remove(&id)?;
        self.working.remove(&id);
        if let Some(deadline) = deriving.next_deadline() {
            self.deadlines.remove(&(deadline, id));
        }
        Some(deriving)
    }

    /// The one way to change a stage, since what changes it may change when its time is over and whether there is work.
    fn change(&mut self, id: Id, change: impl FnOnce(&mut Deriving, &mut VecDeque<Derived>)) {
        let Some(deriving) = self.stages.get_mut(&id) else {
            return;
        };
        let before = deriving.next_deadline();
        change(deriving, &mut self.derived);
        match deriving.job() {
            Some(_) => drop(self.working.insert(id)),
            None => drop(self.working.remove(&id)),
        }
        let after = deriving.next_deadline();
        if before != after {
            if let Some(before) = before {
                self.deadlines.remove(&(before, id));
            }
            self.deadlines.extend(after.map(|it| (it, id)));
        }
    }
}

impl<Id> Default for RuleStages<Id> {
    /// None.
    fn default() -> RuleStages<Id> {
        RuleStages {
            stages: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            derived: VecDeque::new(),
            working: BTreeSet::new(),
        }
    }
}
