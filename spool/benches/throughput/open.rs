//! Opening a large log after its process was killed.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Instant,
};

use spool::{ReadLimits, Seq, Spool, storage::disk::Disk};

use crate::subject;

pub(crate) fn run(parent: &Path, bytes: u64) {
    let directory = tempfile::tempdir_in(parent).unwrap();
    let child = |mode: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .arg(mode)
            .arg(directory.path())
            .arg("--bytes")
            .arg(bytes.to_string());
        command
    };
    // It ends by aborting, so that nothing is closed.
    child("--fill").stderr(Stdio::null()).status().unwrap();
    println!("open of {} MiB after an unclean stop:", bytes >> 20);
    for _ in 0..3 {
        assert!(child("--open").status().unwrap().success());
    }
}

/// Fills a log with records owed to a cursor, and dies.
pub(crate) fn fill(directory: &Path, bytes: u64) {
    let (spool, clock) = subject::open(Arc::new(Disk::open(directory).unwrap()), bytes * 2);
    let route = subject::owed_to_one(&spool, &clock);
    let mut number = 0;
    while number * crate::RECORD_BYTES as u64 <= bytes {
        for _ in 0..1024 {
            number += 1;
            subject::append(&spool, clock.now(), number, route);
        }
        while spool.commit_once() {}
        spool.housekeep_once(clock.now());
    }
    std::process::abort();
}

/// Opens it, and leaves it without closing.
pub(crate) fn measure(directory: &Path) {
    let started = Instant::now();
    let disk = Disk::open(directory).unwrap();
    let (spool, _) = subject::open(Arc::new(disk), 4 << 30);
    let took = started.elapsed();
    let status = spool.status();
    let opened_rss = peak_rss_kib();
    println!(
        "  {:.1} ms, peak RSS {} KiB, {} segments, {} records committed, {} pending",
        took.as_secs_f64() * 1e3,
        opened_rss,
        status.segments,
        status.committed.0,
        status
            .cursors
            .first()
            .map_or(0, |cursor| cursor.pending_records),
    );
    drain(&spool);
    std::process::exit(0);
}

/// Reads and acknowledges what is pending, as a sink does.
fn drain(spool: &Spool) {
    let cursor = spool.cursor("uplink").unwrap();
    let limits = ReadLimits {
        records: 500,
        bytes: 1 << 20,
        lanes: u32::MAX,
    };
    let (started, mut after, mut drained) = (Instant::now(), Seq::ZERO, 0);
    while drained < 1_000_000 {
        let batch = spool.read(cursor, after, limits).unwrap();
        let seqs: Vec<Seq> = batch.entries.iter().map(|entry| entry.seq).collect();
        spool.ack(cursor, &seqs);
        drained += seqs.len();
        after = batch.next;
        if batch.at_end {
            break;
        }
    }
    let rate = drained as f64 / started.elapsed().as_secs_f64();
    println!(
        "    {drained} records read and acknowledged at {rate:.0}/s, peak RSS {} KiB",
        peak_rss_kib()
    );
}

fn peak_rss_kib() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().to_owned()
}
