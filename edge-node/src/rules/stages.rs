//! The stages that remember, by the numbers under which the log knows them.
//!
//! A set of rules knows a stage by its place, which every change of a file moves. The log has to know it for longer: a number stands for the stage of
//! one definition from when it was named until it is closed, and is never given again.

use std::collections::BTreeMap;

use filters::{
    rules::{RuleDefinition, StageId},
    stage::GateMemory,
};
use serde::{Deserialize, Serialize};

/// A stage as the log knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedStage {
    number: u32,
    pub(super) rule: String,
    pub(super) step: u32,
    /// Of its definition: one that changes is another stage.
    fingerprint: u64,
}

/// What a gate came to remember of a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Remembered {
    /// The number of the gate.
    pub(super) stage: u32,
    pub(super) key: String,
    pub(super) memory: GateMemory,
}

/// Numbers and places of the stages of one set, with those that the log knows besides.
#[derive(Debug, Default)]
pub(super) struct Stages {
    /// Those of the set, with the fingerprints of their definitions.
    there: BTreeMap<StageId, u64>,
    /// The places of rules by name.
    rules: BTreeMap<String, u32>,
    named: BTreeMap<u32, NamedStage>,
    /// Above every number that was ever given.
    next: u32,
    numbers: BTreeMap<StageId, u32>,
}

/// Stages named by one record at most.
const NAMED_AT_ONCE: usize = 256;

impl Stages {
    pub(super) fn of(definitions: &[RuleDefinition]) -> Stages {
        let mut stages = Stages::default();
        for (definition, rule) in definitions.iter().zip(0..) {
            for (step, number) in definition.step.iter().zip(0..) {
                if step.stage().is_some() {
                    let id = StageId { rule, step: number };
                    stages.there.insert(id, step.fingerprint());
                    stages.rules.insert(definition.name.clone(), rule);
                }
            }
        }
        stages
    }

    /// Learns the numbers that the log knows.
    pub(super) fn go_on_from(&mut self, before: &Stages) {
        self.next = before.next;
        self.open(before.named.values().cloned());
    }

    pub(super) fn open(&mut self, stages: impl IntoIterator<Item = NamedStage>) {
        for stage in stages {
            self.next = self.next.max(stage.number.saturating_add(1));
            if let Some(id) = self.place(&stage) {
                self.numbers.insert(id, stage.number);
            }
            self.named.insert(stage.number, stage);
        }
    }

    /// Gives the stage of the set that had this number.
    pub(super) fn close(&mut self, number: u32) -> Option<StageId> {
        let stage = self.named.remove(&number)?;
        let id = self.place(&stage)?;
        if self.numbers.get(&id) == Some(&number) {
            self.numbers.remove(&id);
        }
        Some(id)
    }

    /// The stage of this number, whether the set has it or not.
    pub(super) fn named(&self, number: u32) -> Option<&NamedStage> {
        self.named.get(&number)
    }

    pub(super) fn number(&self, id: StageId) -> Option<u32> {
        self.numbers.get(&id).copied()
    }

    /// The stage of the set that has this number.
    pub(super) fn stage(&self, number: u32) -> Option<StageId> {
        let id = self.place(self.named.get(&number)?)?;
        (self.number(id) == Some(number)).then_some(id)
    }

    /// What the log has to learn: numbers whose stages are gone, and stages without a number, in parts.
    pub(super) fn news(&self) -> (Vec<u32>, Vec<Vec<NamedStage>>) {
        let gone = |number: &&u32| self.stage(**number).is_none();
        let closed = self.named.keys().filter(gone).copied().collect();
        let names: BTreeMap<u32, &String> = self
            .rules
            .iter()
            .map(|(name, rule)| (*rule, name))
            .collect();
        let unnamed = self
            .there
            .iter()
            .filter(|(id, _)| !self.numbers.contains_key(id));
        let opened: Vec<NamedStage> = unnamed
            .zip(self.next..)
            .filter_map(|((id, fingerprint), number)| {
                Some(NamedStage {
                    number,
                    rule: (*names.get(&id.rule)?).clone(),
                    step: id.step,
                    fingerprint: *fingerprint,
                })
            })
            .collect();
        (
            closed,
            opened.chunks(NAMED_AT_ONCE).map(<[_]>::to_vec).collect(),
        )
    }

    /// Whether a stage has no number yet, so that what it remembers is in no record.
    pub(super) fn has_unnamed(&self) -> bool {
        self.numbers.len() < self.there.len()
    }

    /// For a checkpoint.
    pub(super) fn snapshot(&self) -> (u32, Vec<NamedStage>) {
        (self.next, self.named.values().cloned().collect())
    }

    pub(super) fn restore(&mut self, next: u32, named: Vec<NamedStage>) {
        self.open(named);
        self.next = self.next.max(next);
    }

    fn place(&self, stage: &NamedStage) -> Option<StageId> {
        let id = StageId {
            rule: *self.rules.get(&stage.rule)?,
            step: stage.step,
        };
        (self.there.get(&id) == Some(&stage.fingerprint)).then_some(id)
    }
}
