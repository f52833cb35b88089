//! Bounds of an uplink.

use std::time::Duration;

/// What one uplink may hold and send, and how long it waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Events of one batch.
    pub batch_events: usize,
    /// Encoded bytes of one batch; an event that is larger goes alone.
    pub batch_bytes: usize,
    /// Batches without an answer.
    pub in_flight: usize,
    /// Encoded bytes held in memory, sent or not; one read may go over it.
    pub read_ahead_bytes: usize,
    /// Doubtful refusals of one event before it becomes a dead letter, if others are accepted.
    pub refused_tries: u32,
    /// Where the log has had no room for any dead letter so long, one that finds none is gone, with an entry in the ledger:
    /// until it is done with, its event keeps up what comes behind it.
    pub bury_for: Duration,
    /// An answer that takes longer halves the number of batches in flight.
    pub slow_answer: Duration,
    /// How long after an acknowledgement the link counts as connected.
    pub connected_for: Duration,
    /// An idle link sends an event of the node's own so often; `None`: never.
    pub canary_every: Option<Duration>,
    /// How long answers are waited for after the shutdown, so that what has arrived is not sent again after the next start.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            batch_events: 512,
            batch_bytes: 512 * 1024,
            in_flight: 4,
            read_ahead_bytes: 2 * 1024 * 1024,
            refused_tries: 5,
            bury_for: Duration::from_secs(60),
            slow_answer: Duration::from_secs(5),
            connected_for: Duration::from_secs(60),
            canary_every: None,
            grace: Duration::from_secs(2),
        }
    }
}
