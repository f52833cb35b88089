use std::{num::NonZeroU16, sync::Arc};

use spool::{
    CursorId, Options, Start,
    clock::{ClockMark, WallTime},
    storage::simulated::Simulated,
};

use super::*;
use crate::mqtt::packet::QoS;

const NOW: NodeTime = NodeTime(90_000);
const DIED: NodeTime = NodeTime(60_000);
const STORED: NodeTime = NodeTime(40_000);
const LANE: Lane = Lane(2);

const ALL: ReadLimits = ReadLimits {
    records: 100_000,
    bytes: usize::MAX,
    lanes: u32::MAX,
};

struct Yard {
    storage: Simulated,
    graveyard: Graveyard,
}

impl Yard {
    fn new(bound_bytes: u64) -> Yard {
        let storage = Simulated::new(1);
        let spool = open(&storage, bound_bytes);
        let mut transaction = spool.transaction(DIED);
        let mut cursor = |name| transaction.create_cursor(name, Start::Now, None).unwrap();
        cursor("uplink/other");
        let cursors = SinkCursors {
            debt: cursor("uplink/mesh"),
            dead: cursor("dead/mesh"),
        };
        transaction.finish();
        let clock = ClockMark {
            node: NOW,
            wall: WallTime(0),
        };
        let graveyard = Graveyard {
            sink: "mesh".to_owned(),
            cursors,
            spool,
            clock: Arc::new(move || clock),
        };
        Yard { storage, graveyard }
    }

    fn bury(&self, seqs: impl IntoIterator<Item = u64>) {
        let mut transaction = self.graveyard.spool.transaction(DIED);
        for seq in seqs {
            let mut body = Vec::new();
            event(250).encode(&mut body);
            let dead = DeadRecord {
                sink: "mesh",
                seq: Seq(seq),
                reason: "no",
                tries: 1,
                was: Some((LANE, STORED)),
                body: &body,
            };
            let head = Head {
                kind: Kind::Event,
                lane: Lane(1),
                route: transaction
                    .route(&[self.graveyard.cursors.dead], &[])
                    .unwrap(),
            };
            transaction.append(head, |out| dead.encode(out)).unwrap();
        }
        transaction.finish();
        self.commit();
    }

    fn commit(&self) {
        while self.graveyard.spool.commit_once() {}
    }

    async fn settle(&self, fate: DeadFate) -> Result<u64, DeadError> {
        let durable = async |seq| {
            self.commit();
            self.graveyard.spool.committed() >= seq
        };
        self.graveyard.settle(fate, durable).await
    }

    fn kept(&self, cursor: CursorId) -> u64 {
        let status = self.graveyard.spool.cursor_status(cursor).unwrap();
        status.pending_records
    }
}

/// It would be retained, and its identifier be taken, if it were folded once more.
fn event(waited_ms: u32) -> PublishRecord<'static> {
    PublishRecord {
        qos: QoS::ExactlyOnce,
        retain: true,
        will: false,
        packet_id: NonZeroU16::new(7),
        waited_ms,
        place: None,
        sender: "pump",
        origin: "",
        topic: "pump/7",
        properties: b"",
        minted: b"minted",
        settled: b"settled",
        payload: b"21.5",
    }
}

fn open(storage: &Simulated, bound_bytes: u64) -> Spool {
    let options = Options {
        bound_bytes: Some(bound_bytes),
        segment_bytes: Some(64 << 10),
        min_free_percent: 0,
        ..Options::default()
    };
    let storage = Arc::new(storage.clone());
    let (spool, _) = Spool::open(storage, options, DIED, Arc::new(|| {})).unwrap();
    let fold = |entry: &Entry| panic!("{entry:?} changes the node's state");
    spool.replay_state(&mut { fold }).unwrap();
    spool
}

#[test]
fn a_dead_letter_is_owed_to_its_sink_alone_in_the_commit_that_takes_it_from_the_dead() {
    for (is_committed, expected) in [(false, [0, 0, 1]), (true, [1, 0, 0])] {
        let yard = Yard::new(64 << 20);
        yard.bury([5]);
        let step = yard.graveyard.step(DeadFate::Retry, Seq::ZERO, Seq(1000));
        assert_eq!(step.unwrap().done, 1);
        if is_committed {
            assert!(yard.graveyard.spool.commit_once());
            assert!(!yard.graveyard.spool.commit_once(), "it is one commit");
        }
        let after = open(&yard.storage.crash(), 64 << 20);
        let owed = ["uplink/mesh", "uplink/other", "dead/mesh"].map(|name| {
            let cursor = after.cursor(name).unwrap();
            after.read(cursor, Seq::ZERO, ALL).unwrap().entries
        });
        assert_eq!(owed.each_ref().map(Vec::len), expected);
        if let [again] = &owed[0][..] {
            let mut body = Vec::new();
            event(250 + 50_000).encode(&mut body);
            assert_eq!(
                *again.body,
                body[..],
                "its expiry goes on, all else is as it was"
            );
            assert_eq!(again.lane, LANE);
        }
    }
}

#[tokio::test]
async fn what_is_dropped_is_in_the_ledger_and_stays_dropped() {
    let yard = Yard::new(64 << 20);
    yard.bury(1..=300);
    let cursor = yard.graveyard.cursors.dead;
    let kept = yard.graveyard.spool.read(cursor, Seq::ZERO, ALL).unwrap();
    let bytes = kept.entries.iter().map(|it| it.body.len() as u64).sum();
    let [first, last] = [kept.entries.first(), kept.entries.last()].map(|it| it.unwrap().seq);
    assert_eq!(yard.settle(DeadFate::Drop).await, Ok(300));
    let after = Graveyard {
        spool: open(&yard.storage.crash(), 64 << 20),
        ..yard.graveyard.clone()
    };
    after.count().unwrap();
    for spool in [&yard.graveyard.spool, &after.spool] {
        for name in ["dead/mesh", "uplink/mesh"] {
            let cursor = spool.cursor(name).unwrap();
            // A read would count what is kept.
            let status = spool.cursor_status(cursor).unwrap();
            assert_eq!(status.pending_records, 0, "{name}");
            let owed = spool.read(cursor, Seq::ZERO, ALL).unwrap().entries;
            assert_eq!(owed.len(), 0, "{name}");
        }
        let ledger = spool.status().ledger.into_iter();
        let ledger = ledger.map(|loss| (loss.reason, loss.scope, loss.count, loss.bytes));
        let scope = "dead/mesh".to_owned();
        let expected = (LossReason::CursorRemoved, scope, 300, bytes);
        assert_eq!(ledger.collect::<Vec<_>>(), [expected]);
        let loss = &spool.status().ledger[0];
        assert_eq!((loss.first, loss.last), (first, last));
    }
}

#[tokio::test]
async fn more_than_a_cursor_holds_ahead_are_owed_again_each_once_but_not_what_dies_meanwhile() {
    let yard = Yard::new(64 << 20);
    (0..50).for_each(|part| yard.bury(part * 100 + 1..=part * 100 + 100));
    let fresh = std::cell::Cell::new(Some(5001));
    let durable = async |seq| {
        yard.commit();
        if let Some(fresh) = fresh.take() {
            yard.bury([fresh]);
        }
        yard.graveyard.spool.committed() >= seq
    };
    let settled = yard.graveyard.settle(DeadFate::Retry, durable).await;
    assert_eq!(settled, Ok(5000));
    assert_eq!(fresh.get(), None, "one died meanwhile");
    let cursors = yard.graveyard.cursors;
    assert_eq!(
        (yard.kept(cursors.debt), yard.kept(cursors.dead)),
        (5000, 1)
    );
}

#[tokio::test]
async fn without_room_in_the_log_dead_letters_stay_and_the_answer_says_so() {
    let yard = Yard::new(12 * (64 << 10));
    yard.bury([1]);
    let cursors = yard.graveyard.cursors;
    let fill = |bytes| {
        let mut transaction = yard.graveyard.spool.transaction(NOW);
        let head = Head {
            kind: Kind::Event,
            lane: Lane(1),
            route: transaction.route(&[cursors.debt], &[])?,
        };
        let appended = transaction.append(head, |body| body.resize(bytes, 0));
        transaction.finish();
        yard.commit();
        appended
    };
    let full = [10_000, 1_000, 1].map(|bytes| (0..10_000).find_map(|_| fill(bytes).err()));
    let what = full[2].unwrap().to_string();
    let settled = yard.settle(DeadFate::Retry).await;
    assert_eq!(settled, Err(DeadError::Unavailable { what, done: 0 }));
    assert_eq!(yard.kept(cursors.dead), 1);
}

#[tokio::test]
async fn a_log_that_commits_nothing_says_so_in_time() {
    let yard = Yard::new(64 << 20);
    yard.bury([1]);
    let settled = yard.graveyard.settle(DeadFate::Drop, async |_| false).await;
    let error = DeadError::Unavailable {
        what: "the log does not take it".to_owned(),
        done: 1,
    };
    assert_eq!(settled, Err(error));
}
