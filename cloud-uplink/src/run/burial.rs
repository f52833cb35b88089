//! Keeps dead letters: appended and acknowledged in one commit; runs on a blocking thread.

use spool::{Entry, Full, LossReason, Seq};

use super::Drain;
use crate::{Buried, DeadLetter, DeadReason, RecordSource, Sink};

#[derive(Clone, Debug)]
pub(super) struct Grave {
    pub(super) seq: Seq,
    pub(super) reason: DeadReason,
    pub(super) tries: u32,
}

/// What became of some dead letters; those not named are to be tried again.
#[derive(Debug, Default)]
pub(super) struct Buries {
    pub(super) done: Vec<(Seq, Buried)>,
    pub(super) error: Option<BuryError>,
}

/// Why some could not be kept.
#[derive(Debug)]
pub(super) enum BuryError {
    /// The log has no room.
    Room(Full),
    /// Nothing is known of the room: it cannot be read, or too much waits for a commit.
    Other(String),
}

impl<R: RecordSource, S: Sink> Drain<R, S> {
    /// Where it `gives_up`, what finds no room is gone, with an entry in the ledger.
    pub(super) fn bury(&self, graves: &[Grave], gives_up: bool) -> Buries {
        if self.until.is_some() {
            return self.pass(graves);
        }
        let mut buries = Buries::default();
        // Read before the transaction, which holds up every other writer.
        let mut found: Vec<(&Grave, Entry)> = Vec::new();
        for grave in graves {
            match self.spool.read_at(grave.seq) {
                Ok(Some(entry)) => found.push((grave, entry)),
                Ok(None) => {
                    self.spool.ack(self.cursor, &[grave.seq]);
                    buries.done.push((grave.seq, Buried::Gone));
                }
                Err(error) => buries.error = Some(BuryError::Other(error.to_string())),
            }
        }
        self.append(&found, gives_up, &mut buries);
        for (grave, entry) in &found {
            let Some((_, buried)) = buries.done.iter().find(|(seq, _)| *seq == grave.seq) else {
                continue;
            };
            if *buried != Buried::AtBound {
                continue;
            }
            // What this one says stands in the ledger: counted there, it would be told of in its turn.
            if !self.source.tells_of_loss(entry) {
                let reason = match grave.reason {
                    DeadReason::TooManyHops => LossReason::TooManyHops,
                    _ => LossReason::DeadLetterBound,
                };
                self.lose(reason, grave.seq, entry.body.len() as u64);
            }
            self.spool.ack(self.cursor, &[grave.seq]);
        }
        buries
    }

    /// What is sent again was had, or lost, before: its refusal is nobody's loss, and takes no room from what is owed.
    fn pass(&self, graves: &[Grave]) -> Buries {
        let seqs: Vec<Seq> = graves.iter().map(|grave| grave.seq).collect();
        self.spool.ack(self.cursor, &seqs);
        let done = seqs.into_iter().map(|seq| (seq, Buried::NotOwed));
        Buries {
            done: done.collect(),
            error: None,
        }
    }

    fn append(&self, found: &[(&Grave, Entry)], gives_up: bool, buries: &mut Buries) {
        if found.is_empty() {
            return;
        }
        let mut kept = self.source.dead_letters();
        let mut transaction = self.spool.transaction(self.source.now());
        for (grave, entry) in found {
            let bytes = entry.body.len() as u64;
            let room = kept.records < self.dead_letters_max.records
                && kept.bytes.saturating_add(bytes) <= self.dead_letters_max.bytes;
            if !room {
                buries.done.push((grave.seq, Buried::AtBound));
                continue;
            }
            let reason = grave.reason.to_string();
            let dead = DeadLetter {
                sink: &self.name,
                seq: grave.seq,
                entry,
                reason: &reason,
                tries: grave.tries,
            };
            match self.source.bury(&mut transaction, &dead) {
                Ok(()) => {
                    transaction.ack(self.cursor, grave.seq);
                    kept.records += 1;
                    kept.bytes += bytes;
                    buries.done.push((grave.seq, Buried::Kept));
                }
                Err(full @ Full::Waiting) => {
                    buries.error = Some(BuryError::Other(full.to_string()));
                    break;
                }
                Err(_) if gives_up => buries.done.push((grave.seq, Buried::AtBound)),
                Err(full) => {
                    buries.error = Some(BuryError::Room(full));
                    break;
                }
            }
        }
        transaction.finish();
    }
}
