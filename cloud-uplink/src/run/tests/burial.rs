//! Dead letters: kept to their bound, and over a crash an event is owed or a dead letter, never neither, never both.

use spool::{ReadLimits, storage::simulated::Simulated};

use super::*;
use crate::{Buried, DeadReason, run::burial::Grave};

const ALL: ReadLimits = ReadLimits {
    records: 10,
    bytes: 1_000,
    lanes: u32::MAX,
};

#[test]
fn dead_letters_are_kept_to_their_bound_and_then_in_the_ledger_and_the_rest_goes_on() {
    run(async {
        let bench = Bench::new(DeadLetters {
            records: 2,
            bytes: 10_000,
        });
        bench.publish(1..=50);
        let sink = TestSink::new(|_, numbers| {
            let bad = |number: &u64| number.is_multiple_of(10);
            let refuse = |number: &u64| match bad(number) {
                true => Outcome::Refused {
                    error: "never".to_owned(),
                },
                false => Outcome::Accepted,
            };
            Some(Answer::Each(numbers.iter().map(refuse).collect()))
        });
        let running = bench.start(&sink, Limits::default());
        let status = running
            .until(|status| status.acknowledged + status.dead_letters == 50)
            .await;
        assert_eq!((status.dead_letters, status.dead_letters_lost), (5, 3));
        let kept = bench.source.buried.lock().unwrap().clone();
        assert_eq!(
            kept,
            [
                (10, "refused: never".to_owned(), 1),
                (20, "refused: never".to_owned(), 1)
            ]
        );
        assert_eq!(
            bench.lost(),
            BTreeMap::from([(LossReason::DeadLetterBound, 3)])
        );
        running.stop().await;
    });
}

#[test]
fn a_dead_letter_and_the_acknowledgement_of_its_event_are_in_one_commit() {
    for (is_committed, expected) in [(false, [1, 0]), (true, [0, 1])] {
        let storage = Simulated::new(1);
        let spool = open(&storage);
        let (drain, seq) = owed_one_event(&spool, 1, 1);
        while spool.commit_once() {}
        let buries = drain.bury(&[Grave {
            seq,
            reason: DeadReason::Refused("never".to_owned()),
            tries: 1,
        }]);
        assert_eq!(buries.done, [(seq, Buried::Kept)]);
        if is_committed {
            assert!(spool.commit_once());
            assert!(!spool.commit_once(), "it is one commit");
        }
        let after = open(&storage.crash());
        let owed = ["sink", "dead"].map(|name| {
            let cursor = after.cursor(name).unwrap();
            let batch = after.read(cursor, Seq::ZERO, ALL);
            batch.unwrap().entries.len()
        });
        assert_eq!(owed, expected);
    }
}

/// Else the node would tell of it by another, which its receiver would refuse in its turn.
#[test]
fn what_finds_no_place_among_the_dead_letters_is_in_the_ledger_unless_it_tells_of_a_loss() {
    for (number, lost) in [(1, 1), (GAP, 0)] {
        let spool = open(&Simulated::new(1));
        let (drain, seq) = owed_one_event(&spool, number, 0);
        while spool.commit_once() {}
        let buries = drain.bury(&[Grave {
            seq,
            reason: DeadReason::Refused("never".to_owned()),
            tries: 1,
        }]);
        assert_eq!(buries.done, [(seq, Buried::AtBound)]);
        let status = spool.status();
        let counted: u64 = status.ledger.iter().map(|loss| loss.count).sum();
        assert_eq!(counted, lost, "{number}");
        let cursor = spool.cursor_status(drain.cursor).unwrap();
        assert_eq!(cursor.pending_records, 0, "{number}");
    }
}

fn open(storage: &Simulated) -> Spool {
    let options = Options {
        bound_bytes: Some(64 << 20),
        min_free_percent: 0,
        ..Options::default()
    };
    let storage = Arc::new(storage.clone());
    let (spool, _) = Spool::open(storage, options, NodeTime(1000), Arc::new(|| {})).unwrap();
    spool.replay_state(&mut |_| {}).unwrap();
    spool
}

fn owed_one_event(spool: &Spool, number: u64, letters: u64) -> (Drain<TestSource, TestSink>, Seq) {
    let mut transaction = spool.transaction(NodeTime(1000));
    let cursor = transaction.create_cursor("sink", Start::Now, None).unwrap();
    let graveyard = transaction.create_cursor("dead", Start::Now, None).unwrap();
    let head = Head {
        kind: Kind::Event,
        lane: Lane(1),
        route: transaction.route(&[cursor], b"").unwrap(),
    };
    let event = transaction.append(head, |body| body.extend(number.to_be_bytes()));
    transaction.finish();
    let source = TestSource::new(graveyard, spool.clone());
    let drain = Drain {
        name: "sink".to_owned(),
        spool: spool.clone(),
        cursor,
        until: None,
        lanes: vec![Lane(1)],
        limits: Limits::default(),
        drop_expired: false,
        dead_letters_max: DeadLetters {
            records: letters,
            bytes: 1_000,
        },
        source: Arc::new(source),
        sink: TestSink::new(|_, _| None),
        commits: watch::channel(Seq::ZERO).1,
    };
    (drain, event.unwrap())
}
