//! What is let go stays until what lets it go is on disk.

use super::*;

#[test]
fn a_record_is_kept_until_the_one_that_takes_its_place_is_committed() {
    for commits in [false, true] {
        let (mut log, old) = full_of_history_behind_a_pin();
        let new = replace(&mut log, old);
        if commits {
            log.commit();
        }
        go_on(&mut log);
        let log = log.crash();
        let is_there = |seq| log.spool.read_at(seq).unwrap().is_some();
        assert_eq!((is_there(old), is_there(new)), (!commits, commits));
    }
}

#[test]
fn what_a_transaction_takes_back_stays_pinned_as_it_was() {
    let (mut log, old) = full_of_history_behind_a_pin();
    let mut transaction = log.spool.transaction(NodeTime(log.now));
    let before = transaction.savepoint();
    transaction.append(HISTORY, |_| {}).unwrap();
    transaction.unpin(old);
    transaction.pin(old);
    transaction.back_to(before);
    transaction.finish();
    assert_eq!(log.pins(), [(old.0, 1)]);
    // Beside nothing that is appended there is nothing to wait for.
    let mut transaction = log.spool.transaction(NodeTime(log.now));
    transaction.unpin(old);
    transaction.finish();
    assert_eq!(log.pins(), []);
    go_on(&mut log);
    assert!(log.spool.read_at(old).unwrap().is_none());
}

#[test]
fn what_is_counted_as_lost_is_freed_once_the_ledger_on_disk_counts_it() {
    for commits in [false, true] {
        let mut log = Log::new();
        let (session, route) = log.reader("session");
        let mut owed = 0;
        while log.append(0, route, &body(owed, 1_000)).is_ok() {
            owed += 1;
            if owed % 20 == 0 {
                log.commit();
                log.keep_house();
            }
        }
        log.commit();
        for _ in 0..2 {
            log.spool.inner.write_checkpoint(true).unwrap();
        }
        while log.pending(session) > 0 {
            lose_some(&log, session);
        }
        if commits {
            log.append_kind(Kind::State, 0, RouteId::NOBODY, b"state")
                .unwrap();
            log.commit();
        }
        let made = log.spool.inner.lock().room.last_id;
        while log.spool.inner.prepare().unwrap() {}
        log.spool.inner.clean(4).unwrap();
        let freed = log.spool.inner.lock().room.last_id > made;
        assert_eq!(freed, commits, "{commits}");
        if !commits {
            let log = log.crash();
            let given = log.pending(session);
            assert_eq!((given, log.spool.status().ledger), (owed, vec![]));
        }
    }
}

/// Counts as expired what the session is given next, and acknowledges it.
fn lose_some(log: &Log, session: CursorId) {
    let seqs = log.seqs(session);
    log.spool.record_loss(Loss {
        reason: LossReason::Expired,
        scope: "session".into(),
        count: seqs.len() as u64,
        bytes: 0,
        first: Seq(seqs[0]),
        last: Seq(*seqs.last().unwrap()),
        at: NodeTime(log.now),
    });
    let seqs: Vec<Seq> = seqs.into_iter().map(Seq).collect();
    log.spool.ack(session, &seqs);
}

const HISTORY: Head = Head {
    kind: Kind::Event,
    lane: Lane(2),
    route: RouteId::NOBODY,
};

/// A log whose next segment can only be the file of one that is dead, and whose oldest holds a record that is pinned.
fn full_of_history_behind_a_pin() -> (Log, Seq) {
    let mut log = Log::new();
    let old = log.append(2, RouteId::NOBODY, b"old").unwrap();
    log.commit();
    log.spool.pin(old);
    for n in 0..20_000 {
        log.append(2, RouteId::NOBODY, &body(n, 1_000)).unwrap();
        if n % 20 == 19 {
            log.commit();
            log.keep_house();
        }
    }
    assert!(log.spool.read_at(Seq(old.0 + 1_000)).unwrap().is_none());
    assert!(log.spool.read_at(old).unwrap().is_some());
    // The segments that were made ahead are begun.
    for n in 0..600 {
        log.append(2, RouteId::NOBODY, &body(n, 1_000)).unwrap();
        log.commit();
    }
    (log, old)
}

fn replace(log: &mut Log, old: Seq) -> Seq {
    let mut transaction = log.spool.transaction(NodeTime(log.now));
    let new = transaction.append(HISTORY, |_| {}).unwrap();
    transaction.pin(new);
    transaction.unpin(old);
    transaction.finish();
    new
}

/// What the housekeeper frees it frees.
fn go_on(log: &mut Log) {
    for _ in 0..5 {
        log.keep_house();
    }
}

impl Log {
    fn pins(&self) -> Vec<(u64, u32)> {
        let state = self.spool.inner.lock();
        state.pins.iter().map(|(seq, pins)| (*seq, *pins)).collect()
    }
}
