//! A disk that stalls again and again, as SD cards do: appends wait within their bound, nothing is lost, and the memory of
//! the process stays small. A process of its own, since its memory is what is measured.
#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::{
    io,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use spool::{
    Committer, Full, Head, Kind, Lane, NodeTime, Options, ReadLimits, RouteId, Seq, Spool, Start,
    storage::{File, Space, Storage, disk::Disk},
};

const STALLS: u64 = 10;
const WAITING_BYTES: u64 = 8 << 20;
const RECORD_BYTES: u64 = 256;
const MOST_RSS_KIB: u64 = 40 << 10;
/// Without a commit; it only bounds a hang.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn stalling_disk_costs_bounded_memory_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let gate = Arc::new(Gate::default());
    let mut kept = Vec::new();
    {
        let disk = Stalling {
            disk: Disk::open(directory.path()).unwrap(),
            gate: gate.clone(),
        };
        let spool = open(Arc::new(disk), gate.clone());
        // In every 30 seconds of the node's clock there is one stall.
        let now = |stall: u64| NodeTime(1_700_000_000_000 + stall * 30_000);
        let clock = gate.clone();
        let _committer = Committer::start(&spool, Arc::new(move || now(clock.stalls())));
        // A failed assertion lets the threads end.
        let _goes_on = GoesOn(&gate);
        let route = owed_to_one(&spool, now(0));
        for stall in 1..=STALLS {
            gate.stall();
            let waiting = append_until_refused(&spool, now(stall), route);
            let bytes = waiting.len() as u64 * RECORD_BYTES;
            assert!(
                (WAITING_BYTES / 10 * 9..=WAITING_BYTES).contains(&bytes),
                "{bytes} bytes wait"
            );
            assert!(
                spool.committed() < *waiting.first().unwrap(),
                "nothing is acknowledged before its sync"
            );
            let late = spool
                .transaction(now(stall))
                .create_cursor("late", Start::Now, None);
            assert_eq!(late, Err(Full::Waiting), "its record would wait as well");
            gate.go_on();
            gate.wait_until_committed(&spool, *waiting.last().unwrap());
            kept.extend(waiting);
        }
    }
    let most = peak_rss_kib();
    assert!(most < MOST_RSS_KIB, "{most} KiB");
    let spool = open(Arc::new(Disk::open(directory.path()).unwrap()), gate);
    assert_eq!(drain(&spool), kept);
}

/// Holds syncs back while the disk stalls, and hears of commits.
#[derive(Default)]
struct Gate {
    state: Mutex<Held>,
    changed: Condvar,
}

#[derive(Default)]
struct Held {
    stalls: u64,
    is_held: bool,
}

impl Gate {
    fn stall(&self) {
        let mut state = self.state.lock().unwrap();
        state.is_held = true;
        state.stalls += 1;
    }

    fn stalls(&self) -> u64 {
        self.state.lock().unwrap().stalls
    }

    fn go_on(&self) {
        self.state.lock().unwrap().is_held = false;
        self.changed.notify_all();
    }

    fn told(&self) {
        drop(self.state.lock().unwrap());
        self.changed.notify_all();
    }

    fn pass(&self) {
        let state = self.state.lock().unwrap();
        drop(self.changed.wait_while(state, |state| state.is_held));
    }

    fn wait_until_committed(&self, spool: &Spool, last: Seq) {
        let mut state = self.state.lock().unwrap();
        loop {
            let committed = spool.committed();
            if committed >= last {
                return;
            }
            let (held, waited) = self
                .changed
                .wait_timeout_while(state, PATIENCE, |_| spool.committed() == committed)
                .unwrap();
            assert!(!waited.timed_out(), "{committed:?} of {last:?}");
            state = held;
        }
    }
}

struct GoesOn<'a>(&'a Gate);

impl Drop for GoesOn<'_> {
    fn drop(&mut self) {
        self.0.go_on();
    }
}

struct Stalling {
    disk: Disk,
    gate: Arc<Gate>,
}

impl Stalling {
    fn stalling(&self, file: Arc<dyn File>) -> Arc<dyn File> {
        let gate = self.gate.clone();
        Arc::new(StallingFile { file, gate })
    }
}

impl Storage for Stalling {
    fn create(&self, name: &str, len: u64) -> io::Result<Arc<dyn File>> {
        Ok(self.stalling(self.disk.create(name, len)?))
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(self.stalling(self.disk.open(name)?))
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
        self.gate.pass();
        self.disk.sync_directory()
    }
    fn space(&self) -> io::Result<Space> {
        self.disk.space()
    }
}

struct StallingFile {
    file: Arc<dyn File>,
    gate: Arc<Gate>,
}

impl File for StallingFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_at(buffer, offset)
    }
    fn sync(&self) -> io::Result<()> {
        self.gate.pass();
        self.file.sync()
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}

fn open(storage: Arc<dyn Storage>, gate: Arc<Gate>) -> Spool {
    let options = Options {
        bound_bytes: Some(256 << 20),
        min_free_percent: 0,
        ..Options::default()
    };
    let notify = Arc::new(move || gate.told());
    Spool::open(storage, options, NodeTime(1_700_000_000_000), notify)
        .unwrap()
        .0
}

fn owed_to_one(spool: &Spool, now: NodeTime) -> RouteId {
    let mut transaction = spool.transaction(now);
    let cursor = transaction
        .create_cursor("uplink", Start::Now, None)
        .unwrap();
    let route = transaction.route(&[cursor], b"").unwrap();
    transaction.finish();
    route
}

fn append_until_refused(spool: &Spool, now: NodeTime, route: RouteId) -> Vec<Seq> {
    let head = Head {
        kind: Kind::Event,
        lane: Lane(1),
        route,
    };
    let mut appended = Vec::new();
    loop {
        let mut transaction = spool.transaction(now);
        let result = transaction.append(head, |bytes| {
            bytes.resize(bytes.len() + RECORD_BYTES as usize, 5)
        });
        match result {
            Ok(seq) => {
                transaction.finish();
                appended.push(seq);
            }
            Err(full) => {
                assert_eq!(full, Full::Waiting);
                return appended;
            }
        }
    }
}

fn drain(spool: &Spool) -> Vec<Seq> {
    let cursor = spool.cursor("uplink").unwrap();
    let limits = ReadLimits {
        records: 1_000,
        bytes: 1 << 20,
        lanes: u32::MAX,
    };
    let (mut after, mut all) = (Seq::ZERO, Vec::new());
    loop {
        let batch = spool.read(cursor, after, limits).unwrap();
        let seqs: Vec<Seq> = batch.entries.iter().map(|entry| entry.seq).collect();
        spool.ack(cursor, &seqs);
        all.extend(seqs);
        after = batch.next;
        if batch.at_end {
            return all;
        }
    }
}

fn peak_rss_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse().unwrap()
}
