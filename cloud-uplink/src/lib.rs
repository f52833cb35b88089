//! Drains a cursor of the spool into a sink.
#![allow(missing_docs)]

pub mod eventmesh;
mod outgoing;
mod sink;

pub use outgoing::{DeadLetter, DeadLetters, HOPS, MAX_HOPS, Outgoing, RecordSource};
pub use sink::{Answer, Batch, Outcome, Prepared, Sink, Unsendable};

/// Bounds of one uplink.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Events of one batch.
    pub batch_events: usize,
    /// Encoded bytes of one batch; an event that is larger goes alone.
    pub batch_bytes: usize,
    /// Batches without an answer.
    pub in_flight: usize,
    /// Doubtful refusals of one event before it becomes a dead letter.
    pub refused_tries: u32,
}
