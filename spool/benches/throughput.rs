//! What durability costs: the log against overwriting a preallocated file with one `fdatasync` per batch.
//!
//! Both store the same records with the same number of syncs, in alternating runs of one process on one disk, once
//! with the next batch filled while the last is on its way, as the core and the committer thread of a node do, and
//! once in turn, on one thread, where every nanosecond of an append counts.
//!
//! `cargo bench -p spool` runs it, `-- --quick` shorter, `-- --records N` with batches of one size, `-- --dir DIR` on
//! another disk; on a tmpfs it shows CPU alone.
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
use turns::{Run, Taken};

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
    /// Of each commit since this was last asked.
    fn take_on_disk(&self) -> Vec<OnDisk>;
}

/// Microseconds a commit spends writing, and flushing.
struct OnDisk {
    write_us: f64,
    flush_us: f64,
}

type Way = fn(&dyn Log, Duration, usize) -> Run;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let run = Duration::from_millis(if quick { 150 } else { 700 });
    let value_of = |name: &str| arguments.iter().skip_while(|it| *it != name).nth(1);
    let only: Option<usize> = value_of("--records").map(|value| value.parse().unwrap());
    let parent = value_of("--dir").map_or(env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from);
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
        let compare = |records| {
            let measure = |log: &dyn Log| way(log, run, records);
            (records, compare(&raw, &subject, &measure))
        };
        let compared: Vec<_> = match only {
            Some(records) => vec![compare(records)],
            None => BATCHES.map(compare).into(),
        };
        print_rates(&compared);
        print_times(&compared);
    }
    println!(
        "own segments: those a commit made for itself, with a sync more, since the housekeeper was late by two; \
         commit pages: what commits write to the page-rounded frames of the records alone; all pages: with what \
         keeping house writes"
    );
}

struct Comparison {
    raw: Times,
    spool: Times,
    cost: subject::Cost,
}

/// Medians; the times are microseconds of a batch.
struct Times {
    batches_per_second: f64,
    fill: f64,
    wait: f64,
    write: f64,
    flush: f64,
    /// What a commit does beside the disk.
    rest: f64,
}

fn compare(raw: &Raw, subject: &Subject, measure: &dyn Fn(&dyn Log) -> Run) -> Comparison {
    let (mut raws, mut spools) = (Vec::new(), Vec::new());
    subject.take_cost();
    for _ in 0..RUNS {
        raws.push((measure(raw), raw.take_on_disk()));
        spools.push((measure(subject), subject.take_on_disk()));
    }
    Comparison {
        raw: Times::medians(&raws),
        spool: Times::medians(&spools),
        cost: subject.take_cost(),
    }
}

impl Times {
    fn medians(runs: &[(Run, Vec<OnDisk>)]) -> Times {
        let of_runs = |value: fn(&Run) -> f64| median(runs.iter().map(|(run, _)| value(run)));
        let of_commits =
            |value: fn(&OnDisk) -> f64| median(runs.iter().flat_map(|run| &run.1).map(value));
        let rest = |(run, on_disk): &(Run, Vec<OnDisk>)| {
            let disk: f64 = on_disk.iter().map(|it| it.write_us + it.flush_us).sum();
            run.commit_us - disk / on_disk.len() as f64
        };
        Times {
            batches_per_second: of_runs(|run| run.batches_per_second),
            fill: of_runs(|run| run.fill_us),
            wait: of_runs(|run| run.wait_us),
            write: of_commits(|commit| commit.write_us),
            flush: of_commits(|commit| commit.flush_us),
            rest: median(runs.iter().map(rest)),
        }
    }
}

fn print_rates(compared: &[(usize, Comparison)]) {
    println!(
        "  records/commit  overwrite/s      spool/s  ratio   flush p50 of both  syncs/commit  own segments  commit pages  all pages"
    );
    for (records, Comparison { raw, spool, cost }) in compared {
        println!(
            "  {records:>14} {:>12.0} {:>12.0} {:>6.3} {:>7.0} {:>7.0} us {:>13.3} {:>13} {:>13.3} {:>10.3}",
            raw.batches_per_second * *records as f64,
            spool.batches_per_second * *records as f64,
            spool.batches_per_second / raw.batches_per_second,
            raw.flush,
            spool.flush,
            cost.syncs_per_commit,
            cost.own_segments,
            cost.commit_pages,
            cost.device_bytes,
        );
    }
}

fn print_times(compared: &[(usize, Comparison)]) {
    println!("  us of a batch, overwrite and spool:");
    println!(
        "  records/commit           fill    wait for it          write          flush  rest of commit"
    );
    let parts: [fn(&Times) -> f64; 5] = [
        |times| times.fill,
        |times| times.wait,
        |times| times.write,
        |times| times.flush,
        |times| times.rest,
    ];
    for (records, Comparison { raw, spool, .. }) in compared {
        print!("  {records:>14}");
        for part in parts {
            print!(" {:>6.0} {:>7.0}", part(raw), part(spool));
        }
        println!();
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What one record holds: different each time, as telemetry is.
fn write_record(number: u64, into: &mut Vec<u8>) {
    into.extend_from_slice(&number.to_le_bytes());
    into.resize(into.len() + RECORD_BYTES - 8, number as u8);
}
