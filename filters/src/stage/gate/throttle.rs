use std::{num::NonZeroU32, time::Duration};

use serde::{Deserialize, Serialize};

use super::{GateInput, GateMemory, Step, Verdict};
use crate::stage::Moment;

/// At most so many events in a time, which begins with the first that passes. What passes gets a `sampledrate` of one more
/// than were suppressed since the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttle {
    /// Events that pass.
    pub count: NonZeroU32,
    /// In this time.
    pub per: Duration,
}

/// The time that runs, and what happened in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    began: Moment,
    passed: u32,
    suppressed: u32,
}

impl Throttle {
    pub(super) fn step(&self, memory: Option<&Memory>, input: &GateInput<'_>) -> Step {
        let mut next = match memory {
            Some(memory) if input.at.since(memory.began) < self.per => *memory,
            over => Memory {
                began: input.at,
                passed: 0,
                suppressed: over.map_or(0, |it| it.suppressed),
            },
        };
        let passes = next.passed < self.count.get();
        let verdict = if passes {
            let rate = i32::try_from(next.suppressed).unwrap_or(i32::MAX);
            next.passed += 1;
            next.suppressed = 0;
            Verdict::Pass {
                sampledrate: Some(rate.saturating_add(1)),
                threshold: None,
            }
        } else {
            next.suppressed = next.suppressed.saturating_add(1);
            Verdict::Suppress
        };
        Step {
            verdict,
            next: Some(GateMemory::Throttle(next)),
            stores: passes,
        }
    }
}
