//! Crashes, stops and disks that fail, and what the next process finds.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use spool::{
    CursorId, Health, Kind, LossReason, NodeTime, OpenError, Options, Recovery, Seq, Spool,
    StorageError,
    storage::simulated::{Faults, Simulated},
};

use super::{NEVER, World};
use crate::model::Ack;

impl World {
    /// The machine stops, and a new process opens what it finds.
    pub fn crash(&mut self) {
        self.observe();
        self.crashes += 1;
        self.storage = self.storage.crash();
        self.storage.set_capacity(1 << 30);
        self.faults = false;
        if self.rng.u8(..4) == 0 {
            self.storage.crash_at(self.rng.u64(..8));
        }
        self.reopen(false);
    }

    pub fn close(&mut self) {
        let owner = self.model.owner(self.spool.appended().0);
        match self.spool.close(owner.encode(), self.now) {
            Ok(()) => {
                self.observe();
                self.storage.set_faults(Faults::default());
                self.storage.set_capacity(1 << 30);
                self.faults = false;
                assert_eq!(
                    self.model.committed,
                    self.spool.appended().0,
                    "closing commits everything"
                );
                self.model.acks_saved(self.now);
                self.reopen(true);
            }
            Err(error) => {
                assert!(self.faults || self.storage.crashed(), "{error}");
                self.crash();
            }
        }
    }

    pub fn reopen(&mut self, clean: bool) {
        self.now.0 += self.rng.u64(..5_000);
        let (spool, recovery) = loop {
            let opened = try_open(&self.storage, &self.options, self.now);
            if self.storage.crashed() {
                // The machine stopped again during recovery.
                self.storage = self.storage.crash();
                continue;
            }
            match opened {
                Ok(opened) => break opened,
                // One that gives back nothing of a file is waited for.
                Err(OpenError::Storage { .. }) if self.storage.is_any_file_away() => {
                    self.storage.restore_sectors();
                }
                Err(error) => panic!("a log opens whatever it finds: {error}"),
            }
        };
        self.spool = spool;
        self.storage.crash_at(NEVER);
        if clean && !self.damaged {
            assert!(recovery.clean, "it was closed");
            assert_eq!(recovery.findings, Vec::<String>::new());
        }
        let ledger = self.spool.status().ledger;
        let damage = ledger
            .iter()
            .find(|loss| loss.reason == LossReason::Damaged);
        assert!(
            self.damaged || damage.is_none(),
            "a crash is not damage: {damage:?}, {:?}",
            recovery.findings
        );
        let replayed = self.replay();
        let unreadable = self.unreadable;
        let is_there = |seq: u64, kind: Kind| match kind {
            Kind::State => replayed.contains(&seq),
            Kind::Event | Kind::EventAndState => match self.spool.read_at(Seq(seq)) {
                Ok(entry) => entry.is_some(),
                // It is there, and nobody may read it yet.
                Err(StorageError::Withheld) if unreadable => true,
                Err(error) => panic!("{seq}: {error}"),
            },
        };
        let exists = |id: CursorId| self.spool.cursor_status(id).is_some();
        let found = self.spool.committed();
        if self.damaged && found.0 < self.model.committed {
            let gone = self.model.records.range(found.0 + 1..=self.model.committed);
            for (seq, _) in gone {
                assert!(self.is_entered(*seq), "{seq} is gone, and nothing says so");
            }
            self.model.cut_to(found);
        }
        self.model.recovered_to(found, is_there, exists);
        self.verify_state(
            recovery.checkpoint.as_deref(),
            &replayed,
            &recovery.findings,
        );
        for seq in std::mem::take(&mut self.pinned) {
            if self.model.records.contains_key(&seq) {
                self.spool.pin(Seq(seq));
                self.pinned.insert(seq);
            }
        }
        self.require_cursors();
        self.settle_acks();
        self.verify();
    }

    fn replay(&self) -> Vec<u64> {
        let mut replayed = Vec::new();
        self.spool
            .replay_state(&mut |entry| {
                self.model.check(entry);
                replayed.push(entry.seq.0);
            })
            .expect("the disk reads");
        replayed
    }

    /// Acknowledgements that were not safe are found kept or taken back; from here on they stay what they are.
    fn settle_acks(&mut self) {
        let ids: Vec<CursorId> = self.model.cursors.keys().copied().collect();
        for id in ids {
            let Some(entries) = self.read(id, usize::MAX) else {
                continue;
            };
            let given: BTreeSet<u64> = entries.iter().map(|entry| entry.seq.0).collect();
            let damaged = self.damaged;
            let cursor = self.model.cursors.get_mut(&id).unwrap();
            cursor.acks.retain(|seq, ack| match ack {
                Ack::Durable => !damaged || !given.contains(seq),
                Ack::Lazy { .. } | Ack::Waiting => !given.contains(seq),
            });
            cursor.acks.values_mut().for_each(|ack| *ack = Ack::Durable);
            // What was given up and not yet committed as given up is back.
            cursor.lost.retain(|seq| !given.contains(seq));
        }
    }

    pub fn set_faults(&mut self, faults: Faults) {
        self.faults |= faults != Faults::default();
        self.storage.set_faults(faults);
    }

    /// Once the disk works again, everything that waits is committed.
    pub fn recover_from_faults(&mut self) {
        self.storage.crash_at(NEVER);
        self.storage.set_faults(Faults::default());
        self.storage.set_capacity(1 << 30);
        for _ in 0..20 {
            self.pass(Duration::from_secs(1));
            self.spool.commit_once();
            self.spool.housekeep_once(self.now);
        }
        self.observe();
        if self.storage.crashed() {
            return self.crash();
        }
        assert_eq!(
            self.spool.status().health,
            Health::Ok,
            "the disk works again"
        );
        assert_eq!(
            self.spool.committed(),
            self.spool.appended(),
            "everything that waited is committed"
        );
        self.faults = false;
    }
}

pub fn open(storage: &Simulated, options: &Options, now: NodeTime) -> (Spool, Recovery) {
    try_open(storage, options, now).expect("a log opens whatever it finds")
}

fn try_open(
    storage: &Simulated,
    options: &Options,
    now: NodeTime,
) -> Result<(Spool, Recovery), OpenError> {
    Spool::open(
        Arc::new(storage.clone()),
        options.clone(),
        now,
        Arc::new(|| {}),
    )
}
