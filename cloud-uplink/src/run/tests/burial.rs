//! Dead letters: kept to their bound, and over a crash an event is owed or a dead letter, never neither, never both.

use spool::{ReadLimits, storage::simulated::Simulated};

use super::*;
use crate::{
    Buried, DeadReason,
    run::burial::{BuryError, Grave},
};

const ALL: ReadLimits = ReadLimits {
    records: 10,
    bytes: 1_000,
    lanes: u32::MAX,
};

const ROOM: DeadLetters = DeadLetters {
    records: 10,
    bytes: 10_000,
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
        let buries = drain.bury(&[grave(seq)], false);
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

#[test]
fn dead_letters_are_kept_to_their_bound_in_bytes() {
    let spool = open(&Simulated::new(1));
    let (mut drain, first) = owed_one_event(&spool, 1, 10);
    let more = [(); 2].map(|()| append(&spool, drain.cursor, 8).unwrap());
    while spool.commit_once() {}
    drain.dead_letters_max.bytes = 2 * 8;
    let [second, third] = more;
    let buries = drain.bury(&[first, second, third].map(grave), false);
    let expected = [Buried::Kept, Buried::Kept, Buried::AtBound];
    assert!(buries.done.iter().map(|it| it.1).eq(expected));
}

#[test]
fn what_cannot_be_read_is_no_dead_letter_yet_and_still_owed() {
    let storage = Simulated::new(1);
    let spool = open(&storage);
    let (drain, seq) = owed_one_event(&spool, 1, 10);
    while spool.commit_once() {}
    storage.spoil_sectors(10_000, None);
    let buries = drain.bury(&[grave(seq)], true);
    assert_eq!(buries.done, []);
    assert!(matches!(buries.error, Some(BuryError::Other(_))));
    let owed = spool.cursor_status(drain.cursor).unwrap();
    assert_eq!(owed.pending_records, 1);
}

#[test]
fn a_dead_letter_that_finds_no_room_is_given_up_in_time_without_a_commit() {
    run(async {
        let bench = Bench::new(ROOM);
        let tries = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&tries);
        *bench.source.on_bury.lock().unwrap() = Some(Box::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
            Err(Full::UnknownRoute)
        }));
        bench.publish(1..=3);
        let sink = refusing(2);
        let limits = Limits {
            bury_for: Duration::from_millis(1_500),
            ..Limits::default()
        };
        let running = bench.start(&sink, limits);
        running.until(|status| status.dead_letters_lost == 1).await;
        assert_eq!(
            bench.lost(),
            BTreeMap::from([(LossReason::DeadLetterBound, 1)])
        );
        let tries = tries.load(Ordering::Relaxed);
        assert!((2..20).contains(&tries), "{tries}: one a second");
        running.stop().await;
    });
}

#[test]
fn a_dead_letter_whose_burial_breaks_is_buried_again() {
    run(async {
        let bench = Bench::new(ROOM);
        let mut is_first = true;
        *bench.source.on_bury.lock().unwrap() = Some(Box::new(move || {
            assert!(!std::mem::take(&mut is_first), "broken once");
            Ok(())
        }));
        bench.publish(1..=3);
        let sink = refusing(2);
        let running = bench.start(&sink, Limits::default());
        let status = running
            .until(|status| status.acknowledged + status.dead_letters == 3)
            .await;
        assert_eq!(status.dead_letters, 1);
        running.stop().await;
    });
}

/// Else the node would tell of it by another, which its receiver would refuse in its turn.
#[test]
fn what_finds_no_place_among_the_dead_letters_is_in_the_ledger_unless_it_tells_of_a_loss() {
    for (number, lost) in [(1, 1), (GAP, 0)] {
        let spool = open(&Simulated::new(1));
        let (drain, seq) = owed_one_event(&spool, number, 0);
        while spool.commit_once() {}
        let buries = drain.bury(&[grave(seq)], false);
        assert_eq!(buries.done, [(seq, Buried::AtBound)]);
        let status = spool.status();
        let counted: u64 = status.ledger.iter().map(|loss| loss.count).sum();
        assert_eq!(counted, lost, "{number}");
        let cursor = spool.cursor_status(drain.cursor).unwrap();
        assert_eq!(cursor.pending_records, 0, "{number}");
    }
}

#[test]
fn what_went_too_far_is_a_loss_only_where_it_finds_no_place_among_the_dead_letters_and_counted_once()
 {
    for (letters, lost) in [(1, None), (0, Some((LossReason::TooManyHops, 1)))] {
        let spool = open(&Simulated::new(1));
        let (drain, seq) = owed_one_event(&spool, 1, letters);
        while spool.commit_once() {}
        let far = Grave {
            reason: DeadReason::TooManyHops,
            ..grave(seq)
        };
        drain.bury(&[far], false);
        let ledger = spool.status().ledger;
        let counted: Vec<_> = ledger.iter().map(|it| (it.reason, it.count)).collect();
        assert_eq!(counted, Vec::from_iter(lost), "{letters}");
    }
}

#[test]
fn on_a_full_log_a_dead_letter_is_tried_again_until_it_is_given_up_to_the_ledger() {
    let spool = open(&Simulated::new(1));
    let (drain, seq) = owed_one_event(&spool, 1, 10);
    while append(&spool, drain.cursor, 10_000).is_ok() {
        while spool.commit_once() {}
    }
    let owed = || spool.read(drain.cursor, Seq::ZERO, ALL).unwrap().entries;
    let buries = drain.bury(&[grave(seq)], false);
    assert_eq!(buries.done, []);
    assert!(matches!(buries.error, Some(BuryError::Room(_))));
    assert_eq!((owed()[0].seq, spool.status().ledger), (seq, Vec::new()));
    let buries = drain.bury(&[grave(seq)], true);
    assert_eq!(buries.done, [(seq, Buried::AtBound)]);
    assert!(buries.error.is_none());
    assert_ne!(owed()[0].seq, seq);
    let ledger = spool.status().ledger;
    let lost = ledger
        .iter()
        .map(|loss| (loss.reason, loss.first, loss.count));
    let expected = (LossReason::DeadLetterBound, seq, 1);
    assert_eq!(lost.collect::<Vec<_>>(), [expected]);
}

#[test]
fn where_too_much_waits_for_a_commit_no_dead_letter_is_given_up() {
    let spool = open(&Simulated::new(1));
    let (drain, seq) = owed_one_event(&spool, 1, 10);
    while spool.commit_once() {}
    let append = || append(&spool, drain.cursor, 10_000);
    assert_eq!((0..9).find_map(|_| append().err()), Some(Full::Waiting));
    let buries = drain.bury(&[grave(seq)], true);
    assert_eq!(buries.done, []);
    assert!(matches!(buries.error, Some(BuryError::Other(_))));
    assert_eq!(spool.status().ledger, []);
}

/// Appends to the lane that is kept longest.
fn append(spool: &Spool, owed_to: CursorId, len: usize) -> Result<Seq, Full> {
    let mut transaction = spool.transaction(NodeTime(1000));
    let head = Head {
        kind: Kind::Event,
        lane: Lane(0),
        route: transaction.route(&[owed_to], b"")?,
    };
    let appended = transaction.append(head, |body| body.resize(body.len() + len, 0));
    transaction.finish();
    appended
}

fn grave(seq: Seq) -> Grave {
    Grave {
        seq,
        reason: DeadReason::Refused("never".to_owned()),
        tries: 1,
    }
}

/// Takes all but this one.
fn refusing(bad: u64) -> Arc<TestSink> {
    TestSink::new(move |_, numbers| {
        let refuse = |number: &u64| match *number == bad {
            true => Outcome::Refused {
                error: "never".to_owned(),
            },
            false => Outcome::Accepted,
        };
        Some(Answer::Each(numbers.iter().map(refuse).collect()))
    })
}

fn open(storage: &Simulated) -> Spool {
    let options = Options {
        bound_bytes: Some(12 * (64 << 10)),
        segment_bytes: Some(64 << 10),
        min_free_percent: 0,
        waiting_bytes: 32 << 10,
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
