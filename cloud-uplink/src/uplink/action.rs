//! What goes into the core and what comes out of it.

use std::{fmt, sync::Arc};

use spool::{Lane, Seq};

/// Names a batch; never reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(pub u64);

/// A record that was read, as the core needs to know it.
#[derive(Clone, Debug, PartialEq)]
pub struct Offered {
    /// Its position.
    pub seq: Seq,
    /// What is to become of it.
    pub fitness: Fitness,
}

/// Whether a record is to be sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Fitness {
    /// It is to be sent.
    Send {
        /// Events of one key are sent one after the other ([`Outgoing::partition_key`](crate::Outgoing::partition_key)).
        key: u64,
        /// Where at the receiver it goes.
        target: Arc<str>,
        /// Encoded size.
        bytes: usize,
        /// Nodes it has passed.
        hops: u32,
    },
    /// The sink is not owed it, or it carries no event: acknowledged.
    NotOwed,
    /// It came from the sink's peer: acknowledged, not sent back.
    FromPeer,
    /// It expired, and the settings say that such events are not sent: acknowledged, a loss.
    Expired {
        /// Size of the record.
        bytes: u64,
    },
    /// It has no form the sink could send: a dead letter.
    Unsendable(String),
}

/// What the shell is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Read records of a lane and hand them to `handle_read`, or the error to `handle_read_error`.
    Read {
        /// The lane to read.
        lane: Lane,
        /// Records behind this position.
        after: Seq,
        /// At most so many.
        records: usize,
        /// And so many bytes.
        bytes: usize,
    },
    /// Send these, in this order, and hand what the receiver said to `handle_answer`.
    Send {
        /// The name of the batch.
        batch: BatchId,
        /// Where at the receiver it goes.
        target: Arc<str>,
        /// The events; at least one.
        seqs: Vec<Seq>,
    },
    /// Send an event of the node's own, to learn whether the receiver is there, and hand the answer to `handle_answer`.
    Canary {
        /// The name of the batch.
        batch: BatchId,
    },
    /// Acknowledge these to the cursor: the receiver has them, or the sink is not owed them.
    Ack {
        /// In no order.
        seqs: Vec<Seq>,
    },
    /// Count this as a loss by expiry; it is in an `Ack` as well.
    Expire {
        /// The position.
        seq: Seq,
        /// Size of the record.
        bytes: u64,
    },
    /// Append a dead letter and acknowledge the position in one commit, then call `handle_buried`.
    Bury {
        /// The position.
        seq: Seq,
        /// Why.
        reason: DeadReason,
        /// How often it was sent.
        tries: u32,
    },
}

/// Why an event became a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeadReason {
    /// The receiver refuses it for good.
    Refused(String),
    /// The receiver refused it several times, and took others for the same target in between.
    Doubtful(String),
    /// Too large for the receiver on its own.
    TooLarge(String),
    /// It has passed more than [`MAX_HOPS`](crate::MAX_HOPS) nodes.
    TooManyHops,
    /// It has no form the sink could send.
    Unsendable(String),
}

impl fmt::Display for DeadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeadReason::Refused(error) => write!(f, "refused: {error}"),
            DeadReason::Doubtful(error) => write!(
                f,
                "refused again and again while others were taken: {error}"
            ),
            DeadReason::TooLarge(error) => write!(f, "too large: {error}"),
            DeadReason::TooManyHops => {
                write!(f, "it has passed more than {} nodes", crate::MAX_HOPS)
            }
            DeadReason::Unsendable(error) => write!(f, "cannot be sent: {error}"),
        }
    }
}

/// What became of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buried {
    /// It is in the dead-letter lane.
    Kept,
    /// Their number was at its bound, or the spool had no room for them for long: the event is gone, with an entry in the
    /// ledger.
    AtBound,
    /// The spool had dropped the record meanwhile; the ledger says why.
    Gone,
    /// It was sent again, and is owed to nobody: nothing is kept, and nothing lost.
    NotOwed,
}
