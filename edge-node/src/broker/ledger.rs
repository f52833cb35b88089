//! What the broker enters in the loss ledger.

use spool::{Loss, LossReason, NodeTime, Seq};

use super::{Broker, Journal};

impl Broker {
    /// Enters what was lost with this transaction: a crash that knows of a change knows what was lost by it.
    pub(super) fn hand_over_losses(&mut self, journal: &mut Journal<'_>) {
        for loss in self.losses.drain(..) {
            journal.record_loss(loss);
        }
    }

    /// What was lost since, outside a transaction.
    pub fn take_losses(&mut self) -> Vec<Loss> {
        std::mem::take(&mut self.losses)
    }

    pub(crate) fn lose(
        &mut self,
        reason: LossReason,
        scope: String,
        count: u64,
        bytes: u64,
        at: NodeTime,
    ) {
        let loss = Loss {
            reason,
            scope,
            count,
            bytes,
            first: Seq::ZERO,
            last: Seq::ZERO,
            at,
        };
        self.losses.push(loss);
    }

    pub(crate) fn lose_at(
        &mut self,
        reason: LossReason,
        scope: String,
        seq: Seq,
        bytes: u64,
        at: NodeTime,
    ) {
        self.losses.push(Loss {
            reason,
            scope,
            count: 1,
            bytes,
            first: seq,
            last: seq,
            at,
        });
    }

    /// Loses messages of unknown size at these positions, in their order.
    pub(crate) fn lose_all(
        &mut self,
        reason: LossReason,
        scope: String,
        lost: &[Seq],
        at: NodeTime,
    ) {
        let (Some(first), Some(last)) = (lost.first(), lost.last()) else {
            return;
        };
        self.losses.push(Loss {
            reason,
            scope,
            count: lost.len() as u64,
            bytes: 0,
            first: *first,
            last: *last,
            at,
        });
    }
}
