//! The shell: sockets, threads and timers around the node's core.
//!
//! ```text
//!  thread "edge-core"     listener ─▶ a task per connection ─┐
//!                         commits, deadlines, readings ──────┼─▶ Core (broker · ingest · log)
//!                         requests of the doors ─────────────┘
//!  threads of the log     committer, housekeeper
//!  thread "edge-doors"    HTTP, gRPC, uplinks
//! ```
//!
//! The core is owned by one thread and reached by its tasks through [`Shared`]; nothing else locks it.

use std::{
    cell::RefCell,
    collections::HashMap,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
    task::spawn_local,
    time::sleep,
};

mod alarm;
mod connection;
mod doors;
mod listen;
pub mod node;
mod recover;
mod reload;
mod uplinks;

use alarm::Alarm;
use connection::Port;

use crate::{
    broker::ConnectionId,
    jq::Bench,
    logging::LogLimit,
    node::{
        core::{Core, Effect, Reading},
        door::DoorCounters,
    },
    rules::JqJob,
};

/// The core as its thread's tasks share it. Never borrowed across an await: every method borrows, works, and gives back.
#[derive(Clone)]
pub struct Shared(Rc<Inner>);

struct Inner {
    core: RefCell<Core>,
    counters: Arc<DoorCounters>,
    faults: LogLimit,
    /// Locked by the thread that waits for a program, and by no task.
    jq: Arc<Mutex<Bench>>,
    ports: RefCell<HashMap<ConnectionId, Rc<Port>>>,
    alarm: Alarm,
}

impl Shared {
    /// Shares a core among the tasks of this thread.
    pub fn new(core: Core, counters: Arc<DoorCounters>) -> Shared {
        Shared(Rc::new(Inner {
            core: RefCell::new(core),
            counters,
            faults: LogLimit::default(),
            jq: Arc::default(),
            ports: RefCell::default(),
            alarm: Alarm::default(),
        }))
    }

    /// Works with the core, then sees to what it asks for.
    pub fn with<T>(&self, work: impl FnOnce(&mut Core) -> T) -> T {
        let (result, effects) = {
            let mut core = self.0.core.borrow_mut();
            let result = work(&mut core);
            if let Some(due) = core.next_deadline() {
                self.0.alarm.move_to(due);
            }
            (result, core.take_effects())
        };
        for effect in effects {
            self.carry_out(effect);
        }
        result
    }

    fn carry_out(&self, effect: Effect) {
        let ports = self.0.ports.borrow();
        match effect {
            Effect::Flush(id) => {
                if let Some(port) = ports.get(&id) {
                    port.wake.notify_one();
                }
            }
            Effect::Resume(id) => {
                if let Some(port) = ports.get(&id) {
                    port.resumed.set(true);
                    port.wake.notify_one();
                }
            }
            Effect::Close(id) => {
                if let Some(port) = ports.get(&id) {
                    port.closing.set(true);
                    port.wake.notify_one();
                }
            }
            Effect::Fault(id, error) => {
                self.0.counters.fault();
                if let Some(port) = ports.get(&id) {
                    self.0.faults.warn(error.kind(), port.peer, &error);
                }
            }
            Effect::Excess(id, excess) => {
                if let Some(port) = ports.get(&id) {
                    self.0.faults.warn(excess.kind(), port.peer, &excess);
                }
            }
            Effect::Work(job) => drop(spawn_local(self.clone().work(job))),
            Effect::Read(reading) => drop(spawn_local(self.clone().read(reading))),
        }
    }

    /// Reads from the log on a thread that may block.
    async fn read(self, reading: Reading) {
        let order = reading.order();
        let spool = self.0.core.borrow().spool().clone();
        // An error means that the runtime ends.
        if let Ok(found) = tokio::task::spawn_blocking(move || order.run(&spool)).await {
            self.with(|core| core.handle_reading(reading, found));
        }
    }

    /// Has a jq program run, for as long as it may be. Without a worker the event waits.
    async fn work(self, job: JqJob) {
        loop {
            let (bench, asked) = (Arc::clone(&self.0.jq), job.clone());
            let run = move || {
                let mut bench = bench.lock().unwrap_or_else(PoisonError::into_inner);
                bench.run(&asked.program, &asked.event)
            };
            match tokio::task::spawn_blocking(run).await {
                Ok(Ok(outcome)) => return self.with(|core| core.handle_outcome(job, outcome)),
                Ok(Err(error)) => {
                    tracing::error!(%error, "no process can be had that runs jq programs: what waits for them waits");
                    sleep(TICK).await;
                }
                // The runtime ends.
                Err(_) => return,
            }
        }
    }

    /// Connections open.
    pub fn connections(&self) -> usize {
        self.0.ports.borrow().len()
    }
}

/// Follows the log: after each commit, and whenever room returns, the core goes on.
async fn follow_commits(
    shared: Shared,
    committed: Arc<Notify>,
    positions: watch::Sender<spool::Seq>,
) {
    loop {
        committed.notified().await;
        shared.with(Core::handle_commit);
        let position = shared.with(|core| core.spool().committed());
        positions.send_replace(position);
    }
}

/// Threads of each runtime for reads that may block on the disk. Each keeps the memory of the largest read it has made, so
/// there are no more than keep two consumers going at once.
const BLOCKING_THREADS: usize = 2;

/// The longest between two looks for what is due.
const TICK: Duration = Duration::from_secs(1);

/// Wakes the core at its deadlines.
async fn follow_deadlines(shared: Shared) {
    loop {
        let (now, due) = shared.with(|core| (core.now(), core.next_deadline()));
        shared.0.alarm.ring(now, due).await;
        shared.with(Core::handle_deadline);
    }
}

/// Accepts MQTT clients until the task is dropped.
async fn accept(shared: Shared, listener: TcpListener, limit: usize) {
    let counters = Arc::clone(&shared.0.counters);
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if shared.connections() >= limit {
                    counters.turn_away();
                    let bound = format_args!("`max-connections` of [mqtt] is {limit}");
                    shared
                        .0
                        .faults
                        .warn("too many connections", peer.ip(), &bound);
                    continue;
                }
                let open = counters.accept();
                let shared = shared.clone();
                drop(spawn_local(async move {
                    connection::serve(shared, stream, peer).await;
                    drop(open);
                }));
            }
            Err(error) => {
                // Out of descriptors, mostly: wait until some are free again.
                tracing::error!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
