//! Rules and the log: what it has to learn of stages, and what stages are to know again from it.

use filters::{
    index::RuleId,
    rules::{Derived, StepDefinition},
};
use serde::{Deserialize, Serialize};
use spool::{NodeTime, Seq};

use super::{
    Judge, Judged, Settled,
    derivations::KeptDerivations,
    stages::{NamedStage, Remembered},
    subject::Subject,
};
use crate::record::{Change, PublishRecord};

/// What gates remember, as a checkpoint keeps it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Memories {
    next: u32,
    stages: Vec<NamedStage>,
    gates: Vec<Remembered>,
}

impl Judge {
    /// What the log has to learn of the stages: which numbers are no stage any more, and which stages get one.
    pub(crate) fn stage_changes(&self) -> Vec<Change> {
        let (mut numbers, named) = self.stages.news();
        // A stage with events that wait for work ends with the last of them.
        numbers.retain(|it| !self.derivations.is_working(*it));
        let closed = (!numbers.is_empty()).then_some(Change::StagesClosed { numbers });
        let named = named
            .into_iter()
            .map(|stages| Change::StagesNamed { stages });
        closed.into_iter().chain(named).collect()
    }

    /// Whether what a stage remembers is in no record until the log knows the stage.
    pub(crate) fn has_unnamed_stages(&self) -> bool {
        self.stages.has_unnamed() || self.unopened().next().is_some()
    }

    /// What the log has to learn of stages that derive and have numbers.
    pub(crate) fn openings(&self, at: NodeTime) -> Vec<Change> {
        let opened = self
            .unopened()
            .map(|(number, definition)| Change::StageOpened {
                number,
                definition: definition.to_text(),
                at,
            });
        opened.collect()
    }

    /// Stages that derive, by their numbers, of which the log does not know what they derive.
    fn unopened(&self) -> impl Iterator<Item = (u32, &StepDefinition)> {
        self.deriving.iter().filter_map(|id| {
            let number = self.stages.number(*id)?;
            let definition = self.rules.definitions.get(id.rule as usize)?;
            let definition = definition.step.get(id.step as usize)?;
            (!self.derivations.is_open(number)).then_some((number, definition))
        })
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
            self.derivations.release(*number);
        }
    }

    /// The log knows what the stage of this number derives.
    pub(crate) fn apply_opened(&mut self, number: u32, definition: &str, seq: Seq, at: NodeTime) {
        if let Some(stage) = self.stages.named(number) {
            let place = (stage.rule.as_str(), stage.step);
            self.derivations.open(number, place, definition, (seq, at));
        }
    }

    /// The time of a key of a stage is over.
    pub(crate) fn apply_key_closed(&mut self, stage: u32, key: &str) {
        self.derivations.close_key(stage, key);
    }

    /// The node was down for so long.
    pub(crate) fn apply_downtime(&mut self, milliseconds: u64) {
        self.derivations.handle_downtime(milliseconds);
    }

    /// What a rule derived first is lost.
    pub(crate) fn apply_derived_lost(&mut self, rule: &str) {
        self.derivations.is_out(rule);
    }

    /// A publish is in the log, there, as it was judged.
    pub(crate) fn tell(&mut self, judged: &Judged, seq: Seq, at: NodeTime) {
        self.derivations.tell(&judged.decision.inputs, seq, at);
    }

    /// What the ledger calls the stages that are not told of a publish.
    pub(crate) fn untold(&self, judged: &Judged) -> Vec<String> {
        let stages = judged.untold.iter().filter_map(|it| self.stages.stage(*it));
        stages
            .map(|it| self.scope(RuleId(it.rule), Some(it.step)))
            .collect()
    }

    /// What is derived and waits to be published, by its place.
    pub(crate) fn derived(&self, place: usize) -> Option<&Derived> {
        self.derivations.waiting(place)
    }

    /// How many derived events are in no record yet.
    pub(crate) fn waiting(&self) -> usize {
        self.derivations.waiting_count()
    }

    /// A key of a stage whose time is over, which the log has to learn.
    pub(crate) fn due(&self, now: NodeTime) -> Option<(u32, String)> {
        self.derivations.due(now)
    }

    /// When the next one's is.
    pub(crate) fn next_deadline(&self) -> Option<NodeTime> {
        self.derivations.next_deadline()
    }

    /// Whether the log has stages that derive.
    pub(crate) fn has_open_stages(&self) -> bool {
        self.derivations.is_any_open()
    }

    /// Names the node in what stages derive.
    pub(crate) fn name_node(&mut self, node: &str) {
        self.derivations.name_node(node);
    }

    /// Whether so much moved in stages that derive that a checkpoint is due.
    pub(crate) fn is_checkpoint_due(&self, now: NodeTime) -> bool {
        self.derivations.is_checkpoint_due(now)
    }

    /// A checkpoint was taken.
    pub(crate) fn is_covered(&mut self, now: NodeTime) {
        self.derivations.is_covered(now);
    }

    /// Reads a publish of the log again, at recovery: what it says of births, and what stages are to know of it.
    pub(crate) fn recover_publish(&mut self, record: &PublishRecord<'_>, seq: Seq, at: NodeTime) {
        let (decoders, subject) = (&self.rules.decoders, Subject::new(record));
        self.payloads.recover(decoders, &subject, seq);
        self.recover(record.settled, seq, at);
    }

    /// Puts back what gates came to remember of a record and what stages were told of it, at recovery.
    pub(crate) fn recover(&mut self, settled: &[u8], seq: Seq, at: NodeTime) {
        let settled = Settled::decode(settled).unwrap_or_default(); // what it cannot read may let an event pass twice
        self.derivations.tell(&settled.inputs, seq, at);
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

    /// What stages that derive hold, for a checkpoint.
    pub(crate) fn derivations(&self) -> KeptDerivations {
        self.derivations.kept()
    }

    /// Begins recovery with what a checkpoint kept of stages that derive, after [`Judge::restore`].
    pub(crate) fn restore_derivations(&mut self, kept: KeptDerivations) {
        let stages = &self.stages;
        self.derivations.restore(kept, |number| {
            let stage = stages.named(number)?;
            Some((stage.rule.clone(), stage.step))
        });
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
}
