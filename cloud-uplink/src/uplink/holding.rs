//! What an uplink holds: from a record that was read to one that is done with.

use std::sync::Arc;

use spool::{Lane, Seq};

use super::{
    Action, DeadReason, EVENT_OVERHEAD_BYTES, Fitness, Offered, Uplink,
    queue::{LineKey, Waiting},
};
use crate::MAX_HOPS;

impl Uplink {
    pub(super) fn take_in(&mut self, lane: Lane, offered: Offered, done: &mut Vec<Seq>) {
        let seq = offered.seq;
        let waiting = |key, target: Arc<str>, bytes| Waiting {
            seq,
            line: LineKey::new(lane, key, &target),
            target,
            bytes,
            batch_max: usize::MAX,
            tries: 0,
            doubt: None,
        };
        match offered.fitness {
            Fitness::NotOwed => done.push(seq),
            Fitness::FromPeer => {
                self.seen.not_sent_back += 1;
                done.push(seq);
            }
            Fitness::Expired { bytes } => {
                self.seen.expired += 1;
                self.actions.push_back(Action::Expire { seq, bytes });
                done.push(seq);
            }
            Fitness::Unsendable(error) => {
                self.bury_unsent(waiting(0, "".into(), 0), DeadReason::Unsendable(error))
            }
            Fitness::Send {
                key,
                target,
                bytes,
                hops,
            } if hops > MAX_HOPS => {
                self.bury_unsent(waiting(key, target, bytes), DeadReason::TooManyHops);
            }
            Fitness::Send {
                key, target, bytes, ..
            } => {
                let waiting = waiting(key, target, bytes);
                self.hold(&waiting);
                self.queue.push(waiting);
            }
        }
    }

    fn bury_unsent(&mut self, event: Waiting, reason: DeadReason) {
        self.hold(&event);
        self.queue.count(&event.target);
        self.bury(event, reason);
    }

    fn hold(&mut self, event: &Waiting) {
        self.held_bytes += event.bytes + EVENT_OVERHEAD_BYTES;
        self.ahead.open(event.seq, event.line);
    }

    /// The event is done with.
    pub(super) fn close(&mut self, event: &Waiting) {
        self.held_bytes -= event.bytes + EVENT_OVERHEAD_BYTES;
        self.queue.forget(event);
        let unread = self.unread();
        self.ahead.close(event.seq, unread);
        self.unblock();
    }

    /// The lowest position behind which there may be records that were not read.
    pub(super) fn unread(&self) -> Option<Seq> {
        self.lanes
            .iter()
            .filter(|reader| !reader.at_end)
            .map(|reader| reader.after)
            .min()
    }

    pub(super) fn bury(&mut self, event: Waiting, reason: DeadReason) {
        self.actions.push_back(Action::Bury {
            seq: event.seq,
            reason,
            tries: event.tries,
        });
        self.burying.insert(event.seq, event);
    }

    /// Something is acknowledged: the cursor can hold more ahead.
    fn unblock(&mut self) {
        for reader in &mut self.lanes {
            reader.blocked = false;
        }
    }

    pub(super) fn ack(&mut self, seqs: Vec<Seq>) {
        if !seqs.is_empty() {
            self.unblock();
            self.actions.push_back(Action::Ack { seqs });
        }
    }
}
