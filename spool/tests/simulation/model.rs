//! What the log ought to hold, kept in plain maps.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use spool::{CursorId, Entry, Kind, Lane, NodeTime, RouteId, Seq};

/// A record as it was appended.
#[derive(Clone, Debug)]
pub struct Record {
    pub serial: u64,
    pub len: usize,
    pub kind: Kind,
    pub lane: Lane,
    pub time: NodeTime,
    pub route: RouteId,
    pub owed_to: Vec<CursorId>,
}

/// How far an acknowledgement has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    /// Part of a transaction that is not committed.
    Waiting,
    /// Given at this time; a crash may take it back for a while.
    Lazy { at: NodeTime },
    /// No crash takes it back.
    Durable,
}

#[derive(Debug)]
pub struct Cursor {
    pub name: String,
    /// The last position appended before the cursor was created.
    pub since: u64,
    pub acks: BTreeMap<u64, Ack>,
    /// Owed records it lost to a bound.
    pub lost: BTreeSet<u64>,
}

/// A transaction that is not known to be committed.
#[derive(Debug, Default)]
pub struct Waiting {
    pub last: u64,
    pub records: Vec<u64>,
    pub acks: Vec<(CursorId, u64)>,
    pub created: Vec<CursorId>,
    pub removed: Vec<CursorId>,
}

/// The owner's state: a chain over every state-bearing record, so that one that is missing, doubled or out of order
/// is seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    pub covers: u64,
    pub chain: u64,
}

impl Owner {
    pub fn encode(self) -> Vec<u8> {
        [self.covers.to_le_bytes(), self.chain.to_le_bytes()].concat()
    }

    pub fn decode(bytes: &[u8]) -> Owner {
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        assert_eq!(bytes.len(), 16, "a checkpoint comes back whole");
        Owner {
            covers: word(0),
            chain: word(8),
        }
    }

    fn apply(&mut self, serial: u64) {
        self.chain = (self.chain ^ serial)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(17);
    }
}

#[derive(Default)]
pub struct Model {
    pub records: BTreeMap<u64, Record>,
    pub cursors: BTreeMap<CursorId, Cursor>,
    pub waiting: VecDeque<Waiting>,
    pub committed: u64,
    pub next_serial: u64,
    lost_by_removed: BTreeSet<u64>,
}

impl Model {
    /// Every body is different, and known from its serial number.
    pub fn body(serial: u64, len: usize) -> Vec<u8> {
        let mut rng = fastrand::Rng::with_seed(serial);
        let mut body = serial.to_le_bytes().to_vec();
        body.extend(std::iter::repeat_with(|| rng.u8(..)).take(len.saturating_sub(8)));
        body
    }

    /// The owner's state after every record up to `seq`.
    pub fn owner(&self, seq: u64) -> Owner {
        let mut owner = Owner {
            covers: seq,
            chain: 0,
        };
        for record in self
            .records
            .range(..=seq)
            .map(|(_, record)| record)
            .filter(|record| is_state(record.kind))
        {
            owner.apply(record.serial);
        }
        owner
    }

    pub fn state_after(&self, seq: u64) -> Vec<u64> {
        (self.records.range(seq + 1..))
            .filter(|(_, record)| is_state(record.kind))
            .map(|(seq, _)| *seq)
            .collect()
    }

    /// The entry is what was appended at its position.
    pub fn check(&self, entry: &Entry) {
        let Some(record) = self.records.get(&entry.seq.0) else {
            panic!(
                "{:?} was never appended, or was lost in a crash and is back",
                entry.seq
            )
        };
        let seq = entry.seq;
        assert!(
            *entry.body == Model::body(record.serial, record.len),
            "{seq:?} has a body that was not appended"
        );
        assert_eq!(
            (entry.kind, entry.lane),
            (record.kind, record.lane),
            "{seq:?}"
        );
        assert_eq!(
            (entry.time, entry.route),
            (record.time, record.route),
            "{seq:?}"
        );
    }

    /// Committed positions owed to a cursor and not acknowledged, in order; the flag says that it is certain.
    pub fn owed(&self, id: CursorId) -> Vec<(u64, bool)> {
        let cursor = &self.cursors[&id];
        (self
            .records
            .range(cursor.since + 1..=self.committed.max(cursor.since + 1)))
        .filter(|(seq, record)| {
            **seq <= self.committed && is_event(record.kind) && record.owed_to.contains(&id)
        })
        .filter(|(seq, _)| !cursor.lost.contains(seq))
        .filter_map(|(seq, _)| match cursor.acks.get(seq) {
            None => Some((*seq, true)),
            Some(Ack::Waiting) => Some((*seq, false)),
            Some(Ack::Lazy { .. } | Ack::Durable) => None,
        })
        .collect()
    }

    /// Records owed to a cursor once everything that waits is committed.
    pub fn debt(&self, id: CursorId) -> u64 {
        let cursor = &self.cursors[&id];
        let is_owed = |(seq, record): &(&u64, &Record)| {
            is_event(record.kind)
                && record.owed_to.contains(&id)
                && !cursor.lost.contains(seq)
                && !cursor.acks.contains_key(seq)
        };
        let behind = self.records.range(cursor.since + 1..);
        behind.filter(is_owed).count() as u64
    }

    /// Whether the removal of a cursor waits.
    pub fn is_leaving(&self, id: CursorId) -> bool {
        let mut waiting = self.waiting.iter();
        waiting.any(|transaction| transaction.removed.contains(&id))
    }

    /// Positions somebody is still owed.
    pub fn live(&self) -> BTreeSet<u64> {
        self.cursors
            .keys()
            .flat_map(|id| self.owed(*id))
            .filter(|(_, certain)| *certain)
            .map(|(seq, _)| seq)
            .collect()
    }

    pub fn committed_to(&mut self, seq: Seq) {
        assert!(
            seq.0 >= self.committed,
            "what was committed stays committed"
        );
        self.committed = seq.0;
        while self
            .waiting
            .front()
            .is_some_and(|transaction| transaction.last <= seq.0)
        {
            let transaction = self.waiting.pop_front().unwrap();
            self.settle(&transaction);
        }
    }

    fn settle(&mut self, transaction: &Waiting) {
        for (cursor, seq) in &transaction.acks {
            if let Some(cursor) = self.cursors.get_mut(cursor) {
                cursor.acks.insert(*seq, Ack::Durable);
            }
        }
        for cursor in &transaction.removed {
            let removed = self.cursors.remove(cursor);
            self.lost_by_removed
                .extend(removed.into_iter().flat_map(|cursor| cursor.lost));
        }
    }

    /// Records of a lane that somebody lost.
    pub fn lost_of_lane(&self, lane: Lane) -> BTreeSet<u64> {
        let lost = self
            .cursors
            .values()
            .flat_map(|cursor| &cursor.lost)
            .chain(&self.lost_by_removed);
        lost.copied()
            .filter(|seq| self.records[seq].lane == lane)
            .collect()
    }

    /// After a crash: transactions that were not known to be committed are whole or not there at all, and none is there
    /// behind one that is not. `is_there` says so for a record, and for whether a cursor exists.
    pub fn recovered_to(
        &mut self,
        found: Seq,
        is_there: impl Fn(u64, Kind) -> bool,
        exists: impl Fn(CursorId) -> bool,
    ) {
        assert!(
            found.0 >= self.committed,
            "{} were acknowledged, {} are there",
            self.committed,
            found.0
        );
        let (mut cut, mut unknown) = (false, BTreeSet::new());
        // That a cursor which was not created is not there says nothing of its removal.
        let mut never_there = BTreeSet::new();
        while let Some(transaction) = self.waiting.pop_front() {
            let records = transaction
                .records
                .iter()
                .map(|seq| is_there(*seq, self.records[seq].kind));
            let created = transaction.created.iter().map(|id| exists(*id));
            let removed = transaction.removed.iter();
            let removed = removed.map(|id| !never_there.contains(id) && !exists(*id));
            let parts: Vec<bool> = records.chain(created).chain(removed).collect();
            let whole = parts.iter().all(|part| *part);
            assert!(
                whole || !parts.contains(&true),
                "half of {transaction:?} is there"
            );
            // One of acknowledgements alone does not show; they are looked at one by one.
            assert!(
                !(cut && whole) || parts.is_empty(),
                "{transaction:?} is there and one before it is not"
            );
            cut |= !whole;
            if parts.is_empty() {
                unknown.extend(transaction.acks.iter().copied().filter(|_| !cut));
            } else if whole {
                self.settle(&transaction);
            } else {
                never_there.extend(transaction.created.iter().copied());
                self.forget(&transaction, &unknown);
            }
        }
        self.committed = found.0;
    }

    /// The end of the log was damaged.
    pub fn cut_to(&mut self, found: Seq) {
        self.records.retain(|seq, _| *seq <= found.0);
        self.waiting.clear();
        self.committed = found.0;
    }

    /// Takes a transaction back that is not there. One before it, which is there or may be, can have brought the same
    /// acknowledgement.
    fn forget(&mut self, transaction: &Waiting, kept: &BTreeSet<(CursorId, u64)>) {
        for (id, seq) in transaction.acks.iter().filter(|ack| !kept.contains(ack)) {
            if let Some(cursor) = self.cursors.get_mut(id) {
                cursor
                    .acks
                    .retain(|acked, ack| acked != seq || *ack != Ack::Waiting);
            }
        }
        for cursor in &transaction.created {
            self.cursors.remove(cursor);
        }
        for seq in &transaction.records {
            self.records.remove(seq);
        }
    }

    /// Acknowledgements from before `until` are safe.
    pub fn acks_saved(&mut self, until: NodeTime) {
        for ack in self
            .cursors
            .values_mut()
            .flat_map(|cursor| cursor.acks.values_mut())
        {
            if matches!(ack, Ack::Lazy { at } if *at <= until) {
                *ack = Ack::Durable;
            }
        }
    }
}

pub fn is_state(kind: Kind) -> bool {
    matches!(kind, Kind::State | Kind::EventAndState)
}

pub fn is_event(kind: Kind) -> bool {
    matches!(kind, Kind::Event | Kind::EventAndState)
}
