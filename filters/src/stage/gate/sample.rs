use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::{GateInput, GateMemory, Step, Verdict};

/// One event of so many passes, the first to begin with. Its `sampledrate` is multiplied by their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// One of so many.
    pub every: NonZeroU32,
}

/// Events to be suppressed before the next that passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    left: u32,
}

impl Sample {
    pub(super) fn step(&self, memory: Option<&Memory>, input: &GateInput<'_>) -> Step {
        let left = memory.map_or(0, |it| it.left);
        let (verdict, left) = match left.checked_sub(1) {
            Some(left) => (Verdict::Suppress, left),
            None => (self.pass(input.sampledrate), self.every.get() - 1),
        };
        Step {
            verdict,
            next: Some(GateMemory::Sample(Memory { left })),
            stores: false,
        }
    }

    fn pass(&self, sampledrate: Option<i32>) -> Verdict {
        let every = i32::try_from(self.every.get()).unwrap_or(i32::MAX);
        Verdict::Pass {
            sampledrate: Some(sampledrate.unwrap_or(1).max(1).saturating_mul(every)),
            threshold: None,
        }
    }
}
