//! The shell of an uplink: carries the core's actions to the spool and the sink, and brings back what came of them.

mod burial;
mod outage;
mod reading;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use spool::{CursorId, Lane, Loss, LossReason, Seq, Spool};
use tokio::{
    sync::watch,
    task::{Id, JoinError, JoinSet},
    time::sleep_until,
};

use crate::{
    Action, Answer, Batch, BatchId, DeadLetters, Limits, Outcome, Outgoing, RecordSource, Sink,
    Uplink, UplinkStatus,
};
use burial::{Buries, BuryError, Grave};
use outage::Outage;
use reading::{Read, prepare};

/// How soon dead letters that found no room are tried again.
const BURY_AGAIN: Duration = Duration::from_secs(1);
/// Dead letters of one transaction.
const BURIALS: usize = 64;

/// What an uplink drains, and where to.
pub struct Drain<R, S> {
    /// The name of the sink: the scope of its entries in the ledger.
    pub name: String,
    /// The log.
    pub spool: Spool,
    /// The sink's cursor.
    pub cursor: CursorId,
    /// From the lane sent first to the lane sent last; at most 32.
    pub lanes: Vec<Lane>,
    /// Its bounds.
    pub limits: Limits,
    /// Do not send events that have expired; each is a loss in the ledger.
    pub drop_expired: bool,
    /// What the dead-letter lane may hold; above it a dead letter is lost, with an entry in the ledger, and the sink goes
    /// on: one that stops would hold up every event behind it.
    pub dead_letters_max: DeadLetters,
    /// What records mean.
    pub source: Arc<R>,
    /// Where they go.
    pub sink: Arc<S>,
    /// Changes with each commit.
    pub commits: watch::Receiver<Seq>,
    /// Sends every event that the source has for the sink from the cursor's low mark up to here, whoever is owed it, and
    /// then ends; what the receiver refuses of it is counted in the status and no dead letter. `None`: what the cursor is owed, for ever.
    pub until: Option<Seq>,
}

/// Why an uplink ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was told to.
    Told,
    /// Everything up to [`Drain::until`] is done with.
    Drained,
}

/// Looks at a running uplink from anywhere.
#[derive(Clone)]
pub struct DrainHandle {
    /// Guards the core; held for one step of it, never over `.await`.
    core: Arc<Mutex<Uplink>>,
    spool: Spool,
    cursor: CursorId,
}

impl DrainHandle {
    /// The state at this moment.
    pub fn status(&self) -> UplinkStatus {
        let pending = self
            .spool
            .cursor_status(self.cursor)
            .map_or(0, |status| status.pending_records);
        lock(&self.core).status(Instant::now(), pending)
    }
}

impl<R: RecordSource, S: Sink> Drain<R, S> {
    /// Makes the uplink: `run` the future within a tokio runtime, and ask the handle how it is.
    pub fn start(
        self,
        shutdown: impl Future<Output = ()> + Send,
    ) -> (DrainHandle, impl Future<Output = End> + Send) {
        let after = self
            .spool
            .cursor_status(self.cursor)
            .map_or(Seq::ZERO, |status| status.low);
        let core = Uplink::new(
            Instant::now(),
            self.limits.clone(),
            &self.lanes,
            after,
            fastrand::Rng::new(),
        );
        let core = Arc::new(Mutex::new(core));
        let handle = DrainHandle {
            core: Arc::clone(&core),
            spool: self.spool.clone(),
            cursor: self.cursor,
        };
        (handle, run(core, self, shutdown))
    }
}

/// Drains until `shutdown` completes, or all that is to be sent is sent, whatever the sink and the spool answer.
async fn run<R: RecordSource, S: Sink>(
    core: Arc<Mutex<Uplink>>,
    drain: Drain<R, S>,
    shutdown: impl Future<Output = ()> + Send,
) -> End {
    let mut commits = drain.commits.clone();
    commits.mark_changed();
    let mut shell = Shell {
        core,
        drain: Arc::new(drain),
        items: HashMap::new(),
        tasks: JoinSet::new(),
        running: HashMap::new(),
        graves: Vec::new(),
        burying: false,
        bury_at: None,
        outage: Outage::default(),
    };
    let mut shutdown = std::pin::pin!(shutdown);
    let is_range = shell.drain.until.is_some();
    let end = loop {
        shell.act();
        if is_range && lock(&shell.core).is_drained() {
            break End::Drained;
        }
        let deadline = shell.next_deadline();
        tokio::select! {
            () = &mut shutdown => break End::Told,
            Some(done) = shell.tasks.join_next_with_id() => shell.handle_done(done),
            Ok(()) = commits.changed(), if !is_range => shell.handle_commit(),
            () = sleep_until(deadline.into()) => shell.handle_deadline(),
        }
    };
    shell.finish().await;
    end
}

fn lock(core: &Mutex<Uplink>) -> MutexGuard<'_, Uplink> {
    core.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Shell<R, S: Sink> {
    core: Arc<Mutex<Uplink>>,
    drain: Arc<Drain<R, S>>,
    /// What may be sent, by position.
    items: HashMap<Seq, Arc<S::Item>>,
    tasks: JoinSet<Done<S::Item>>,
    /// What each task is for, should it end without a result.
    running: HashMap<Id, Task>,
    graves: Vec<Grave>,
    burying: bool,
    bury_at: Option<Instant>,
    outage: Outage,
}

enum Done<I> {
    Read(Lane, Result<Read<I>, String>),
    Answer(BatchId, Answer),
    Buried(Buries),
}

#[derive(Clone, Copy)]
enum Task {
    Read,
    Send(BatchId),
    Bury,
}

impl<R: RecordSource, S: Sink> Shell<R, S> {
    fn act(&mut self) {
        loop {
            let Some(action) = lock(&self.core).poll_action() else {
                break;
            };
            match action {
                Action::Read {
                    lane,
                    after,
                    records,
                    bytes,
                } => self.read(lane, after, records, bytes),
                Action::Send {
                    batch,
                    target,
                    seqs,
                } => {
                    let items = seqs
                        .iter()
                        .filter_map(|seq| self.items.get(seq).cloned())
                        .collect();
                    self.send(batch, Batch { target, items });
                }
                Action::Canary { batch } => self.send_canary(batch),
                Action::Ack { seqs } => self.ack(&seqs),
                Action::Expire { seq, bytes } => self.expire(seq, bytes),
                Action::Bury { seq, reason, tries } => {
                    self.items.remove(&seq);
                    let sink = &self.drain.name;
                    match self.drain.until {
                        None => {
                            tracing::warn!(sink, seq = seq.0, tries, %reason, "an event becomes a dead letter");
                        }
                        Some(_) => {
                            tracing::debug!(sink, seq = seq.0, tries, %reason, "an event that is sent again is refused");
                        }
                    }
                    self.graves.push(Grave { seq, reason, tries });
                }
            }
        }
        self.bury();
    }

    fn ack(&mut self, seqs: &[Seq]) {
        for seq in seqs {
            self.items.remove(seq);
        }
        self.drain.spool.ack(self.drain.cursor, seqs);
    }

    fn expire(&self, seq: Seq, bytes: u64) {
        // What is sent again is owed to nobody, so that nothing is lost with it.
        if self.drain.until.is_none() {
            self.drain.lose(LossReason::Expired, seq, bytes);
        }
    }

    fn next_deadline(&self) -> Instant {
        let now = Instant::now();
        let deadlines = [lock(&self.core).next_deadline(now), self.bury_at];
        deadlines
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(now + Duration::from_secs(3600))
    }

    fn handle_commit(&mut self) {
        lock(&self.core).handle_commit(Instant::now());
        self.bury_at = None;
    }

    fn handle_deadline(&mut self) {
        let now = Instant::now();
        lock(&self.core).handle_deadline(now);
        self.bury_at = self.bury_at.filter(|at| *at > now);
    }

    fn handle_done(&mut self, done: Result<(Id, Done<S::Item>), JoinError>) {
        let now = Instant::now();
        let (id, done) = match done {
            Ok((id, done)) => (id, Ok(done)),
            Err(error) => (error.id(), Err(error.to_string())),
        };
        let task = self.running.remove(&id);
        match (done, task) {
            (Ok(Done::Read(lane, Ok(read))), _) => {
                self.items.extend(read.items);
                lock(&self.core).handle_read(now, lane, read.offered, read.next, read.at_end);
            }
            (Ok(Done::Read(_, Err(error))), _) | (Err(error), Some(Task::Read)) => {
                tracing::error!(sink = self.drain.name, error, "records cannot be read");
                lock(&self.core).handle_read_error(now, error);
            }
            (Ok(Done::Answer(batch, answer)), _) => self.handle_answer(now, batch, answer),
            (Err(error), Some(Task::Send(batch))) => {
                let outcome = Outcome::Unavailable {
                    retry_after: None,
                    error: format!("the sink failed: {error}"),
                };
                self.handle_answer(now, batch, Answer::All(outcome));
            }
            (Ok(Done::Buried(buries)), _) => self.handle_buried(now, buries),
            (Err(error), Some(Task::Bury)) => {
                tracing::error!(sink = self.drain.name, error, "dead letters cannot be kept");
                self.burying = false;
                self.bury_at = Some(now + BURY_AGAIN);
                lock(&self.core).handle_bury_error(now, &error);
            }
            (Err(_), None) => {}
        }
    }

    fn handle_answer(&mut self, now: Instant, batch: BatchId, answer: Answer) {
        let state = {
            let mut core = lock(&self.core);
            core.handle_answer(now, batch, answer);
            core.state(now, 0)
        };
        self.outage.handle_state(now, &self.drain.name, &state);
    }

    fn handle_buried(&mut self, now: Instant, buries: Buries) {
        self.burying = false;
        let mut core = lock(&self.core);
        for (seq, buried) in buries.done {
            self.graves.retain(|grave| grave.seq != seq);
            core.handle_buried(now, seq, buried);
        }
        if let Some(error) = buries.error {
            self.bury_at = Some(now + BURY_AGAIN);
            match error {
                BuryError::Room(full) => core.handle_no_grave(now, &full.to_string()),
                BuryError::Other(error) => core.handle_bury_error(now, &error),
            }
        }
    }

    fn read(&mut self, lane: Lane, after: Seq, records: usize, bytes: usize) {
        let drain = Arc::clone(&self.drain);
        let task = self
            .tasks
            .spawn_blocking(move || Done::Read(lane, drain.read(lane, after, records, bytes)));
        self.running.insert(task.id(), Task::Read);
    }

    fn send(&mut self, batch: BatchId, events: Batch<S::Item>) {
        let sink = Arc::clone(&self.drain.sink);
        let task = self
            .tasks
            .spawn(async move { Done::Answer(batch, sink.send(events).await) });
        self.running.insert(task.id(), Task::Send(batch));
    }

    fn send_canary(&mut self, batch: BatchId) {
        let canary = self
            .drain
            .source
            .canary()
            .map(|outgoing: Outgoing| self.drain.sink.prepare(outgoing, &mut Vec::new()));
        match canary {
            Some(Ok(prepared)) => {
                let items = vec![Arc::new(prepared.item)];
                self.send(
                    batch,
                    Batch {
                        target: prepared.target,
                        items,
                    },
                );
            }
            Some(Err(_)) | None => {
                lock(&self.core).handle_answer(Instant::now(), batch, Answer::Each(Vec::new()))
            }
        }
    }

    fn bury(&mut self) {
        if self.burying || self.bury_at.is_some() || self.graves.is_empty() {
            return;
        }
        self.burying = true;
        let gives_up = lock(&self.core).gives_up_graves(Instant::now());
        let graves: Vec<Grave> = self.graves.iter().take(BURIALS).cloned().collect();
        let drain = Arc::clone(&self.drain);
        let task = self
            .tasks
            .spawn_blocking(move || Done::Buried(drain.bury(&graves, gives_up)));
        self.running.insert(task.id(), Task::Bury);
    }

    /// Waits a little for answers on their way, and accounts for what they say; sends nothing more.
    async fn finish(&mut self) {
        let grace = self.drain.limits.grace;
        let answers = async {
            while self
                .running
                .values()
                .any(|task| matches!(task, Task::Send(_)))
            {
                let Some(done) = self.tasks.join_next_with_id().await else {
                    break;
                };
                self.handle_done(done);
                self.account();
            }
        };
        // After the grace, what is on its way is sent again after the next start.
        let _ = tokio::time::timeout(grace, answers).await;
    }

    /// Acts on what is done with, and forgets what would be done next.
    fn account(&mut self) {
        loop {
            let Some(action) = lock(&self.core).poll_action() else {
                return;
            };
            match action {
                Action::Ack { seqs } => self.ack(&seqs),
                Action::Expire { seq, bytes } => self.expire(seq, bytes),
                Action::Read { .. }
                | Action::Send { .. }
                | Action::Canary { .. }
                | Action::Bury { .. } => {}
            }
        }
    }
}

impl<R: RecordSource, S: Sink> Drain<R, S> {
    fn read(
        &self,
        lane: Lane,
        after: Seq,
        records: usize,
        bytes: usize,
    ) -> Result<Read<S::Item>, String> {
        let lanes = 1u32.checked_shl(u32::from(lane.0)).unwrap_or(0);
        let limits = spool::ReadLimits {
            records,
            bytes,
            lanes,
        };
        let batch = match self.until {
            None => self.spool.read(self.cursor, after, limits),
            Some(until) => self.read_range(after, until, limits),
        };
        let batch = batch.map_err(|error| error.to_string())?;
        Ok(prepare(self, &batch))
    }

    /// A cursor's window never goes beyond what nobody acknowledges, and what was freed nobody can acknowledge; a range
    /// is read past that.
    fn read_range(
        &self,
        after: Seq,
        until: Seq,
        limits: spool::ReadLimits,
    ) -> Result<spool::Batch, spool::StorageError> {
        let mut batch = self.spool.scan(Seq(after.0 + 1), limits)?;
        batch.entries.retain(|entry| entry.seq <= until);
        batch.next = Seq(batch.next.0.saturating_sub(1)).min(until);
        batch.at_end |= batch.next >= until;
        Ok(batch)
    }

    fn lose(&self, reason: LossReason, seq: Seq, bytes: u64) {
        let at = self.source.now();
        self.spool.record_loss(Loss {
            reason,
            scope: self.name.clone(),
            count: 1,
            bytes,
            first: seq,
            last: seq,
            at,
        });
    }
}
