//! What durability costs: the log against overwriting a preallocated file with one `fdatasync` per batch, the same
//! bytes, in alternating runs of one process; then opening a large log after an unclean stop, in a process of its own.
//!
//! `cargo bench -p spool` runs both, `-- --quick` shorter, `-- --dir DIR` on another disk. Ratios hold where the
//! absolute figures do not.
#![allow(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs
)]

#[path = "throughput/counting.rs"]
mod counting;
#[path = "throughput/open.rs"]
mod open;
#[path = "throughput/raw.rs"]
mod raw;
#[path = "throughput/subject.rs"]
mod subject;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use raw::Raw;
use subject::Subject;

const RECORD_BYTES: usize = 256;
const RUNS: usize = 7;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        arguments
            .iter()
            .skip_while(|argument| *argument != name)
            .nth(1)
    };
    if let Some(directory) = value("--fill") {
        return open::fill(
            Path::new(directory),
            value("--bytes").unwrap().parse().unwrap(),
        );
    }
    if let Some(directory) = value("--open") {
        return open::measure(Path::new(directory));
    }
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let parent =
        value("--dir").map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    std::fs::create_dir_all(&parent).unwrap();
    throughput(
        &parent,
        Duration::from_millis(if quick { 150 } else { 700 }),
    );
    open::run(&parent, if quick { 1 << 28 } else { 1 << 30 });
}

fn throughput(parent: &Path, run: Duration) {
    println!(
        "records of {RECORD_BYTES} B, medians of {RUNS} alternating runs of {} ms",
        run.as_millis()
    );
    println!(
        "records/commit   overwrite/s     spool/s  ratio  flush p50  syncs/commit  commit pages     all pages"
    );
    for batch in [1, 16, 256, 4096] {
        let directory = tempfile::tempdir_in(parent).unwrap();
        let mut raw = Raw::create(&directory.path().join("raw"));
        let mut subject = Subject::open(&directory.path().join("spool"));
        // Segments are made on the first way around; a node in service overwrites what it has.
        subject.warm_up();
        let (mut raw_rates, mut spool_rates) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            raw_rates.push(rate(run, batch, || raw.commit(batch)));
            let before = counting::bytes_of_all_threads();
            spool_rates.push(rate(run, batch, || subject.commit(batch)));
            subject.device_bytes += counting::bytes_of_all_threads() - before;
        }
        let (raw_rate, spool_rate) = (median(&mut raw_rates), median(&mut spool_rates));
        let flush = median(&mut raw.flushes);
        let cost = subject.cost();
        println!(
            "{batch:>14} {raw_rate:>13.0} {spool_rate:>11.0} {:>6.3} {flush:>7.0} us {:>13.3} {:>13.3} {:>13.3}",
            spool_rate / raw_rate,
            cost.syncs_per_commit,
            cost.commit_pages,
            cost.device_bytes,
        );
    }
    println!(
        "commit pages: what commits write to page-rounded frames; all pages: with what keeping house writes"
    );
}

/// Records per second of a run.
fn rate(run: Duration, batch: usize, mut commit: impl FnMut()) -> f64 {
    let (started, mut commits) = (Instant::now(), 0);
    while started.elapsed() < run {
        commit();
        commits += 1;
    }
    (commits * batch) as f64 / started.elapsed().as_secs_f64()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What one record holds: different each time, as telemetry is.
fn write_record(number: u64, into: &mut Vec<u8>) {
    into.extend_from_slice(&number.to_le_bytes());
    into.resize(into.len() + RECORD_BYTES - 8, number as u8);
}
