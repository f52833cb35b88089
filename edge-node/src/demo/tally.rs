//! What was promised and what arrived. Pure: no IO, no clock.

use std::{collections::BTreeSet, fmt};

/// The identity of one event: which sensor's, and which of its.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reading {
    pub(super) sensor: u8,
    pub(super) number: u32,
}

/// Where the sensors are, in topics and in the `source` of events.
const PLANT: &str = "plant/pump-";

impl Reading {
    /// The MQTT topic of its sensor.
    pub(super) fn topic(self) -> String {
        format!("{PLANT}{}", self.sensor)
    }

    /// The CloudEvents attributes `source` and `id`, which together are its identity.
    pub(super) fn identity(self) -> (String, String) {
        (format!("/{PLANT}{}", self.sensor), self.number.to_string())
    }

    /// The reading of this identity; `None` if it is none of the demo.
    pub(super) fn identified(source: &str, id: &str) -> Option<Reading> {
        let sensor = source.strip_prefix('/')?.strip_prefix(PLANT)?;
        Some(Reading {
            sensor: sensor.parse().ok()?,
            number: id.parse().ok()?,
        })
    }
}

/// Counts each event once, however often it comes, and repeats apart.
#[derive(Debug, Default)]
pub(super) struct Tally {
    acknowledged: BTreeSet<Reading>,
    delivered: BTreeSet<Reading>,
    repeated: u64,
}

/// Whether the promise was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Everything acknowledged was delivered.
    Kept,
    /// So many acknowledged events were not delivered.
    Lost(usize),
    /// Nothing was acknowledged, so nothing was promised.
    Nothing,
}

impl Tally {
    /// The node promised to keep it.
    pub(super) fn acknowledge(&mut self, reading: Reading) {
        self.acknowledged.insert(reading);
    }

    /// It reached the receiver at the hub; whether for the first time.
    pub(super) fn deliver(&mut self, reading: Reading) -> bool {
        let is_new = self.delivered.insert(reading);
        if !is_new {
            self.repeated += 1;
        }
        is_new
    }

    /// Events acknowledged to their sensor.
    pub(super) fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// Events that arrived.
    pub(super) fn delivered(&self) -> usize {
        self.delivered.len()
    }

    /// Events acknowledged that have not arrived.
    pub(super) fn missing(&self) -> usize {
        self.acknowledged.difference(&self.delivered).count()
    }

    /// What is to be said when no more is expected to arrive.
    pub(super) fn verdict(&self) -> Verdict {
        match self.missing() {
            0 if self.acknowledged.is_empty() => Verdict::Nothing,
            0 => Verdict::Kept,
            lost => Verdict::Lost(lost),
        }
    }
}

impl fmt::Display for Tally {
    /// The last line of the demo.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "acknowledged {}, delivered {}, lost {}, repeated {}",
            self.acknowledged(),
            self.delivered(),
            self.missing(),
            self.repeated
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_counts_once_and_its_repeats_apart() {
        let mut tally = Tally::default();
        for number in [1, 2, 3] {
            tally.acknowledge(reading(0, number));
            tally.deliver(reading(0, number));
        }
        tally.deliver(reading(0, 2));
        tally.deliver(reading(0, 2));
        assert_eq!(
            tally.to_string(),
            "acknowledged 3, delivered 3, lost 0, repeated 2"
        );
        assert_eq!(tally.verdict(), Verdict::Kept);
    }

    #[test]
    fn an_acknowledged_event_that_never_arrives_is_lost_whatever_else_arrives() {
        let mut tally = Tally::default();
        tally.acknowledge(reading(0, 1));
        tally.acknowledge(reading(1, 1));
        tally.deliver(reading(0, 1));
        tally.deliver(reading(0, 2)); // arrived, and its acknowledgement did not
        assert_eq!(
            tally.to_string(),
            "acknowledged 2, delivered 2, lost 1, repeated 0"
        );
        assert_eq!(tally.verdict(), Verdict::Lost(1));
    }

    #[test]
    fn nothing_acknowledged_proves_nothing() {
        let mut tally = Tally::default();
        tally.deliver(reading(0, 1));
        assert_eq!(tally.verdict(), Verdict::Nothing);
    }

    #[test]
    fn an_event_is_known_again_by_its_source_and_id() {
        let (source, id) = reading(3, 4711).identity();
        assert_eq!((source.as_str(), id.as_str()), ("/plant/pump-3", "4711"));
        assert_eq!(Reading::identified(&source, &id), Some(reading(3, 4711)));
        for (source, id) in [("/plant/pump-3", "x"), ("/plant/valve-3", "1"), ("", "1")] {
            assert_eq!(Reading::identified(source, id), None);
        }
    }

    fn reading(sensor: u8, number: u32) -> Reading {
        Reading { sensor, number }
    }
}
