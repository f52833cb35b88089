//! The durable log of an edge node: one log, many cursors.
//!
//! ```text
//! transaction ─▶ pending frame ─▶ commit (one write, one sync) ─▶ segment file ─▶ sealed ─▶ rewritten ─▶ freed
//!                                                                      │
//!                                            cursors read through the index of each segment
//! ```
//!
//! It appends records, makes them durable in groups, gives each cursor what it is owed in order, and keeps everything
//! within a bound. It does not know what a record means, does no networking, and reads no clock but to time a commit.
//!
//! Start reading at [`Transaction`] (in), [`Spool::read`] (out) and [`Spool::open`] (recovery).
//!
//! # What holds
//!
//! - When [`Spool::committed`] has reached a position, it and everything before it survives any crash.
//! - A transaction is in one frame: after a crash all of it is there or nothing.
//! - A frame is written once. After a failed write or sync the same file is never written again; the frame goes into
//!   another segment, and the file is replaced once its committed frames have been copied.
//! - Damage is never served and never stops the start. What is gone is in the ledger. Sealed segments are read through
//!   once a day, slowly, so that damage is found although nobody reads them.
//! - What the medium does not give back while the log runs is read again for a minute, then it is damaged; as long as no part
//!   of a file can be read, nothing of it is.
//! - A record is freed when no cursor of its route is owed it, no pin holds it, and both checkpoints cover what it
//!   changed. What was given up while it was owed is freed only after the ledger entry is on disk.
//! - A route on which nobody is owed anything is forgotten where there are many. A record on one that is not known is refused:
//!   none is stored as owed to nobody because its route is gone.
//! - A commit is one write and one sync. Two segments are made ahead, the first of them before anything is stored; only
//!   where the housekeeper has not come around in time a commit makes its own, with one sync more and one of the directory.
//! - An idle log writes nothing.
//!
//! # Files
//!
//! All numbers are little endian; `varint` is unsigned LEB128; checksums are CRC32C.
//!
//! | name | holds |
//! |---|---|
//! | `<id>.segment`, id as 16 hex digits | frames; ids grow in the order of the log and are not used again |
//! | `<id>.rewrite` | a segment being rewritten; removed at start |
//! | `checkpoint-0`, `checkpoint-1` | the spool's and the owner's state, written in turn; `checkpoint.new` while written |
//! | `cursors` | two slots with the cursors' marks, for when no commit carries them |
//! | `quarantine-<id>` | a damaged segment, or a copy of it, at most two |
//!
//! Header page, trailer page and checkpoint begin alike in every version of the format:
//!
//! ```text
//! magic 8 | crc of what follows 4 | version 2 | zero 2
//! ```
//!
//! ## Segment
//!
//! ```text
//! 0      header page, 64 bytes that stand at 0 and again at 2048:
//!        prefix 16 (magic "SPOOLSEG") | id 8 | salt 8 | end 8 | first 8 | last 8
//!        (end, first, last: zero unless rewritten; then where frames end, and the positions it stands for)
//! 4096   frames, each at a multiple of 4096, one directly behind the other
//! end    once sealed: index table, then the lists
//! -4096  once sealed: trailer page
//! ```
//!
//! The salt is random for each life of a file, so that what a recycled file held before is never taken for a frame.
//!
//! ## Frame
//!
//! ```text
//!   0 magic "FRAM" 4
//!   4 crc over salt, then bytes 16..128   4
//!   8 salt 8
//!  16 crc over salt, then the content     4
//!  20 length of the content 4
//!  24 own offset / 4096 4
//!  28 flags 2: 1 end mark of a closed log, 2 link counts
//!  30 zero 2
//!  32 records 4 | zero 4
//!  40 base position 8 | first position 8 | last position 8
//!  64 base time 8 | last time 8
//!  80 link: id 8, salt 8, end 8 and last position 8 of the segment before; in a segment's first frame
//! 112 zero 16
//! 128 records, then zeros up to the next multiple of 4096
//! ```
//!
//! The link says how far the segment before is valid: what lies behind that is a frame that was written again, or an
//! index, and no damage. Segments between the one named and this one were abandoned.
//!
//! ## Record
//!
//! ```text
//! length of the record 3 | crc 4 | tag 1 | varint position - base | varint time - base | varint route | body
//! ```
//!
//! The checksum is over position 8, time 8, route 4, tag 1, body: a record is verified without its frame and keeps its
//! checksum when it is rewritten. Tag: bits 0–1 kind (0 event, 1 state, 2 both, 3 the spool's own), bits 2–5 lane.
//! The body of the spool's own records is a postcard-encoded change of routes, cursors, marks, floors, the ledger or of
//! what is known to be damaged.
//!
//! ## Index and trailer
//!
//! ```text
//! row of the table, for each (tag, route):
//!   tag 1 | varint route, records, bytes, first - base, last - first, length of the list | crc over salt, list 4
//! list, for each record, as differences to the one before:
//!   varint position | varint time | varint offset | varint length (not a difference)
//! trailer page: prefix 16 (magic "SPOOLEND") | id | salt | end | base position | base time | first | last | last time
//!   | records | link 32 | offset of the table | its length | its crc (salted) | rows, 8 bytes each | zeros to 192
//!   | the table again, if it has at most 64 rows | zeros
//! ```
//!
//! The formats of `checkpoint-*` and `cursors` are in the modules of these names.
//!
//! # Recovery
//!
//! Sealed segments are known by their trailer page alone. The others are read frame by frame. A bad frame before a good
//! one is damage: its positions are entered as [`LossReason::Damaged`] and a copy of the segment is kept. A bad frame
//! at the end is cut and entered as [`LossReason::TailCut`]; its positions are not given out again. What the medium answers
//! with an error, several times, is bad like what fails its checksum; since it may be given back one day, nothing is written
//! over it: the segment is written anew and its old file becomes the quarantine, as far as there is room for one. Only where
//! no part of a file can be read the log does not open: the disk may be away, and nothing was lost yet. One checkpoint that
//! gives back nothing is passed over, as long as the other serves or there is no other. A segment that has lost
//! its header is read from those of its frames that are left, and the newest, where none is, entered as a cut tail. Then come the
//! checkpoint, the spool's own records behind it, and the `cursors` file; marks only grow, so that their order does not
//! matter. Events whose route or cursor is gone with a damaged part are entered as [`LossReason::Damaged`] too, and so are
//! positions that a checkpoint covers and no segment reaches, and what only the checkpoints held where both are damaged.
//! Which positions the ledger counts as damaged is stored with it, so that what every start finds again, or a reader
//! after it, counts once; at most 1,024 ranges of them are remembered. After an unclean stop what was found is synced, what was entered in the ledger is stored with a checkpoint before the file it was
//! found in is used again, and the next frame begins a new segment.

mod bounds;
mod checkpoint;
mod checksum;
mod cleaner;
pub mod clock;
mod commit;
mod committer;
mod control;
mod cursor;
mod damage;
mod debt;
mod error;
mod eviction;
mod files;
mod frame;
mod housekeeper;
mod index;
pub mod inspect;
mod joined;
mod lane;
mod ledger;
mod lists;
mod liveness;
mod log;
mod marks;
mod medium;
mod options;
mod page;
mod pending;
mod position;
mod prepare;
mod quarantine;
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
mod target;
mod transaction;
mod varint;
mod withheld;

pub use committer::{Committer, Housekeeper};
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
pub use transaction::{Savepoint, Transaction};

#[cfg(test)]
mod tests;
