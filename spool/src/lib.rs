//! The durable log of an edge node: one log, many cursors.
//!
//! This is the CONTRACT the parts of the node are built against; signatures here are final unless announced.
#![allow(
    missing_docs,
    unused_variables,
    clippy::unimplemented,
    clippy::needless_pass_by_value
)]

use std::{ops::ControlFlow, path::Path, sync::Arc, time::Duration};

pub mod clock;
pub mod storage;
use storage::Storage;

/// Position of a record in the log: assigned at append, never changed, never reused. The first record is 1;
/// `Seq::ZERO` stands before all.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct Seq(pub u64);
impl Seq {
    pub const ZERO: Seq = Seq(0);
}

/// Milliseconds on the node clock, which only advances (see `clock`), since 1970 as far as the node knows.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct NodeTime(pub u64);

/// Handle of a cursor; never reused.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct CursorId(pub u32);

/// Handle of an interned route: the set of cursors a record is owed to, with the owner's terms for each.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct RouteId(pub u32);
impl RouteId {
    /// Owed to nobody: history.
    pub const NOBODY: RouteId = RouteId(0);
}

/// A priority class with its own bound; 0 is kept longest.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct Lane(pub u8);

/// What a record is to the spool. A record may be both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Owed to the cursors of its route, then history.
    Event,
    /// Changes the owner's state: handed back at recovery if no checkpoint covers it. Owed to nobody, never history.
    State,
    /// An event that changes the owner's state as well (a QoS 2 publish with its packet id, a retained message).
    EventAndState,
}

#[derive(Clone, Copy, Debug)]
pub struct Head {
    pub kind: Kind,
    pub lane: Lane,
    pub route: RouteId,
}

/// What happens to an append for which the lane has no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenFull {
    #[default]
    Refuse,
    Reject,
    DropOldest,
    LowestLaneFirst,
}

#[derive(Clone, Debug)]
pub struct LaneOptions {
    pub name: String,
    pub when_full: WhenFull,
}

#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes of everything in the data directory. `None`: the smaller of 4 GiB and a quarter of the free space.
    pub bound_bytes: Option<u64>,
    /// Share of the file system that stays free, in percent (default 5).
    pub min_free_percent: u8,
    /// `None`: 8 MiB, less where the bound is small.
    pub segment_bytes: Option<u32>,
    /// From the lane kept longest to the lane given up first. Default: alarm, normal, bulk.
    pub lanes: Vec<LaneOptions>,
    /// Bytes that may wait for a commit (default 8 MiB).
    pub waiting_bytes: usize,
}

/// Why an append was not taken. Nothing of the transaction is lost: the caller holds the message and tries again
/// after the next `notify`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    #[error("the spool has no room in this lane")]
    Bound { when_full: WhenFull },
    #[error("too many bytes wait for a commit")]
    Waiting,
    #[error("the record is larger than a frame may be")]
    TooLarge,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("placeholder")]
    Placeholder,
}

#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error("placeholder")]
    Placeholder,
}

/// Where a new cursor starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// After the last record appended before it.
    Now,
    /// At the oldest record kept. Records from before the cursor's creation are offered to it whatever their route
    /// (`Entry::owed` is false for them), so that the owner can decide; they are history and pin nothing.
    Oldest,
}

/// One record as read.
#[derive(Clone, Debug)]
pub struct Entry {
    pub seq: Seq,
    pub time: NodeTime,
    pub kind: Kind,
    pub lane: Lane,
    pub route: RouteId,
    /// Whether the record's route contains the reading cursor.
    pub owed: bool,
    pub body: Arc<[u8]>,
}

/// What one read of a cursor gave.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub entries: Vec<Entry>,
    /// Read on from here: `read(cursor, next, …)`. Advances past records that are not owed, acknowledged, dropped or lost.
    pub next: Seq,
    /// Whether `next` has reached the last committed record.
    pub at_end: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct ReadLimits {
    pub records: usize,
    /// A first record is given even when it alone is over this.
    pub bytes: usize,
    /// Only these lanes (bit n = lane n).
    pub lanes: u32,
}

/// What recovery found; the owner's state is rebuilt from `checkpoint`, then from each `State` and `EventAndState`
/// record in `tail` order.
pub struct Recovery {
    /// The owner's part of the newest valid checkpoint.
    pub checkpoint: Option<Vec<u8>>,
    /// Whether the last run ended with `Spool::close`.
    pub clean: bool,
    /// What was cut, quarantined or found missing, for the log; each is in the ledger too.
    pub findings: Vec<String>,
}

/// The log. Cheap to clone; every clone is the same log.
///
/// Who drives it: `Committer` owns the two threads of a running node; a simulation calls `commit_once` and
/// `housekeep_once` itself and is then deterministic.
#[derive(Clone)]
pub struct Spool {}

impl Spool {
    /// Opens or creates the log. `notify` is called, from any thread and without locks held, after a commit, when room
    /// returns, and when health changes; it must not block.
    pub fn open(
        storage: Arc<dyn Storage>,
        options: Options,
        now: NodeTime,
        notify: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<(Spool, Recovery), OpenError> {
        unimplemented!()
    }

    /// Hands every state-bearing record the checkpoint does not cover to `apply`, in order. Call once, after `open`.
    pub fn replay_state(&self, apply: &mut dyn FnMut(&Entry)) -> Result<(), StorageError> {
        unimplemented!()
    }

    /// Begins a transaction; all of it enters one frame, or nothing does. Blocks other callers until it ends.
    pub fn transaction(&self, now: NodeTime) -> Transaction<'_> {
        unimplemented!()
    }

    /// Everything up to and with this position is on stable storage. Lock-free.
    pub fn committed(&self) -> Seq {
        unimplemented!()
    }

    /// The last position assigned.
    pub fn appended(&self) -> Seq {
        unimplemented!()
    }

    /// Committed records owed to `cursor` after `after`, in order; skips what the cursor has acknowledged. Reads the
    /// index, then only the records themselves. A damaged record is never returned: it is entered in the ledger and skipped.
    pub fn read(
        &self,
        cursor: CursorId,
        after: Seq,
        limits: ReadLimits,
    ) -> Result<Batch, StorageError> {
        unimplemented!()
    }

    /// One committed record, whatever its route; `None` if it is gone.
    pub fn read_at(&self, seq: Seq) -> Result<Option<Entry>, StorageError> {
        unimplemented!()
    }

    /// Every committed event in order from `from` on, whatever its route (export, replay). `from` by time: `seek`.
    pub fn scan(&self, from: Seq, limits: ReadLimits) -> Result<Batch, StorageError> {
        unimplemented!()
    }

    /// The first position whose record was appended at or after `time`.
    pub fn seek(&self, time: NodeTime) -> Result<Seq, StorageError> {
        unimplemented!()
    }

    /// Acknowledges positions for a cursor; durable lazily (within 1 s or 10,000 acknowledgements, in the next commit
    /// if there is one).
    pub fn ack(&self, cursor: CursorId, seqs: &[Seq]) {
        unimplemented!()
    }

    pub fn cursor(&self, name: &str) -> Option<CursorId> {
        unimplemented!()
    }

    pub fn cursor_status(&self, cursor: CursorId) -> Option<CursorStatus> {
        unimplemented!()
    }

    /// The owner's terms of a route and its cursors.
    pub fn route(&self, route: RouteId) -> Option<Route> {
        unimplemented!()
    }

    /// Keeps a record although nobody is owed it any more (a retained message), until `unpin`. Not durable: the owner
    /// pins again after recovery.
    pub fn pin(&self, seq: Seq) {
        unimplemented!()
    }
    pub fn unpin(&self, seq: Seq) {
        unimplemented!()
    }

    /// Counts a loss. Durable with the next commit or checkpoint.
    pub fn record_loss(&self, loss: Loss) {
        unimplemented!()
    }

    pub fn status(&self) -> Status {
        unimplemented!()
    }

    /// Whether enough state-bearing bytes lie behind the last checkpoint that a new one is due.
    pub fn checkpoint_due(&self) -> bool {
        unimplemented!()
    }

    /// Takes the owner's state as of the last appended record; written once that record is committed, by the housekeeper.
    pub fn checkpoint(&self, owner: Vec<u8>) {
        unimplemented!()
    }

    /// One step of the committer on this thread: writes and syncs what waits. True if there was anything.
    pub fn commit_once(&self) -> bool {
        unimplemented!()
    }

    /// One step of the housekeeper on this thread: prepares the next segment, seals, saves cursors, writes a
    /// checkpoint, cleans, scrubs. Returns when it wants to be called again at the latest.
    pub fn housekeep_once(&self, now: NodeTime) -> Option<Duration> {
        unimplemented!()
    }

    /// Commits what waits, saves cursors, writes the end mark. Further appends are refused.
    pub fn close(&self, owner: Vec<u8>, now: NodeTime) -> Result<(), StorageError> {
        unimplemented!()
    }
}

/// The threads of a running node: one commits, one keeps house. Ends, after a last commit, when dropped.
pub struct Committer {}
impl Committer {
    pub fn start(spool: &Spool, clock: Arc<dyn Fn() -> NodeTime + Send + Sync>) -> Committer {
        unimplemented!()
    }
}

pub struct Transaction<'a> {
    _log: std::marker::PhantomData<&'a ()>,
}

impl Transaction<'_> {
    /// Appends a record whose body `encode` writes. On `Err` this record is not in the transaction; what was appended
    /// before it stays.
    pub fn append(&mut self, head: Head, encode: impl FnOnce(&mut Vec<u8>)) -> Result<Seq, Full> {
        unimplemented!()
    }

    /// Creates a cursor (durable with this transaction). `bound_bytes`: above it the cursor loses its oldest, in the
    /// ledger (an offline session); `None` for a sink.
    pub fn create_cursor(
        &mut self,
        name: &str,
        start: Start,
        bound_bytes: Option<u64>,
    ) -> CursorId {
        unimplemented!()
    }

    /// Removes a cursor; what it was still owed is entered in the ledger under `reason`, unless `None`.
    pub fn remove_cursor(&mut self, cursor: CursorId, reason: Option<LossReason>) {
        unimplemented!()
    }

    /// The id of the route to these cursors (sorted, unique) on these terms; durable with this transaction if new.
    /// No cursors gives an interned history route with the terms.
    pub fn route(&mut self, cursors: &[CursorId], terms: &[u8]) -> RouteId {
        unimplemented!()
    }

    /// Acknowledges in the same commit as the rest of this transaction.
    pub fn ack(&mut self, cursor: CursorId, seq: Seq) {
        unimplemented!()
    }

    /// The last position assigned, in this transaction or before it.
    pub fn appended(&self) -> Seq {
        unimplemented!()
    }

    /// As `Spool::route`, which must not be called while a transaction is open.
    pub fn find_route(&self, route: RouteId) -> Option<Route> {
        unimplemented!()
    }

    /// Ends the transaction. When `Spool::committed()` reaches the returned position, all of it is durable.
    /// Dropping a transaction instead takes all of it back.
    pub fn finish(self) -> Seq {
        unimplemented!()
    }
}

#[derive(Clone, Debug)]
pub struct Route {
    pub cursors: Vec<CursorId>,
    pub terms: Arc<[u8]>,
}

/// Why something is gone. The texts are part of status and metrics.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum LossReason {
    /// `drop-oldest` or `lowest-lane-first` made room.
    DroppedForRoom,
    /// An offline session went over its bound.
    SessionBound,
    /// The session ended (clean start, expiry) with messages owed to it.
    SessionEnded,
    /// Message expiry interval passed before delivery.
    Expired,
    /// A frame or segment failed its checksum.
    Damaged,
    /// An unfinished frame at the end of the log was cut.
    TailCut,
    /// The publisher got a negative acknowledgement (`reject`).
    Rejected,
    /// QoS 0 found the commit queue or its lane full: delivered locally only.
    Qos0NotStored,
    /// A live subscriber without durable session was too slow.
    SlowSubscriber,
    /// A sink refused the event for good and the dead-letter lane was full.
    DeadLetterBound,
    /// More than eight hops.
    TooManyHops,
    /// The operator removed the cursor.
    CursorRemoved,
    /// A message larger than its subscriber takes.
    TooLargeForSubscriber,
    /// Ingest refused the publish (bad attributes).
    Refused,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Loss {
    pub reason: LossReason,
    /// Whose loss it is: a cursor's or lane's name, a client id; bounded in number, then "other".
    pub scope: String,
    pub count: u64,
    pub bytes: u64,
    /// First and last position covered, zero where the message never had one.
    pub first: Seq,
    pub last: Seq,
    pub at: NodeTime,
}

#[derive(Clone, Debug, serde::Serialize)]
pub struct CursorStatus {
    pub name: String,
    /// Everything up to here is acknowledged, dropped or not owed.
    pub low: Seq,
    pub pending_records: u64,
    pub pending_bytes: u64,
    pub oldest_pending: Option<NodeTime>,
    pub acknowledged_records: u64,
}

#[derive(Clone, Debug, serde::Serialize)]
pub struct LaneStatus {
    pub name: String,
    /// Records and bytes still owed to somebody.
    pub pending_records: u64,
    pub pending_bytes: u64,
    pub bound_bytes: u64,
    pub oldest: Option<NodeTime>,
    pub full: bool,
}

/// Whether the disk takes what it is given.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Health {
    Ok,
    /// Commits fail; nothing is acknowledged; tried again.
    Failing {
        error: String,
        since: NodeTime,
    },
}

#[derive(Clone, Debug, serde::Serialize)]
pub struct Status {
    pub oldest: Seq,
    pub committed: Seq,
    pub appended: Seq,
    pub used_bytes: u64,
    pub bound_bytes: u64,
    pub free_bytes: u64,
    pub segments: u64,
    pub commits: u64,
    pub commit_p50_us: u64,
    pub commit_max_us: u64,
    pub lanes: Vec<LaneStatus>,
    pub cursors: Vec<CursorStatus>,
    pub ledger: Vec<Loss>,
    pub health: Health,
}

/// Reading a data directory that another process may own: nothing is written or locked.
pub mod inspect {
    use super::*;

    /// Opens a read-only view of the log in `dir` as it is on disk at this moment.
    pub fn open(dir: &Path) -> Result<Inspection, OpenError> {
        unimplemented!()
    }

    pub struct Inspection {}
    impl Inspection {
        pub fn status(&self) -> Status {
            unimplemented!()
        }
        /// Checks every frame of every segment; `each` is told of each fault.
        pub fn verify(&self, each: &mut dyn FnMut(&str)) -> Result<Verified, StorageError> {
            unimplemented!()
        }
        /// Every committed event from `from` on.
        pub fn scan(
            &self,
            from: Seq,
            each: &mut dyn FnMut(&Entry) -> ControlFlow<()>,
        ) -> Result<(), StorageError> {
            unimplemented!()
        }
    }
    #[derive(Clone, Debug, Default, serde::Serialize)]
    pub struct Verified {
        pub segments: u64,
        pub frames: u64,
        pub records: u64,
        pub faults: u64,
    }
}
