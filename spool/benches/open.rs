//! What a start costs: opening 1 GiB of owed records after the process that wrote them was killed, in a process of its
//! own, with the time and the peak memory of that process; then reading and acknowledging a million of them.
//!
//! `cargo bench -p spool --bench open` runs it, `-- --quick` with 256 MiB, `-- --dir DIR` on another disk.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints what it measured, and ends where it cannot go on"
)]

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Instant,
};

use spool::{
    Head, Kind, Lane, Options, ReadLimits, Seq, Spool, Start, clock::SystemClock,
    storage::disk::Disk,
};

const RECORD_BYTES: u64 = 256;
const RECORDS_PER_COMMIT: u64 = 1024;
/// Of the records that are read after each open.
const DRAINED: usize = 1_000_000;
const OPENS: usize = 5;
/// What a start of 1 GiB may cost.
const MOST_MS: f64 = 100.0;
const MOST_RSS_KIB: f64 = 16.0 * 1024.0;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        arguments
            .iter()
            .skip_while(|argument| *argument != name)
            .nth(1)
    };
    if let Some(directory) = value("--fill") {
        let bytes = value("--bytes").unwrap().parse().unwrap();
        return fill(Path::new(directory), bytes);
    }
    if let Some(directory) = value("--open") {
        return measure(Path::new(directory));
    }
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let parent =
        value("--dir").map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    std::fs::create_dir_all(&parent).unwrap();
    run(&parent, if quick { 1 << 28 } else { 1 << 30 });
}

fn run(parent: &Path, bytes: u64) {
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
    let (mut times, mut peaks) = (Vec::new(), Vec::new());
    for _ in 0..OPENS {
        let output = child("--open").stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success());
        let report = String::from_utf8(output.stdout).unwrap();
        let (figures, text) = report.split_once('\n').unwrap();
        let (time, peak) = figures.split_once(' ').unwrap();
        times.push(time.parse().unwrap());
        peaks.push(peak.parse().unwrap());
        print!("{text}");
    }
    let (time, peak) = (median(times), median(peaks));
    println!(
        "medians of {OPENS}: {time:.1} ms, {:.3} of the limit of {MOST_MS} ms; {peak} KiB, {:.3} of the limit of \
         {MOST_RSS_KIB} KiB",
        time / MOST_MS,
        peak / MOST_RSS_KIB
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap()
}

/// Fills a log with records owed to a cursor, and dies.
fn fill(directory: &Path, bytes: u64) {
    let (spool, clock) = open(directory);
    let mut transaction = spool.transaction(clock.now());
    let cursor = transaction
        .create_cursor("uplink", Start::Now, None)
        .unwrap();
    let route = transaction.route(&[cursor], b"").unwrap();
    transaction.finish();
    let head = Head {
        kind: Kind::Event,
        lane: Lane(1),
        route,
    };
    for _ in 0..bytes.div_ceil(RECORDS_PER_COMMIT * RECORD_BYTES) {
        let mut transaction = spool.transaction(clock.now());
        for _ in 0..RECORDS_PER_COMMIT {
            let record = |into: &mut Vec<u8>| into.resize(into.len() + RECORD_BYTES as usize, 7);
            transaction.append(head, record).unwrap();
        }
        transaction.finish();
        while spool.commit_once() {}
        spool.housekeep_once(clock.now());
    }
    std::process::abort();
}

fn open(directory: &Path) -> (Spool, SystemClock) {
    let clock = SystemClock::start(None, Default::default());
    let options = Options {
        bound_bytes: Some(4 << 30),
        min_free_percent: 0,
        ..Options::default()
    };
    let disk = Arc::new(Disk::open(directory).unwrap());
    let (spool, _) = Spool::open(disk, options, clock.now(), Arc::new(|| {})).unwrap();
    (spool, clock)
}

/// Opens it, and leaves it without closing. The first line says what the open cost, in milliseconds and KiB.
fn measure(directory: &Path) {
    let started = Instant::now();
    let (spool, _) = open(directory);
    let took = started.elapsed();
    let status = spool.status();
    let opened_rss = peak_rss_kib();
    println!("{} {opened_rss}", took.as_secs_f64() * 1e3);
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
    while drained < DRAINED {
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
