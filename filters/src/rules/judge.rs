use std::collections::HashMap;

use crate::{
    Event, EventView,
    hash::hash,
    index::{Budget, Index, IndexBuilder, RuleId, Scratch},
    stage::{Moment, lineage},
    transform::TopicTemplate,
};

use super::{
    Failure, Fate, GateMove, MAX_DERIVATIONS, OnError, RuleMemory, Ruling, StageId, StageInput,
    StepDefinition, Told, ruling::Cause, run::Step, working::Working,
};

/// Rules, compiled. Does not change.
#[derive(Debug)]
pub struct RuleSet {
    pub(super) index: Index,
    pub(super) rules: Vec<Rule>,
}

/// Stands for a definition, which takes a hundred times as much. Two that differ share one with a probability of 2⁻¹²⁸.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DefinitionDigest([u64; 2]);

impl DefinitionDigest {
    pub(super) fn of(definition: &StepDefinition) -> DefinitionDigest {
        let words = format!("{definition:?}");
        DefinitionDigest([0, 1].map(|seed| hash(seed, words.as_bytes())))
    }
}

#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) steps: Vec<Step>,
    /// Of each step: what tells its definition from every other one.
    pub(super) definitions: Vec<DefinitionDigest>,
    pub(super) lane: Option<usize>,
    pub(super) sinks: Option<Vec<usize>>,
    /// The sinks whose forms the rule shapes; `None` is all.
    pub(super) shapes: Option<Vec<usize>>,
    pub(super) sink_topic: Option<TopicTemplate>,
    pub(super) drop: bool,
    pub(super) on_error: OnError,
}

/// How an event came.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// When, by the node's clock.
    pub at: Moment,
    /// [The rules from which it is derived](super::Derived::derived_by); none of them is asked again, and none at all after more than
    /// [`MAX_DERIVATIONS`].
    pub derived_by: &'a [String],
}

/// Why a step that derives does not take an event.
const NO_TOPIC: &str = "what it derives of an event on this topic would go out on none, since a topic has 65,535 bytes at most and does not begin with `$`: \
     give the rule a `topic`, or say `emit-topic` and `late-to` without `{topic}`";

/// What the steps of one rule did, besides shaping the event.
#[derive(Default)]
struct Applied {
    moves: Vec<GateMove>,
    inputs: Vec<StageInput>,
    /// The step that ended the event's way.
    ended: Option<u32>,
}

impl Default for RuleSet {
    /// No rules.
    fn default() -> RuleSet {
        RuleSet {
            index: IndexBuilder::new(Budget::default()).build(),
            rules: Vec::new(),
        }
    }
}

impl RuleSet {
    /// Judges an event. What gates remember moves at once; if the event is not committed, [`RuleMemory::undo`] takes it back.
    ///
    /// `event` is the one that `view` shows, asked for only if a rule with steps matches.
    pub fn judge(
        &self,
        memory: &mut RuleMemory,
        scratch: &mut Scratch,
        view: &EventView<'_>,
        event: impl FnOnce() -> Event,
        arrival: &Arrival<'_>,
    ) -> Ruling {
        let mut working = Working::new(event, view.data);
        let mut ruling = Ruling::default();
        let ids = match lineage::depth(arrival.derived_by) <= MAX_DERIVATIONS {
            true => self.index.matches(view, scratch),
            false => &[],
        };
        let asked = ids.iter().filter_map(|id| Some((*id, self.rule(*id)?)));
        for (id, rule) in asked.filter(|it| !arrival.derived_by.contains(&it.1.name)) {
            ruling.matched.push(id);
            let ended = rule.apply(id, memory, &mut working, view.topic, arrival, &mut ruling);
            if let Some(mut fate) = ended {
                if let Fate::DeadLetter { sinks, .. } = &mut fate {
                    *sinks = working.owed.sinks.take();
                }
                ruling.fate = fate;
                return ruling;
            }
        }
        ruling.fate = Fate::Owed(working.owed);
        ruling
    }

    /// The name of a rule.
    pub fn name(&self, id: RuleId) -> Option<&str> {
        self.rule(id).map(|it| it.name.as_str())
    }

    /// Rules it has.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// How its rules are found.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The place here of a stage of another set, if it is the same stage.
    pub fn same_stage(&self, other: &RuleSet, id: StageId) -> Option<StageId> {
        self.same_stage_by(&self.places(), other, id)
    }

    /// As [`RuleSet::same_stage`], for many stages.
    pub(super) fn same_stage_by(
        &self,
        places: &HashMap<&str, usize>,
        other: &RuleSet,
        id: StageId,
    ) -> Option<StageId> {
        let theirs = other.rule(RuleId(id.rule))?;
        let place = *places.get(theirs.name.as_str())?;
        let step = id.step as usize;
        let same = theirs.definitions.get(step)? == self.rules.get(place)?.definitions.get(step)?;
        same.then_some(StageId {
            rule: u32::try_from(place).ok()?,
            step: id.step,
        })
    }

    /// The rules by name.
    pub(super) fn places(&self) -> HashMap<&str, usize> {
        let names = self.rules.iter().map(|it| it.name.as_str());
        names.zip(0..).collect()
    }

    pub(super) fn steps(&self) -> impl Iterator<Item = (StageId, &Step)> {
        (0..).zip(&self.rules).flat_map(|(rule, it)| {
            let steps = (0..).zip(&it.steps);
            steps.map(move |(step, it)| (StageId { rule, step }, it))
        })
    }

    /// The name of the rule of a stage.
    pub(super) fn name_of(&self, stage: StageId) -> &str {
        self.name(RuleId(stage.rule)).unwrap_or_default()
    }

    fn rule(&self, id: RuleId) -> Option<&Rule> {
        self.rules.get(usize::try_from(id.0).ok()?)
    }
}

impl Rule {
    /// Does what the rule says; gives what becomes of the event, if that is settled by it.
    fn apply<E: FnOnce() -> Event>(
        &self,
        id: RuleId,
        memory: &mut RuleMemory,
        working: &mut Working<'_, E>,
        topic: Option<&str>,
        arrival: &Arrival<'_>,
        ruling: &mut Ruling,
    ) -> Option<Fate> {
        if !self.steps.is_empty() || self.sink_topic.is_some() {
            let before = working.owed.clone();
            let mut applied = Applied::default();
            let mut done = self.run_steps(id, memory, working, topic, arrival, &mut applied);
            if let (Ok(()), Some(topic)) = (&done, &self.sink_topic) {
                let resolved = working.set_topic(topic, self.shapes.as_deref());
                let behind = u32::try_from(self.steps.len()).unwrap_or(u32::MAX);
                done = resolved.map_err(|it| self.failure(id, behind, it.class(), &it));
            }
            if let Err(failure) = done {
                memory.undo_moves(applied.moves);
                working.restore(before);
                ruling.failures.push(failure.clone());
                return self.fate_of(id, failure);
            }
            ruling.moves.append(&mut applied.moves);
            ruling.inputs.append(&mut applied.inputs);
            if let Some(step) = applied.ended {
                return Some(Fate::Dropped {
                    rule: id,
                    step: Some(step),
                    cause: Cause::Stage,
                });
            }
        }
        ruling.lane = self.lane.or(ruling.lane);
        if let Some(sinks) = &self.sinks {
            working.owed.add_sinks(sinks);
        }
        self.drop.then_some(Fate::Dropped {
            rule: id,
            step: None,
            cause: Cause::Rule,
        })
    }

    fn failure(
        &self,
        rule: RuleId,
        step: u32,
        class: &'static str,
        error: &dyn std::fmt::Display,
    ) -> Failure {
        Failure {
            rule,
            step,
            class,
            message: error.to_string(),
            on_error: self.on_error,
        }
    }

    fn fate_of(&self, id: RuleId, failure: Failure) -> Option<Fate> {
        match self.on_error {
            OnError::Pass => None,
            OnError::Drop => Some(Fate::Dropped {
                rule: id,
                step: Some(failure.step),
                cause: Cause::Failure,
            }),
            OnError::DeadLetter => Some(Fate::DeadLetter {
                rule: id,
                message: failure.message,
                sinks: None,
            }),
        }
    }

    fn run_steps<E: FnOnce() -> Event>(
        &self,
        id: RuleId,
        memory: &mut RuleMemory,
        working: &mut Working<'_, E>,
        topic: Option<&str>,
        arrival: &Arrival<'_>,
        applied: &mut Applied,
    ) -> Result<(), Failure> {
        for (number, step) in (0..).zip(&self.steps) {
            let stage = StageId {
                rule: id.0,
                step: number,
            };
            if !step.has_topics(&self.name, topic) {
                return Err(self.failure(id, number, "topic", &NO_TOPIC));
            }
            let goes_on = match step {
                Step::Gate(gate) => {
                    let payload = working.payload();
                    let key = gate.key.of(payload, topic);
                    let judged = gate.judge(stage, key, payload, memory, arrival);
                    let (verdict, moved) =
                        judged.map_err(|it| self.failure(id, number, it.class(), &it))?;
                    applied.moves.extend(moved);
                    working.take_verdict(verdict)
                }
                Step::Window(window) => {
                    let told = window.told(working.payload(), topic);
                    let told = told.map_err(|it| self.failure(id, number, it.class(), &it))?;
                    applied.inputs.push(StageInput { stage, told });
                    !window.consume
                }
                Step::Debounce(debounce) => {
                    let payload = working.payload();
                    let told = Told {
                        key: debounce.key.of(payload, topic),
                        window: None,
                        event: Some(crate::json::encode(payload.event)),
                    };
                    applied.inputs.push(StageInput { stage, told });
                    false
                }
                Step::Transform(transform) => {
                    let shaped = working.transform(transform, self.shapes.as_deref());
                    shaped.map_err(|it| self.failure(id, number, it.class(), &it))?;
                    true
                }
                Step::Jq(jq) => {
                    let told = jq.told(working.payload(), topic);
                    applied.inputs.push(StageInput { stage, told });
                    !jq.consume
                }
                Step::Absence(absence) => {
                    let told = Told {
                        key: absence.key.of(working.payload(), topic),
                        window: None,
                        event: None,
                    };
                    applied.inputs.push(StageInput { stage, told });
                    true
                }
            };
            if !goes_on {
                applied.ended = Some(number);
                return Ok(());
            }
        }
        Ok(())
    }
}
