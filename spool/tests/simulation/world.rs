//! A log over simulated storage beside its model, driven one step at a time.

mod restart;
mod verify;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use spool::{
    CursorId, Entry, Full, Head, Health, Kind, Lane, LossReason, NodeTime, Options, ReadLimits,
    RouteId, Seq, Spool, Start, StorageError, storage::simulated::Simulated,
};

pub use self::restart::open;
use crate::model::{Ack, Cursor, Model, Record, Waiting};

pub const ALL: ReadLimits = ReadLimits {
    records: 64,
    bytes: 16 << 10,
    lanes: u32::MAX,
};

const NEVER: u64 = u64::MAX / 2;

pub struct World {
    pub rng: fastrand::Rng,
    pub storage: Simulated,
    pub spool: Spool,
    pub model: Model,
    pub options: Options,
    pub now: NodeTime,
    pub pinned: BTreeSet<u64>,
    /// Bits were flipped: what is missing must be in the ledger, and repeats have no bound.
    pub damaged: bool,
    /// Some sectors cannot be read: what lies there is withheld from readers for a minute.
    pub unreadable: bool,
    /// No fault was injected since the last full commit.
    pub faults: bool,
    pub crashes: u32,
    /// Of so many terms each route has one.
    pub terms: u8,
}

impl World {
    pub fn new(seed: u64, options: Options) -> World {
        World::on(Simulated::new(seed), seed, options)
    }

    pub fn on(storage: Simulated, seed: u64, options: Options) -> World {
        // The log draws salts; they are not to differ between runs either.
        fastrand::seed(seed);
        let now = NodeTime(1_700_000_000_000);
        let (spool, recovery) = open(&storage, &options, now);
        assert_eq!((recovery.checkpoint, recovery.findings), (None, vec![]));
        let replayed = spool.replay_state(&mut |entry| panic!("{entry:?} was never appended"));
        replayed.expect("the disk reads");
        World {
            rng: fastrand::Rng::with_seed(seed),
            storage,
            spool,
            model: Model::default(),
            options,
            now,
            pinned: BTreeSet::new(),
            damaged: false,
            unreadable: false,
            faults: false,
            crashes: 0,
            terms: 1,
        }
    }

    pub fn pass(&mut self, time: Duration) {
        self.now.0 += u64::try_from(time.as_millis()).unwrap();
    }

    pub fn create_cursor(
        &mut self,
        name: &str,
        start: Start,
        bound_bytes: Option<u64>,
    ) -> CursorId {
        let mut transaction = self.spool.transaction(self.now);
        let id = transaction.create_cursor(name, start, bound_bytes).unwrap();
        let last = transaction.finish().0;
        let (acks, lost) = (BTreeMap::new(), BTreeSet::new());
        // Nothing that was appended so far is owed to it, and everything after is.
        let since = self
            .model
            .records
            .last_key_value()
            .map_or(0, |(seq, _)| *seq);
        assert!(
            !self.model.cursors.contains_key(&id),
            "a cursor's id is never used again"
        );
        self.model.cursors.insert(
            id,
            Cursor {
                name: name.to_owned(),
                since,
                acks,
                lost,
            },
        );
        self.model.waiting.push_back(Waiting {
            last,
            created: vec![id],
            ..Waiting::default()
        });
        self.observe();
        id
    }

    pub fn remove_cursor(&mut self, id: CursorId, reason: Option<LossReason>) {
        let mut transaction = self.spool.transaction(self.now);
        transaction.remove_cursor(id, reason);
        let last = transaction.finish().0;
        self.model.waiting.push_back(Waiting {
            last,
            removed: vec![id],
            ..Waiting::default()
        });
        self.observe();
    }

    /// Appends one record in a transaction of its own.
    pub fn append(
        &mut self,
        kind: Kind,
        lane: u8,
        owed_to: &[CursorId],
        len: usize,
    ) -> Result<Seq, Full> {
        self.transact(&[(kind, Lane(lane), owed_to.to_vec(), len)], &[])
            .1
            .pop()
            .expect("one record was asked for")
    }

    /// Appends and acknowledges in one transaction.
    pub fn transact(
        &mut self,
        appends: &[(Kind, Lane, Vec<CursorId>, usize)],
        acks: &[(CursorId, u64)],
    ) -> (Seq, Vec<Result<Seq, Full>>) {
        let (mut results, mut waiting, mut records) = (Vec::new(), Waiting::default(), Vec::new());
        let mut transaction = self.spool.transaction(self.now);
        for (kind, lane, owed_to, len) in appends {
            let route = match owed_to.as_slice() {
                [] => RouteId::NOBODY,
                cursors => {
                    let terms = [cursors.len() as u8, self.rng.u8(..self.terms)];
                    match transaction.route(cursors, &terms) {
                        Ok(route) => route,
                        Err(full) => {
                            results.push(Err(full));
                            continue;
                        }
                    }
                }
            };
            let serial = self.model.next_serial;
            self.model.next_serial += 1;
            let body = Model::body(serial, *len);
            let head = Head {
                kind: *kind,
                lane: *lane,
                route,
            };
            let result = transaction.append(head, |bytes| bytes.extend_from_slice(&body));
            if let Ok(seq) = result {
                let (time, len, owed_to) = (self.now, body.len(), owed_to.clone());
                records.push((
                    seq.0,
                    Record {
                        serial,
                        len,
                        kind: *kind,
                        lane: *lane,
                        time,
                        route,
                        owed_to,
                    },
                ));
            }
            results.push(result);
        }
        for (cursor, seq) in acks {
            transaction.ack(*cursor, Seq(*seq));
        }
        let last = transaction.finish();
        for (seq, record) in records {
            assert!(
                seq <= last.0,
                "a transaction is durable with its last position"
            );
            waiting.records.push(seq);
            assert!(
                self.model.records.insert(seq, record).is_none(),
                "{seq} was given twice"
            );
        }
        for (cursor, seq) in acks {
            self.model
                .cursors
                .get_mut(cursor)
                .unwrap()
                .acks
                .entry(*seq)
                .or_insert(Ack::Waiting);
        }
        waiting.acks = acks.to_vec();
        waiting.last = last.0;
        self.model.waiting.push_back(waiting);
        self.observe();
        (last, results)
    }

    /// Appends records whose transaction is given up.
    pub fn take_back(&mut self, count: usize) {
        let mut transaction = self.spool.transaction(self.now);
        for _ in 0..count {
            let body = Model::body(self.model.next_serial, 100);
            self.model.next_serial += 1;
            let head = Head {
                kind: Kind::EventAndState,
                lane: Lane(0),
                route: RouteId::NOBODY,
            };
            // Refused or not, it is taken back.
            let _ = transaction.append(head, |bytes| bytes.extend_from_slice(&body));
        }
        drop(transaction);
        self.observe();
    }

    pub fn commit(&mut self) {
        commit_all(&self.spool);
        self.observe();
    }

    pub fn housekeep(&mut self) {
        self.spool.housekeep_once(self.now);
        self.observe();
        if !self.storage.crashed() && !self.faults && self.is_healthy() {
            self.spool.commit_once();
            self.observe();
            if !self.storage.crashed() {
                self.model.acks_saved(NodeTime(self.now.0 - 1_000));
            }
        }
    }

    pub fn checkpoint(&mut self) {
        let owner = self.model.owner(self.spool.appended().0);
        self.spool.checkpoint(owner.encode());
    }

    pub fn is_healthy(&self) -> bool {
        self.spool.status().health == Health::Ok
    }

    /// Whether so much waits for a commit that nothing is taken.
    pub fn is_waiting_full(&self) -> bool {
        self.spool.transaction(self.now).is_waiting_full()
    }

    /// Takes note of what is committed and checks what must always hold.
    pub fn observe(&mut self) {
        let (committed, appended) = (self.spool.committed(), self.spool.appended());
        assert!(
            committed <= appended,
            "{committed:?} committed, {appended:?} appended"
        );
        self.model.committed_to(committed);
        if let Ok(files) = spool::storage::Storage::list(&self.storage) {
            let used: u64 = files.iter().map(|(_, len)| len).sum();
            let bound = self.options.bound_bytes.unwrap();
            assert!(
                used <= bound,
                "{used} bytes on disk, {bound} allowed: {files:?}"
            );
        }
    }

    /// Up to `records` unacknowledged entries of a cursor; `None` if the disk failed.
    pub fn read(&mut self, id: CursorId, records: usize) -> Option<Vec<Entry>> {
        let (mut entries, mut after) = (Vec::new(), Seq::ZERO);
        loop {
            let limits = ReadLimits {
                records: ALL.records.min(records - entries.len()),
                ..ALL
            };
            let batch = match self.spool.read(id, after, limits) {
                Ok(batch) => batch,
                Err(error) if self.may_fail(&error) => return None,
                // Its removal waits for a commit.
                Err(StorageError::NoSuchCursor)
                    if self
                        .model
                        .waiting
                        .iter()
                        .any(|waiting| waiting.removed.contains(&id)) =>
                {
                    return None;
                }
                Err(error) => panic!("read of {id:?} after {after:?}: {error}"),
            };
            assert!(batch.next >= after, "a read goes on");
            assert!(
                batch.at_end || batch.next > after,
                "a read that is not at the end goes on"
            );
            after = batch.next;
            for entry in batch.entries {
                assert!(
                    entries
                        .last()
                        .is_none_or(|last: &Entry| last.seq < entry.seq),
                    "entries come in order"
                );
                assert!(
                    entry.seq <= after,
                    "the next read would give {:?} again",
                    entry.seq
                );
                self.model.check(&entry);
                entries.push(entry);
            }
            if batch.at_end || entries.len() == records {
                return Some(entries);
            }
        }
    }

    /// Whether the disk is such that a read may fail like this.
    pub fn may_fail(&self, error: &StorageError) -> bool {
        match error {
            StorageError::Io { .. } => {
                self.faults || self.storage.crashed() || self.storage.is_any_file_away()
            }
            StorageError::Withheld => self.unreadable,
            StorageError::NoSuchCursor | StorageError::Moved => false,
        }
    }

    /// Reads and acknowledges up to `count` records, leaving some of them out.
    pub fn drain(&mut self, id: CursorId, count: usize, skip: f64) -> usize {
        let Some(entries) = self.read(id, count) else {
            return 0;
        };
        let acked: Vec<Seq> = entries
            .iter()
            .map(|entry| entry.seq)
            .filter(|_| self.rng.f64() >= skip)
            .collect();
        self.ack(id, &acked);
        entries.len()
    }

    pub fn ack(&mut self, id: CursorId, seqs: &[Seq]) {
        self.spool.ack(id, seqs);
        let cursor = self.model.cursors.get_mut(&id).unwrap();
        for seq in seqs {
            cursor.acks.insert(seq.0, Ack::Lazy { at: self.now });
        }
        self.observe();
    }

    /// Once nobody is owed anything, there is room again.
    pub fn require_room_after_draining(&mut self) {
        let ids: Vec<CursorId> = self.model.cursors.keys().copied().collect();
        for id in ids {
            while self.drain(id, 500, 0.0) > 0 {}
        }
        for seq in std::mem::take(&mut self.pinned) {
            self.spool.unpin(Seq(seq));
        }
        for lane in 0..self.options.lanes.len() as u8 {
            let mut result = Err(Full::Waiting);
            for _ in 0..60 {
                self.pass(Duration::from_secs(1));
                if self.spool.checkpoint_due() {
                    self.checkpoint();
                }
                self.commit();
                self.housekeep();
                result = self.append(Kind::Event, lane, &[], 200);
                if result.is_ok() {
                    break;
                }
            }
            assert!(
                result.is_ok(),
                "lane {lane} is still full: {:#?}",
                self.spool.status()
            );
        }
        self.commit();
        let (committed, status) = (self.model.committed, self.spool.status());
        assert_eq!(
            committed,
            self.spool.appended().0,
            "{:?}, {} waiting",
            status.health,
            self.model.waiting.len()
        );
    }
}

/// Commits until nothing waits or the disk does not take it.
pub fn commit_all(spool: &Spool) {
    while spool.commit_once() && spool.status().health == Health::Ok {}
}
