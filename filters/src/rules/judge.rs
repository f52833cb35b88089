use std::{cell::OnceCell, sync::Arc};

use serde_json::Value as Json;

use crate::{
    DataView, Event, EventView, Value,
    index::{Index, RuleId, Scratch},
    stage::{
        Absence, Bounds, Debounce, EventTime, GateError, GateInput, GateKind, Moment, Verdict,
        Window, WindowError,
    },
    timestamp_millis,
};

use super::{
    Failure, Fate, Field, GateMove, Key, OnError, Owed, RuleMemory, Ruling, StageId, StageInput,
    StepDefinition, WindowReadings, emit::EmitTopic, field::Payload, ruling::Cause,
};

/// Rules, compiled. Does not change.
#[derive(Debug)]
pub struct RuleSet {
    pub(super) index: Index,
    pub(super) rules: Vec<Rule>,
}

#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) steps: Vec<Step>,
    pub(super) definitions: Vec<StepDefinition>,
    pub(super) lane: Option<usize>,
    pub(super) sinks: Option<Vec<usize>>,
    pub(super) drop: bool,
    pub(super) on_error: OnError,
}

#[derive(Debug)]
pub(super) enum Step {
    Gate(GateStep),
    Window(WindowStep),
    Debounce(DebounceStep),
    Absence(AbsenceStep),
}

#[derive(Debug)]
pub(super) struct GateStep {
    pub(super) kind: GateKind,
    pub(super) field: Option<Field>,
    pub(super) key: Key,
    pub(super) bounds: Bounds,
}

#[derive(Debug)]
pub(super) struct WindowStep {
    /// An empty one, to begin with.
    pub(super) window: Window,
    pub(super) fields: Vec<Field>,
    /// The names of what is derived, in the order of its aggregates.
    pub(super) names: Vec<String>,
    pub(super) key: Key,
    pub(super) consume: bool,
    pub(super) emit_topic: EmitTopic,
}

#[derive(Debug)]
pub(super) struct DebounceStep {
    pub(super) debounce: Debounce<Vec<u8>>,
    pub(super) key: Key,
    pub(super) emit_topic: EmitTopic,
}

#[derive(Debug)]
pub(super) struct AbsenceStep {
    pub(super) absence: Absence,
    pub(super) key: Key,
    pub(super) emit_topic: EmitTopic,
}

/// How an event came.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// When, by the node's clock.
    pub at: Moment,
    /// The names of the rules from which it is derived, the latest last; none of them is asked again.
    pub derived_by: &'a [String],
}

/// An event on its way through the rules.
struct Working<'a, E> {
    make: Option<E>,
    /// Its payload as a decoder shows it.
    decoded: Option<&'a [u8]>,
    original: OnceCell<Event>,
    json: OnceCell<Option<Json>>,
    owed: Owed,
}

/// What the steps of one rule did, besides shaping the event.
#[derive(Default)]
struct Applied {
    moves: Vec<GateMove>,
    inputs: Vec<StageInput>,
    /// The step that ended the event's way.
    ended: Option<u32>,
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
        let ids = self.index.matches(view, scratch);
        let asked = ids.iter().filter_map(|id| Some((*id, self.rule(*id)?)));
        for (id, rule) in asked.filter(|it| !arrival.derived_by.contains(&it.1.name)) {
            ruling.matched.push(id);
            let ended = rule.apply(id, memory, &mut working, view.topic, arrival, &mut ruling);
            if let Some(fate) = ended {
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
        let theirs = other.rule(RuleId(id.rule))?;
        let place = self.rules.iter().position(|it| it.name == theirs.name)?;
        let step = id.step as usize;
        let same = theirs.definitions.get(step)? == self.rules.get(place)?.definitions.get(step)?;
        same.then_some(StageId {
            rule: u32::try_from(place).ok()?,
            step: id.step,
        })
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
        if !self.steps.is_empty() {
            let before = working.owed.clone();
            let mut applied = Applied::default();
            let done = self.run_steps(id, memory, working, topic, arrival, &mut applied);
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
            let fail = |class, message| Failure {
                rule: id,
                step: number,
                class,
                message,
                on_error: self.on_error,
            };
            let goes_on = match step {
                Step::Gate(gate) => {
                    let payload = working.payload();
                    let key = gate.key.of(payload, topic);
                    let judged = gate.judge(stage, key, payload, memory, arrival);
                    let (verdict, moved) = judged.map_err(|it| fail(it.class(), it.to_string()))?;
                    applied.moves.extend(moved);
                    working.take_verdict(verdict)
                }
                Step::Window(window) => {
                    let input = window.input(stage, working.payload(), topic);
                    applied
                        .inputs
                        .push(input.map_err(|it| fail(it.class(), it.to_string()))?);
                    !window.consume
                }
                Step::Debounce(debounce) => {
                    let payload = working.payload();
                    let key = debounce.key.of(payload, topic);
                    let event = Some(crate::json::encode(payload.event));
                    applied
                        .inputs
                        .push(StageInput::of(stage, &key, None, event));
                    false
                }
                Step::Absence(absence) => {
                    let key = absence.key.of(working.payload(), topic);
                    applied.inputs.push(StageInput::of(stage, &key, None, None));
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

impl GateStep {
    fn judge(
        &self,
        gate: StageId,
        key: String,
        payload: Payload<'_>,
        memory: &mut RuleMemory,
        arrival: &Arrival<'_>,
    ) -> Result<(Verdict, Option<GateMove>), GateError> {
        let Some(state) = memory.gate(gate) else {
            return Ok((Verdict::Suppress, None));
        };
        let reading = self.field.as_ref().and_then(|it| it.reading(payload));
        let judgement = state.judge(&GateInput {
            key: &key,
            reading: reading.as_ref(),
            sampledrate: sampledrate(payload.event),
            at: arrival.at,
        })?;
        let stored = judgement.stores.then(|| state.memory(&key).cloned());
        let moved = judgement.undo.map(|undo| GateMove {
            gate,
            stored: stored.flatten(),
            key,
            undo,
        });
        Ok((judgement.verdict, moved))
    }
}

impl WindowStep {
    /// Asks the window whether it can take the event, so that one it cannot take fails its rule while it is published.
    fn input(
        &self,
        stage: StageId,
        payload: Payload<'_>,
        topic: Option<&str>,
    ) -> Result<StageInput, WindowError> {
        let readings: Vec<_> = self.fields.iter().map(|it| it.reading(payload)).collect();
        self.window.check(&readings)?;
        let time = payload.event.time.as_deref().and_then(timestamp_millis);
        let key = self.key.of(payload, topic);
        let window = WindowReadings {
            time: time.map(EventTime),
            readings,
        };
        Ok(StageInput::of(stage, &key, Some(window), None))
    }
}

impl StageInput {
    fn of(
        stage: StageId,
        key: &str,
        window: Option<WindowReadings>,
        event: Option<Vec<u8>>,
    ) -> StageInput {
        StageInput {
            stage,
            key: Arc::from(key),
            window,
            event,
        }
    }
}

impl Owed {
    fn add_sinks(&mut self, sinks: &[usize]) {
        let all = self.sinks.get_or_insert_default();
        all.extend(sinks);
        all.sort_unstable();
        all.dedup();
    }

    /// Changes the event in every form.
    fn change(&mut self, original: &Event, change: impl Fn(&mut Event)) {
        for form in [&mut self.common]
            .into_iter()
            .chain(self.by_sink.values_mut())
        {
            change(form.event.get_or_insert_with(|| Box::new(original.clone())));
        }
    }
}

impl<'a, E: FnOnce() -> Event> Working<'a, E> {
    fn new(make: E, data: DataView<'a>) -> Working<'a, E> {
        let decoded = match data {
            DataView::Json(json) => Some(json),
            _ => None,
        };
        Working {
            make: Some(make),
            decoded,
            original: OnceCell::new(),
            json: OnceCell::new(),
            owed: Owed::default(),
        }
    }

    /// The event as the steps so far left it for all sinks.
    fn payload(&mut self) -> Payload<'_> {
        if let Some(make) = self.make.take() {
            let _ = self.original.set(make()); // Empty until the one maker is taken.
        }
        let event = self.owed.common.event.as_deref().or(self.original.get());
        Payload {
            event: event.expect("the original was just made"),
            decoded: self.decoded,
            json: &self.json,
        }
    }

    /// Sets the attributes that a gate touches; whether the event goes on.
    fn take_verdict(&mut self, verdict: Verdict) -> bool {
        let Verdict::Pass {
            sampledrate,
            threshold,
        } = verdict
        else {
            return false;
        };
        let Some(original) = self.original.get() else {
            return true;
        };
        if let Some(rate) = sampledrate {
            let set = |event: &mut Event| set(event, "sampledrate", Value::Integer(rate));
            self.owed.change(original, set);
        }
        if let Some(state) = threshold {
            let set = |event: &mut Event| set(event, "threshold", Value::from(state.as_str()));
            self.owed.change(original, set);
        }
        true
    }

    fn restore(&mut self, before: Owed) {
        self.owed = before;
        self.json = OnceCell::new();
    }
}

fn set(event: &mut Event, name: &str, value: Value) {
    event.extensions.insert(name.to_owned(), value);
}

/// In binary mode it comes as text.
fn sampledrate(event: &Event) -> Option<i32> {
    match event.extensions.get("sampledrate")? {
        Value::Integer(rate) => Some(*rate),
        other => other.text().parse().ok(),
    }
}
