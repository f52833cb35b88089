//! What a device says it lost, and why.
//!
//! How many events are missing shows in their sequences, and enters the ledger from there ([`super::Reception`],
//! [`super::Verdict::Take`]), so that none counts twice. A report tells why.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wire::{
    List,
    birth::{Loss, LossReason},
};

use super::About;

/// Why a device lost events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LossCause {
    /// No room in its memory.
    Ring,
    /// No room in its outbox.
    Outbox,
    /// Committed to its outbox, and not to be read again.
    Unreadable,
    /// Refused by a node.
    Refused,
}

impl LossCause {
    /// All of them.
    pub const ALL: [LossCause; 4] = [
        LossCause::Ring,
        LossCause::Outbox,
        LossCause::Unreadable,
        LossCause::Refused,
    ];

    /// As status and metrics call it.
    pub fn name(self) -> &'static str {
        match self {
            LossCause::Ring => "ring",
            LossCause::Outbox => "outbox",
            LossCause::Unreadable => "unreadable",
            LossCause::Refused => "refused",
        }
    }

    fn of(reason: LossReason) -> LossCause {
        match reason {
            LossReason::Ring => LossCause::Ring,
            LossReason::Outbox => LossCause::Outbox,
            LossReason::Unreadable => LossCause::Unreadable,
            LossReason::Refused => LossCause::Refused,
        }
    }
}

/// What a device lost since it booted, as it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossReport {
    incarnation: u32,
    boot: u32,
    counts: BTreeMap<(u8, LossCause), u64>,
}

impl LossReport {
    /// Of the device that says this of itself.
    pub(crate) fn of(about: &About, losses: &List<'_, Loss>) -> LossReport {
        let counts = losses
            .iter()
            .map(|it| ((it.stream.number(), LossCause::of(it.reason)), it.count));
        LossReport {
            incarnation: about.incarnation,
            boot: about.boot,
            counts: counts.collect(),
        }
    }
}

/// What a device lost in all its boots, by stream and cause.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Losses {
    /// Of the latest report.
    incarnation: u32,
    boot: u32,
    counts: BTreeMap<(u8, LossCause), LossCount>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct LossCount {
    /// Since the boot of the latest report.
    boot: u64,
    total: u64,
}

impl Losses {
    /// What a report adds.
    pub(super) fn added(&self, report: &LossReport) -> BTreeMap<(u8, LossCause), u64> {
        let added = report.counts.iter().filter_map(|(of, count)| {
            let known = self.counts.get(of).map_or(0, |known| known.boot);
            let known = if self.is_of(report) { known } else { 0 };
            Some((*of, count.checked_sub(known).filter(|new| *new > 0)?))
        });
        added.collect()
    }

    /// Folds a report.
    pub(super) fn apply(&mut self, report: &LossReport) {
        let added = self.added(report);
        if !self.is_of(report) {
            self.counts.values_mut().for_each(|count| count.boot = 0);
            (self.incarnation, self.boot) = (report.incarnation, report.boot);
        }
        for (of, new) in added {
            let count = self.counts.entry(of).or_default();
            count.boot = count.boot.saturating_add(new);
            count.total = count.total.saturating_add(new);
        }
    }

    /// In all boots.
    pub(super) fn totals(&self) -> impl Iterator<Item = (u8, LossCause, u64)> {
        self.counts
            .iter()
            .map(|((stream, cause), count)| (*stream, *cause, count.total))
    }

    fn is_of(&self, report: &LossReport) -> bool {
        (self.incarnation, self.boot) == (report.incarnation, report.boot)
    }
}
