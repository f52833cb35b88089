use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::stage::{EventTime, Reading};

/// Which time a window covers: from `start` to before `end`. Of a window that counts, the times of its first and its last event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "said above")]
pub struct Span {
    pub start: EventTime,
    pub end: EventTime,
}

/// What a window derived.
#[derive(Clone, Debug, PartialEq)]
pub struct Emission {
    /// Of which key.
    pub key: Arc<str>,
    /// For which time.
    pub span: Span,
    /// Of how many events.
    pub count: u64,
    /// The positions of the least and the greatest of them: with key and span they name what was derived, whenever it is derived again.
    pub positions: (u64, u64),
    /// Whether the window was closed before its time.
    pub partial: bool,
    /// The values of the aggregates, in their order; `None` where their field never was there.
    pub values: Vec<Option<Reading>>,
}
