//! What all files of the directory take together.

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
};

use super::*;
use crate::storage::{File, Space, Storage};

/// Room for the bound and more, and less than the bound.
const CAPACITIES: [u64; 2] = [64 << 20, 12 << 20];
const OWNER_BYTES: usize = 100_000;

#[test]
fn all_files_together_stay_within_the_bound_and_leave_the_minimum_free() {
    for capacity in CAPACITIES {
        let mut log = Watched::open(capacity);
        let filled = log.fill();
        assert_eq!(filled.quarantined, 2);
        assert!(filled.dead_letters_lost > 0);
        assert!(filled.is_full);
        log.go_on();
        let names: Vec<String> = log.log.disk.files().into_keys().collect();
        for name in ["checkpoint-0", "checkpoint-1", "cursors"] {
            assert!(names.iter().any(|it| it == name), "{name} in {names:?}");
        }
        let bound = options().bound_bytes.unwrap();
        let (most, least_free) = log.extremes();
        assert!(most <= bound, "{most} of {bound} bytes");
        let min_free = capacity / 20;
        assert!(least_free >= min_free, "{least_free} of {min_free} free");
        let limit = bound.min(capacity - min_free);
        assert!(most > limit * 9 / 10, "it is full: {most} of {limit}");
    }
}

/// A log whose files are looked at whenever there is another.
struct Watched {
    log: Log,
    watch: Arc<Watch>,
}

/// The storage, and the most bytes it held and the least that were free.
struct Watch {
    disk: Simulated,
    most: AtomicU64,
    least_free: AtomicU64,
}

/// What was filled.
struct Filled {
    quarantined: usize,
    dead_letters_lost: u64,
    is_full: bool,
}

impl Watched {
    fn open(capacity: u64) -> Watched {
        let disk = Simulated::new(7);
        disk.set_capacity(capacity);
        let watch = Arc::new(Watch {
            disk: disk.clone(),
            most: AtomicU64::new(0),
            least_free: AtomicU64::new(u64::MAX),
        });
        let now = NodeTime(1_000_000);
        let (spool, recovery) =
            Spool::open(watch.clone(), options(), now, Arc::new(|| {})).unwrap();
        spool.replay_state(&mut |_| {}).unwrap();
        let now = now.0;
        Watched {
            log: Log {
                disk,
                spool,
                recovery,
                now,
            },
            watch,
        }
    }

    /// Fills every lane, a bounded cursor of dead letters, both checkpoints and the quarantine.
    fn fill(&mut self) -> Filled {
        let log = &mut self.log;
        let (sink, route) = log.reader("sink");
        let (_, to_dead) = log.bounded_reader("dead letters", Some(200_000));
        for n in 0..20_000u64 {
            // The lanes below give no room to it.
            let lane = (n % 3).saturating_sub(n / 5_000) as u8;
            let to = if n % 10 == 0 { to_dead } else { route };
            let _refused_once_full = log.append(lane, to, &body(n, 1_000));
            if n % 20 == 19 {
                commit(log);
            }
            if n % 500 == 499 {
                log.spool.checkpoint(vec![n as u8; OWNER_BYTES]);
            }
            if n == 2_000 {
                flip_second_body_of(log, 2);
                flip_second_body_of(log, 3);
                log.read(sink, Seq::ZERO);
            }
        }
        while log
            .append_kind(Kind::State, 0, RouteId::NOBODY, &[0; 1_000])
            .is_ok()
        {
            commit(log);
        }
        let status = log.spool.status();
        let lost = |loss: &&Loss| loss.reason == LossReason::SessionBound;
        let names = log.disk.files().into_keys();
        Filled {
            quarantined: names.filter(|it| it.starts_with("quarantine-")).count(),
            dead_letters_lost: status.ledger.iter().find(lost).map_or(0, |it| it.count),
            is_full: status.lanes.iter().all(|lane| lane.full),
        }
    }

    /// Acknowledges all but the dead letters of the full log and appends more, so that it is cleaned, sealed, saved and
    /// covered in it.
    fn go_on(&mut self) {
        let log = &mut self.log;
        let sink = log.spool.cursor("sink").unwrap();
        let mut after = Seq::ZERO;
        for n in 0..200u64 {
            let batch = log.spool.read(sink, after, ALL).unwrap();
            let read: Vec<Seq> = batch.entries.iter().map(|entry| entry.seq).collect();
            log.spool.ack(sink, &read);
            after = batch.next;
            for _ in 0..20 {
                let _refused_while_full = log.append(0, RouteId::NOBODY, &body(n, 1_000));
            }
            log.spool.checkpoint(vec![n as u8; OWNER_BYTES]);
            commit(log);
        }
        assert_eq!(log.spool.committed(), log.spool.appended());
    }

    fn extremes(&self) -> (u64, u64) {
        self.watch.look();
        let of = |value: &AtomicU64| value.load(Ordering::Relaxed);
        (of(&self.watch.most), of(&self.watch.least_free))
    }
}

/// Commits what waits, keeping house before each attempt as a node does beside them.
fn commit(log: &mut Log) {
    for _ in 0..20 {
        log.keep_house();
        if !log.spool.commit_once() {
            return;
        }
    }
}

/// Damages the second record of a segment.
fn flip_second_body_of(log: &Log, id: u64) {
    log.disk
        .flip_bit_at(&format!("{id:016x}.segment"), 4096 + 1_600);
}

impl Watch {
    fn look(&self) {
        let files = self.disk.list().unwrap_or_default();
        let bytes = files.iter().map(|(_, len)| len.next_multiple_of(4096));
        self.most.fetch_max(bytes.sum(), Ordering::Relaxed);
        let space = self.disk.space().map_or(u64::MAX, |it| it.free_bytes);
        self.least_free.fetch_min(space, Ordering::Relaxed);
    }
}

impl Storage for Watch {
    fn create(&self, name: &str, len: u64) -> io::Result<Arc<dyn File>> {
        let created = self.disk.create(name, len);
        self.look();
        created
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.disk.open(name)
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
