use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{GateInput, GateMemory, Step, Verdict};
use crate::stage::Moment;

/// The first event of a key passes; the others are suppressed for a time after it. The key says what a repeat is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dedupe {
    /// How long a key is known after it passed.
    pub within: Duration,
}

/// When an event of this key passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    at: Moment,
}

impl Dedupe {
    pub(super) fn step(&self, memory: Option<&Memory>, input: &GateInput<'_>) -> Step {
        let passes = memory.is_none_or(|it| input.at.since(it.at) >= self.within);
        Step {
            verdict: Verdict::pass_if(passes),
            next: passes.then_some(GateMemory::Dedupe(Memory { at: input.at })),
            stores: passes,
        }
    }
}
