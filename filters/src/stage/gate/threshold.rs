use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{GateError, GateInput, GateMemory, Step, Verdict};
use crate::stage::Moment;

/// An alarm on a limit: only the events pass that raise or clear it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// Beyond which side of it a reading is alarming.
    pub side: Side,
    /// The limit itself is not alarming.
    pub limit: f64,
    /// How far a reading must come back over the limit to clear the alarm; not negative.
    pub hysteresis: f64,
    /// How long readings must have been alarming without a break to raise it. The first event at or after that time does.
    pub duration: Duration,
}

/// See [`Threshold::side`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Readings above the limit are alarming.
    Above,
    /// Readings below the limit are alarming.
    Below,
}

/// What an event does to the alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThresholdState {
    /// It begins.
    Raised,
    /// It is over.
    Cleared,
}

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Memory {
    /// No alarm.
    Normal,
    /// Readings have been alarming since then.
    Pending(Moment),
    /// The alarm is on.
    Raised,
}

impl Threshold {
    pub(super) fn step(
        &self,
        memory: Option<&Memory>,
        input: &GateInput<'_>,
    ) -> Result<Step, GateError> {
        let excess = match self.side {
            Side::Above => input.number()? - self.limit,
            Side::Below => self.limit - input.number()?,
        };
        let was = memory.copied().unwrap_or(Memory::Normal);
        let next = match was {
            Memory::Raised if excess <= -self.hysteresis => Memory::Normal,
            Memory::Raised => Memory::Raised,
            Memory::Normal | Memory::Pending(_) if excess <= 0.0 => Memory::Normal,
            Memory::Normal => self.pending(input.at, input.at),
            Memory::Pending(since) => self.pending(since, input.at),
        };
        Ok(Step {
            verdict: verdict(was, next),
            next: (was != next).then_some(GateMemory::Threshold(next)),
            stores: was != next,
        })
    }

    fn pending(&self, since: Moment, at: Moment) -> Memory {
        if at.since(since) >= self.duration {
            Memory::Raised
        } else {
            Memory::Pending(since)
        }
    }
}

fn verdict(was: Memory, next: Memory) -> Verdict {
    let threshold = match (was, next) {
        (Memory::Raised, Memory::Normal) => ThresholdState::Cleared,
        (Memory::Normal | Memory::Pending(_), Memory::Raised) => ThresholdState::Raised,
        _ => return Verdict::Suppress,
    };
    Verdict::Pass {
        sampledrate: None,
        threshold: Some(threshold),
    }
}

impl ThresholdState {
    /// The value of the attribute `threshold`.
    pub fn as_str(self) -> &'static str {
        match self {
            ThresholdState::Raised => "raised",
            ThresholdState::Cleared => "cleared",
        }
    }
}
