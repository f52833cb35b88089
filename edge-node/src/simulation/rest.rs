//! What must hold when nothing moves any more.

use std::collections::BTreeSet;

use spool::{LossReason, ReadLimits, Seq, Spool};

use super::{model::SINKS, peer::payload::number_in, story::tell, world::World};
use crate::{
    broker::tests::harness::{subscribe, v5},
    mqtt::packet::QoS,
};

/// Losses that are no broken promise by themselves; the others are checked one by one.
const EXPECTED: [LossReason; 7] = [
    LossReason::SessionEnded,
    LossReason::Qos0NotStored,
    LossReason::SlowSubscriber,
    LossReason::TailCut,
    LossReason::Expired,
    LossReason::DeadLetterBound,
    LossReason::Damaged,
];

impl World {
    pub(super) fn check(&mut self) {
        let unrest = self.unrest();
        if !unrest.is_empty() {
            tell(|| format!("{:#?}", self.node().core.spool().status()));
        }
        assert_eq!(unrest, Vec::<String>::new());
        let node = self.node();
        let now = node.now();
        let graveyards = SINKS.map(|(name, _)| node.graveyard_of(name));
        let spool = node.core.spool().clone();
        let status = spool.status();
        for (sink, graveyard) in graveyards.into_iter().enumerate() {
            self.model.read_dead_letters(sink, &spool, graveyard);
        }
        self.model.check(now, &status.ledger);
        let cursors = status.cursors.iter().map(|cursor| cursor.name.as_str());
        for name in cursors.filter(|name| !name.starts_with("dead/")) {
            check_settled(&spool, name);
        }
        let unexpected = |reason| !EXPECTED.contains(&reason);
        let lost = status.ledger.iter();
        let lost: Vec<_> = lost.filter(|loss| unexpected(loss.reason)).collect();
        assert!(lost.is_empty(), "{lost:?}");
        self.check_retained();
    }

    /// Somebody new asks for everything that is retained.
    fn check_retained(&mut self) {
        let node = self.node();
        let mut client = node.connect(v5("newcomer"));
        node.send(&client, subscribe("r/#", QoS::AtLeastOnce));
        node.settle();
        let publishes = client.publishes(node);
        assert!(publishes.iter().all(|publish| publish.retain));
        let got: BTreeSet<usize> = publishes
            .iter()
            .map(|publish| number_in(&publish.payload))
            .collect();
        let now = node.now();
        self.model.retained.check(&self.model.messages, &got, now);
        for (client, peer) in self.peers.iter().enumerate() {
            let holds = |topic: &str| peer.holds(topic);
            self.model.check_given(client, holds, &got, now);
        }
    }
}

/// Nothing is owed over this cursor any more.
fn check_settled(spool: &Spool, name: &str) {
    // An acknowledgement that came before its commit counts from the next read on.
    let id = spool.cursor(name).unwrap();
    let limits = ReadLimits {
        records: 1,
        bytes: 1,
        lanes: u32::MAX,
    };
    let left = spool.read(id, Seq::ZERO, limits).unwrap().entries;
    assert!(left.is_empty(), "{name} is still owed {left:?}");
    assert_eq!(spool.cursor_status(id).unwrap().pending_records, 0);
}
