use std::{num::NonZeroU64, time::Duration};

/// Which events a window holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowKind {
    /// One window after the other, each beginning at a multiple of its size since 1970.
    Tumbling {
        /// How long each is.
        size: Duration,
    },
    /// Windows that overlap; each begins at a multiple of `every` since 1970.
    Sliding {
        /// How long each is.
        size: Duration,
        /// How long after one the next begins; at least a hundredth of `size`.
        every: Duration,
    },
    /// Until nothing has happened for a time.
    Session {
        /// That time.
        gap: Duration,
    },
    /// So many events, whenever they happened.
    Count(NonZeroU64),
}

/// How a window treats time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How far behind the latest of its key an event may be.
    pub lateness: Duration,
    /// How far ahead of the node's time an event may say that it happened; one beyond happened when it came. A clock that is set
    /// back by less is not noticed.
    pub max_ahead: Duration,
    /// A key without events for so long closes.
    pub idle: Duration,
}

/// One value of what a window derives.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// Which of the fields it is made of, as in [`WindowInput::readings`](super::WindowInput::readings); `None` is the event itself, which can only
    /// be counted.
    pub field: Option<usize>,
    /// How it is made.
    pub function: Function,
}

/// What can be made of the readings of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Function {
    /// Their number.
    Count,
    /// Their mean.
    Avg,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// All together; exact as long as all are whole.
    Sum,
    /// That of the event that happened first.
    First,
    /// That of the event that happened last.
    Last,
    /// The least below or at which so many hundredths of them lie, within 1 % of their number.
    Percentile(f64),
}

impl Function {
    pub(super) fn needs_numbers(self) -> bool {
        !matches!(self, Function::Count | Function::First | Function::Last)
    }
}
