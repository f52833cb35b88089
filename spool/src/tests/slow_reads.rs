//! Reads that fail after a second or more: what else is due goes on, and nothing that can be had waits for them.

use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};

use super::{
    acting::{Acting, Call},
    damaging::{append_alone, entered, segment},
    *,
};
use crate::{frame::PAGE, marks};

/// What one read that fails takes.
const SLOW_MS: u64 = 1_000;

/// Acknowledges as soon as the one before is on disk, often while a read is failing, and notes how long each took.
struct Acknowledging {
    spool: Spool,
    disk: Simulated,
    cursor: CursorId,
    left: Vec<Seq>,
    waits: Option<(Seq, u64)>,
    longest_ms: u64,
    stored: usize,
}

impl Acknowledging {
    fn look(&mut self, now: u64) {
        if let Some((seq, since)) = self.waits {
            if self.low_on_disk() < seq.0 {
                return;
            }
            self.longest_ms = self.longest_ms.max(now - since);
            self.stored += 1;
            self.waits = None;
        }
        if let Some(seq) = self.left.pop() {
            self.spool.ack(self.cursor, &[seq]);
            self.waits = Some((seq, now));
        }
    }

    fn low_on_disk(&self) -> u64 {
        let file = self.disk.open(marks::FILE).unwrap();
        let (_, marks) = marks::Slots::open(file).unwrap();
        let own = marks.iter().find(|mark| mark.id == self.cursor.0);
        own.map_or(0, |mark| mark.lanes[0].low)
    }
}

#[test]
fn acknowledgement_is_on_disk_within_two_seconds_however_slowly_reads_fail() {
    let storage = Acting::on(Simulated::new(7));
    let mut log = over(&storage);
    let (reader, to_reader) = log.reader("reader");
    let (other, to_other) = log.reader("other");
    for _ in 0..50 {
        append_alone(&mut log, to_reader);
    }
    let mut log = log.kill_over(&storage);
    let mut left: Vec<Seq> = (0..40)
        .map(|_| Seq(append_alone(&mut log, to_other)))
        .collect();
    left.reverse();
    log.keep_house();
    // In a process whose scrub begins.
    let log = log.kill_over(&storage);
    assert!(log.spool.inner.lock().segments[0].is_sealed());
    // Ten that a reader wants, and ten that the scrub finds by itself.
    let _ = log.spool.read(other, Seq::ZERO, ALL).unwrap();
    let acknowledging = Arc::new(Mutex::new(Acknowledging {
        spool: log.spool.clone(),
        disk: log.disk.clone(),
        cursor: other,
        left,
        waits: None,
        longest_ms: 0,
        stored: 0,
    }));
    let now = Arc::new(AtomicU64::new(log.now));
    let (clock, acting) = (now.clone(), acknowledging.clone());
    spoil(&log, 10..20);
    assert!(log.spool.read(reader, Seq::ZERO, ALL).is_err());
    spoil(&log, 30..40);
    storage.act(move |call| {
        if call == Call::ReadFailed {
            let now = clock.fetch_add(SLOW_MS, Ordering::Relaxed) + SLOW_MS;
            acting.lock().unwrap().look(now);
        }
    });
    let begun = log.now;
    while now.load(Ordering::Relaxed) < begun + 300_000 {
        let at = now.load(Ordering::Relaxed);
        let wake = log.spool.housekeep_once(NodeTime(at));
        let at = now.load(Ordering::Relaxed);
        acknowledging.lock().unwrap().look(at);
        let wake = wake.map_or(100, |wake| (wake.as_millis() as u64).clamp(1, 100));
        now.fetch_add(wake, Ordering::Relaxed);
    }
    let seen = acknowledging.lock().unwrap();
    assert_eq!(seen.stored, 40);
    // A look at the disk comes no oftener than every hundred milliseconds.
    assert!(seen.longest_ms <= 2_100, "{} ms", seen.longest_ms);
    drop(seen);
    let lost: u64 = entered(&log).iter().map(|(_, count, ..)| count).sum();
    assert_eq!(
        lost, 20,
        "all that could not be read was found and given up"
    );
}

#[test]
fn many_records_in_one_page_are_one_wait() {
    let storage = Acting::on(Simulated::new(7));
    let mut log = over(&storage);
    let (cursor, route) = log.reader("sink");
    for n in 0..80 {
        log.append(0, route, &body(n, 10)).unwrap();
    }
    log.commit();
    let whole = append_alone(&mut log, route);
    let mut log = log.kill_over(&storage);
    spoil(&log, 2..3);
    let failed = Arc::new(AtomicU64::new(0));
    let count = failed.clone();
    storage.act(move |call| {
        if call == Call::ReadFailed {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    assert!(log.spool.read(cursor, Seq::ZERO, ALL).is_err());
    assert!(
        failed.swap(0, Ordering::Relaxed) <= 6,
        "the page is asked for a few times"
    );
    (0..40).for_each(|_| log.keep_house());
    let looks_and_a_copy = failed.load(Ordering::Relaxed);
    assert!(looks_and_a_copy <= 20, "{looks_and_a_copy}");
    assert_eq!(log.seqs(cursor), [whole]);
    assert_eq!(
        entered(&log)
            .iter()
            .map(|(_, count, ..)| count)
            .sum::<u64>(),
        80
    );
}

#[test]
fn session_whose_index_cannot_be_read_keeps_no_other_from_its_bound() {
    let mut log = Log::new();
    let (first, to_first) = log.bounded_reader("first", Some(5_000));
    let (second, to_second) = log.bounded_reader("second", Some(5_000));
    for n in 0..3 {
        log.append(0, to_first, &body(n, 1_000)).unwrap();
    }
    log.commit();
    let mut log = log.kill();
    append_alone(&mut log, to_second);
    log.keep_house();
    // In a process that remembers nothing of the index.
    let mut log = log.kill();
    withhold_index(&log);
    for n in 0..6 {
        log.append(0, to_first, &body(n, 1_000)).unwrap();
        log.append(0, to_second, &body(n, 1_000)).unwrap();
    }
    log.commit();
    // A step looks into one more segment.
    for _ in 0..3 {
        let held = log.spool.inner.hold_bounds();
        assert!(held.is_err(), "what cannot be read is said");
    }
    assert_eq!(log.pending(first), 9);
    let bounded = log.pending(second);
    assert!(bounded <= 5, "{bounded}");
}

#[test]
fn lane_whose_oldest_cannot_be_read_keeps_no_other_from_making_room() {
    let mut log = Log::new();
    let (_, route) = log.reader("sink");
    append_alone(&mut log, route);
    let mut log = log.kill();
    fill_lane_of(&mut log, 1, route);
    fill_lane_of(&mut log, 0, route);
    let disk = log.disk.clone();
    drop(log);
    let mut options = options();
    for lane in &mut options.lanes {
        lane.when_full = WhenFull::DropOldest;
    }
    let log = Log::on(disk, options).unwrap();
    withhold_index(&log);
    log.spool.inner.lock().room.wanting = 0b11;
    assert!(
        log.spool.inner.drop_for_room().is_err(),
        "what cannot be read is said"
    );
    let entries = entered(&log);
    assert!(
        matches!(entries[..], [(LossReason::DroppedForRoom, ..)]),
        "{entries:?}"
    );
}

/// Makes the index of the first segment unreadable, and a frame of those it could be made of again.
fn withhold_index(log: &Log) {
    let end = log.spool.inner.lock().segments[0].end / PAGE;
    spoil(log, end..end + 1);
    spoil(log, 1..2);
}

fn fill_lane_of(log: &mut Log, lane: u8, route: RouteId) {
    for n in 0.. {
        if log.append(lane, route, &body(n, 1_000)).is_err() {
            log.commit();
            return;
        }
        if n % 20 == 19 {
            log.commit();
            log.keep_house();
        }
    }
}

fn over(storage: &Acting) -> Log {
    Log::over(Arc::new(storage.clone()), storage.disk.clone(), options()).unwrap()
}

fn spoil(log: &Log, pages: std::ops::Range<u64>) {
    for page in pages {
        log.disk
            .spoil_sector_at(&segment(1), (page * PAGE) as usize, None);
    }
}
