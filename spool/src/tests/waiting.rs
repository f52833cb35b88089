//! What waits for a commit is bounded, whoever asks for it, while the disk takes nothing.

use super::*;

const WAITING: usize = 64 << 10;

#[test]
fn while_the_disk_stalls_new_cursors_are_refused_at_the_bound_and_known_ones_found() {
    let mut log = stalling();
    let (known, _) = log.reader("known");
    let create = |name: &str| {
        let mut transaction = log.spool.transaction(NodeTime(log.now));
        let cursor = transaction.create_cursor(name, Start::Now, None);
        transaction.finish();
        cursor
    };
    let name = |n: usize| format!("{n:0>100}");
    let created = (0..WAITING)
        .take_while(|&n| create(&name(n)).is_ok())
        .count();
    assert!(created > WAITING / 300, "{created} are created");
    assert_eq!(create(&name(created)), Err(Full::Waiting));
    assert_eq!(create("known"), Ok(known));
    let status = log.spool.status();
    assert_eq!(status.cursors.len(), created + 1);
    assert_at_the_bound(&status);
    assert_eq!(status.refused_waiting, 2);
    log.commit();
    assert_eq!(log.spool.status().waiting_bytes, 0);
    assert!(log.spool.cursor(&name(created)).is_none());
    log.reader(&name(created));
}

#[test]
fn while_the_disk_stalls_new_routes_are_refused_at_the_bound_and_known_ones_found() {
    let mut log = stalling();
    let (cursor, known) = log.reader("sink");
    let route = |terms: &[u8]| {
        let mut transaction = log.spool.transaction(NodeTime(log.now));
        let route = transaction.route(&[cursor], terms);
        transaction.finish();
        route
    };
    let refused = (0..WAITING as u64)
        .find(|&n| route(&body(n, 100)).is_err())
        .unwrap();
    assert_eq!(route(&body(refused, 100)), Err(Full::Waiting));
    assert_eq!(route(b"terms"), Ok(known));
    assert!(route(&body(0, 100)).is_ok());
    assert_at_the_bound(&log.spool.status());
    log.commit();
    let mut transaction = log.spool.transaction(NodeTime(log.now));
    assert!(transaction.route(&[cursor], &body(refused, 100)).is_ok());
}

#[test]
fn while_the_disk_stalls_acknowledgements_in_order_take_the_room_of_one() {
    let mut log = stalling();
    let (cursor, owed) = owing(&mut log, 3_000);
    fill(&mut log);
    // The first has a record, which begins a frame; the second is a run.
    acknowledge(&log, cursor, &owed[..2]);
    let before = log.spool.status().waiting_bytes;
    acknowledge(&log, cursor, &owed[2..]);
    assert_eq!(log.spool.status().waiting_bytes, before);
    assert_eq!(log.pending(cursor), 3_000, "none is true before its commit");
    log.commit();
    assert_eq!(log.pending(cursor), 0);
    assert_eq!(
        log.spool
            .cursor_status(cursor)
            .unwrap()
            .acknowledged_records,
        3_000
    );
    let log = log.crash();
    assert_eq!(log.seqs(cursor), [] as [u64; 0]);
}

#[test]
fn acknowledgements_that_waited_out_of_order_are_those_that_are_stored() {
    let mut log = stalling();
    let (cursor, owed) = owing(&mut log, 300);
    fill(&mut log);
    let even: Vec<Seq> = owed.iter().copied().step_by(2).collect();
    let odd: Vec<Seq> = owed.iter().copied().skip(1).step_by(2).collect();
    acknowledge(&log, cursor, &even);
    let gaps = log.spool.status().waiting_bytes;
    let (some, left) = odd.split_at(odd.len() - 7);
    acknowledge(
        &log,
        cursor,
        &some.iter().rev().copied().collect::<Vec<_>>(),
    );
    let waits = log.spool.status().waiting_bytes;
    assert!(
        waits < gaps,
        "{waits} bytes without the gaps, {gaps} with them"
    );
    log.commit();
    let left: Vec<u64> = left.iter().map(|seq| seq.0).collect();
    assert_eq!(log.seqs(cursor), left);
    let log = log.crash();
    assert_eq!(log.seqs(cursor), left);
}

#[test]
fn an_acknowledgement_that_waits_is_not_stored_before_what_was_appended_before_it() {
    let mut log = stalling();
    let (cursor, owed) = owing(&mut log, 10);
    fill(&mut log);
    acknowledge(&log, cursor, &owed);
    log.keep_house();
    let expected: Vec<u64> = owed.iter().map(|seq| seq.0).collect();
    assert_eq!(log.crash().seqs(cursor), expected);
}

#[test]
fn while_the_disk_stalls_a_cursor_can_be_removed() {
    let mut log = stalling();
    let (cursor, _) = log.reader("sink");
    fill(&mut log);
    let mut transaction = log.spool.transaction(NodeTime(log.now));
    transaction.remove_cursor(cursor, None);
    transaction.finish();
    log.commit();
    assert!(log.spool.cursor_status(cursor).is_none());
}

#[test]
fn acknowledgements_that_waited_together_with_the_end_of_a_session_are_no_debt_of_it() {
    let mut log = stalling();
    let (cursor, owed) = owing(&mut log, 10);
    fill(&mut log);
    acknowledge(&log, cursor, &owed[..6]);
    let mut transaction = log.spool.transaction(NodeTime(log.now));
    transaction.remove_cursor(cursor, Some(LossReason::SessionEnded));
    transaction.finish();
    log.commit();
    let ledger = log.crash().spool.status().ledger;
    let debts: Vec<_> = (ledger.iter().map(|it| (it.count, it.first, it.last))).collect();
    assert_eq!(debts, [(4, owed[6], owed[9])]);
}

/// A log on a disk that takes what a test commits, and nothing else.
fn stalling() -> Log {
    Log::with(Options {
        waiting_bytes: WAITING,
        ..options()
    })
}

/// A cursor, and what it is given: records of two lanes among others that it is not owed.
fn owing(log: &mut Log, count: u64) -> (CursorId, Vec<Seq>) {
    let (cursor, route) = log.reader("sink");
    let mut owed = Vec::new();
    for n in 0..count {
        owed.push(log.append(n as u8 % 2, route, &body(n, 8)).unwrap());
        log.append(0, RouteId::NOBODY, &body(n, 8)).unwrap();
        if n % 100 == 99 {
            log.commit();
        }
    }
    log.commit();
    assert_eq!(log.seqs(cursor).len() as u64, count);
    (cursor, owed)
}

/// Each in a transaction of its own.
fn acknowledge(log: &Log, cursor: CursorId, seqs: &[Seq]) {
    for seq in seqs {
        let mut transaction = log.spool.transaction(NodeTime(log.now));
        transaction.ack(cursor, *seq);
        transaction.finish();
    }
}

fn fill(log: &mut Log) {
    while log.append(0, RouteId::NOBODY, &body(0, 1_000)) != Err(Full::Waiting) {}
}

fn assert_at_the_bound(status: &Status) {
    let bound = WAITING as u64;
    let waits = status.waiting_bytes;
    assert!((bound..bound + 200).contains(&waits), "{waits} bytes wait");
}
