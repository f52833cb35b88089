//! Routes: as many as somebody is owed something on, and never one that is gone under a record.

use super::*;

/// About as many routes of one cursor take a sixteenth of the bound of [`small`], and as many the default of the tests.
const MOST: u64 = (128 << 10) / 460;
const MOST_BY_DEFAULT: u64 = 8 * MOST;

fn small() -> Options {
    Options {
        bound_bytes: Some(2 << 20),
        segment_bytes: Some(64 << 10),
        ..options()
    }
}

#[test]
fn routes_on_which_nobody_is_owed_anything_are_forgotten() {
    let mut log = Log::with(small());
    let (session, _) = log.reader("session");
    for n in 0..3 * MOST {
        owe_on_a_new_route(&mut log, session, n);
        log.drain(session);
        if n % 16 == 0 {
            log.keep_house();
        }
        assert!(log.spool.status().routes <= MOST / 2 + 17, "round {n}");
    }
    log.spool.inner.write_checkpoint(true).unwrap();
    log.spool.inner.write_checkpoint(true).unwrap();
    let checkpoints = log.spool.inner.lock().checkpoints.bytes();
    assert!(checkpoints < 2 * 40 * MOST, "{checkpoints} bytes");
}

#[test]
fn what_is_owed_is_counted_alike_when_its_routes_are_forgotten_and_after_a_crash() {
    let mut log = Log::new();
    let (session, _) = log.reader("session");
    let (other, _) = log.reader("other");
    for n in 0..20 {
        owe_on_a_new_route(&mut log, session, n);
    }
    log.drain(session);
    let owed = owe_on_a_new_route(&mut log, session, 20);
    let of_other = owe_on_a_new_route(&mut log, other, 21);
    crowd(&mut log);
    assert_eq!(log.spool.status().routes, 2);
    for _ in 0..2 {
        assert_eq!((log.pending(session), log.pending(other)), (1, 1));
        assert_eq!(log.seqs(session), [owed.0]);
        assert_eq!(log.seqs(other), [of_other.0]);
        log.spool.inner.write_checkpoint(true).unwrap();
        log = log.crash();
    }
    log.drain(session);
    crowd(&mut log);
    assert_eq!(log.pending(session), 0);
    assert_eq!(log.spool.status().ledger, []);
}

#[test]
fn a_record_on_a_route_that_is_gone_is_refused_and_owed_on_the_one_that_is_asked_for_anew() {
    let mut log = Log::new();
    let (session, route) = log.reader("session");
    crowd(&mut log);
    assert_eq!(log.spool.route(route), None);
    assert_eq!(log.append(0, route, b"to nobody"), Err(Full::UnknownRoute));
    let mut transaction = log.spool.transaction(NodeTime(log.now));
    assert!(!transaction.has_route(route));
    let anew = transaction.route(&[session], b"terms").unwrap();
    assert!(anew > route && transaction.has_route(anew));
    transaction.finish();
    let owed = log.append(0, anew, b"owed").unwrap();
    log.commit();
    assert_eq!(log.seqs(session), [owed.0]);
    assert_eq!(log.crash().seqs(session), [owed.0]);
}

#[test]
fn a_route_that_was_taken_back_takes_no_record() {
    let log = Log::new();
    let mut transaction = log.spool.transaction(NodeTime(1));
    let cursor = transaction.create_cursor("a", Start::Now, None).unwrap();
    let savepoint = transaction.savepoint();
    let route = transaction.route(&[cursor], b"terms").unwrap();
    transaction.back_to(savepoint);
    let head = Head {
        kind: Kind::Event,
        lane: Lane(0),
        route,
    };
    assert_eq!(transaction.append(head, |_| {}), Err(Full::UnknownRoute));
}

#[test]
fn a_route_stays_while_its_record_waits_for_a_commit() {
    let mut log = Log::new();
    let (session, route) = log.reader("session");
    let seq = log.append(0, route, b"waits").unwrap();
    log.spool.inner.lock().forget_all_routes();
    log.commit();
    assert_eq!(log.seqs(session), [seq.0]);
    log.drain(session);
    log.spool.inner.lock().forget_all_routes();
    assert_eq!(log.spool.route(route), None);
}

#[test]
fn history_on_forgotten_routes_is_no_damage() {
    let mut log = Log::new();
    let (session, route) = log.reader("session");
    let seq = log.append(0, route, b"history").unwrap();
    log.commit();
    log.drain(session);
    crowd(&mut log);
    log.spool.inner.write_checkpoint(true).unwrap();
    let log = log.crash();
    assert_eq!(log.recovery.findings, Vec::<String>::new());
    assert_eq!(log.spool.status().ledger, []);
    let entry = log.spool.read_at(seq).unwrap().unwrap();
    assert_eq!((entry.route, &*entry.body), (route, b"history".as_slice()));
}

#[test]
fn a_forgetting_that_no_checkpoint_has_is_taken_back_by_a_crash() {
    let mut log = Log::new();
    let (session, route) = log.reader("session");
    log.append(0, route, b"owed").unwrap();
    log.commit();
    log.drain(session);
    crowd(&mut log);
    let mut transaction = log.spool.transaction(NodeTime(log.now));
    let anew = transaction.route(&[session], b"terms").unwrap();
    transaction.finish();
    let owed = log.append(0, anew, b"owed again").unwrap();
    log.commit();
    let mut log = log.crash();
    assert!(log.spool.route(route).is_some() && log.spool.route(anew).is_some());
    assert_eq!((log.pending(session), log.seqs(session)), (1, vec![owed.0]));
    log.drain(session);
    assert_eq!(log.pending(session), 0);
    crowd(&mut log);
    let mut transaction = log.spool.transaction(NodeTime(log.now));
    let third = transaction.route(&[session], b"terms").unwrap();
    assert!(third > anew, "neither of the two is known");
}

#[test]
fn where_a_sink_is_owed_too_much_another_route_waits_for_its_acknowledgements() {
    let mut log = Log::with(small());
    let (sink, _) = log.reader("sink");
    let mut full = None;
    for n in 0..2 * MOST {
        let mut transaction = log.spool.transaction(NodeTime(log.now));
        let route = transaction.route(&[sink], &n.to_le_bytes());
        transaction.finish();
        match route {
            Ok(route) => log.append(0, route, b"owed").map(drop).unwrap(),
            Err(error) => full = full.or(Some((n, error))),
        }
        if n % 16 == 0 {
            log.commit();
            log.keep_house();
        }
    }
    let when_full = WhenFull::Refuse;
    let (owed, error) = full.unwrap();
    assert_eq!(error, Full::Bound { when_full });
    assert!(owed > MOST * 9 / 10 && log.pending(sink) == owed);
    log.commit();
    assert_eq!(log.drain(sink).len() as u64, owed);
    log.keep_house();
    owe_on_a_new_route(&mut log, sink, 0);
    assert_eq!(log.spool.status().ledger, []);
}

#[test]
fn a_session_that_takes_most_routes_loses_its_oldest_and_nobody_waits() {
    let mut log = Log::with(small());
    let (session, _) = log.bounded_reader("session", Some(1 << 40));
    let (quiet, _) = log.bounded_reader("quiet", Some(1 << 40));
    let kept = owe_on_a_new_route(&mut log, quiet, 0);
    for n in 0..4 * MOST {
        owe_on_a_new_route(&mut log, session, n);
        if n % 16 == 0 {
            log.keep_house();
        }
    }
    assert!(log.spool.status().routes <= MOST);
    assert_eq!(log.seqs(quiet), [kept.0]);
    let ledger = log.spool.status().ledger;
    let [loss] = ledger.as_slice() else {
        panic!("{ledger:?}")
    };
    assert_eq!(
        (loss.reason, &*loss.scope),
        (LossReason::SessionBound, "session")
    );
    assert_eq!(loss.count + log.pending(session), 4 * MOST);
    assert!(log.pending(session) > MOST / 4);
    let last = log.drain(session).last().unwrap().seq;
    assert!(loss.last < last && log.pending(session) == 0);
}

/// Appends a record on a route of its own.
fn owe_on_a_new_route(log: &mut Log, cursor: CursorId, n: u64) -> Seq {
    let mut transaction = log.spool.transaction(NodeTime(log.now));
    let route = transaction.route(&[cursor], &n.to_le_bytes()).unwrap();
    transaction.finish();
    let seq = log.append(0, route, b"owed").unwrap();
    log.commit();
    seq
}

/// Makes so many routes that those on which nobody is owed anything are forgotten.
fn crowd(log: &mut Log) {
    let mut transaction = log.spool.transaction(NodeTime(log.now));
    for n in 0..MOST_BY_DEFAULT / 2 + 32 {
        transaction.route(&[], &n.to_le_bytes()).unwrap();
    }
    transaction.finish();
    log.commit();
    log.keep_house();
}
