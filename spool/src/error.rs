//! What can go wrong, by who has to act.

use std::io;

use crate::{WhenFull, storage::disk::DiskError};

/// Why an append, a new cursor or a new route was not taken. Nothing of the transaction is lost: the caller holds the
/// message and tries again after the next `notify`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// The lane has used its share of the bound, the file system has no room above `min_free_percent`, or so much is owed on
    /// so many different routes that memory has no room for another. Clears by itself once acknowledgements, a removed cursor
    /// or the file system give room. Do what `when_full` says.
    #[error("the spool has no room in this lane")]
    Bound {
        /// The lane's policy.
        when_full: WhenFull,
    },
    /// `Options::waiting_bytes` wait for a commit, or the log is closed. Stop reading publishers until the next commit.
    #[error("too many bytes wait for a commit")]
    Waiting,
    /// The record with the rest of its transaction is larger than a frame may be. In a transaction of its own it will never fit.
    #[error("the record is larger than a frame may be")]
    TooLarge,
    /// The route of the record was forgotten, since nobody was owed anything on it, or taken back with the transaction that
    /// made it. Ask for it again with `Transaction::route`.
    #[error("the route of the record is not known; ask for it again")]
    UnknownRoute,
}

/// Why a log could not be opened. Nothing in the directory was changed, except after `Storage`.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory cannot be used at all.
    #[error(transparent)]
    Directory(#[from] DiskError),
    /// A newer release wrote this log. Run that release, or use another directory.
    #[error(
        "{file} has format {found}, this release knows up to {supported}; run the release that wrote it"
    )]
    NewerVersion {
        /// The file that says so.
        file: String,
        /// Its version.
        found: u16,
        /// The newest version this release reads.
        supported: u16,
    },
    /// The bound leaves no room for a log. Give more.
    #[error(
        "a bound of {bound_bytes} bytes is too small, at least {minimum_bytes} are needed; raise the bound, or, where none \
         is set, free space: it is a quarter of what the disk has free"
    )]
    TooSmall {
        /// As configured, or a quarter of the free space.
        bound_bytes: u64,
        /// The least that works.
        minimum_bytes: u64,
    },
    /// The disk failed while the log was set up, or gives back no part of a file. What it held is still there; try again once
    /// the disk works.
    #[error("{doing}: {source}")]
    Storage {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// Why a read or a close failed. The log goes on; nothing was acknowledged that is not stored.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The disk failed. Try again later.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The medium does not give back a part of what is to be read, while others can be read. Try again later: within about a
    /// minute it is either read, or in the ledger and passed.
    #[error("a part of the log cannot be read; it is tried again")]
    Withheld,
    /// There is no such cursor; it was removed. Stop reading it.
    #[error("there is no such cursor")]
    NoSuchCursor,
    /// What was looked for kept moving while it was read (segments were rewritten each time). Try again.
    #[error("the log changed under the read")]
    Moved,
}

impl StorageError {
    pub(crate) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> StorageError {
        move |source| StorageError::Io { doing, source }
    }
}

impl OpenError {
    pub(crate) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> OpenError {
        move |source| OpenError::Storage { doing, source }
    }
}

impl From<StorageError> for OpenError {
    fn from(error: StorageError) -> OpenError {
        let (doing, source) = match error {
            StorageError::Io { doing, source } => (doing, source),
            other => ("read the log", io::Error::other(other)),
        };
        OpenError::Storage { doing, source }
    }
}
