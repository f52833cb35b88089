//! What the broker orders its shell to do.

use spool::{CursorId, ReadLimits, Seq};

use super::{
    connection::ConnectionId,
    errands::Errand,
    fault::{Excess, PeerError},
};

/// What the shell is to do.
#[derive(Debug)]
pub enum Action {
    /// There are bytes to write: `take_output`.
    Flush(ConnectionId),
    /// Write what is there, then close.
    Close(ConnectionId),
    /// Read from this client again.
    Resume(ConnectionId),
    /// Read from the log, then `handle_read`.
    Read {
        /// For whom.
        reader: Reader,
        /// What.
        request: ReadRequest,
        /// To be given back with what was read.
        ticket: Ticket,
    },
    /// Read what the errands name, then `handle_errands`.
    RunErrands {
        /// The session they are for.
        session: usize,
        /// To be given back with what was read.
        ticket: Ticket,
        /// What is to be sent.
        errands: Vec<Errand>,
    },
    /// The peer of this connection is at fault, and its connection ends: say so, once for many.
    Fault(ConnectionId, PeerError),
    /// The peer of this connection is not given something, and its connection goes on: say so, once for many.
    Excess(ConnectionId, Excess),
    /// Keep this record though nobody is owed it.
    Pin(Seq),
    /// Keep it no longer.
    Unpin(Seq),
}

/// Who reads the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reader {
    /// A session.
    Session(usize),
    /// A shared group.
    Group(usize),
}

/// Names one order to read. An answer under any other is for somebody who is gone, though the index is taken again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(pub(super) u64);

/// What a reader wants.
#[derive(Clone, Debug)]
pub enum ReadRequest {
    /// The debt of a cursor.
    Cursor {
        /// The cursor.
        cursor: CursorId,
        /// Behind this position.
        after: Seq,
        /// At most so much.
        limits: ReadLimits,
    },
    /// These positions; `Batch::next` is to be the committed position at the time of reading.
    Positions(Vec<Seq>),
}
