//! When a device booted, on the node clock, and when what it says happened.

use spool::NodeTime;
use wire::{
    birth,
    epoch::{Epoch, WINDOW_MS},
};

/// What the uptimes of a device say of its present boot. In memory only: the first message after a start of the node says it
/// anew, and the log keeps the last estimate of boots that are over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BootClock {
    /// Of its outbox.
    pub(super) incarnation: u32,
    /// Its boot counter.
    pub(super) boot: u32,
    epoch: Epoch,
}

impl BootClock {
    /// Of the boot a birth speaks of, with nothing known.
    pub(crate) fn of(device: &birth::Device<'_>) -> BootClock {
        BootClock {
            incarnation: device.incarnation,
            boot: device.boot,
            epoch: Epoch::new(),
        }
    }

    /// Whether it is of this boot.
    pub(crate) fn is_of(&self, incarnation: u32, boot: u32) -> bool {
        self.incarnation == incarnation && self.boot == boot
    }

    /// The device says this uptime, now or a while ago.
    pub(crate) fn note(&mut self, now: NodeTime, uptime_ms: u64) {
        self.epoch.note(now.0, uptime_ms);
    }

    /// When the device booted, milliseconds on the node clock; before its zero for one that was up first.
    pub(crate) fn epoch_ms(&self) -> Option<i64> {
        self.epoch.epoch_ms()
    }

    /// When the device had this uptime in its present boot.
    pub(crate) fn happened(&self, uptime_ms: u64) -> NodeTime {
        happened(self.epoch_ms().unwrap_or(0), uptime_ms)
    }

    /// Whether the time of an event is right within a second: the device was heard of late, and its clock cannot have gone
    /// far from the node's since the event.
    pub(crate) fn is_sure(&self, now: NodeTime, happened: NodeTime) -> bool {
        self.epoch.is_fresh(now.0) && now.0.saturating_sub(happened.0) <= WINDOW_MS
    }
}

/// When a device that booted at `epoch_ms` had this uptime; the zero of the node clock for what was before it.
pub(crate) fn happened(epoch_ms: i64, uptime_ms: u64) -> NodeTime {
    let at = epoch_ms.saturating_add(i64::try_from(uptime_ms).unwrap_or(i64::MAX));
    NodeTime(u64::try_from(at).unwrap_or(0))
}
