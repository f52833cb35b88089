use std::collections::BTreeMap;

use crate::stage::{Gate, GateMemory};

use super::{RuleSet, Ruling, StageId, StageUsage, run::Step};

/// What the gates of a set remember. It is moved by judgements, and a judgement whose event is not committed is taken back.
#[derive(Clone, Debug, Default)]
pub struct RuleMemory {
    gates: BTreeMap<StageId, Gate>,
}

impl RuleMemory {
    /// That of a set which has judged nothing.
    pub fn new(rules: &RuleSet) -> RuleMemory {
        let gates = rules.steps().filter_map(|(id, step)| match step {
            Step::Gate(gate) => Some((id, Gate::new(gate.kind.clone(), gate.bounds))),
            _ => None,
        });
        RuleMemory {
            gates: gates.collect(),
        }
    }

    /// What `old` remembered under `before`, for the stages that `rules` has unchanged: the same rule name, the same place and definition.
    pub fn carry(old: RuleMemory, before: &RuleSet, rules: &RuleSet) -> RuleMemory {
        let mut memory = RuleMemory::new(rules);
        if old.gates.is_empty() {
            return memory;
        }
        let places = rules.places();
        for (id, gate) in old.gates {
            if let Some(now) = rules.same_stage_by(&places, before, id) {
                memory.gates.insert(now, gate);
            }
        }
        memory
    }

    /// Takes back the latest ruling that was not taken back: its event is not committed.
    pub fn undo(&mut self, ruling: Ruling) {
        self.undo_moves(ruling.moves);
    }

    /// Puts back what was stored of a gate; in the order of the log, and after a checkpoint only what is younger.
    pub fn recover(&mut self, gate: StageId, key: &str, memory: GateMemory) {
        if let Some(gate) = self.gates.get_mut(&gate) {
            gate.recover(key, memory);
        }
    }

    /// Forgets all that a gate remembers.
    pub fn forget(&mut self, gate: StageId) {
        if let Some(gate) = self.gates.get_mut(&gate) {
            gate.forget();
        }
    }

    /// All that is remembered, for a checkpoint.
    pub fn iter(&self) -> impl Iterator<Item = (StageId, &str, &GateMemory)> {
        self.gates.iter().flat_map(|(id, gate)| {
            let memories = gate.memories().iter();
            memories.map(|(key, memory)| (*id, key, memory))
        })
    }

    /// What a gate holds and forgot.
    pub fn usage(&self, gate: StageId) -> Option<StageUsage> {
        let gate = self.gates.get(&gate)?;
        Some(StageUsage {
            keys: gate.memories().len(),
            bytes: gate.memories().bytes(),
            evicted: gate.evicted(),
            ..StageUsage::default()
        })
    }

    pub(super) fn gate(&mut self, id: StageId) -> Option<&mut Gate> {
        self.gates.get_mut(&id)
    }

    pub(super) fn undo_moves(&mut self, moves: Vec<super::GateMove>) {
        for moved in moves.into_iter().rev() {
            if let Some(gate) = self.gates.get_mut(&moved.gate) {
                gate.undo(moved.undo);
            }
        }
    }
}
