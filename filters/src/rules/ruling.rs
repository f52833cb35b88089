use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Event,
    index::RuleId,
    stage::{EventTime, GateMemory, Reading},
};

use super::{OnError, StageId};

/// What a set of rules makes of one event.
#[derive(Debug, Default)]
pub struct Ruling {
    /// The rules that match, in the order in which they applied; after one that drops, none was asked.
    pub matched: Vec<RuleId>,
    /// The rules whose steps failed.
    pub failures: Vec<Failure>,
    /// What becomes of the event.
    pub fate: Fate,
    /// The lane it is kept in, by its place among those the set knows; `None` leaves it where it is.
    pub lane: Option<usize>,
    /// What gates remember of it.
    pub moves: Vec<GateMove>,
    /// What windows and their like are to be told of it.
    pub inputs: Vec<StageInput>,
}

/// What becomes of an event.
#[derive(Debug)]
pub enum Fate {
    /// It is owed.
    Owed(Owed),
    /// It is owed to no uplink, for this rule and, where a stage suppressed it, for this step.
    Dropped {
        /// The rule.
        rule: RuleId,
        /// The step that suppressed it, or that failed.
        step: Option<u32>,
        /// What of the rule decided.
        cause: Cause,
    },
    /// It is kept among the dead letters, since a step of this rule failed.
    DeadLetter {
        /// The rule.
        rule: RuleId,
        /// What failed.
        message: String,
        /// The sinks that rules before it named, as in [`Owed`].
        sinks: Option<Vec<usize>>,
    },
}

/// Why an event is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The rule says `drop`.
    Rule,
    /// A stage suppressed it, or a window consumed it.
    Stage,
    /// A step failed, and the rule says `on-error = "drop"`.
    Failure,
}

/// To whom an event is owed, and in which form.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Owed {
    /// The sinks, by their places among those the set knows, in order; `None` is every sink whose `from` and `lanes` take it.
    pub sinks: Option<Vec<usize>>,
    /// The form for all sinks that have none of their own.
    pub common: Form,
    /// Forms of their own.
    pub by_sink: BTreeMap<usize, Form>,
}

/// The form in which a sink gets an event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Form {
    /// The event; `None` is the event as it was ingested.
    pub event: Option<Box<Event>>,
    /// The topic at the sink; `None` leaves it to the sink.
    pub topic: Option<String>,
}

/// A step that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The rule.
    pub rule: RuleId,
    /// Its step.
    pub step: u32,
    /// A word for counters.
    pub class: &'static str,
    /// For people.
    pub message: String,
    /// What the rule says of it.
    pub on_error: OnError,
}

/// What the memory of a gate became, to be stored with the event; after a crash [`RuleMemory::recover`](super::RuleMemory::recover) takes it.
#[derive(Debug)]
pub struct GateMove {
    /// The gate.
    pub gate: StageId,
    /// The key.
    pub key: String,
    /// What it remembers of the key, if that is to be stored.
    pub stored: Option<GateMemory>,
    pub(super) undo: crate::stage::Undo,
}

/// What one window, debounce or absence is to be told of an event.
#[derive(Clone, Debug, PartialEq)]
pub struct StageInput {
    /// The stage.
    pub stage: StageId,
    /// What it is told, to be stored with the event.
    pub told: Told,
}

/// What a window, debounce or absence is told of an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// The key.
    pub key: String,
    /// For a window: the event's own time, and the readings of its fields.
    pub window: Option<WindowReadings>,
    /// For a debounce, and for a window with `late-to`: the event as the step saw it, in structured JSON.
    pub event: Option<Vec<u8>>,
}

/// See [`WindowInput`](crate::stage::WindowInput).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as there")]
pub struct WindowReadings {
    pub time: Option<EventTime>,
    pub readings: Vec<Option<Reading>>,
}

impl Ruling {
    /// Whether the event is owed as it would be without rules, and no gate remembers it.
    pub fn is_untouched(&self) -> bool {
        let is_original = |form: &Form| form.event.is_none() && form.topic.is_none();
        let Fate::Owed(owed) = &self.fate else {
            return false;
        };
        owed.sinks.is_none()
            && is_original(&owed.common)
            && owed.by_sink.is_empty()
            && self.lane.is_none()
            && self.moves.is_empty()
    }
}

impl Default for Fate {
    fn default() -> Fate {
        Fate::Owed(Owed::default())
    }
}
