//! What must hold of a log at any time: compared with the model.

use std::collections::BTreeSet;

use spool::{CursorId, Entry, LossReason, Seq};

use super::World;
use crate::model::{Cursor, Owner, is_event};

impl World {
    /// Every cursor gives exactly what it is owed.
    pub fn verify(&mut self) {
        self.observe();
        let leaving: Vec<CursorId> = self
            .model
            .waiting
            .iter()
            .flat_map(|waiting| waiting.removed.clone())
            .collect();
        let ids: Vec<CursorId> = self
            .model
            .cursors
            .keys()
            .copied()
            .filter(|id| !leaving.contains(id))
            .collect();
        for id in ids {
            if let Some(entries) = self.read(id, usize::MAX) {
                self.verify_cursor(id, &entries);
            }
        }
        for seq in self.pinned.clone() {
            match self.spool.read_at(Seq(seq)) {
                Ok(Some(entry)) => self.model.check(&entry),
                Ok(None) => assert!(self.damaged, "{seq} is pinned and gone"),
                Err(error) => assert!(self.may_fail(&error), "{seq} is pinned: {error}"),
            }
        }
    }

    fn verify_cursor(&mut self, id: CursorId, entries: &[Entry]) {
        let since = self.model.cursors[&id].since;
        let given: BTreeSet<u64> = entries
            .iter()
            .filter(|entry| entry.owed)
            .map(|entry| entry.seq.0)
            .collect();
        for entry in entries {
            assert!(is_event(entry.kind), "{:?} is no event", entry.seq);
            let record = &self.model.records[&entry.seq.0];
            let owed = entry.seq.0 > since && record.owed_to.contains(&id);
            assert_eq!(
                entry.owed, owed,
                "{:?} for {id:?} created after {since}",
                entry.seq
            );
            assert!(
                owed || entry.seq.0 <= since,
                "{:?} is neither owed nor from before {id:?}",
                entry.seq
            );
        }
        let owed = self.model.owed(id);
        let allowed: BTreeSet<u64> = owed.iter().map(|(seq, _)| *seq).collect();
        if let Some(seq) = given.difference(&allowed).next().filter(|_| !self.damaged) {
            let ack = self.model.cursors[&id].acks.get(seq);
            panic!(
                "{seq} is given to {id:?} again: {ack:?}, committed {}",
                self.model.committed
            );
        }
        for (seq, _) in owed
            .iter()
            .filter(|(seq, certain)| *certain && !given.contains(seq))
        {
            self.require_ledger_entry(id, *seq);
            self.model.cursors.get_mut(&id).unwrap().lost.insert(*seq);
        }
        if !self.damaged && !self.faults {
            let pending = self.spool.cursor_status(id).unwrap().pending_records;
            let owed = given.len() as u64;
            // What the cleaner left out between acknowledged and owed is counted until the cursor has drained.
            assert!(pending >= owed, "{pending} of {owed} owed to {id:?}");
        }
    }

    fn require_ledger_entry(&self, id: CursorId, seq: u64) {
        let record = &self.model.records[&seq];
        let lane = &self.options.lanes[usize::from(record.lane.0)].name;
        let cursor = &self.model.cursors[&id];
        let ledger = self.spool.status().ledger;
        let entered = ledger.iter().any(|loss| {
            let covers = loss.first.0 <= seq && seq <= loss.last.0;
            match loss.reason {
                LossReason::DroppedForRoom => covers && loss.scope == *lane,
                LossReason::SessionBound => covers && loss.scope == cursor.name,
                LossReason::Damaged | LossReason::TailCut => self.damaged && covers,
                _ => false,
            }
        });
        assert!(
            entered,
            "{seq} is owed to {id:?} ({}), gone, and not in the ledger: {ledger:#?}",
            cursor.name
        );
    }

    /// Whether the ledger says that a position is damaged.
    pub(super) fn is_entered(&self, seq: u64) -> bool {
        let ledger = self.spool.status().ledger;
        ledger.iter().any(|loss| {
            matches!(loss.reason, LossReason::Damaged | LossReason::TailCut)
                && (loss.first.0..=loss.last.0).contains(&seq)
        })
    }

    /// Damage may take a cursor. What it was owed is in the ledger then.
    pub(super) fn require_cursors(&mut self) {
        let there = |cursor: &Cursor| self.spool.cursor(&cursor.name);
        let gone: Vec<CursorId> = (self.model.cursors.iter())
            .filter(|(id, cursor)| there(cursor) != Some(**id))
            .map(|(id, _)| *id)
            .collect();
        assert!(self.damaged || gone.is_empty(), "{gone:?} are gone");
        for id in gone {
            for (seq, _) in self
                .model
                .owed(id)
                .into_iter()
                .filter(|(_, certain)| *certain)
            {
                self.require_ledger_entry(id, seq);
            }
            self.model.cursors.remove(&id);
        }
    }

    pub(super) fn verify_state(
        &mut self,
        checkpoint: Option<&[u8]>,
        replayed: &[u64],
        findings: &[String],
    ) {
        let owner = checkpoint.map(Owner::decode).unwrap_or_default();
        assert!(
            owner.covers <= self.model.committed,
            "a checkpoint covers only what is committed"
        );
        let expected = self.model.state_after(owner.covers);
        if self.damaged {
            assert!(replayed.is_sorted(), "{replayed:?}");
            for seq in expected.iter().filter(|seq| !replayed.contains(seq)) {
                assert!(self.is_entered(*seq), "state at {seq} is missing");
            }
            return;
        }
        assert_eq!(
            owner,
            self.model.owner(owner.covers),
            "the checkpoint is what was given, as of its position"
        );
        assert_eq!(replayed, expected, "after {}, {findings:?}", owner.covers);
    }
}
