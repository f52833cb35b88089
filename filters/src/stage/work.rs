use std::{cmp::Reverse, collections::BTreeMap};

use serde::{Deserialize, Serialize};

use super::{Bounds, lineage::depth};

/// Events that wait for work which is done elsewhere and answered by a record of the log.
///
/// What is derived itself goes before all else, so that of one event no more waits than follows from it.
#[derive(Clone, Debug)]
pub struct Work {
    bounds: Bounds,
    jobs: BTreeMap<(Reverse<usize>, u64), Job>,
    bytes: usize,
}

/// An event that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Where it stands in the log.
    pub position: u64,
    /// The key of its stage.
    pub key: String,
    /// In structured JSON.
    pub event: Vec<u8>,
    /// The rules from which it is derived, the latest last.
    pub derived_by: Vec<String>,
}

impl Work {
    /// Holds nothing. `bounds` are of what waits; its keys are events.
    pub fn new(bounds: Bounds) -> Work {
        Work {
            bounds,
            jobs: BTreeMap::new(),
            bytes: 0,
        }
    }

    /// Whether one more may wait. What is derived need not ask.
    pub fn has_room(&self) -> bool {
        self.jobs.len() < self.bounds.keys && self.bytes < self.bounds.bytes
    }

    /// There is one more.
    pub fn add(&mut self, job: Job) {
        self.bytes += job.bytes();
        let turn = (Reverse(depth(&job.derived_by)), job.position);
        if let Some(before) = self.jobs.insert(turn, job) {
            self.bytes -= before.bytes();
        }
    }

    /// The one whose turn it is.
    pub fn first(&self) -> Option<&Job> {
        self.jobs.first_key_value().map(|(_, job)| job)
    }

    /// The work of the event at this position is done.
    pub fn take(&mut self, position: u64) -> Option<Job> {
        let turn = *self.jobs.keys().find(|it| it.1 == position)?;
        let job = self.jobs.remove(&turn)?;
        self.bytes -= job.bytes();
        Some(job)
    }

    /// All that waits, by turns.
    pub fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.jobs.values()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// The bytes of what waits.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Job {
    fn bytes(&self) -> usize {
        self.event.len() + self.key.len()
    }
}
