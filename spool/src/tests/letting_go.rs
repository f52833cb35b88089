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
