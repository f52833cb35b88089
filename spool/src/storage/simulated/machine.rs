//! The simulated machine: what its disk holds, and what becomes of each call.

use std::{
    collections::BTreeMap,
    io,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::io::Errno;

use super::{Counters, Faults, image::Image, names::Names};

pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    /// Signals changes of `State::held` and `State::waiting`.
    pub(super) gate: Condvar,
}

pub(super) struct State {
    pub(super) rng: fastrand::Rng,
    pub(super) names: Names,
    pub(super) images: BTreeMap<u64, Image>,
    pub(super) next_inode: u64,
    pub(super) capacity: u64,
    pub(super) faults: Faults,
    pub(super) counters: Counters,
    /// Calls that change something; see [`super::Simulated::crash_at`].
    pub(super) operations: u64,
    pub(super) crash_at: Option<u64>,
    pub(super) fail_at: Option<u64>,
    pub(super) crashed: bool,
    pub(super) stalled: Duration,
    pub(super) held: bool,
    pub(super) waiting: usize,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What becomes of a call that changes something.
pub(super) enum Fate {
    Done,
    Fails,
    /// The machine stops while it is under way.
    Interrupted,
}

impl State {
    pub(super) fn alive(&self) -> io::Result<()> {
        if self.crashed {
            Err(io::Error::other("the simulated machine has stopped"))
        } else {
            Ok(())
        }
    }

    pub(super) fn begin(&mut self, failing: f64) -> io::Result<Fate> {
        self.alive()?;
        let operation = self.operations;
        self.operations += 1;
        if self.crash_at == Some(operation) {
            self.crashed = true;
            return Ok(Fate::Interrupted);
        }
        if self.fail_at == Some(operation) || self.happens(failing) {
            return Ok(Fate::Fails);
        }
        Ok(Fate::Done)
    }

    /// Draws from the seed only where the probability is not zero, so that adding a kind of fault leaves other runs alone.
    pub(super) fn happens(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.rng.f64() < probability
    }

    pub(super) fn begin_directory_change(&mut self) -> io::Result<Fate> {
        self.counters.directory_changes += 1;
        match self.begin(self.faults.directory)? {
            Fate::Fails => Err(Errno::IO.into()),
            fate => Ok(fate),
        }
    }

    pub(super) fn used(&self) -> u64 {
        self.images
            .values()
            .map(|image| pages(image.live().len() as u64))
            .sum()
    }

    pub(super) fn require_room(&self, more: u64) -> io::Result<()> {
        if self.used() + more > self.capacity {
            Err(Errno::NOSPC.into())
        } else {
            Ok(())
        }
    }

    pub(super) fn image(&mut self, inode: u64) -> &mut Image {
        self.images
            .get_mut(&inode)
            .expect("an open handle keeps its image")
    }

    /// Drops what no name, live or durable, and no handle leads to.
    pub(super) fn collect(&mut self) {
        let named = self.names.inodes();
        self.images
            .retain(|inode, image| image.handles > 0 || named.contains(inode));
    }
}

impl Fate {
    pub(super) fn result(self) -> io::Result<()> {
        match self {
            Fate::Done => Ok(()),
            Fate::Fails | Fate::Interrupted => Err(Errno::IO.into()),
        }
    }
}

pub(super) fn pages(bytes: u64) -> u64 {
    bytes.next_multiple_of(4096)
}
