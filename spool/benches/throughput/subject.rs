//! The log as a node runs it: appends one record per transaction, one thread keeps house.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use spool::{
    Head, Kind, Lane, NodeTime, Options, RouteId, Seq, Spool, Start,
    clock::SystemClock,
    storage::{Storage, disk::Disk},
};

use crate::{
    RECORD_BYTES,
    counting::{self, Counting},
    write_record,
};

const BOUND_BYTES: u64 = 256 << 20;
const FRAME_HEADER: u64 = 128;

pub(crate) struct Subject {
    spool: Spool,
    clock: SystemClock,
    housekeeper: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    number: u64,
    commits: u64,
    /// Page-rounded frames.
    frame_bytes: u64,
    commit_pages: u64,
    commit_syncs: u64,
    /// Bytes of pages written by any thread while the log ran.
    pub(crate) device_bytes: u64,
}

/// Ratios over all commits so far.
pub(crate) struct Cost {
    pub(crate) syncs_per_commit: f64,
    pub(crate) commit_pages: f64,
    pub(crate) device_bytes: f64,
}

impl Subject {
    pub(crate) fn open(directory: &Path) -> Subject {
        let storage = Counting(Disk::open(directory).unwrap());
        let (spool, clock) = open(Arc::new(storage), BOUND_BYTES);
        let stop = Arc::new(AtomicBool::new(false));
        let housekeeper = {
            let (spool, stop) = (spool.clone(), stop.clone());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let wait = spool
                        .housekeep_once(clock.now())
                        .unwrap_or(Duration::from_secs(1));
                    std::thread::park_timeout(wait.min(Duration::from_millis(5)));
                }
            })
        };
        Subject {
            spool,
            clock,
            housekeeper: Some(housekeeper),
            stop,
            number: 0,
            commits: 0,
            frame_bytes: 0,
            commit_pages: 0,
            commit_syncs: 0,
            device_bytes: 0,
        }
    }

    /// Goes around the whole bound once.
    pub(crate) fn warm_up(&mut self) {
        while self.frame_bytes < BOUND_BYTES * 3 / 2 {
            self.commit(4096);
        }
        (self.commits, self.frame_bytes, self.commit_pages) = (0, 0, 0);
        (self.commit_syncs, self.device_bytes) = (0, 0);
    }

    pub(crate) fn commit(&mut self, records: usize) {
        // A node reads the clock for each round of input, not for each record.
        let now = self.clock.now();
        for _ in 0..records {
            self.number += 1;
            append(&self.spool, now, self.number, RouteId::NOBODY);
        }
        let before = counting::of_this_thread();
        while self.spool.commit_once() {}
        let after = counting::of_this_thread();
        self.commit_syncs += after.syncs - before.syncs;
        self.commit_pages += after.pages - before.pages;
        self.commits += 1;
        self.frame_bytes += (FRAME_HEADER + (records * RECORD_BYTES) as u64).next_multiple_of(4096);
    }

    pub(crate) fn cost(&self) -> Cost {
        let (commits, frames) = (self.commits as f64, self.frame_bytes as f64);
        Cost {
            syncs_per_commit: self.commit_syncs as f64 / commits,
            commit_pages: (self.commit_pages * 4096) as f64 / frames,
            device_bytes: self.device_bytes as f64 / frames,
        }
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(housekeeper) = self.housekeeper.take() {
            housekeeper.thread().unpark();
            housekeeper.join().unwrap();
        }
    }
}

pub(crate) fn open(storage: Arc<dyn Storage>, bound_bytes: u64) -> (Spool, SystemClock) {
    let clock = SystemClock::start(None, Default::default());
    let options = Options {
        bound_bytes: Some(bound_bytes),
        min_free_percent: 0,
        ..Options::default()
    };
    let (spool, _) = Spool::open(storage, options, clock.now(), Arc::new(|| {})).unwrap();
    (spool, clock)
}

pub(crate) fn append(spool: &Spool, now: NodeTime, number: u64, route: RouteId) -> Seq {
    let mut transaction = spool.transaction(now);
    let head = Head {
        kind: Kind::Event,
        lane: Lane(1),
        route,
    };
    transaction
        .append(head, |bytes| write_record(number, bytes))
        .unwrap();
    transaction.finish()
}

pub(crate) fn owed_to_one(spool: &Spool, clock: &SystemClock) -> RouteId {
    let mut transaction = spool.transaction(clock.now());
    let cursor = transaction.create_cursor("uplink", Start::Now, None);
    let route = transaction.route(&[cursor], b"");
    transaction.finish();
    route
}
