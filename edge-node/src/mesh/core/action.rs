use spool::{CursorId, Seq};

use super::{GroupKey, MemberId};

/// What the shell has to do.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::mesh) enum Action<M> {
    /// Open this durable group, then call `handle_opened`.
    Open(GroupKey),
    /// Note in the log that it has no member, then call `handle_rested`.
    Rest(GroupKey),
    /// Remove it, then call `handle_removed`.
    Remove(GroupKey),
    /// Read what the group is owed, then call `handle_read`.
    Read {
        key: GroupKey,
        cursor: CursorId,
        after: Seq,
        /// At most so many.
        events: usize,
    },
    /// Give a stream an event; call `handle_taken` when the stream takes it, which it does in the order of these.
    Deliver { member: MemberId, message: M },
    /// Answer the subscription of this stream that is oldest without an answer.
    Answer(MemberId, Result<(), Refusal>),
    /// End a stream, then call `handle_end`.
    Close(MemberId, Closed),
    /// The group has these.
    Ack { cursor: CursorId, seqs: Vec<Seq> },
}

/// Why a subscription is refused; the client mends it or tries elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(in crate::mesh) struct Refusal(pub(in crate::mesh) String);

/// Why a stream is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mesh) enum Closed {
    /// No sign of life.
    Silent,
    /// It does not take what waits for it.
    Stalled,
    /// The node stops.
    Stopping,
    /// Its first subscription was refused.
    Refused,
}

/// What a read of a group gave.
#[derive(Debug)]
pub(in crate::mesh) struct Reading<M> {
    pub(in crate::mesh) entries: Vec<(Seq, Found<M>)>,
    pub(in crate::mesh) next: Seq,
    pub(in crate::mesh) at_end: bool,
}

/// What a record is to a subscriber.
#[derive(Debug)]
pub(in crate::mesh) enum Found<M> {
    /// An event, and its size as a message.
    Event { bytes: usize, message: M },
    /// Nothing that a stream could carry.
    Nothing,
}
