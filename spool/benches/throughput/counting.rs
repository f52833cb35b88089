//! A storage that counts what passes through it.

use std::{
    cell::Cell,
    collections::BTreeSet,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use spool::storage::{File, Space, Storage, disk::Disk};

const PAGE: u64 = 4096;

/// What one thread asked of the disk.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) syncs: u64,
    /// Pages written since the sync before, summed up at each sync.
    pub(crate) pages: u64,
}

/// Pages written by any thread.
static ALL_PAGES: AtomicU64 = AtomicU64::new(0);

pub(crate) fn bytes_of_all_threads() -> u64 {
    ALL_PAGES.load(Ordering::Relaxed) * PAGE
}

thread_local! {
    static COUNTS: Cell<Counts> = const { Cell::new(Counts { syncs: 0, pages: 0 }) };
}

pub(crate) fn of_this_thread() -> Counts {
    COUNTS.get()
}

pub(crate) struct Counting(pub(crate) Disk);

fn counted(file: Arc<dyn File>) -> Arc<dyn File> {
    Arc::new(Counted {
        file,
        dirty: Mutex::new(BTreeSet::new()),
    })
}

impl Storage for Counting {
    fn create(&self, name: &str, len: u64) -> io::Result<Arc<dyn File>> {
        ALL_PAGES.fetch_add(len.div_ceil(PAGE), Ordering::Relaxed);
        Ok(counted(self.0.create(name, len)?))
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(counted(self.0.open(name)?))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }
    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        self.0.list()
    }
    fn sync_directory(&self) -> io::Result<()> {
        self.0.sync_directory()
    }
    fn space(&self) -> io::Result<Space> {
        self.0.space()
    }
}

struct Counted {
    file: Arc<dyn File>,
    /// First and last page of each write since the last sync.
    dirty: Mutex<BTreeSet<(u64, u64)>>,
}

impl File for Counted {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let last = (offset + bytes.len() as u64).saturating_sub(1) / PAGE;
        self.dirty.lock().unwrap().insert((offset / PAGE, last));
        self.file.write_at(bytes, offset)
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
        let counts = COUNTS.get();
        COUNTS.set(Counts {
            syncs: counts.syncs + 1,
            pages: counts.pages + pages,
        });
        self.file.sync()
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}
