//! Drains a cursor of the spool into a sink.
#![allow(missing_docs)]

pub mod eventmesh;
pub mod http;
mod limits;
mod outgoing;
mod run;
mod sink;
mod uplink;

pub use limits::Limits;
pub use outgoing::{DeadLetter, DeadLetters, HOPS, MAX_HOPS, Outgoing, RecordSource};
pub use run::{Drain, DrainHandle};
pub use sink::{Answer, Batch, Outcome, Prepared, Sink, Unsendable};

pub use uplink::{
    ACKS_AHEAD_MAX, Action, BACKOFF_MAX, BACKOFF_MIN, BatchId, Buried, DeadReason, Fitness,
    LinkState, Offered, RETRY_AFTER_MAX, Uplink, UplinkStatus,
};
