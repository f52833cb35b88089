//! Two ways to fill and commit batches of a given size: in turn, or the next while the last is on its way.

use std::{
    sync::{Condvar, Mutex, MutexGuard, mpsc},
    time::{Duration, Instant},
};

use crate::Log;

/// Counts batches that a commit has taken, so that the next is filled behind it and not into it.
#[derive(Default)]
pub(crate) struct Taken {
    count: Mutex<u64>,
    changed: Condvar,
}

impl Taken {
    pub(crate) fn signal(&self) {
        *lock(&self.count) += 1;
        self.changed.notify_one();
    }

    fn count(&self) -> u64 {
        *lock(&self.count)
    }

    fn wait_for(&self, count: u64) {
        let reached = self
            .changed
            .wait_while(lock(&self.count), |taken| *taken < count);
        drop(reached.unwrap());
    }
}

/// What a run came to.
pub(crate) struct Run {
    pub(crate) batches_per_second: f64,
    /// Microseconds of a batch: filling it, waiting until it is filled, committing it.
    pub(crate) fill_us: f64,
    pub(crate) wait_us: f64,
    pub(crate) commit_us: f64,
}

/// Adds up the time some calls take.
#[derive(Default)]
struct Stopwatch(Duration);

impl Stopwatch {
    fn time<T>(&mut self, call: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let result = call();
        self.0 += started.elapsed();
        result
    }

    fn us_of_each(&self, calls: u64) -> f64 {
        self.0.as_secs_f64() * 1e6 / calls as f64
    }
}

/// Fills a batch, then commits it: one thread.
pub(crate) fn in_turn(log: &dyn Log, run: Duration, records: usize) -> Run {
    let (started, mut commits) = (Instant::now(), 0);
    let (mut filling, mut committing) = (Stopwatch::default(), Stopwatch::default());
    while started.elapsed() < run {
        filling.time(|| log.fill(records));
        committing.time(|| log.commit());
        commits += 1;
    }
    Run {
        batches_per_second: commits as f64 / started.elapsed().as_secs_f64(),
        fill_us: filling.us_of_each(commits),
        wait_us: 0.0,
        commit_us: committing.us_of_each(commits),
    }
}

/// One thread fills a batch while another commits the one before, as the core and the committer of a node do.
pub(crate) fn at_once(log: &dyn Log, run: Duration, records: usize) -> Run {
    let (filled, to_commit) = mpsc::sync_channel(1);
    std::thread::scope(|scope| {
        let committer = scope.spawn(move || {
            let (mut waiting, mut committing) = (Stopwatch::default(), Stopwatch::default());
            while waiting.time(|| to_commit.recv()).is_ok() {
                committing.time(|| log.commit());
            }
            (waiting, committing)
        });
        let (started, mut commits) = (Instant::now(), 0);
        let mut filling = Stopwatch::default();
        let before = log.taken().count();
        while started.elapsed() < run {
            filling.time(|| log.fill(records));
            filled.send(()).unwrap();
            commits += 1;
            log.taken().wait_for(before + commits);
        }
        drop(filled);
        let (waiting, committing) = committer.join().unwrap();
        Run {
            batches_per_second: commits as f64 / started.elapsed().as_secs_f64(),
            fill_us: filling.us_of_each(commits),
            wait_us: waiting.us_of_each(commits),
            commit_us: committing.us_of_each(commits),
        }
    })
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}
