//! What is gone, and why: counted by reason and by whose loss it is.

use std::collections::{BTreeMap, BTreeSet};

use crate::{NodeTime, Seq};

/// Why something is gone. The texts are part of status and metrics.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum LossReason {
    /// `drop-oldest` or `lowest-lane-first` made room. Each event is counted that somebody was owed when it was given
    /// up: never fewer than are missing, and more by those that a reader had in hand and delivers all the same. These are
    /// not taken off again: an event counts once for all it is owed to, and entries only grow.
    DroppedForRoom,
    /// A session went over its bound, or most of the memory for routes was taken by what a session was owed. As with
    /// `dropped-for-room`, what a client was being sent when it was given up is counted and may arrive.
    SessionBound,
    /// The session ended (clean start, expiry) with messages owed to it.
    SessionEnded,
    /// Message expiry interval passed before delivery.
    Expired,
    /// A frame or segment failed its checksum.
    Damaged,
    /// An unfinished frame at the end of the log was cut.
    TailCut,
    /// The publisher got a negative acknowledgement (`reject`).
    Rejected,
    /// QoS 0 found the commit queue or its lane full: delivered locally only.
    Qos0NotStored,
    /// A live subscriber without durable session was too slow.
    SlowSubscriber,
    /// A sink refused the event for good and the dead-letter lane was full.
    DeadLetterBound,
    /// More than eight hops, and the dead-letter lane was full.
    TooManyHops,
    /// The operator removed the cursor.
    CursorRemoved,
    /// A message larger than its subscriber takes.
    TooLargeForSubscriber,
    /// Ingest refused the publish (bad attributes).
    Refused,
    /// Too many topics have a retained message: this one was delivered and not retained.
    RetainedBound,
    /// A rule of the node dropped the event: it was owed to no sink.
    DroppedByRule,
    /// A device lost it before it reached the node.
    LostAtDevice,
}

/// An entry of the ledger: all losses of one reason and scope.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Loss {
    /// Why.
    pub reason: LossReason,
    /// Whose loss it is: a cursor's or lane's name, a client id; bounded in number, then "other".
    pub scope: String,
    /// How many messages, as far as it is known.
    pub count: u64,
    /// How many bytes of records.
    pub bytes: u64,
    /// First position covered, zero where the message never had one.
    pub first: Seq,
    /// Last position covered, zero where the message never had one.
    pub last: Seq,
    /// When it was last added to.
    pub at: NodeTime,
}

/// Entries kept before losses of further scopes are counted under "other".
const MOST_ENTRIES: usize = 1_024;
const OTHER: &str = "other";
/// Bytes of a scope that are kept.
const LONGEST_SCOPE: usize = 256;

/// The ledger. Entries only grow, so that a later copy of one replaces an earlier.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    entries: BTreeMap<(LossReason, String), Loss>,
    changed: BTreeSet<(LossReason, String)>,
    /// Losses counted since the start, and how many of these are on disk.
    added: u64,
    stored: u64,
}

impl Ledger {
    pub(crate) fn add(&mut self, loss: Loss) {
        self.added += 1;
        let key = self.merge(loss);
        self.changed.insert(key);
    }

    /// Takes a loss that a frame has stored already.
    pub(crate) fn add_stored(&mut self, loss: Loss) {
        self.merge(loss);
    }

    /// Adds to the entry of its reason and scope, and says which that is.
    fn merge(&mut self, mut loss: Loss) -> (LossReason, String) {
        let mut cut = loss.scope.len().min(LONGEST_SCOPE);
        while !loss.scope.is_char_boundary(cut) {
            cut -= 1;
        }
        loss.scope.truncate(cut);
        let mut key = (loss.reason, loss.scope.clone());
        if self.entries.len() >= MOST_ENTRIES && !self.entries.contains_key(&key) {
            key.1 = OTHER.into();
            loss.scope = OTHER.into();
        }
        let Some(entry) = self.entries.get_mut(&key) else {
            self.entries.insert(key.clone(), loss);
            return key;
        };
        entry.count = entry.count.saturating_add(loss.count);
        entry.bytes = entry.bytes.saturating_add(loss.bytes);
        entry.last = entry.last.max(loss.last);
        entry.at = entry.at.max(loss.at);
        if entry.first == Seq::ZERO || (loss.first != Seq::ZERO && loss.first < entry.first) {
            entry.first = loss.first;
        }
        key
    }

    /// Takes an entry as it was stored.
    pub(crate) fn restore(&mut self, loss: Loss) {
        let key = (loss.reason, loss.scope.clone());
        let newer = self
            .entries
            .get(&key)
            .is_none_or(|entry| entry.count <= loss.count);
        if newer {
            self.entries.insert(key, loss);
        }
    }

    pub(crate) fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Losses counted since the start.
    pub(crate) fn added(&self) -> u64 {
        self.added
    }

    /// How many of these are on disk.
    pub(crate) fn stored(&self) -> u64 {
        self.stored
    }

    /// The first so many losses are on disk.
    pub(crate) fn are_stored(&mut self, added: u64) {
        self.stored = self.stored.max(added);
    }

    /// Whether every loss counted is on disk.
    pub(crate) fn is_stored(&self) -> bool {
        self.stored == self.added
    }

    /// The entries to store: not more than are kept, with scopes of a bounded length, and so at most a few hundred KB.
    pub(crate) fn take_changed(&mut self) -> Vec<Loss> {
        let changed = std::mem::take(&mut self.changed);
        let entries = changed.iter().filter_map(|key| self.entries.get(key));
        entries.cloned().collect()
    }

    /// As `take_changed`, of the ledger as these losses make it, which are not in it yet.
    pub(crate) fn take_changed_with(&mut self, coming: &[Loss]) -> Vec<Loss> {
        if coming.is_empty() {
            return self.take_changed();
        }
        let mut then = self.clone();
        self.changed.clear();
        coming.iter().for_each(|loss| then.add(loss.clone()));
        then.take_changed()
    }

    /// What was lost to damage: no more entries than there are lanes, and few others.
    pub(crate) fn of_damage(&self) -> Vec<Loss> {
        let is_damage =
            |loss: &&Loss| matches!(loss.reason, LossReason::Damaged | LossReason::TailCut);
        self.entries.values().filter(is_damage).cloned().collect()
    }

    pub(crate) fn entries(&self) -> Vec<Loss> {
        self.entries.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss(scope: &str, first: u64, last: u64) -> Loss {
        let reason = LossReason::DroppedForRoom;
        Loss {
            reason,
            scope: scope.into(),
            count: 1,
            bytes: 10,
            first: Seq(first),
            last: Seq(last),
            at: NodeTime(first),
        }
    }

    #[test]
    fn losses_of_one_reason_and_scope_are_one_entry() {
        let mut ledger = Ledger::default();
        ledger.add(loss("bulk", 7, 9));
        ledger.add(loss("bulk", 3, 4));
        let merged = Loss {
            count: 2,
            bytes: 20,
            first: Seq(3),
            last: Seq(9),
            at: NodeTime(7),
            ..loss("bulk", 3, 4)
        };
        assert_eq!(ledger.entries(), std::slice::from_ref(&merged));
        assert_eq!(ledger.take_changed(), [merged]);
        assert!(!ledger.has_changed());
    }

    #[test]
    fn what_a_frame_brings_is_stored_with_it_and_in_the_ledger_once_it_is() {
        let mut ledger = Ledger::default();
        ledger.add(loss("bulk", 3, 3));
        ledger.add(loss("alarm", 4, 4));
        let coming = [loss("bulk", 7, 7)];
        let stored = ledger.take_changed_with(&coming);
        let counts = |losses: &[Loss]| losses.iter().map(|it| it.count).collect::<Vec<_>>();
        assert_eq!(counts(&stored), [1, 2]);
        assert_eq!(counts(&ledger.entries()), [1, 1]);
        let [coming] = coming;
        ledger.add_stored(coming);
        assert_eq!(ledger.entries(), stored);
        assert!(!ledger.has_changed());
    }

    #[test]
    fn scopes_are_bounded_and_the_rest_is_counted_as_other() {
        let mut ledger = Ledger::default();
        for n in 0..2_000 {
            ledger.add(loss(&format!("client-{n}"), 1, 1));
        }
        let entries = ledger.entries();
        assert_eq!(entries.len(), MOST_ENTRIES + 1);
        assert_eq!(
            entries
                .iter()
                .find(|entry| entry.scope == "other")
                .unwrap()
                .count,
            2_000 - 1_024
        );
    }

    #[test]
    fn a_long_scope_is_cut_at_a_character() {
        let mut ledger = Ledger::default();
        ledger.add(loss(&"ü".repeat(300), 1, 1));
        assert_eq!(ledger.entries()[0].scope, "ü".repeat(128));
    }
}
