use super::*;

#[test]
fn acknowledged_records_are_not_given_again() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let all: Vec<Seq> = (0..10)
        .map(|n| log.append(0, route, &body(n, 50)).unwrap())
        .collect();
    log.commit();
    log.spool.ack(cursor, &[all[0], all[1], all[5]]);
    let left = [all[2], all[3], all[4], all[6], all[7], all[8], all[9]].map(|seq| seq.0);
    assert_eq!(log.seqs(cursor), left);
    let status = log.spool.cursor_status(cursor).unwrap();
    assert_eq!(
        (
            status.low,
            status.pending_records,
            status.acknowledged_records
        ),
        (all[1], 7, 3)
    );
}

#[test]
fn acknowledging_before_the_commit_counts_once_it_is_there() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let first = log.append(0, route, b"delivered from memory").unwrap();
    let second = log.append(0, route, b"next").unwrap();
    log.spool.ack(cursor, &[first]);
    log.commit();
    assert_eq!(log.seqs(cursor), [second.0]);
    assert_eq!(log.pending(cursor), 1);
}

#[test]
fn a_cursor_is_owed_only_what_its_routes_say() {
    let mut log = Log::new();
    let (a, to_a) = log.reader("a");
    let (b, to_b) = log.reader("b");
    let mut transaction = log.spool.transaction(NodeTime(log.now));
    let to_both = transaction.route(&[b, a, b], b"both").unwrap();
    assert_eq!(
        transaction.route(&[a, b], b"both").unwrap(),
        to_both,
        "order and doubles make no difference"
    );
    transaction.finish();
    assert_eq!(log.spool.route(to_both).unwrap().cursors, [a, b]);
    let x = log.append(0, to_a, b"x").unwrap().0;
    let y = log.append(0, to_b, b"y").unwrap().0;
    let z = log.append(0, to_both, b"z").unwrap().0;
    log.append(0, RouteId::NOBODY, b"history").unwrap();
    log.commit();
    assert_eq!(log.seqs(a), [x, z]);
    assert_eq!(log.seqs(b), [y, z]);
}

#[test]
fn a_cursor_from_the_oldest_is_offered_history_that_it_is_not_owed() {
    let mut log = Log::new();
    let (_, route) = log.reader("a");
    let before = log.append(0, route, b"before").unwrap();
    log.commit();
    let mut transaction = log.spool.transaction(NodeTime(log.now));
    let late = transaction
        .create_cursor("late", Start::Oldest, None)
        .unwrap();
    let to_late = transaction.route(&[late], b"").unwrap();
    transaction.finish();
    log.append(0, route, b"of another").unwrap();
    let own = log.append(0, to_late, b"own").unwrap();
    log.commit();
    let offered: Vec<(Seq, bool)> = log
        .read(late, Seq::ZERO)
        .iter()
        .map(|e| (e.seq, e.owed))
        .collect();
    assert_eq!(offered, [(before, false), (own, true)]);
    assert_eq!(log.pending(late), 1);
    log.spool.ack(late, &[before]);
    assert_eq!(log.seqs(late), [own.0]);
}

#[test]
fn no_more_than_a_window_is_given_ahead_of_the_low_mark() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    for n in 0..6_000 {
        log.append(0, route, &body(n, 20)).unwrap();
        if n % 500 == 499 {
            log.commit();
        }
    }
    log.commit();
    let batch = log.spool.read(cursor, Seq::ZERO, ALL).unwrap();
    assert!(
        (3_840..=4_096).contains(&batch.entries.len()),
        "{}",
        batch.entries.len()
    );
    assert!(!batch.at_end);
    assert!(
        log.spool
            .read(cursor, batch.next, ALL)
            .unwrap()
            .entries
            .is_empty()
    );
    let first: Vec<Seq> = batch
        .entries
        .iter()
        .take(3_000)
        .map(|entry| entry.seq)
        .collect();
    log.spool.ack(cursor, &first);
    let more = log.spool.read(cursor, batch.next, ALL).unwrap();
    assert_eq!(batch.entries.len() + more.entries.len(), 6_000);
}

#[test]
fn a_debt_in_one_lane_takes_64_kib_of_memory_at_most_and_is_given_whole() {
    let mut log = Log::new();
    let (session, route) = log.bounded_reader("session", Some(1 << 30));
    for n in 0..10_000 {
        log.append(0, route, &body(n, 20)).unwrap();
        if n % 500 == 499 {
            log.commit();
        }
    }
    let mut given = 0;
    let mut most_bytes = 0;
    loop {
        let batch = log.spool.read(session, Seq::ZERO, ALL).unwrap();
        let state = log.spool.inner.lock();
        let owed = state.cursors[&session.0].lanes.iter();
        let bytes: usize = owed
            .map(|lane| lane.window.capacity() * size_of::<crate::cursor::Owed>())
            .sum();
        drop(state);
        most_bytes = most_bytes.max(bytes);
        if batch.entries.is_empty() {
            break;
        }
        given += batch.entries.len();
        let seqs: Vec<Seq> = batch.entries.iter().map(|entry| entry.seq).collect();
        log.spool.ack(session, &seqs);
    }
    assert_eq!(given, 10_000);
    assert!((1..=64 << 10).contains(&most_bytes), "{most_bytes} bytes");
}

#[test]
fn limits_of_a_read_hold_and_the_first_record_is_always_given() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let all: Vec<u64> = (0..6)
        .map(|n| log.append(n as u8 % 3, route, &body(n, 100)).unwrap().0)
        .collect();
    log.commit();
    let read = |after, limits| {
        let batch = log.spool.read(cursor, Seq(after), limits).unwrap();
        (seqs(&batch.entries), batch.next.0, batch.at_end)
    };
    assert_eq!(
        read(0, ReadLimits { records: 2, ..ALL }),
        (vec![all[0], all[1]], all[1], false)
    );
    assert_eq!(
        read(all[1], ReadLimits { bytes: 1, ..ALL }),
        (vec![all[2]], all[2], false)
    );
    assert_eq!(
        read(
            0,
            ReadLimits {
                lanes: 0b100,
                ..ALL
            }
        ),
        (vec![all[2], all[5]], all[5], true)
    );
    assert_eq!(read(all[5], ALL), (vec![], all[5], true));
}

#[test]
fn acknowledging_in_a_transaction_is_as_durable_as_its_appends() {
    for commits in [false, true] {
        let mut log = Log::new();
        let (cursor, route) = log.reader("sink");
        let poison = log.append(0, route, b"refused").unwrap();
        log.commit();
        let mut transaction = log.spool.transaction(NodeTime(log.now));
        let head = Head {
            kind: Kind::Event,
            lane: Lane(2),
            route: RouteId::NOBODY,
        };
        let letter = transaction
            .append(head, |bytes| bytes.extend_from_slice(b"dead letter"))
            .unwrap();
        transaction.ack(cursor, poison);
        transaction.finish();
        if commits {
            log.commit();
        }
        let log = log.crash();
        assert_eq!(log.spool.read_at(letter).unwrap().is_some(), commits);
        assert_eq!(
            log.seqs(cursor),
            if commits { vec![] } else { vec![poison.0] }
        );
    }
}

#[test]
fn an_acknowledgement_that_no_read_has_come_to_outlives_a_checkpoint() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("session");
    let all: Vec<Seq> = (0..3)
        .map(|n| log.append(0, route, &body(n, 50)).unwrap())
        .collect();
    log.commit();
    // Nothing is read before it: as after a start, for what was in flight at QoS 2.
    let mut transaction = log.spool.transaction(NodeTime(log.now));
    transaction.ack(cursor, all[1]);
    transaction.finish();
    log.commit();
    // A start reads the log from the last position that the checkpoint covers.
    log.append(0, RouteId::NOBODY, b"later").unwrap();
    log.commit();
    log.spool.checkpoint(b"owner".to_vec());
    log.keep_house();
    let log = log.crash();
    assert_eq!(log.seqs(cursor), [all[0].0, all[2].0]);
    assert_eq!(log.pending(cursor), 2);
}

#[test]
fn a_removed_cursor_owes_its_debt_to_the_ledger() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("session");
    let first = log.append(0, route, &body(1, 100)).unwrap();
    let last = log.append(0, route, &body(2, 100)).unwrap();
    log.commit();
    assert_eq!(log.seqs(cursor), [first.0, last.0]);
    let bytes = log.spool.cursor_status(cursor).unwrap().pending_bytes;
    let mut transaction = log.spool.transaction(NodeTime(log.now));
    transaction.remove_cursor(cursor, Some(LossReason::SessionEnded));
    transaction.finish();
    assert_eq!(log.spool.cursor("session"), None);
    log.commit();
    let reason = LossReason::SessionEnded;
    let at = NodeTime(log.now);
    let expected = [Loss {
        reason,
        scope: "session".into(),
        count: 2,
        bytes,
        first,
        last,
        at,
    }];
    assert_eq!(log.spool.status().ledger, expected);
    assert!(matches!(
        log.spool.read(cursor, Seq::ZERO, ALL),
        Err(StorageError::NoSuchCursor)
    ));
    let log = log.crash();
    assert_eq!(log.spool.status().ledger, expected);
    assert_eq!(log.spool.cursor("session"), None);
}

/// A record of 100 bytes that the session had no use for any more.
fn expired(log: &Log, seq: Seq) -> Loss {
    Loss {
        reason: LossReason::Expired,
        scope: "session".into(),
        count: 1,
        bytes: 100,
        first: seq,
        last: seq,
        at: NodeTime(log.now),
    }
}

#[test]
fn what_is_counted_as_lost_and_then_acknowledged_is_in_the_ledger_before_it_is_let_go() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("session");
    let seq = log.append(0, route, &body(1, 100)).unwrap();
    log.commit();
    let expired = expired(&log, seq);
    log.spool.record_loss(expired.clone());
    log.spool.ack(cursor, &[seq]);
    for _ in 0..5 {
        log.keep_house();
        log.commit();
    }
    let mut log = log.crash();
    assert_eq!(log.pending(cursor), 0);
    assert_eq!(log.spool.status().ledger, [expired]);
    log.keep_house();
    let before = log.disk.counters();
    for _ in 0..10 {
        log.keep_house();
        log.commit();
    }
    assert_eq!(log.disk.counters(), before, "an idle log writes nothing");
}

#[test]
fn no_mark_is_saved_beside_the_log_ahead_of_the_loss_that_lets_it_go() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("session");
    let seq = log.append(0, route, &body(1, 100)).unwrap();
    log.commit();
    log.spool.record_loss(expired(&log, seq));
    log.spool.ack(cursor, &[seq]);
    // The ledger goes out with a commit, and none has come.
    for _ in 0..3 {
        log.keep_house();
    }
    let log = log.crash();
    assert_eq!(log.spool.status().ledger, []);
    assert_eq!(log.seqs(cursor), [seq.0]);
}

#[test]
fn no_mark_is_stored_ahead_of_losses_that_are_too_many_for_one_commit() {
    let mut log = Log::new();
    let readers: Vec<_> = (0..100)
        .map(|n| log.reader(&format!("session-{n}")))
        .collect();
    let owed: Vec<(CursorId, Seq)> = readers
        .iter()
        .map(|&(cursor, route)| (cursor, log.append(0, route, &body(1, 100)).unwrap()))
        .collect();
    log.commit();
    for (n, &(cursor, seq)) in owed.iter().enumerate() {
        log.spool.record_loss(Loss {
            scope: format!("session-{n}"),
            ..expired(&log, seq)
        });
        log.spool.ack(cursor, &[seq]);
    }
    log.append(0, RouteId::NOBODY, b"later").unwrap();
    log.spool.commit_once();
    let log = log.crash();
    let counted: u64 = log
        .spool
        .status()
        .ledger
        .iter()
        .map(|loss| loss.count)
        .sum();
    let pending: u64 = owed.iter().map(|&(cursor, _)| log.pending(cursor)).sum();
    assert!(
        counted + pending >= 100,
        "{counted} are counted, {pending} owed"
    );
}

#[test]
fn marks_are_saved_within_a_second_and_an_idle_log_writes_nothing() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let all: Vec<Seq> = (0..4)
        .map(|n| log.append(0, route, &body(n, 50)).unwrap())
        .collect();
    log.commit();
    log.keep_house();
    log.spool.ack(cursor, &[all[0], all[2]]);
    log.keep_house();
    let before = log.disk.counters();
    for _ in 0..100 {
        log.keep_house();
        log.spool.commit_once();
    }
    assert_eq!(log.disk.counters().bytes_written, before.bytes_written);
    assert_eq!(log.disk.counters().syncs, before.syncs);
    let log = log.crash();
    assert_eq!(log.seqs(cursor), [all[1].0, all[3].0]);
    assert_eq!(log.pending(cursor), 2);
}

#[test]
fn an_offline_session_loses_its_oldest_above_its_bound() {
    let mut log = Log::new();
    let (cursor, route) = log.bounded_reader("session", Some(2_000));
    let all: Vec<Seq> = (0..40)
        .map(|n| log.append(0, route, &body(n, 88)).unwrap())
        .collect();
    log.commit();
    log.keep_house();
    let status = log.spool.cursor_status(cursor).unwrap();
    assert!(
        status.pending_bytes <= 2_000 && status.pending_bytes > 1_800,
        "{status:?}"
    );
    let lost = 40 - status.pending_records;
    let ledger = log.spool.status().ledger;
    assert_eq!(ledger.len(), 1);
    let loss = &ledger[0];
    assert_eq!(
        (loss.reason, loss.scope.as_str(), loss.count),
        (LossReason::SessionBound, "session", lost)
    );
    assert_eq!((loss.first, loss.last), (all[0], all[lost as usize - 1]));
    assert_eq!(
        log.seqs(cursor),
        all[lost as usize..]
            .iter()
            .map(|seq| seq.0)
            .collect::<Vec<_>>()
    );
}

#[test]
fn history_that_was_freed_under_a_reader_does_not_hold_the_log() {
    let mut log = Log::new();
    for n in 0..2_000 {
        log.append(2, RouteId::NOBODY, &body(n, 1_000)).unwrap();
    }
    log.commit();
    let mut transaction = log.spool.transaction(NodeTime(log.now));
    let late = transaction
        .create_cursor("late", Start::Oldest, None)
        .unwrap();
    let route = transaction.route(&[late], b"terms").unwrap();
    transaction.finish();
    log.commit();
    let few = ReadLimits { records: 10, ..ALL };
    let seen = log.spool.read(late, Seq::ZERO, few).unwrap();
    assert_eq!(seqs(&seen.entries), (1..=10).collect::<Vec<_>>());
    for n in 0..20_000 {
        log.append(2, RouteId::NOBODY, &body(n, 1_000)).unwrap();
        if n % 50 == 49 {
            log.commit();
            log.keep_house();
        }
    }
    let owed = log.append(2, route, b"owed").unwrap();
    log.commit();
    let mut after = Seq::ZERO;
    for _ in 0..20 {
        let batch = log.spool.read(late, after, ALL).unwrap();
        let all: Vec<Seq> = batch.entries.iter().map(|entry| entry.seq).collect();
        log.spool.ack(late, &all);
        after = batch.next;
    }
    assert!(after >= owed, "everything was given");
    let low = log.spool.inner.lock().cursors[&late.0].low();
    assert!(low >= owed.0, "the low mark stands at {low}");
}
