use super::*;

#[test]
fn what_is_committed_is_read_back_whole() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let seq = log.append(1, route, b"twenty degrees").unwrap();
    assert_eq!(
        log.read(cursor, Seq::ZERO).len(),
        0,
        "nothing is read before it is committed"
    );
    log.commit();
    let entries = log.read(cursor, Seq::ZERO);
    assert_eq!(entries.len(), 1);
    let entry = &entries[0];
    assert_eq!(
        (entry.seq, entry.time, entry.kind),
        (seq, NodeTime(log.now), Kind::Event)
    );
    assert_eq!(
        (entry.lane, entry.route, entry.owed),
        (Lane(1), route, true)
    );
    assert_eq!(&*entry.body, b"twenty degrees");
    assert_eq!(log.spool.read_at(seq).unwrap().unwrap().body, entry.body);
    assert_eq!(log.spool.committed(), log.spool.appended());
}

#[test]
fn the_first_position_is_one() {
    let mut log = Log::new();
    assert_eq!(log.append(0, RouteId::NOBODY, b"first"), Ok(Seq(1)));
    assert_eq!(log.append(0, RouteId::NOBODY, b"second"), Ok(Seq(2)));
}

#[test]
fn a_commit_is_one_write_and_one_sync_whatever_waits() {
    let mut log = Log::with(Options::default());
    log.append(0, RouteId::NOBODY, b"begin").unwrap();
    log.commit();
    for count in [1, 16, 256] {
        for n in 0..count {
            log.append(0, RouteId::NOBODY, &body(n, 256)).unwrap();
        }
        let before = log.disk.counters();
        assert!(log.spool.commit_once());
        let after = log.disk.counters();
        assert_eq!(
            (after.writes - before.writes, after.syncs - before.syncs),
            (1, 1),
            "{count} records"
        );
        assert_eq!(log.spool.committed(), log.spool.appended());
        assert!(!log.spool.commit_once(), "nothing waits any more");
    }
}

#[test]
fn a_dropped_transaction_leaves_nothing() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let appended = log.spool.appended();
    let mut transaction = log.spool.transaction(NodeTime(log.now));
    let head = Head {
        kind: Kind::Event,
        lane: Lane(0),
        route,
    };
    transaction
        .append(head, |bytes| bytes.extend_from_slice(b"never"))
        .unwrap();
    let other = transaction
        .create_cursor("other", Start::Now, None)
        .unwrap();
    let other_route = transaction.route(&[other], b"").unwrap();
    transaction.remove_cursor(cursor, None);
    drop(transaction);
    assert_eq!(log.spool.appended(), appended);
    assert!(!log.spool.commit_once());
    assert_eq!(log.spool.cursor("other"), None);
    assert_eq!(log.spool.cursor("sink"), Some(cursor));
    assert_eq!(log.spool.route(other_route), None);
    let seq = log.append(0, route, b"after").unwrap();
    log.commit();
    assert_eq!(seq.0, appended.0 + 1);
    assert_eq!(log.seqs(cursor), [seq.0]);
}

#[test]
fn a_transaction_is_in_one_frame_however_full_the_frame_before_is() {
    let mut log = Log::new();
    log.append(0, RouteId::NOBODY, b"begin").unwrap();
    log.commit();
    for n in 0..55 {
        log.append(0, RouteId::NOBODY, &body(n, 1_000)).unwrap();
    }
    let mut transaction = log.spool.transaction(NodeTime(log.now));
    let head = Head {
        kind: Kind::Event,
        lane: Lane(0),
        route: RouteId::NOBODY,
    };
    for n in 0..20 {
        transaction
            .append(head, |bytes| bytes.extend_from_slice(&body(100 + n, 1_000)))
            .unwrap();
    }
    let last = transaction.finish();
    assert!(log.spool.commit_once());
    assert_eq!(
        log.spool.committed().0,
        last.0 - 20,
        "the transaction has moved into the next frame as a whole"
    );
    assert!(log.spool.commit_once());
    assert_eq!(log.spool.committed(), last);
    let bodies: Vec<Vec<u8>> = log
        .spool
        .scan(Seq(last.0 - 19), ALL)
        .unwrap()
        .entries
        .iter()
        .map(|e| e.body.to_vec())
        .collect();
    assert_eq!(
        bodies,
        (0..20).map(|n| body(100 + n, 1_000)).collect::<Vec<_>>()
    );
}

#[test]
fn what_no_frame_can_hold_is_too_large_and_the_rest_of_its_transaction_stays() {
    let mut log = Log::new();
    let mut transaction = log.spool.transaction(NodeTime(log.now));
    let head = Head {
        kind: Kind::Event,
        lane: Lane(0),
        route: RouteId::NOBODY,
    };
    let first = transaction
        .append(head, |bytes| bytes.extend_from_slice(b"small"))
        .unwrap();
    let too_large = transaction.append(head, |bytes| {
        bytes.resize(bytes.len() + SEGMENT as usize, 1)
    });
    assert_eq!(too_large, Err(Full::TooLarge));
    assert_eq!(transaction.finish(), first);
    let most = log.append(0, RouteId::NOBODY, &vec![1; SEGMENT as usize / 10 * 6]);
    assert!(most.is_ok(), "six tenths of a segment fit");
    log.commit();
    assert_eq!(log.spool.committed(), log.spool.appended());
}

#[test]
fn bytes_that_wait_are_bounded() {
    let mut log = Log::with(Options {
        waiting_bytes: 10_000,
        ..options()
    });
    let mut taken = 0;
    while log.append(0, RouteId::NOBODY, &[0; 1_000]).is_ok() {
        taken += 1;
    }
    assert_eq!(taken, 10, "the last one begins below the bound");
    assert_eq!(log.append(0, RouteId::NOBODY, b""), Err(Full::Waiting));
    log.commit();
    assert!(log.append(0, RouteId::NOBODY, b"").is_ok());
}

#[test]
fn a_log_longer_than_a_segment_is_read_in_order() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let mut expected = Vec::new();
    for n in 0..3_000 {
        expected.push(log.append(1, route, &body(n, 400)).unwrap().0);
        if n % 50 == 49 {
            log.commit();
            log.keep_house();
        }
    }
    assert!(log.spool.status().segments > 3);
    let entries = log.drain(cursor);
    assert_eq!(seqs(&entries), expected);
    for (n, entry) in entries.iter().enumerate() {
        assert_eq!(*entry.body, *body(n as u64, 400));
    }
    assert_eq!(log.pending(cursor), 0);
}

#[test]
fn a_failed_sync_is_written_again_elsewhere_and_nothing_is_said_before() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    log.append(0, route, b"before").unwrap();
    log.commit();
    let committed = log.spool.committed();
    let seq = log.append(0, route, b"caught by the fault").unwrap();
    log.disk.set_faults(Faults {
        sync: 1.0,
        ..Faults::default()
    });
    assert!(log.spool.commit_once());
    assert_eq!(log.spool.committed(), committed);
    assert!(matches!(log.spool.status().health, Health::Failing { .. }));
    log.disk.set_faults(Faults::default());
    log.commit();
    assert_eq!(log.spool.committed(), seq);
    assert_eq!(log.spool.status().health, Health::Ok);
    assert_eq!(log.read(cursor, Seq::ZERO).len(), 2);
    log.keep_house();
    let log = log.crash();
    assert_eq!(log.read(cursor, Seq::ZERO).len(), 2);
    assert_eq!(log.spool.status().ledger, []);
}

#[test]
fn what_is_behind_a_savepoint_can_be_taken_back_alone() {
    let log = Log::new();
    let mut transaction = log.spool.transaction(NodeTime(1));
    let head = |route| Head {
        kind: Kind::Event,
        lane: Lane(0),
        route,
    };
    let kept = transaction.create_cursor("kept", Start::Now, None).unwrap();
    let route = transaction.route(&[kept], &[]).unwrap();
    let first = transaction.append(head(route), |out| out.extend_from_slice(b"first"));
    let savepoint = transaction.savepoint();
    let gone = transaction.create_cursor("gone", Start::Now, None).unwrap();
    let other = transaction.route(&[kept, gone], &[]).unwrap();
    let taken_back = transaction.append(head(other), |out| out.extend_from_slice(b"gone"));
    taken_back.unwrap();
    transaction.ack(kept, first.unwrap());
    transaction.back_to(savepoint);
    let second = transaction.append(head(route), |out| out.extend_from_slice(b"second"));
    second.unwrap();
    transaction.finish();
    log.commit();
    assert_eq!(log.spool.cursor("gone"), None);
    let bodies = |log: &Log| -> Vec<Vec<u8>> {
        let entries = log.read(kept, Seq::ZERO);
        entries.iter().map(|entry| entry.body.to_vec()).collect()
    };
    assert_eq!(bodies(&log), [b"first".to_vec(), b"second".to_vec()]);
    let log = log.crash();
    assert_eq!(log.spool.cursor("gone"), None);
    assert_eq!(bodies(&log), [b"first".to_vec(), b"second".to_vec()]);
}
