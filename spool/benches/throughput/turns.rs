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

/// Fills a batch, then commits it: one thread. Batches per second.
pub(crate) fn in_turn(log: &dyn Log, run: Duration, records: usize) -> f64 {
    let (started, mut commits) = (Instant::now(), 0);
    while started.elapsed() < run {
        log.fill(records);
        log.commit();
        commits += 1;
    }
    f64::from(commits) / started.elapsed().as_secs_f64()
}

/// One thread fills a batch while another commits the one before, as the core and the committer of a node do. Batches
/// per second.
pub(crate) fn at_once(log: &dyn Log, run: Duration, records: usize) -> f64 {
    let (filled, to_commit) = mpsc::sync_channel(1);
    std::thread::scope(|scope| {
        let committer = scope.spawn(move || {
            for () in to_commit {
                log.commit();
            }
        });
        let (started, mut commits) = (Instant::now(), 0);
        let before = log.taken().count();
        while started.elapsed() < run {
            log.fill(records);
            filled.send(()).unwrap();
            commits += 1;
            log.taken().wait_for(before + commits);
        }
        drop(filled);
        committer.join().unwrap();
        commits as f64 / started.elapsed().as_secs_f64()
    })
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}
