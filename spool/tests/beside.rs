//! A log is read beside its owner: what that one does meanwhile is no fault, and nothing committed before is missed.
#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::{
    ops::ControlFlow,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use spool::{
    Entry, Head, Kind, Lane, NodeTime, Options, Seq, Spool, Start,
    inspect::{self, Inspection},
    storage::disk::Disk,
};

const LOOKS: u64 = 300;
const SEGMENT_BYTES: u32 = 64 << 10;
/// Before the newest; it keeps most of what is in the log from being freed.
const OWED: u64 = 500;

#[test]
fn what_its_owner_does_meanwhile_is_no_fault() {
    let directory = tempfile::tempdir().unwrap();
    let (is_over, committed) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let owner = scope.spawn(|| own(directory.path(), &is_over, &committed));
        // A failed assertion lets the owner end.
        let _ends = Ends(&is_over);
        let mut last = 0;
        for _ in 0..LOOKS {
            while committed.load(Ordering::Acquire) == last {
                assert!(!owner.is_finished(), "it goes on until it is told");
                thread::yield_now();
            }
            last = committed.load(Ordering::Acquire);
            let inspection = inspect::open(directory.path(), &[]).unwrap();
            holds(&inspection, last);
        }
    });
}

fn holds(inspection: &Inspection, committed: u64) {
    let status = inspection.status();
    assert!(status.committed >= Seq(committed), "{:?}", status.committed);
    let names: Vec<&str> = status.cursors.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["uplink", "other"]);
    let mut read = 0;
    let each = &mut |_: &Entry| {
        read += 1;
        ControlFlow::Continue(())
    };
    inspection.scan(Seq::ZERO, each).unwrap();
    assert!(read > 0, "what is owed is there");
    assert_eq!(inspection.status().ledger, []);
    let mut faults = Vec::new();
    inspection
        .verify(&mut |fault| faults.push(fault.to_owned()))
        .unwrap();
    assert_eq!(faults, [] as [String; 0]);
}

struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Appends, acknowledges, commits, cleans and takes checkpoints until it is over.
fn own(directory: &Path, is_over: &AtomicBool, committed: &AtomicU64) {
    let options = Options {
        bound_bytes: Some(32 * u64::from(SEGMENT_BYTES)),
        segment_bytes: Some(SEGMENT_BYTES),
        min_free_percent: 0,
        ..Options::default()
    };
    let disk = Arc::new(Disk::open(directory).unwrap());
    let (spool, _) = Spool::open(disk, options, NodeTime(1), Arc::new(|| {})).unwrap();
    let mut transaction = spool.transaction(NodeTime(1));
    let mut cursor = |name| transaction.create_cursor(name, Start::Now, None).unwrap();
    let cursors = ["uplink", "other"].map(&mut cursor);
    let route = transaction.route(&cursors, b"").unwrap();
    transaction.finish();
    let head = Head {
        kind: Kind::Event,
        lane: Lane(1),
        route,
    };
    let mut time = 1;
    while !is_over.load(Ordering::Acquire) {
        time += 100;
        let mut transaction = spool.transaction(NodeTime(time));
        for bytes in 0..20 {
            let appended =
                transaction.append(head, |body| body.resize(body.len() + 300 + bytes, 7));
            appended.unwrap();
        }
        let last = transaction.finish();
        while spool.commit_once() {}
        committed.store(spool.committed().0, Ordering::Release);
        // Every tenth of one stays owed for a while, so that segments are written anew.
        let done = |from: u64, every: u64| -> Vec<Seq> {
            let until = last.0.saturating_sub(from);
            let newest = until.saturating_sub(20)..until;
            newest.filter(|seq| seq % every != 0).map(Seq).collect()
        };
        spool.ack(cursors[0], &done(0, u64::MAX));
        spool.ack(cursors[1], &done(0, 10));
        let late = last.0.saturating_sub(OWED);
        let late: Vec<Seq> = (late.saturating_sub(20)..late).map(Seq).collect();
        spool.ack(cursors[1], &late);
        if spool.checkpoint_due() {
            spool.checkpoint(Vec::new());
        }
        spool.housekeep_once(NodeTime(time));
    }
}
