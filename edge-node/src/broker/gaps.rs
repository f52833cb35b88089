//! Losses told: what is new in the ledger is published as an event, where the operator names a topic for that.
//!
//! ```text
//!  ledger ─▶ every 10 s: which entries have grown? ─▶ one transaction: the entry, its event, the change that remembers it
//! ```
//!
//! What was told is a fold of the log, as all that lasts, so that each loss is told once over crashes. What finds no room is told
//! later, as what it has become by then.
//!
//! **No event of these brings about another without end:**
//! - it is published at QoS 0, and in the log it is owed to uplinks alone, so that no session or group is over its bound for it;
//! - no rule judges it, so that none drops it or derives anything from it;
//! - where a live subscriber has no room for it, or an uplink's dead letters have none, that is not counted: what it says
//!   stands in the ledger;
//! - where a lane drops its oldest, a whole segment of the lane is given up for it, which makes room for more events than tell
//!   of that: there are no more such losses than segments, and without other traffic they end.

use std::collections::BTreeMap;

use spool::{Full, Loss, LossReason, NodeTime};

use super::{Broker, carried::Carried, journal::Journal, message::Message, publish::Arrival};
use crate::{
    config::NodeId,
    mqtt::packet::QoS,
    node::gap::gap,
    record::{Change, PublishRecord},
    rules::Judged,
};

/// How often the ledger is looked at, so that many losses of one kind are one event.
const EVERY_MS: u64 = 10_000;
/// Events at one time; the other losses have their turn at the next look.
const AT_ONCE: usize = 16;

type Key = (LossReason, String);

/// What was told of the ledger, and where it is told.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    /// The count of each entry that was told. As bounded as the ledger is.
    pub(super) told: BTreeMap<Key, u64>,
    telling: Option<Telling>,
    /// Whose turn was last.
    last: Option<Key>,
}

#[derive(Debug)]
struct Telling {
    topic: String,
    node: NodeId,
    due: NodeTime,
}

fn key(loss: &Loss) -> Key {
    (loss.reason, loss.scope.clone())
}

impl Gaps {
    fn told(&self, loss: &Loss) -> u64 {
        self.told.get(&key(loss)).copied().unwrap_or(0)
    }

    /// Entries that were not told as they are, by turns: many that grow all the time keep none from being told.
    fn untold(&self, mut ledger: Vec<Loss>) -> impl Iterator<Item = Loss> {
        let had_turn = |loss: &Loss| self.last.as_ref().is_some_and(|last| key(loss) <= *last);
        ledger.retain(|loss| loss.count > self.told(loss));
        ledger.sort_by_key(|loss| (had_turn(loss), key(loss)));
        ledger.into_iter().take(AT_ONCE)
    }
}

impl Broker {
    /// Tells of losses on `topic` from here on, of those too that were never told. `node` is what the node calls itself.
    pub fn tell_losses(&mut self, topic: String, node: NodeId) {
        self.gaps.telling = Some(Telling {
            topic,
            node,
            due: NodeTime::default(),
        });
    }

    /// Whether `handle_losses` is to be called.
    pub fn is_telling_due(&self, now: NodeTime) -> bool {
        let telling = self.gaps.telling.as_ref();
        telling.is_some_and(|telling| telling.due <= now)
    }

    /// Tells what of the ledger was not told.
    pub fn handle_losses(&mut self, journal: &mut Journal<'_>) {
        let Some(telling) = &mut self.gaps.telling else {
            return;
        };
        telling.due = NodeTime(journal.now.0 + EVERY_MS);
        let (topic, node) = (telling.topic.clone(), telling.node.clone());
        let untold: Vec<Loss> = self.gaps.untold(journal.ledger()).collect();
        for loss in untold {
            let savepoint = journal.savepoint();
            if self.tell_loss(journal, &topic, &node, &loss).is_err() {
                journal.back_to(savepoint);
                return;
            }
            self.gaps.last = Some(key(&loss));
        }
    }

    /// Appends what tells of a loss and remembers it; on an error the caller takes back what was appended.
    fn tell_loss(
        &mut self,
        journal: &mut Journal<'_>,
        topic: &str,
        node: &NodeId,
        loss: &Loss,
    ) -> Result<(), Full> {
        let millis = journal.is_plausible().then(|| journal.time_of(loss.at));
        let event = gap(node, loss, self.gaps.told(loss), millis);
        let carried = Carried::mint(journal, topic, &event);
        let record = PublishRecord {
            qos: QoS::AtMostOnce,
            ..carried.record("", topic)
        };
        let audience = self.subscriptions.audience(topic);
        let mut judged = Judged::untouched(carried.lane);
        // Were it not there after a crash, as many further losses would be taken for told.
        journal.store_loss(loss);
        let arrival = Arrival::of(record, carried.lane);
        let sinks = audience.of_sinks();
        let appended = self.append_publish(journal, &arrival, &sinks, &mut judged)?;
        let told = Change::GapTold {
            reason: loss.reason,
            scope: loss.scope.clone(),
            count: loss.count,
        };
        self.change(journal, told)?;
        self.counters.gaps += 1;
        self.follow_judged(&judged, appended, &record, journal.now);
        let before = self.losses.len();
        let message = Message::of(&record, journal.now);
        self.fan_out(journal.now, &message, &audience, None, None);
        self.losses.truncate(before);
        Ok(())
    }

    pub(super) fn apply_gap_told(&mut self, reason: LossReason, scope: String, count: u64) {
        self.gaps.told.insert((reason, scope), count);
    }
}
