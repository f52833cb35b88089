use std::collections::BTreeSet;

use super::TestBoard;
use crate::{Received, TestCloud};

/// The readings of one boot of a board that arrived: their sequences are 1 up to `last`.
#[derive(Debug, PartialEq, Eq)]
pub struct Boot {
    /// Of the outbox; random at its first boot.
    pub incarnation: u32,
    /// Counted by the board, from 1.
    pub boot: u32,
    /// The sequence of the last one.
    pub last: u64,
}

impl Boot {
    /// The boots whose readings arrived, in order. What a killed node sent shortly before comes again as the same event,
    /// and counts where it came first.
    ///
    /// # Errors
    ///
    /// The first id before which one is missing, or that came out of order.
    pub fn all(events: &[Received]) -> Result<Vec<Boot>, String> {
        let mut boots: Vec<Boot> = Vec::new();
        let mut known = BTreeSet::new();
        for event in events {
            let id = event.attribute("id");
            if !known.insert(id) {
                continue;
            }
            let (incarnation, boot, seq) =
                Boot::parts(id).ok_or_else(|| format!("{id} is no id"))?;
            match boots.last_mut() {
                Some(last) if (last.incarnation, last.boot) == (incarnation, boot) => {
                    if seq != last.last + 1 {
                        return Err(format!("{id} came where {} was due", last.last + 1));
                    }
                    last.last = seq;
                }
                last => {
                    if seq != 1 || last.is_some_and(|last| last.boot >= boot) {
                        return Err(format!("{id} came where a new boot was due"));
                    }
                    boots.push(Boot {
                        incarnation,
                        boot,
                        last: seq,
                    });
                }
            }
        }
        Ok(boots)
    }

    /// Incarnation, boot and sequence of an id of the one stream that boards have.
    #[must_use]
    pub fn parts(id: &str) -> Option<(u32, u32, u64)> {
        let (head, seq) = id.split_once("-0-")?;
        let (incarnation, boot) = head.split_at_checked(8)?;
        let number = |text| u32::from_str_radix(text, 16).ok();
        Some((number(incarnation)?, number(boot)?, seq.parse().ok()?))
    }
}

impl TestBoard {
    /// Its events that are at the cloud, as they came.
    #[must_use]
    pub fn arrived(&self, cloud: &TestCloud) -> Vec<Received> {
        let source = format!("urn:edge-device:{}", self.id());
        let mut events = cloud.received();
        events.retain(|event| event.attribute("source") == source);
        events
    }

    /// How many readings it said to be in flash, boot by boot. It says so behind each commit, so that a reset in between
    /// leaves one that was not said.
    #[must_use]
    pub fn commits(&self) -> Vec<u64> {
        let console = self.console();
        let boots = console.split(" of incarnation ").skip(1);
        boots
            .map(|said| said.matches("a reading is in flash\n").count() as u64)
            .collect()
    }
}
