//! What the core wants to have read from the log, and how it is read.

use spool::{Batch, CursorId, ReadLimits, Seq, Spool, StorageError};

use crate::broker::{Errand, ReadRequest, Reader, Ticket};

/// Bytes read at once of the positions a reader is behind.
const DEBT_BYTES: usize = 256 * 1024;

/// Something to be read from the log.
#[derive(Debug)]
pub enum Reading {
    /// For a session or group that is behind.
    Debt(Reader, ReadRequest, Ticket),
    /// For a session that resumes or subscribes.
    Errands(usize, Ticket, Vec<Errand>),
}

impl Reading {
    /// What is to be read; `Send`, unlike the reading.
    pub fn order(&self) -> Order {
        match self {
            Reading::Debt(_, request, _) => match request.clone() {
                ReadRequest::Cursor {
                    cursor,
                    after,
                    limits,
                } => Order::Cursor {
                    cursor,
                    after,
                    limits,
                },
                ReadRequest::Positions(seqs) => Order::Positions {
                    seqs,
                    bytes: DEBT_BYTES,
                },
            },
            Reading::Errands(_, _, errands) => Order::Positions {
                seqs: errands.iter().filter_map(Errand::seq).collect(),
                bytes: usize::MAX,
            },
        }
    }
}

/// A read of the log, ready to run anywhere.
#[derive(Clone, Debug)]
pub enum Order {
    /// What a cursor is owed.
    Cursor {
        /// The cursor.
        cursor: CursorId,
        /// Behind this position.
        after: Seq,
        /// At most so much.
        limits: ReadLimits,
    },
    /// These records, until there are so many bytes.
    Positions {
        /// Their positions.
        seqs: Vec<Seq>,
        /// The bound.
        bytes: usize,
    },
}

impl Order {
    /// Runs it; may block on the disk.
    pub fn run(&self, spool: &Spool) -> Result<Batch, StorageError> {
        match self {
            Order::Cursor {
                cursor,
                after,
                limits,
            } => spool.read(*cursor, *after, *limits),
            Order::Positions { seqs, bytes } => read_positions(spool, seqs, *bytes),
        }
    }
}

/// Reads what is committed of these positions, until it has so many bytes. `next` is the last read, or, where all are, the
/// last committed.
fn read_positions(spool: &Spool, seqs: &[Seq], bytes: usize) -> Result<Batch, StorageError> {
    let committed = spool.committed();
    let mut batch = Batch {
        next: committed,
        ..Batch::default()
    };
    let mut read = 0;
    for seq in seqs.iter().filter(|seq| **seq <= committed) {
        let entry = spool.read_at(*seq)?;
        read += entry.as_ref().map_or(0, |entry| entry.body.len());
        batch.entries.extend(entry);
        if read >= bytes {
            batch.next = *seq;
            break;
        }
    }
    Ok(batch)
}
