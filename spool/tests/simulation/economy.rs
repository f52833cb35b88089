//! What the log asks of the disk.

use std::{
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use spool::{
    Committer, CursorId, Full, Head, Kind, Lane, NodeTime, Options, ReadLimits, RouteId, Seq,
    Spool, Start, storage::simulated::Simulated,
};

use crate::{
    random::options,
    world::{World, commit_all, open},
};

pub const NOW: NodeTime = NodeTime(1_700_000_000_000);
const EACH: ReadLimits = ReadLimits {
    records: 500,
    bytes: 1 << 20,
    lanes: u32::MAX,
};

#[test]
fn idle_log_writes_nothing() {
    let (storage, spool) = log(2, 1 << 20, 64 << 20);
    let uplink = cursor(&spool, "uplink");
    let route = route_to(&spool, &[uplink]);
    append(&spool, 500, 1, route, 256);
    commit_and_housekeep(&spool);
    let batch = spool.read(uplink, Seq::ZERO, EACH).unwrap();
    spool.ack(
        uplink,
        &batch
            .entries
            .iter()
            .map(|entry| entry.seq)
            .collect::<Vec<_>>(),
    );
    spool.checkpoint(b"state".to_vec());
    let mut now = NOW;
    let mut settle = |seconds: u64| {
        for _ in 0..seconds {
            now.0 += 1_000;
            spool.housekeep_once(now);
            spool.commit_once();
        }
        storage.counters()
    };
    let before = settle(10);
    let after = settle(600);
    assert_eq!(
        (after.bytes_written, after.syncs),
        (before.bytes_written, before.syncs)
    );
    assert_eq!(
        (after.directory_changes, after.directory_syncs),
        (before.directory_changes, before.directory_syncs)
    );
}

#[test]
fn thousand_alarms_among_a_million_records_are_drained_reading_less_than_a_twentieth_of_the_log() {
    let (storage, spool) = log(3, 1 << 20, 256 << 20);
    let uplink = cursor(&spool, "uplink");
    let route = route_to(&spool, &[uplink]);
    for _ in 0..1_000 {
        append(&spool, 1_000, 1, route, 32);
        append(&spool, 1, 0, route, 32);
        commit_and_housekeep(&spool);
    }
    let log_bytes = spool.status().used_bytes;
    let before = storage.counters().bytes_read;
    let limits = ReadLimits { lanes: 1, ..EACH };
    let (mut after, mut alarms) = (Seq::ZERO, 0);
    loop {
        let batch = spool.read(uplink, after, limits).unwrap();
        assert!(batch.entries.iter().all(|entry| entry.lane == Lane(0)));
        alarms += batch.entries.len();
        spool.ack(
            uplink,
            &batch
                .entries
                .iter()
                .map(|entry| entry.seq)
                .collect::<Vec<_>>(),
        );
        after = batch.next;
        if batch.at_end {
            break;
        }
    }
    let read = storage.counters().bytes_read - before;
    assert_eq!(alarms, 1_000);
    assert!(log_bytes > 40_000_000, "{log_bytes}");
    assert!(read * 20 < log_bytes, "{read} of {log_bytes} bytes read");
}

#[test]
fn hundred_offline_cursors_add_at_most_a_tenth_to_the_bytes_of_a_record() {
    let bytes_with = |cursors: usize| {
        let (storage, spool) = log(4, 1 << 20, 64 << 20);
        let route = route(&spool, cursors);
        commit_and_housekeep(&spool);
        let before = storage.counters().bytes_written;
        for _ in 0..50 {
            append(&spool, 200, 1, route, 256);
            commit_and_housekeep(&spool);
        }
        storage.counters().bytes_written - before
    };
    let (one, hundred) = (bytes_with(1), bytes_with(101));
    assert!(one > 50 * 200 * 256, "{one}");
    assert!(
        hundred * 10 <= one * 11,
        "{hundred} bytes with 100 more cursors, {one} with one"
    );
}

#[test]
fn after_a_kill_at_most_ten_thousand_acknowledgements_are_repeated() {
    let (storage, spool) = log(5, 1 << 20, 64 << 20);
    let uplink = cursor(&spool, "uplink");
    let route = route_to(&spool, &[uplink]);
    for _ in 0..60 {
        append(&spool, 500, 1, route, 50);
        commit_and_housekeep(&spool);
    }
    // All within one moment, so that only their number can have them saved.
    let (mut after, mut acked) = (Seq::ZERO, 0);
    while acked < 25_000 {
        let batch = spool.read(uplink, after, EACH).unwrap();
        spool.ack(
            uplink,
            &batch
                .entries
                .iter()
                .map(|entry| entry.seq)
                .collect::<Vec<_>>(),
        );
        acked += batch.entries.len();
        after = batch.next;
        append(&spool, 1, 1, RouteId::NOBODY, 50);
        commit_and_housekeep(&spool);
    }
    let (spool, _) = open(&storage.crash(), &sized(1 << 20, 64 << 20), NOW);
    let left = spool.cursor_status(uplink).unwrap().pending_records;
    assert!(
        (5_000..=15_000).contains(&left),
        "of 25,000 acknowledged {} are given again",
        left - 5_000
    );
}

#[test]
fn acknowledgements_older_than_a_second_are_not_repeated() {
    let (storage, spool) = log(6, 1 << 20, 64 << 20);
    let uplink = cursor(&spool, "uplink");
    let route = route_to(&spool, &[uplink]);
    append(&spool, 100, 1, route, 50);
    commit_and_housekeep(&spool);
    let seqs = read_all(&spool, uplink);
    spool.ack(uplink, &seqs[..60]);
    let before = storage.counters().syncs;
    spool.housekeep_once(NodeTime(NOW.0 + 1_000));
    spool.commit_once();
    assert!(storage.counters().syncs - before <= 1);
    let (spool, _) = open(&storage.crash(), &sized(1 << 20, 64 << 20), NOW);
    assert_eq!(read_all(&spool, uplink), seqs[60..]);
}

#[test]
fn stalled_disk_holds_acknowledgements_back_and_nothing_else() {
    let storage = Simulated::new(7);
    let told = Arc::new((Mutex::new(0_u64), Condvar::new()));
    let notify = {
        let told = told.clone();
        Arc::new(move || {
            *told.0.lock().unwrap() += 1;
            told.1.notify_all();
        })
    };
    let (spool, _) = Spool::open(
        Arc::new(storage.clone()),
        options(7, &[Default::default(); 3]),
        NOW,
        notify,
    )
    .unwrap();
    let wait_for = |seq: Seq| {
        let mut count = told.0.lock().unwrap();
        while spool.committed() < seq {
            let (next, timeout) = told
                .1
                .wait_timeout(count, Duration::from_secs(120))
                .unwrap();
            assert!(
                !timeout.timed_out(),
                "{:?} of {seq:?} committed",
                spool.committed()
            );
            count = next;
        }
    };
    let committer = Committer::start(&spool, Arc::new(|| NOW));
    let uplink = cursor_of(&spool, "uplink");
    let mut transaction = spool.transaction(NOW);
    let route = transaction.route(&[uplink], b"").unwrap();
    transaction.finish();
    let first = append(&spool, 3, 1, route, 256);
    wait_for(first);

    storage.hold_syncs();
    let mut last = append(&spool, 1, 1, route, 256);
    storage.wait_for_held_sync();
    let full = loop {
        let mut transaction = spool.transaction(NOW);
        let head = Head {
            kind: Kind::Event,
            lane: Lane(1),
            route,
        };
        let result = transaction.append(head, |bytes| bytes.extend_from_slice(&[3; 1_000]));
        last = transaction.finish().max(last);
        if let Err(full) = result {
            break full;
        }
    };
    assert_eq!(full, Full::Waiting, "what waits for a commit is bounded");
    assert_eq!(
        spool.committed(),
        first,
        "nothing is acknowledged before its sync"
    );
    assert_eq!(
        read_all(&spool, uplink).len(),
        3,
        "what is committed can be read meanwhile"
    );
    storage.release_syncs();
    wait_for(last);
    drop(committer);
}

fn sized(segment_bytes: u32, bound_bytes: u64) -> Options {
    let bounds = Options {
        bound_bytes: Some(bound_bytes),
        segment_bytes: Some(segment_bytes),
        ..Options::default()
    };
    Options {
        min_free_percent: 0,
        ..bounds
    }
}

pub fn log(seed: u64, segment_bytes: u32, bound_bytes: u64) -> (Simulated, Spool) {
    let storage = Simulated::new(seed);
    let (spool, _) = open(&storage, &sized(segment_bytes, bound_bytes), NOW);
    (storage, spool)
}

fn cursor(spool: &Spool, name: &str) -> CursorId {
    let id = cursor_of(spool, name);
    spool.commit_once();
    id
}

fn cursor_of(spool: &Spool, name: &str) -> CursorId {
    let mut transaction = spool.transaction(NOW);
    let id = transaction.create_cursor(name, Start::Now, None).unwrap();
    transaction.finish();
    id
}

fn route_to(spool: &Spool, cursors: &[CursorId]) -> RouteId {
    let mut transaction = spool.transaction(NOW);
    let route = transaction.route(cursors, b"terms").unwrap();
    transaction.finish();
    spool.commit_once();
    route
}

pub fn route(spool: &Spool, cursors: usize) -> RouteId {
    let ids: Vec<CursorId> = (0..cursors)
        .map(|n| cursor(spool, &format!("session-{n}")))
        .collect();
    route_to(spool, &ids)
}

pub fn append(spool: &Spool, records: usize, lane: u8, route: RouteId, len: usize) -> Seq {
    let mut transaction = spool.transaction(NOW);
    for n in 0..records {
        let head = Head {
            kind: Kind::Event,
            lane: Lane(lane),
            route,
        };
        transaction
            .append(head, |bytes| bytes.resize(bytes.len() + len, n as u8))
            .unwrap();
    }
    transaction.finish()
}

pub fn commit_and_housekeep(spool: &Spool) {
    commit_all(spool);
    spool.housekeep_once(NOW);
}

fn read_all(spool: &Spool, cursor: CursorId) -> Vec<Seq> {
    let (mut after, mut seqs) = (Seq::ZERO, Vec::new());
    loop {
        let batch = spool.read(cursor, after, EACH).unwrap();
        seqs.extend(batch.entries.iter().map(|entry| entry.seq));
        after = batch.next;
        if batch.at_end {
            return seqs;
        }
    }
}

#[test]
fn acknowledgements_of_a_drained_world_cost_nothing_more() {
    let mut world = World::new(8, options(8, &[Default::default(); 3]));
    let uplink = world.create_cursor("uplink", Start::Now, None);
    for _ in 0..50 {
        world.append(Kind::Event, 1, &[uplink], 200).unwrap();
    }
    world.commit();
    world.drain(uplink, 50, 0.0);
    let before = world.storage.counters();
    assert!(
        !world.spool.commit_once(),
        "acknowledgements alone are no reason to commit at once"
    );
    assert_eq!(world.storage.counters(), before);
}
