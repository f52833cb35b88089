//! Stages that answer at once: an event passes, or it is suppressed.

mod deadband;
mod dedupe;
mod sample;
#[cfg(test)]
mod tests;
mod threshold;
mod throttle;

use serde::{Deserialize, Serialize};

pub use deadband::{Band, Deadband};
pub use dedupe::Dedupe;
pub use sample::Sample;
pub use threshold::{Side, Threshold, ThresholdState};
pub use throttle::Throttle;

use super::{Bounds, Moment, Reading, Table, table::Before};

/// A stage that judges events one by one.
#[derive(Clone, Debug)]
pub struct Gate {
    kind: GateKind,
    memory: Table<GateMemory>,
    evicted: u64,
}

/// What a gate does.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "each is documented where it is defined")]
pub enum GateKind {
    Deadband(Deadband),
    Throttle(Throttle),
    Sample(Sample),
    Dedupe(Dedupe),
    Threshold(Threshold),
}

/// What a gate keeps for one key. Its form is stable: it is stored beside the event that moved it, and in checkpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is documented where it is defined")]
pub enum GateMemory {
    Deadband(deadband::Memory),
    Throttle(throttle::Memory),
    Sample(sample::Memory),
    Dedupe(dedupe::Memory),
    Threshold(threshold::Memory),
}

/// What a gate looks at.
#[derive(Clone, Copy, Debug)]
pub struct GateInput<'a> {
    /// Which of its memories is asked.
    pub key: &'a str,
    /// The value of the field it watches, if the event has it.
    pub reading: Option<&'a Reading>,
    /// The event's `sampledrate`.
    pub sampledrate: Option<i32>,
    /// When the event came.
    pub at: Moment,
}

/// What a gate says of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Pass {
        /// What its attribute `sampledrate` becomes, if it is touched.
        sampledrate: Option<i32>,
        /// What its attribute `threshold` becomes, if it is touched.
        threshold: Option<ThresholdState>,
    },
    /// It is owed to no sink.
    Suppress,
}

impl Verdict {
    const PASS: Verdict = Verdict::Pass {
        sampledrate: None,
        threshold: None,
    };

    fn pass_if(passes: bool) -> Verdict {
        if passes {
            Verdict::PASS
        } else {
            Verdict::Suppress
        }
    }
}

/// The answer of a gate, and how to take it back.
#[derive(Debug)]
pub struct Judgement {
    /// The answer.
    pub verdict: Verdict,
    /// Whether what the gate remembers for this key is to be stored with the event: without it, a gate after a crash could suppress what it
    /// should let pass. What moves without being stored costs at most an event that passes twice, or a count that is too low.
    pub stores: bool,
    /// For [`Gate::undo`] if the event is not committed. Nothing where nothing moved.
    pub undo: Option<Undo>,
}

/// Takes one judgement back.
#[derive(Debug)]
pub struct Undo(Before<GateMemory>);

/// Why a gate cannot judge: the event does not have what the gate watches. Nothing moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// There is no such field.
    #[error("the field it watches is missing")]
    Missing,
    /// The field is there, and is no number.
    #[error("the field it watches is not a number")]
    NotANumber,
}

/// What one judgement does to the memory of its key.
struct Step {
    verdict: Verdict,
    next: Option<GateMemory>,
    stores: bool,
}

impl Gate {
    /// A gate that has seen nothing.
    pub fn new(kind: GateKind, bounds: Bounds) -> Gate {
        Gate {
            kind,
            memory: Table::new(bounds),
            evicted: 0,
        }
    }

    /// Judges an event. The memory moves at once; see [`Judgement::undo`].
    ///
    /// # Errors
    ///
    /// The event has not what the gate watches.
    pub fn judge(&mut self, input: &GateInput<'_>) -> Result<Judgement, GateError> {
        let step = self.kind.step(self.memory.get(input.key), input)?;
        let undo = step.next.map(|next| {
            let bytes = next.heap_bytes();
            let before = self.memory.put(input.key, next, bytes);
            self.evicted += before.evicted().len() as u64;
            Undo(before)
        });
        Ok(Judgement {
            verdict: step.verdict,
            stores: step.stores,
            undo,
        })
    }

    /// Takes back the latest judgement that was not taken back.
    pub fn undo(&mut self, Undo(before): Undo) {
        self.evicted -= before.evicted().len() as u64;
        self.memory.restore(before, GateMemory::heap_bytes);
    }

    /// What it keeps for `key`, to be stored.
    pub fn memory(&self, key: &str) -> Option<&GateMemory> {
        self.memory.get(key)
    }

    /// All it keeps, for a checkpoint.
    pub fn memories(&self) -> &Table<GateMemory> {
        &self.memory
    }

    /// Puts back what was stored. What belongs to another kind of gate is not taken.
    pub fn recover(&mut self, key: &str, memory: GateMemory) {
        if self.kind.owns(&memory) {
            let bytes = memory.heap_bytes();
            self.memory.put(key, memory, bytes);
        }
    }

    /// Forgets all it keeps.
    pub fn forget(&mut self) {
        self.memory.clear();
    }

    /// Keys that went at a bound: the next event of each passes.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }
}

impl GateKind {
    fn step(&self, memory: Option<&GateMemory>, input: &GateInput<'_>) -> Result<Step, GateError> {
        match (self, memory) {
            (GateKind::Deadband(it), Some(GateMemory::Deadband(memory))) => {
                it.step(Some(memory), input)
            }
            (GateKind::Deadband(it), _) => it.step(None, input),
            (GateKind::Throttle(it), Some(GateMemory::Throttle(memory))) => {
                Ok(it.step(Some(memory), input))
            }
            (GateKind::Throttle(it), _) => Ok(it.step(None, input)),
            (GateKind::Sample(it), Some(GateMemory::Sample(memory))) => {
                Ok(it.step(Some(memory), input))
            }
            (GateKind::Sample(it), _) => Ok(it.step(None, input)),
            (GateKind::Dedupe(it), Some(GateMemory::Dedupe(memory))) => {
                Ok(it.step(Some(memory), input))
            }
            (GateKind::Dedupe(it), _) => Ok(it.step(None, input)),
            (GateKind::Threshold(it), Some(GateMemory::Threshold(memory))) => {
                it.step(Some(memory), input)
            }
            (GateKind::Threshold(it), _) => it.step(None, input),
        }
    }

    fn owns(&self, memory: &GateMemory) -> bool {
        matches!(
            (self, memory),
            (GateKind::Deadband(_), GateMemory::Deadband(_))
                | (GateKind::Throttle(_), GateMemory::Throttle(_))
                | (GateKind::Sample(_), GateMemory::Sample(_))
                | (GateKind::Dedupe(_), GateMemory::Dedupe(_))
                | (GateKind::Threshold(_), GateMemory::Threshold(_))
        )
    }
}

impl GateMemory {
    fn heap_bytes(&self) -> usize {
        match self {
            GateMemory::Deadband(memory) => memory.heap_bytes(),
            _ => 0,
        }
    }
}

impl GateInput<'_> {
    fn number(&self) -> Result<f64, GateError> {
        self.reading
            .ok_or(GateError::Missing)?
            .number()
            .ok_or(GateError::NotANumber)
    }
}

impl GateError {
    /// A word for counters.
    pub fn class(self) -> &'static str {
        match self {
            GateError::Missing => "missing",
            GateError::NotANumber => "not-a-number",
        }
    }
}
