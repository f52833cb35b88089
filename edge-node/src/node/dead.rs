//! What becomes of dead letters: `edge-node dead` and `/api/v1/sinks/NAME/dead-letters`.
//!
//! They are records owed to the cursor `dead/NAME`, each with the event's own record in it. To send one again is to append
//! that, owed to the sink alone, in the commit that moves the cursor: a crash leaves a dead letter or an event that is owed,
//! never both. It keeps its identity, and changes no state: a retained message is not retained again.

use serde::{Deserialize, Serialize};
use spool::{
    Entry, Full, Head, Kind, Lane, Loss, LossReason, NodeTime, ReadLimits, Seq, Spool, Transaction,
};
use tokio::{sync::oneshot, task::spawn_blocking};

use super::{
    core::Clock,
    handle::{NodeHandle, PublishError, UplinkOrder},
    replay::known,
};
use crate::{
    broker::{SinkCursors, dead_cursor},
    record::{DeadRecord, PublishRecord, Record},
};

/// Dead letters of one commit, and their bytes: other writers wait meanwhile.
const STEP: ReadLimits = ReadLimits {
    records: 256,
    bytes: 256 << 10,
    lanes: u32::MAX,
};

/// What is to become of the dead letters of a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeadFate {
    /// They are owed to the sink once more.
    Retry,
    /// They are given up, with an entry in the ledger.
    Drop,
}

/// What is ordered of the dead letters of a sink.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DeadRequest {
    /// What is to become of all there are at this moment.
    pub fate: DeadFate,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct DeadAnswer {
    /// The name of the sink.
    pub sink: String,
    /// So many were sent on their way or dropped.
    pub records: u64,
}

/// An order on its way to the uplinks.
#[derive(Debug)]
pub struct DeadOrder {
    /// The name of the sink.
    pub sink: String,
    /// What is to become of them.
    pub fate: DeadFate,
    /// What comes of it.
    pub reply: oneshot::Sender<Result<DeadAnswer, DeadError>>,
}

/// Why dead letters stay what they are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeadError {
    /// No sink of the configuration has this name.
    #[error("there is no sink `{sink}`; {}", known(names))]
    UnknownSink {
        /// As asked for.
        sink: String,
        /// The sinks there are.
        names: Vec<String>,
    },
    /// The disk or the log does not take it; try again later.
    #[error(
        "the node cannot take it at the moment: {what}; {done} dead letters are done with, ask again for the others"
    )]
    Unavailable {
        /// What the log said.
        what: String,
        /// So many are done with.
        done: u64,
    },
}

impl NodeHandle {
    /// Sends the dead letters of a sink again, or drops them. Returns once that is durable.
    pub async fn settle_dead_letters(
        &self,
        sink: &str,
        fate: DeadFate,
    ) -> Result<DeadAnswer, DeadError> {
        let stopping = || unavailable(&PublishError::Stopping, 0);
        let (reply, answer) = oneshot::channel();
        let sink = sink.to_owned();
        let order = UplinkOrder::DeadLetters(DeadOrder { sink, fate, reply });
        let ordered = self.orders.uplinks.send(order).await;
        ordered.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?
    }
}

/// The dead letters of one sink.
#[derive(Clone)]
pub struct Graveyard {
    /// The name of the sink.
    pub sink: String,
    /// Its cursors.
    pub cursors: SinkCursors,
    /// The log.
    pub spool: Spool,
    /// The time.
    pub clock: Clock,
}

/// What one step came to.
#[derive(Debug, Default)]
struct Step {
    done: u64,
    /// All up to here were looked at.
    next: Seq,
    /// Durable once the log is, up to here.
    appended: Seq,
    at_end: bool,
    full: Option<Full>,
}

impl Graveyard {
    /// Has the log count what is kept: a cursor that nobody has read since the start knows only of the acknowledgements up to
    /// its saved mark. May block on the disk.
    pub fn count(&self) -> Result<(), spool::StorageError> {
        let one = ReadLimits { records: 1, ..STEP };
        self.spool.read(self.cursors.dead, Seq::ZERO, one).map(drop)
    }

    /// Does with all dead letters of this moment as ordered, and waits until that is durable, which `durable` tells of a
    /// position: false once it has waited too long. May be cancelled: what is done stays done.
    ///
    /// # Errors
    /// The log has no room, or cannot be read or written: the others are still dead letters.
    pub async fn settle(
        &self,
        fate: DeadFate,
        durable: impl AsyncFn(Seq) -> bool,
    ) -> Result<u64, DeadError> {
        let until = self.spool.committed();
        let (mut done, mut after, mut waited) = (0, Seq::ZERO, false);
        loop {
            let this = self.clone();
            let step = spawn_blocking(move || this.step(fate, after, until)).await;
            let step = step.map_err(|error| unavailable(&error, done))?;
            let step = step.map_err(|error| unavailable(&error, done))?;
            done += step.done;
            let is_on = step.done > 0 || step.next > after;
            let ended = step.at_end && step.full.is_none();
            // What waits for a commit, and what a cursor may be ahead of its mark, is room again after it.
            if (ended || step.full.is_some() || !is_on) && !durable(step.appended).await {
                return Err(unavailable(&NotDurable, done));
            }
            match step.full {
                None if ended => return Ok(done),
                Some(full @ Full::Bound { .. }) => return Err(unavailable(&full, done)),
                full if !is_on && waited => {
                    return Err(unavailable(&full.unwrap_or(Full::Waiting), done));
                }
                _ => {}
            }
            (after, waited) = (step.next, !is_on);
        }
    }

    fn step(&self, fate: DeadFate, after: Seq, until: Seq) -> Result<Step, spool::StorageError> {
        let mut batch = self.spool.read(self.cursors.dead, after, STEP)?;
        batch.entries.retain(|entry| entry.seq <= until);
        let mut step = Step {
            next: batch.next,
            at_end: batch.at_end || batch.next >= until,
            ..Step::default()
        };
        match fate {
            DeadFate::Retry => self.retry(&batch.entries, after, &mut step),
            DeadFate::Drop => self.drop_all(&batch.entries, &mut step),
        }
        Ok(step)
    }

    fn retry(&self, entries: &[Entry], after: Seq, step: &mut Step) {
        let now = (self.clock)().node;
        let mut transaction = self.spool.transaction(now);
        let mut last = after;
        for entry in entries {
            let Some(dead) = dead_letter(entry) else {
                continue;
            };
            let (lane, stored) = dead.was.unwrap_or((entry.lane, entry.time));
            let Some(record) = revived(&dead, stored, now) else {
                continue;
            };
            if let Err(full) = self.owe(&mut transaction, lane, &record) {
                (step.full, step.next) = (Some(full), last);
                break;
            }
            transaction.ack(self.cursors.dead, entry.seq);
            step.done += 1;
            last = entry.seq;
        }
        step.appended = transaction.finish();
    }

    fn owe(
        &self,
        transaction: &mut Transaction<'_>,
        lane: Lane,
        record: &PublishRecord<'_>,
    ) -> Result<(), Full> {
        let head = Head {
            kind: Kind::Event,
            lane,
            route: transaction.route(&[self.cursors.debt], &[])?,
        };
        transaction.append(head, |out| record.encode(out)).map(drop)
    }

    fn drop_all(&self, entries: &[Entry], step: &mut Step) {
        let now = (self.clock)().node;
        if let (Some(first), Some(last)) = (entries.first(), entries.last()) {
            self.spool.record_loss(Loss {
                reason: LossReason::CursorRemoved,
                scope: dead_cursor(&self.sink),
                count: entries.len() as u64,
                bytes: entries.iter().map(|entry| entry.body.len() as u64).sum(),
                first: first.seq,
                last: last.seq,
                at: now,
            });
        }
        let mut transaction = self.spool.transaction(now);
        for entry in entries {
            transaction.ack(self.cursors.dead, entry.seq);
        }
        step.done = entries.len() as u64;
        step.appended = transaction.finish();
    }
}

/// What a record of a graveyard holds.
pub fn dead_letter(entry: &Entry) -> Option<DeadRecord<'_>> {
    match Record::decode(&entry.body) {
        Some(Record::Dead(dead)) => Some(dead),
        _ => None,
    }
}

/// The event's record as it was, but for its expiry, which goes on: it counts from when a record is stored, less what the
/// event has waited before.
fn revived<'a>(
    dead: &DeadRecord<'a>,
    stored: NodeTime,
    now: NodeTime,
) -> Option<PublishRecord<'a>> {
    let Some(Record::Publish(record)) = Record::decode(dead.body) else {
        return None;
    };
    let since = u32::try_from(now.0.saturating_sub(stored.0)).unwrap_or(u32::MAX);
    Some(PublishRecord {
        waited_ms: record.waited_ms.saturating_add(since),
        ..record
    })
}

#[derive(Debug, thiserror::Error)]
#[error("the log does not take it")]
struct NotDurable;

fn unavailable(error: &dyn std::error::Error, done: u64) -> DeadError {
    DeadError::Unavailable {
        what: error.to_string(),
        done,
    }
}

#[cfg(test)]
mod tests;
