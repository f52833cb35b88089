//! Drains a cursor of the spool into a sink: batches, order per key, adaptive rate, backoff, dead letters.
//!
//! ```text
//!  spool ──read──▶ RecordSource (the node) ──▶ Sink::prepare ──▶ Uplink: who goes when ──▶ Sink::send ──▶ receiver
//!    ▲                                                              │                                       │
//!    └── ack, and dead letters with their ack ◀─────────────────────┴──────────────── Answer ◀──────────────┘
//! ```
//!
//! Start reading at [`Uplink`], which decides everything; [`Drain`] carries its actions to the spool and to a [`Sink`].
//! Sinks: [`http`] (CloudEvents over HTTP, EventMesh v2) and [`eventmesh`] (EventMesh 1.x over gRPC).
//!
//! What it promises:
//! - A position is acknowledged only after the receiver accepted the event. Whatever else is answered, or not, or whatever
//!   breaks, it is sent again, for as long as it takes: at least once.
//! - Events of one key ([`Outgoing::partition_key`]) for one target are sent one batch after the other, in the order of the
//!   log, within their lane. One exception: an event that was refused so often that it may be bad is passed by one behind it,
//!   to find that out; if the receiver mends itself just then, it arrives late.
//! - An event that the receiver refuses becomes a dead letter and its neighbours go on; it is never the event's fault that
//!   nothing can be sent. While nothing is accepted for a target, nothing for it becomes a dead letter.
//! - At the bound of the dead-letter lane a dead letter is lost, with an entry in the ledger, and the sink goes on.
//! - After an outage one batch goes first. Between tries lie 0.1 to 60 s, or what the receiver asks for.
//! - Memory stays within [`Limits::read_ahead_bytes`] and one read, whatever the link does.
//!
//! It knows nothing of brokers and devices, and what a record means only through [`RecordSource`].

mod endpoint;
pub mod eventmesh;
pub mod http;
mod limits;
mod lookup;
mod outgoing;
mod peers;
mod run;
mod sink;
mod uplink;

pub use limits::Limits;
pub use outgoing::{DeadLetter, DeadLetters, HOPS, MAX_HOPS, Outgoing, RecordSource};
pub use peers::{NODE_HEADER, Peers};
pub use run::{Drain, DrainHandle, End};
pub use sink::{Answer, Batch, Outcome, Prepared, Sink, Unsendable};

pub use uplink::{
    ACKS_AHEAD_MAX, Action, BACKOFF_MAX, BACKOFF_MIN, BatchId, Buried, DeadReason, Fitness,
    LinkState, Offered, RETRY_AFTER_MAX, Uplink, UplinkStatus,
};
