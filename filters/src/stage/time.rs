use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment of the node's clock, which only advances, in milliseconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Moment(pub u64);

impl Moment {
    /// This moment and that long after it.
    pub fn after(self, duration: Duration) -> Moment {
        Moment(self.0.saturating_add(millis(duration)))
    }

    /// How long ago `earlier` was; nothing if it is later.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// When something happened, in milliseconds since 1970; negative before.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct EventTime(pub i64);

impl EventTime {
    /// That long after this.
    pub fn plus(self, duration: Duration) -> EventTime {
        EventTime(self.0.saturating_add_unsigned(millis(duration)))
    }

    /// That long before this.
    pub fn minus(self, duration: Duration) -> EventTime {
        EventTime(self.0.saturating_sub_unsigned(millis(duration)))
    }

    /// The last multiple of `step` that is not after this.
    pub fn floor(self, step: Duration) -> EventTime {
        let step = i64::try_from(millis(step)).unwrap_or(i64::MAX).max(1);
        EventTime(self.0.saturating_sub(self.0.rem_euclid(step)))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
