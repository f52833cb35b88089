use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{GateError, GateInput, GateMemory, Step, Verdict};
use crate::stage::{Moment, Reading};

/// Report by exception: an event passes if its reading lies outside the band around the reading that passed last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Deadband {
    /// How wide the band is.
    pub band: Band,
    /// Pass anyway if nothing has passed for so long.
    pub heartbeat: Option<Duration>,
}

/// How far a reading must be from the one that passed last. What lies on the edge does not pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Band {
    /// Any other value will do, a number or not.
    Change,
    /// So much, in the unit of the reading.
    Absolute(f64),
    /// So many hundredths of the reading that passed last. From zero, any other value passes.
    Percent(f64),
}

/// The reading that passed last, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    reading: Reading,
    at: Moment,
}

impl Deadband {
    pub(super) fn step(
        &self,
        memory: Option<&Memory>,
        input: &GateInput<'_>,
    ) -> Result<Step, GateError> {
        let reading = input.reading.ok_or(GateError::Missing)?;
        if self.band != Band::Change {
            input.number()?;
        }
        let passes = memory.is_none_or(|last| {
            self.band.is_left(&last.reading, reading) || self.is_due(last, input.at)
        });
        let next = passes.then(|| {
            GateMemory::Deadband(Memory {
                reading: reading.clone(),
                at: input.at,
            })
        });
        Ok(Step {
            verdict: Verdict::pass_if(passes),
            stores: passes,
            next,
        })
    }

    fn is_due(&self, last: &Memory, at: Moment) -> bool {
        self.heartbeat.is_some_and(|it| at.since(last.at) >= it)
    }
}

impl Band {
    fn is_left(self, last: &Reading, reading: &Reading) -> bool {
        let (Some(from), Some(to)) = (last.number(), reading.number()) else {
            return last != reading;
        };
        match self {
            Band::Change => last != reading,
            Band::Absolute(width) => (to - from).abs() > width,
            Band::Percent(percent) => (to - from).abs() > from.abs() * percent / 100.0,
        }
    }
}

impl Memory {
    pub(super) fn heap_bytes(&self) -> usize {
        self.reading.heap_bytes()
    }
}
