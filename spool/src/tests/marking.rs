//! What is stored of cursors and of losses is of one moment: that of the frame or the file it is stored in.

use std::time::Duration;

use super::*;
use crate::control::{LaneMark, Mark};

#[test]
fn a_cursor_whose_creation_no_commit_took_leaves_no_mark_to_the_next_of_its_id() {
    let mut log = Log::new();
    let (sink, route) = log.reader("sink");
    let first = log.append(0, route, b"first").unwrap();
    log.commit();
    assert_eq!(log.seqs(sink), [first.0]);
    // The disk stalls: what comes from here on waits, and the marks go into their file.
    for n in 0..1_000 {
        log.append(0, route, &body(n, 20)).unwrap();
    }
    let lost = create(&log, "lost", Start::Now);
    log.spool.ack(sink, &[first]);
    log.keep_house();
    let mut log = log.kill();
    assert_eq!(log.spool.cursor("lost"), None);
    let (session, route) = log.reader("session");
    assert_eq!(session, lost, "nothing tells of the one before");
    let owed = owe(&mut log, route);
    let log = log.kill();
    assert_eq!(log.seqs(session), owed);
}

#[test]
fn marks_of_a_cursor_that_is_not_there_keep_its_id_from_being_given_again() {
    let mut log = Log::new();
    let (sink, route) = log.reader("sink");
    owe(&mut log, route);
    // As a release before this one may have left it.
    let next = log.spool.inner.lock().next_cursor;
    let ahead = LaneMark {
        low: 900,
        ..LaneMark::default()
    };
    let mark = Mark {
        id: next,
        lanes: vec![ahead; Lane::MOST],
        acknowledged: 0,
    };
    let file = log.spool.inner.lock().marks.file.clone();
    file.unwrap().save(vec![mark]).unwrap();
    let mut log = log.kill();
    assert_eq!(log.spool.cursor("sink"), Some(sink));
    let (session, route) = log.reader("session");
    let owed = owe(&mut log, route);
    let log = log.kill();
    assert_eq!(log.seqs(session), owed);
}

#[test]
fn a_checkpoint_knows_no_cursor_whose_creation_waits_for_a_commit() {
    let mut log = Log::new();
    let (sink, route) = log.reader("sink");
    let owed = owe(&mut log, route);
    log.append(0, route, b"waits").unwrap();
    create(&log, "session", Start::Now);
    let (first, last) = (Seq(owed[0]), Seq(owed[9]));
    create(&log, "replay", Start::History { first, last });
    log.spool.inner.write_checkpoint(true).unwrap();
    let mut log = log.kill();
    assert_eq!(log.spool.cursor("sink"), Some(sink));
    assert_eq!(log.spool.cursor("session"), None);
    assert_eq!(log.spool.cursor("replay"), None);
    let (one, _) = log.reader("one");
    let (two, _) = log.reader("two");
    assert_eq!((one.0, two.0), (sink.0 + 1, sink.0 + 2));
}

#[test]
fn debts_that_end_together_are_counted_by_the_commit_that_ends_them() {
    let mut log = Log::new();
    let sessions = sessions(&mut log, 100);
    let mut transaction = log.spool.transaction(NodeTime(log.now));
    for &(session, _, _) in &sessions {
        transaction.remove_cursor(session, Some(LossReason::SessionEnded));
    }
    transaction.finish();
    log.spool.commit_once();
    let log = log.crash();
    assert_eq!(log.spool.status().cursors.len(), 0);
    assert_eq!(counted(&log), 100);
}

#[test]
fn the_debt_of_an_ended_session_is_counted_once_though_a_checkpoint_overtakes_its_end() {
    let mut log = Log::new();
    let (session, route) = log.reader("session");
    let owed = owe(&mut log, route).len() as u64;
    let end = |log: &Log| {
        let mut transaction = log.spool.transaction(NodeTime(log.now));
        transaction.remove_cursor(session, Some(LossReason::SessionEnded));
        transaction.finish();
    };
    end(&log);
    log.disk.fail_at(0);
    log.spool.commit_once();
    log.keep_house();
    let (written, _) = crate::checkpoint::read_both(&log.disk).unwrap();
    assert_eq!(written.len(), 1);
    let log = log.crash();
    assert_eq!(log.spool.cursor("session"), Some(session));
    assert_eq!(counted(&log), 0);
    end(&log);
    log.commit();
    assert_eq!(counted(&log), owed);
    assert_eq!(counted(&log.crash()), owed);
}

#[test]
fn losses_are_counted_by_the_commit_of_the_acknowledgements_behind_them() {
    let mut log = Log::new();
    let sessions = sessions(&mut log, 100);
    for (n, &(_, _, seq)) in sessions.iter().enumerate() {
        log.spool.record_loss(expired(&log, n, seq));
    }
    let mut transaction = log.spool.transaction(NodeTime(log.now));
    for &(session, _, seq) in &sessions {
        transaction.ack(session, seq);
    }
    transaction.finish();
    log.spool.commit_once();
    let log = log.crash();
    let given: usize = sessions.iter().map(|it| log.seqs(it.0).len()).sum();
    assert_eq!((given, counted(&log)), (0, 100));
}

#[test]
fn a_whole_ledger_is_stored_by_one_commit_however_small_the_segments() {
    let mut log = Log::new();
    for n in 0..1_024 {
        let scope = format!("{n:0>256}");
        log.spool.record_loss(Loss {
            scope,
            ..expired(&log, n, Seq::ZERO)
        });
    }
    let entries = log.spool.status().ledger;
    assert!(entries.len() * 256 >= SEGMENT as usize);
    log.append(0, RouteId::NOBODY, b"later").unwrap();
    log.spool.commit_once();
    let log = log.crash();
    let stored = log.spool.status().ledger;
    assert!(stored == entries, "{} are stored", stored.len());
}

#[test]
fn a_debt_is_what_waits_with_its_end_and_not_what_is_acknowledged_with_it() {
    let mut log = Log::new();
    let (session, route) = log.reader("session");
    let (witness, _) = log.reader("witness");
    let mut transaction = log.spool.transaction(NodeTime(log.now));
    let both = transaction.route(&[session, witness], b"terms").unwrap();
    transaction.finish();
    let mut owed: Vec<Seq> = (0..2)
        .map(|n| log.append(0, both, &body(n, 100)).unwrap())
        .collect();
    log.commit();
    owed.extend((2..5).map(|n| log.append(1, both, &body(n, 100)).unwrap()));
    log.append(0, RouteId::NOBODY, b"nobody's").unwrap();
    // One as it was delivered from memory, one in a transaction, before its end.
    log.spool.ack(session, &[owed[3]]);
    let mut transaction = log.spool.transaction(NodeTime(log.now));
    transaction.ack(session, owed[0]);
    transaction.finish();
    let mut transaction = log.spool.transaction(NodeTime(log.now));
    transaction.remove_cursor(session, Some(LossReason::SessionEnded));
    transaction.finish();
    log.append(0, route, b"behind its end").unwrap();
    log.spool.commit_once();
    log.spool.ack(witness, &[owed[0], owed[3]]);
    assert_eq!(log.pending(witness), 3);
    let expected = [Loss {
        reason: LossReason::SessionEnded,
        scope: "session".into(),
        count: 3,
        bytes: log.spool.cursor_status(witness).unwrap().pending_bytes,
        first: owed[1],
        last: owed[4],
        at: NodeTime(log.now),
    }];
    assert_eq!(log.spool.status().ledger, expected);
    assert_eq!(log.crash().spool.status().ledger, expected);
}

#[test]
fn what_a_session_gives_up_is_let_go_by_the_commit_that_counts_it_however_many_others_changed() {
    let mut log = Log::new();
    let sessions = sessions(&mut log, 100);
    let (bounded, route) = log.bounded_reader("bounded", Some(2_000));
    // From here on the marks of many are carried only so often.
    log.spool.ack(sessions[0].0, &[sessions[0].2]);
    let owed = owe(&mut log, route).len() as u64;
    for &(session, _, seq) in &sessions {
        log.spool.ack(session, &[seq]);
    }
    log.spool.housekeep_once(NodeTime(log.now));
    let lost = owed - log.pending(bounded);
    assert!(lost > 0);
    log.append(0, RouteId::NOBODY, b"later").unwrap();
    log.spool.commit_once();
    let mut log = log.crash();
    assert_eq!((log.pending(bounded), counted(&log)), (owed - lost, lost));
    assert!(
        log.pending(sessions[99].0) > 0,
        "not all marks were carried"
    );
    log.keep_house();
    assert_eq!(counted(&log), lost);
}

#[test]
fn a_loss_is_on_disk_within_a_second_though_nothing_else_is_committed() {
    let mut log = Log::new();
    assert_eq!(log.spool.housekeep_once(NodeTime(log.now)), None);
    let lost = expired(&log, 1, Seq::ZERO);
    log.spool.record_loss(lost.clone());
    assert!(log.spool.inner.lock().chores_due, "whoever sleeps is woken");
    let due = log.spool.housekeep_once(NodeTime(log.now));
    assert_eq!(due, Some(Duration::from_secs(1)));
    log.commit();
    assert_eq!(log.spool.committed(), Seq::ZERO, "others have a second");
    log.now += 1_000;
    log.spool.housekeep_once(NodeTime(log.now));
    log.commit();
    let mut log = log.crash();
    assert_eq!(log.spool.status().ledger, [lost]);
    log.keep_house();
    let before = log.disk.counters();
    for _ in 0..10 {
        log.keep_house();
        log.commit();
    }
    assert_eq!(log.disk.counters(), before, "an idle log writes nothing");
}

#[test]
fn whoever_saves_the_marks_is_woken_by_the_first_acknowledgement_since() {
    let mut log = Log::new();
    let sessions = sessions(&mut log, 2);
    assert_eq!(log.spool.housekeep_once(NodeTime(log.now)), None);
    for (session, _, seq) in sessions {
        log.spool.ack(session, &[seq]);
        let woken = std::mem::take(&mut log.spool.inner.lock().chores_due);
        assert_eq!(woken, session == CursorId(1));
    }
    let due = log.spool.housekeep_once(NodeTime(log.now));
    assert_eq!(due, Some(Duration::from_secs(1)));
}

#[test]
fn what_a_lane_gives_up_is_let_go_by_the_commit_that_counts_it_however_many_others_changed() {
    let mut options = options();
    options.lanes[2].when_full = WhenFull::DropOldest;
    let mut log = Log::with(options);
    let sessions = sessions(&mut log, 100);
    let (slow, route) = log.reader("slow");
    let mut owed = 0;
    while log.spool.inner.lock().room.wanting == 0 {
        log.append(2, route, &body(owed, 4_000)).unwrap();
        owed += 1;
        if owed % 20 == 0 {
            log.commit();
            log.keep_house();
        }
    }
    log.commit();
    // From here on the marks of many are carried only so often.
    log.spool.ack(sessions[0].0, &[sessions[0].2]);
    log.append(0, RouteId::NOBODY, b"carries").unwrap();
    log.commit();
    for &(session, _, seq) in &sessions {
        log.spool.ack(session, &[seq]);
    }
    log.spool.housekeep_once(NodeTime(log.now));
    let lost = owed - log.pending(slow);
    assert!(lost > 0);
    log.append(0, RouteId::NOBODY, b"later").unwrap();
    log.spool.commit_once();
    let log = log.crash();
    assert_eq!((log.pending(slow), counted(&log)), (owed - lost, lost));
    assert_eq!(
        all_of(&log, slow).len() as u64,
        owed - lost,
        "and nothing else"
    );
    let (session, _, seq) = sessions[99];
    assert_eq!(log.seqs(session), [seq.0], "not all marks were carried");
}

/// Cursors, the route to each, and the one record that it is owed.
fn sessions(log: &mut Log, count: usize) -> Vec<(CursorId, RouteId, Seq)> {
    let readers: Vec<_> = (0..count)
        .map(|n| log.reader(&format!("session-{n}")))
        .collect();
    let owe = |(cursor, route)| (cursor, route, log.append(0, route, &body(1, 100)).unwrap());
    let sessions = readers.into_iter().map(owe).collect();
    log.commit();
    sessions
}

/// The record that the session of this number had no use for any more.
fn expired(log: &Log, session: usize, seq: Seq) -> Loss {
    Loss {
        reason: LossReason::Expired,
        scope: format!("session-{session}"),
        count: 1,
        bytes: 100,
        first: seq,
        last: seq,
        at: NodeTime(log.now),
    }
}

fn counted(log: &Log) -> u64 {
    let ledger = log.spool.status().ledger;
    ledger.iter().map(|loss| loss.count).sum()
}

/// Creates a cursor and commits nothing.
fn create(log: &Log, name: &str, start: Start) -> CursorId {
    let mut transaction = log.spool.transaction(NodeTime(log.now));
    let id = transaction.create_cursor(name, start, None).unwrap();
    transaction.finish();
    id
}

/// Commits a hundred records on a route.
fn owe(log: &mut Log, route: RouteId) -> Vec<u64> {
    let owed = (0..100).map(|n| log.append(0, route, &body(n, 20)).unwrap().0);
    let owed = owed.collect();
    log.commit();
    owed
}
