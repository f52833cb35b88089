//! A storage that counts what passes through it.

use std::{
    cell::Cell,
    collections::BTreeSet,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use spool::storage::{File, Space, Storage, disk::Disk};

use crate::turns::Taken;

const PAGE: u64 = 4096;

/// What one thread asked of the disk.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) syncs: u64,
    /// Segments it began the file of.
    pub(crate) segments: u64,
    /// Pages written since the sync before, summed up at each sync.
    pub(crate) pages: u64,
    /// Microseconds the writes took, and the syncs.
    pub(crate) write_us: f64,
    pub(crate) sync_us: f64,
}

impl Counts {
    pub(crate) fn since(self, before: Counts) -> Counts {
        Counts {
            syncs: self.syncs - before.syncs,
            segments: self.segments - before.segments,
            pages: self.pages - before.pages,
            write_us: self.write_us - before.write_us,
            sync_us: self.sync_us - before.sync_us,
        }
    }

    pub(crate) fn plus(self, more: Counts) -> Counts {
        Counts {
            syncs: self.syncs + more.syncs,
            segments: self.segments + more.segments,
            pages: self.pages + more.pages,
            write_us: self.write_us + more.write_us,
            sync_us: self.sync_us + more.sync_us,
        }
    }
}

/// Pages written by any thread.
static ALL_PAGES: AtomicU64 = AtomicU64::new(0);

pub(crate) fn bytes_of_all_threads() -> u64 {
    ALL_PAGES.load(Ordering::Relaxed) * PAGE
}

thread_local! {
    static COUNTS: Cell<Counts> = const {
        Cell::new(Counts {
            syncs: 0,
            segments: 0,
            pages: 0,
            write_us: 0.0,
            sync_us: 0.0,
        })
    };
}

pub(crate) fn of_this_thread() -> Counts {
    COUNTS.get()
}

pub(crate) struct Counting {
    pub(crate) disk: Disk,
    /// Signalled when a frame is about to be written.
    pub(crate) taken: Arc<Taken>,
}

impl Counting {
    fn counted(&self, file: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(Counted {
            file,
            dirty: Mutex::new(BTreeSet::new()),
            taken: self.taken.clone(),
        })
    }
}

impl Storage for Counting {
    fn create(&self, name: &str, len: u64) -> io::Result<Arc<dyn File>> {
        ALL_PAGES.fetch_add(len.div_ceil(PAGE), Ordering::Relaxed);
        Ok(self.counted(self.disk.create(name, len)?))
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(self.counted(self.disk.open(name)?))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }
    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        self.disk.list()
    }
    fn sync_directory(&self) -> io::Result<()> {
        self.disk.sync_directory()
    }
    fn space(&self) -> io::Result<Space> {
        self.disk.space()
    }
}

struct Counted {
    file: Arc<dyn File>,
    /// First and last page of each write since the last sync.
    dirty: Mutex<BTreeSet<(u64, u64)>>,
    taken: Arc<Taken>,
}

impl File for Counted {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if bytes.starts_with(b"FRAM") {
            self.taken.signal();
        }
        let last = (offset + bytes.len() as u64).saturating_sub(1) / PAGE;
        self.dirty.lock().unwrap().insert((offset / PAGE, last));
        let started = Instant::now();
        let written = self.file.write_at(bytes, offset);
        COUNTS.set(COUNTS.get().plus(Counts {
            segments: u64::from(bytes.starts_with(b"SPOOLSEG")),
            write_us: started.elapsed().as_secs_f64() * 1e6,
            ..Counts::default()
        }));
        written
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_at(buffer, offset)
    }
    fn sync(&self) -> io::Result<()> {
        let dirty = std::mem::take(&mut *self.dirty.lock().unwrap());
        let (mut pages, mut counted) = (0, 0);
        for (first, last) in dirty {
            let first = first.max(counted);
            pages += (last + 1).saturating_sub(first);
            counted = counted.max(last + 1);
        }
        ALL_PAGES.fetch_add(pages, Ordering::Relaxed);
        let started = Instant::now();
        let synced = self.file.sync();
        let this = Counts {
            syncs: 1,
            pages,
            sync_us: started.elapsed().as_secs_f64() * 1e6,
            ..Counts::default()
        };
        COUNTS.set(COUNTS.get().plus(this));
        synced
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}
