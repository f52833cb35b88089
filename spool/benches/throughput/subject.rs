//! The log as a node runs it: appends one record per transaction, one thread keeps house.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use spool::{
    Head, Housekeeper, Kind, Lane, NodeTime, Options, RouteId, Spool,
    clock::SystemClock,
    storage::{Storage, disk::Disk},
};

use crate::{
    BOUND_BYTES, Log, OnDisk, RECORD_BYTES,
    counting::{self, Counting},
    turns::{Taken, lock},
    write_record,
};

const FRAME_HEADER: u64 = 128;

pub(crate) struct Subject {
    spool: Spool,
    clock: SystemClock,
    _housekeeper: Housekeeper,
    taken: Arc<Taken>,
    totals: Mutex<Totals>,
}

/// Of all commits since they were last taken.
#[derive(Default)]
struct Totals {
    commits: u64,
    /// Page-rounded frames of the records alone.
    frame_bytes: u64,
    written: counting::Counts,
    on_disk: Vec<OnDisk>,
    /// What every thread had written when this began.
    device_bytes_before: u64,
}

/// Ratios over all commits since they were last taken.
pub(crate) struct Cost {
    pub(crate) syncs_per_commit: f64,
    /// Segments that commits had to make, since the housekeeper had not come around: a sync more each.
    pub(crate) own_segments: u64,
    pub(crate) commit_pages: f64,
    pub(crate) device_bytes: f64,
}

impl Subject {
    pub(crate) fn open(directory: &Path) -> Subject {
        let taken = Arc::new(Taken::default());
        let storage = Counting {
            disk: Disk::open(directory).unwrap(),
            taken: taken.clone(),
        };
        let (spool, clock) = open(Arc::new(storage));
        let housekeeper = Housekeeper::start(&spool, Arc::new(move || clock.now()));
        Subject {
            spool,
            clock,
            _housekeeper: housekeeper,
            taken,
            totals: Mutex::default(),
        }
    }

    /// Goes around the whole bound once, since segments are made on the first way around: a node in service overwrites
    /// what it has.
    pub(crate) fn warm_up(&self) {
        while lock(&self.totals).frame_bytes < BOUND_BYTES * 3 / 2 {
            self.fill(4096);
            self.commit();
        }
        self.take_cost();
    }

    pub(crate) fn take_cost(&self) -> Cost {
        let device_bytes = counting::bytes_of_all_threads();
        let since = Totals {
            device_bytes_before: device_bytes,
            ..Totals::default()
        };
        let totals = std::mem::replace(&mut *lock(&self.totals), since);
        let frames = totals.frame_bytes as f64;
        Cost {
            syncs_per_commit: totals.written.syncs as f64 / totals.commits as f64,
            own_segments: totals.written.segments,
            commit_pages: (totals.written.pages * 4096) as f64 / frames,
            device_bytes: (device_bytes - totals.device_bytes_before) as f64 / frames,
        }
    }
}

impl Log for Subject {
    fn fill(&self, records: usize) {
        // A node reads the clock for each round of input, not for each record.
        let now = self.clock.now();
        for number in 0..records {
            append(&self.spool, now, number as u64);
        }
        let rounded = (FRAME_HEADER + (records * RECORD_BYTES) as u64).next_multiple_of(4096);
        lock(&self.totals).frame_bytes += rounded;
    }

    fn commit(&self) {
        let before = counting::of_this_thread();
        assert!(self.spool.commit_once());
        let written = counting::of_this_thread().since(before);
        let mut totals = lock(&self.totals);
        totals.commits += 1;
        totals.on_disk.push(OnDisk {
            write_us: written.write_us,
            flush_us: written.sync_us,
        });
        totals.written = totals.written.plus(written);
    }

    fn taken(&self) -> &Taken {
        &self.taken
    }

    fn take_on_disk(&self) -> Vec<OnDisk> {
        std::mem::take(&mut lock(&self.totals).on_disk)
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        assert_eq!(
            self.spool.committed(),
            self.spool.appended(),
            "each batch was one frame"
        );
    }
}

fn open(storage: Arc<dyn Storage>) -> (Spool, SystemClock) {
    let clock = SystemClock::start(None, Default::default());
    let options = Options {
        bound_bytes: Some(BOUND_BYTES),
        min_free_percent: 0,
        ..Options::default()
    };
    let (spool, _) = Spool::open(storage, options, clock.now(), Arc::new(|| {})).unwrap();
    (spool, clock)
}

fn append(spool: &Spool, now: NodeTime, number: u64) {
    let mut transaction = spool.transaction(now);
    let head = Head {
        kind: Kind::Event,
        lane: Lane(1),
        route: RouteId::NOBODY,
    };
    transaction
        .append(head, |bytes| write_record(number, bytes))
        .unwrap();
    transaction.finish();
}
