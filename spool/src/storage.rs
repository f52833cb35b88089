//! The seam to the disk: a flat directory of files.

use std::{io, sync::Arc};

pub mod disk;
#[cfg(any(test, feature = "simulation"))]
pub mod simulated;

/// A directory of files, as the spool needs it. A name is a plain file name without separators.
///
/// Durability is explicit: bytes written are lost in a crash unless `File::sync` has returned since; a file that was
/// created, renamed or removed may be found either way unless `sync_directory` has returned since.
pub trait Storage: Send + Sync + 'static {
    /// Creates a file of exactly `len` zero bytes whose blocks are written, so that later overwrites allocate nothing.
    /// Neither the file nor its name is synced. Fails with `AlreadyExists`.
    fn create(&self, name: &str, len: u64) -> io::Result<Arc<dyn File>>;
    /// Opens an existing file for reading and writing. Fails with `NotFound`.
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>>;
    /// Replaces `to` if it exists.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a name; handles that are open stay readable.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Names and lengths of the plain files, sorted by name; without the lock of a real directory.
    fn list(&self) -> io::Result<Vec<(String, u64)>>;
    /// Returns when every creation, rename and removal before is on stable storage.
    fn sync_directory(&self) -> io::Result<()>;
    /// Free and total bytes of the file system.
    fn space(&self) -> io::Result<Space>;
}

/// An open file; reads and writes are positioned and may come from several threads.
#[expect(
    clippy::len_without_is_empty,
    reason = "a file is as long as it was created; nobody asks whether it is empty"
)]
pub trait File: Send + Sync {
    /// Writes all of `bytes`, or fails with any part of them written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Fills `buffer`; fails with `UnexpectedEof` where the file ends before.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Returns when every byte written before is on stable storage (`fdatasync`). After an error the state of the
    /// bytes is unknown for good: the caller must not write to this file again.
    fn sync(&self) -> io::Result<()>;
    /// Bytes of the file.
    fn len(&self) -> io::Result<u64>;
}

/// Bytes of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes this process may still fill.
    pub free_bytes: u64,
    /// Bytes of the whole file system.
    pub total_bytes: u64,
}
