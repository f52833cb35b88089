//! The real storage: a directory on disk, locked for one process.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};

use super::{File, Space, Storage};

/// The lock of the directory; never listed and never written to.
const LOCK: &str = "lock";
const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// A directory that cannot be used. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// Another process holds the lock of this directory. The operator stops that process or names another directory.
    #[error(
        "the data directory {} is in use by another process; stop that one or choose another directory with --data",
        .directory.display()
    )]
    Locked {
        /// The directory as it was given.
        directory: PathBuf,
    },
    /// The path names something else. The operator chooses another path.
    #[error("{} is not a directory; choose another path with --data", .directory.display())]
    NotADirectory {
        /// The path as it was given.
        directory: PathBuf,
    },
    /// There is nothing to read at this path.
    #[error("there is no data directory at {}", .directory.display())]
    Missing {
        /// The path as it was given.
        directory: PathBuf,
    },
    /// This process may not read or write there, or the file system is full or read-only. The operator mends that.
    #[error(
        "the data directory {} cannot be used: {source}; it has to be writable for this user, on a disk with room; or \
         choose another directory with --data",
        .directory.display()
    )]
    Unusable {
        /// The directory as it was given.
        directory: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A directory on disk. The lock is held, and no other process can open the directory for writing, until this value
/// is dropped; [`File`]s that outlive it keep working but are not protected.
#[derive(Debug)]
pub struct Disk {
    directory: fs::File,
    /// `None`: opened to read only.
    lock: Option<fs::File>,
}

impl Disk {
    /// Opens the directory for this process alone, and creates it with mode 0700 if it is missing.
    ///
    /// A directory that is empty or already holds a spool is closed to other users; one with foreign content keeps
    /// its mode.
    pub fn open(path: &Path) -> Result<Disk, DiskError> {
        let unusable = |source| DiskError::Unusable {
            directory: path.to_path_buf(),
            source,
        };
        create_directory(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotADirectory => classify(path, error),
            _ => unusable(error),
        })?;
        let directory = open_directory(path)?;
        let ours = holds_only_what_a_spool_may_meet(path).map_err(unusable)?;
        let lock = lock(&directory).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => DiskError::Locked {
                directory: path.to_path_buf(),
            },
            _ => unusable(error),
        })?;
        if ours {
            close_to_others(path, &directory);
        }
        Ok(Disk {
            directory,
            lock: Some(lock),
        })
    }

    /// Opens a directory that another process may own: takes no lock, and every change fails with `PermissionDenied`.
    pub fn open_read_only(path: &Path) -> Result<Disk, DiskError> {
        Ok(Disk {
            directory: open_directory(path)?,
            lock: None,
        })
    }

    fn writable(&self) -> io::Result<()> {
        if self.lock.is_some() {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "the directory is open to read only",
        ))
    }

    fn open_file(&self, name: &str, flags: OFlags) -> io::Result<fs::File> {
        plain(name)?;
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(fs::File::from(rustix::fs::openat(
            &self.directory,
            name,
            flags,
            FILE_MODE,
        )?))
    }
}

impl Storage for Disk {
    fn create(&self, name: &str, len: u64) -> io::Result<Arc<dyn File>> {
        self.writable()?;
        let file = self.open_file(name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL)?;
        if let Err(error) = write_zeros(&file, len) {
            // What could not be filled is of no use and holds room; the error matters more than a failed removal.
            let _ = rustix::fs::unlinkat(&self.directory, name, AtFlags::empty());
            return Err(error);
        }
        Ok(Arc::new(file))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let access = if self.lock.is_some() {
            OFlags::RDWR
        } else {
            OFlags::RDONLY
        };
        Ok(Arc::new(self.open_file(name, access)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.writable()?;
        plain(from)?;
        plain(to)?;
        Ok(rustix::fs::renameat(
            &self.directory,
            from,
            &self.directory,
            to,
        )?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.writable()?;
        plain(name)?;
        Ok(rustix::fs::unlinkat(
            &self.directory,
            name,
            AtFlags::empty(),
        )?)
    }

    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.directory)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else {
                continue;
            };
            if name == LOCK || name == "." || name == ".." {
                continue;
            }
            let stat = match rustix::fs::statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                // A reader beside a running node: the file was removed since it was listed.
                Err(rustix::io::Errno::NOENT) => continue,
                Err(error) => return Err(error.into()),
            };
            if rustix::fs::FileType::from_raw_mode(stat.st_mode)
                == rustix::fs::FileType::RegularFile
            {
                files.push((name.to_owned(), u64::try_from(stat.st_size).unwrap_or(0)));
            }
        }
        files.sort();
        Ok(files)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.writable()?;
        Ok(rustix::fs::fsync(&self.directory)?)
    }

    fn space(&self) -> io::Result<Space> {
        let stat = rustix::fs::fstatvfs(&self.directory)?;
        Ok(Space {
            free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
            total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
        })
    }
}

impl File for fs::File {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fdatasync(self)?)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

/// Creates the directory and those above it, each one's name durable in its parent.
fn create_directory(path: &Path) -> io::Result<()> {
    let make = || fs::DirBuilder::new().mode(DIRECTORY_MODE).create(path);
    let made = match (make(), path.parent()) {
        // Once: there are directories, and links that lead nowhere, below which nothing can be made.
        (Err(error), Some(parent))
            if error.kind() == io::ErrorKind::NotFound && !parent.as_os_str().is_empty() =>
        {
            create_directory(parent)?;
            make()
        }
        (made, _) => made,
    };
    match made {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(error),
    }
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    fs::File::open(parent)?.sync_all()
}

fn open_directory(path: &Path) -> Result<fs::File, DiskError> {
    rustix::fs::open(
        path,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map(fs::File::from)
    .map_err(|errno| classify(path, errno.into()))
}

fn classify(path: &Path, source: io::Error) -> DiskError {
    let directory = path.to_path_buf();
    match source.kind() {
        io::ErrorKind::NotADirectory => DiskError::NotADirectory { directory },
        io::ErrorKind::NotFound => DiskError::Missing { directory },
        _ => DiskError::Unusable { directory, source },
    }
}

fn lock(directory: &fs::File) -> io::Result<fs::File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(directory, LOCK, flags, FILE_MODE)?;
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(fs::File::from(file))
}

/// Whether closing the directory to others can harm nobody: it is empty, a fresh file system, or a spool's already.
fn holds_only_what_a_spool_may_meet(path: &Path) -> io::Result<bool> {
    let mut empty = true;
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        if name == LOCK {
            return Ok(true);
        }
        empty &= name == "lost+found";
    }
    Ok(empty)
}

fn close_to_others(path: &Path, directory: &fs::File) {
    let open_to_others = directory
        .metadata()
        .is_ok_and(|metadata| metadata.mode() & 0o077 != 0);
    if open_to_others && let Err(error) = rustix::fs::fchmod(directory, Mode::RWXU) {
        // Mounted volumes may belong to somebody else; the spool works there, and the operator is told.
        tracing::warn!(directory = %path.display(), %error, "the data directory is open to other users");
    }
}

fn plain(name: &str) -> io::Result<()> {
    if name.is_empty()
        || name == LOCK
        || name.starts_with("..")
        || name == "."
        || name.contains(['/', '\0'])
    {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a plain file name",
        ));
    }
    Ok(())
}

fn write_zeros(file: &fs::File, len: u64) -> io::Result<()> {
    static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
    let mut offset = 0;
    while offset < len {
        let take = usize::try_from(len - offset).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
        let zeros = ZEROS.get(..take).expect("taken from its own length");
        file.write_all_at(zeros, offset)?;
        offset += take as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
