//! The threads of a running node: one commits, one keeps house.

use std::{
    sync::{Arc, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use crate::{Health, NodeTime, Spool, log::Inner};

/// Owns both threads. When dropped, they end after a last commit.
pub struct Committer {
    spool: Spool,
    committing: Option<JoinHandle<()>>,
    _housekeeper: Housekeeper,
}

/// Owns the thread that keeps house, for who commits by `Spool::commit_once`. When dropped, it ends after what it is at.
pub struct Housekeeper {
    spool: Spool,
    keeping: Option<JoinHandle<()>>,
}

/// Between attempts to store a frame: from the first to the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));
/// The housekeeper looks at least this often while commits fail or cursors have a bound.
const LONGEST_SLEEP: Duration = Duration::from_secs(3_600);

impl Committer {
    /// Starts both threads; `clock` gives the node's time.
    ///
    /// # Panics
    /// If the system does not give a thread.
    pub fn start(spool: &Spool, clock: Arc<dyn Fn() -> NodeTime + Send + Sync>) -> Committer {
        let committing = spool.clone();
        Committer {
            spool: spool.clone(),
            committing: Some(thread("spool-commit", move || commit(&committing))),
            _housekeeper: Housekeeper::start(spool, clock),
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.spool.stop(self.committing.take());
    }
}

impl Housekeeper {
    /// Starts the thread; `clock` gives the node's time.
    ///
    /// # Panics
    /// If the system does not give a thread.
    pub fn start(spool: &Spool, clock: Arc<dyn Fn() -> NodeTime + Send + Sync>) -> Housekeeper {
        let keeping = spool.clone();
        Housekeeper {
            spool: spool.clone(),
            keeping: Some(thread("spool-keep", move || keep_house(&keeping, &*clock))),
        }
    }
}

impl Drop for Housekeeper {
    fn drop(&mut self) {
        self.spool.stop(self.keeping.take());
    }
}

fn thread(name: &str, body: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(body)
        .expect("a starting node gets its threads")
}

impl Spool {
    /// Ends both threads, and waits for this one.
    fn stop(&self, thread: Option<JoinHandle<()>>) {
        self.inner.lock().stopping = true;
        self.inner.work.notify_all();
        self.inner.chores.notify_all();
        // A thread that panicked has said so; there is nothing more to do about it here.
        let _ = thread.map(JoinHandle::join);
        self.inner.lock().stopping = false;
    }
}

fn commit(spool: &Spool) {
    let mut backoff = BACKOFF.0;
    loop {
        let before = spool.inner.lock().commits.count;
        let worked = spool.commit_once();
        let state = spool.inner.lock();
        let stored = state.commits.count != before;
        if worked && stored {
            backoff = BACKOFF.0;
        } else if state.stopping {
            return;
        } else if worked {
            drop(spool.inner.wait_for_stop(state, backoff));
            backoff = (backoff * 2).min(BACKOFF.1);
        } else {
            spool.inner.wait_for_work(state);
        }
    }
}

fn keep_house(spool: &Spool, clock: &dyn Fn() -> NodeTime) {
    loop {
        let wait = spool.housekeep_once(clock());
        let mut state = spool.inner.lock();
        if state.stopping {
            return;
        }
        let failing = state.health != Health::Ok;
        let wait =
            wait.unwrap_or(LONGEST_SLEEP)
                .min(if failing { BACKOFF.1 } else { LONGEST_SLEEP });
        if !state.chores_due {
            state.housekeeper_waits = true;
            let woken = spool
                .inner
                .chores
                .wait_timeout(state, wait)
                .unwrap_or_else(PoisonError::into_inner);
            let mut state = woken.0;
            state.housekeeper_waits = false;
        }
    }
}

impl Inner {
    fn wait_for_work(&self, mut state: std::sync::MutexGuard<'_, crate::log::State>) {
        while !state.has_work() && !state.stopping {
            state.committer_waits = true;
            state = self
                .work
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.committer_waits = false;
        }
    }

    fn wait_for_stop<'a>(
        &self,
        state: std::sync::MutexGuard<'a, crate::log::State>,
        longest: Duration,
    ) -> std::sync::MutexGuard<'a, crate::log::State> {
        self.work
            .wait_timeout(state, longest)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }
}
