//! When a device booted, on the node's clock.

use serde::{Deserialize, Serialize};
use spool::NodeTime;

/// Where the zero of a device's uptime lies on the node clock: the earliest that any message allows, let to rise by
/// [`SLEW_PPM`], so that it follows a device whose clock is slow.
///
/// A message takes time to come and never comes before it was sent: what was received less what the device's clock said then
/// is the epoch and the delay. Of an hour of backlog, whose events are old when they come, the least delay is what
/// counts: that of the birth before it, and of each event that comes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Epoch {
    zero_us: i64,
    /// Node time of the estimate, milliseconds.
    at_ms: u64,
}

/// How fast the estimate may rise; crystals are within 100 ppm.
const SLEW_PPM: i64 = 150;

impl Epoch {
    /// Of a device that said this uptime just now.
    pub(crate) fn at(now: NodeTime, uptime_ms: u64) -> Epoch {
        Epoch {
            zero_us: micros(now.0).saturating_sub(micros(uptime_ms)),
            at_ms: now.0,
        }
    }

    /// The device said this uptime, now or a while ago.
    pub(crate) fn observe(&mut self, now: NodeTime, uptime_ms: u64) {
        let seen = Epoch::at(now, uptime_ms);
        let passed_ms = i64::try_from(now.0.saturating_sub(self.at_ms)).unwrap_or(i64::MAX);
        let risen = self
            .zero_us
            .saturating_add(passed_ms.saturating_mul(SLEW_PPM) / 1000);
        self.zero_us = risen.min(seen.zero_us);
        self.at_ms = self.at_ms.max(now.0);
    }

    /// Node time of this uptime; zero for what was before the node clock began.
    pub(crate) fn time_of(&self, uptime_ms: u64) -> NodeTime {
        let at = self.zero_us.saturating_add(micros(uptime_ms)) / 1000;
        NodeTime(u64::try_from(at).unwrap_or(0))
    }
}

fn micros(millis: u64) -> i64 {
    i64::try_from(millis)
        .unwrap_or(i64::MAX)
        .saturating_mul(1000)
}
