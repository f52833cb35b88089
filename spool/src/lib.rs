//! The durable log of an edge node: one log, many cursors.

mod checkpoint;
mod cleaner;
pub mod clock;
mod commit;
mod committer;
mod control;
mod cursor;
mod error;
mod files;
mod frame;
mod housekeeper;
mod index;
pub mod inspect;
mod lane;
mod ledger;
mod lists;
mod log;
mod marks;
mod options;
mod page;
mod pending;
mod position;
mod prepare;
mod read;
mod record;
mod recovery;
mod room;
mod route;
mod scan;
mod scrub;
mod segment;
mod status;
pub mod storage;
mod transaction;
mod varint;

pub use committer::Committer;
pub use cursor::{CursorStatus, Start};
pub use error::{Full, OpenError, StorageError};
pub use lane::{Lane, LaneOptions, WhenFull};
pub use ledger::{Loss, LossReason};
pub use log::Spool;
pub use options::Options;
pub use position::{NodeTime, Seq};
pub use read::{Batch, ReadLimits};
pub use record::{Entry, Head, Kind};
pub use recovery::Recovery;
pub use route::{CursorId, Route, RouteId};
pub use status::{Health, LaneStatus, Status};
pub use transaction::Transaction;

#[cfg(test)]
mod tests;
