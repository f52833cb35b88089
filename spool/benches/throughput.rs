//! What durability costs: the log against overwriting a preallocated file with one `fdatasync` per batch.
//!
//! Both store the same records with the same number of syncs, in alternating runs of one process on one disk, once
//! with the next batch filled while the last is on its way, as the core and the committer thread of a node do, and
//! once in turn, on one thread, where every nanosecond of an append counts.
//!
//! `cargo bench -p spool` runs it, `-- --quick` shorter, `-- --dir DIR` on another disk; on a tmpfs it shows CPU alone.
//! Ratios hold where the absolute figures do not.
#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints what it measured, and ends where it cannot go on"
)]

#[path = "throughput/counting.rs"]
mod counting;
#[path = "throughput/raw.rs"]
mod raw;
#[path = "throughput/subject.rs"]
mod subject;
#[path = "throughput/turns.rs"]
mod turns;

use std::{path::PathBuf, time::Duration};

use raw::Raw;
use subject::Subject;
use turns::Taken;

const RECORD_BYTES: usize = 256;
const BOUND_BYTES: u64 = 256 << 20;
const BATCHES: [usize; 4] = [1, 16, 256, 4096];
const RUNS: usize = 7;

/// Something that makes batches of records durable.
trait Log: Sync {
    /// Makes the next batch.
    fn fill(&self, records: usize);
    /// Makes the batch durable, with one sync.
    fn commit(&self);
    /// Signalled by each commit once another batch may be filled.
    fn taken(&self) -> &Taken;
    /// Microseconds of each sync since this was last asked.
    fn take_flushes(&self) -> Vec<f64>;
}

type Way = fn(&dyn Log, Duration, usize) -> f64;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let run = Duration::from_millis(if quick { 150 } else { 700 });
    let parent = arguments
        .iter()
        .skip_while(|argument| *argument != "--dir")
        .nth(1)
        .map_or(env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from);
    std::fs::create_dir_all(&parent).unwrap();
    let directory = tempfile::tempdir_in(&parent).unwrap();
    let raw = Raw::create(&directory.path().join("raw"));
    let subject = Subject::open(&directory.path().join("spool"));
    subject.warm_up();
    println!(
        "records of {RECORD_BYTES} B, medians of {RUNS} alternating runs of {} ms",
        run.as_millis()
    );
    let ways: [(&str, Way); 2] = [
        ("the next batch is filled meanwhile", turns::at_once),
        ("filled and committed in turn", turns::in_turn),
    ];
    for (name, way) in ways {
        println!("{name}:");
        println!(
            "  records/commit  overwrite/s      spool/s  ratio   flush p50 of both  syncs/commit  commit pages  all pages"
        );
        for records in BATCHES {
            compare(&raw, &subject, &|log| {
                way(log, run, records) * records as f64
            })
            .print(records);
        }
    }
    println!(
        "commit pages: what commits write to the page-rounded frames of the records alone; all pages: with what \
         keeping house writes"
    );
}

struct Comparison {
    raw_rate: f64,
    spool_rate: f64,
    raw_flush: f64,
    spool_flush: f64,
    cost: subject::Cost,
}

fn compare(raw: &Raw, subject: &Subject, rate: &dyn Fn(&dyn Log) -> f64) -> Comparison {
    let (mut raw_rates, mut spool_rates) = (Vec::new(), Vec::new());
    let (mut raw_flushes, mut spool_flushes) = (Vec::new(), Vec::new());
    subject.take_cost();
    for _ in 0..RUNS {
        raw_rates.push(rate(raw));
        spool_rates.push(rate(subject));
        raw_flushes.append(&mut raw.take_flushes());
        spool_flushes.append(&mut subject.take_flushes());
    }
    Comparison {
        raw_rate: median(raw_rates),
        spool_rate: median(spool_rates),
        raw_flush: median(raw_flushes),
        spool_flush: median(spool_flushes),
        cost: subject.take_cost(),
    }
}

impl Comparison {
    fn print(&self, records: usize) {
        println!(
            "  {records:>14} {:>12.0} {:>12.0} {:>6.3} {:>7.0} {:>7.0} us {:>13.3} {:>13.3} {:>10.3}",
            self.raw_rate,
            self.spool_rate,
            self.spool_rate / self.raw_rate,
            self.raw_flush,
            self.spool_flush,
            self.cost.syncs_per_commit,
            self.cost.commit_pages,
            self.cost.device_bytes,
        );
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What one record holds: different each time, as telemetry is.
fn write_record(number: u64, into: &mut Vec<u8>) {
    into.extend_from_slice(&number.to_le_bytes());
    into.resize(into.len() + RECORD_BYTES - 8, number as u8);
}
