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

/// A log on a disk that takes what a test commits, and nothing else.
fn stalling() -> Log {
    Log::with(Options {
        waiting_bytes: WAITING,
        ..options()
    })
}

fn fill(log: &mut Log) {
    while log.append(0, RouteId::NOBODY, &body(0, 1_000)) != Err(Full::Waiting) {}
}

fn assert_at_the_bound(status: &Status) {
    let bound = WAITING as u64;
    let waits = status.waiting_bytes;
    assert!((bound..bound + 200).contains(&waits), "{waits} bytes wait");
}
