//! Sectors that cannot be read while the log runs.

use super::{
    cleaning::fill_and_drain_one,
    damaging::{append_alone, entered, segment},
    *,
};
use crate::{frame::PAGE, segment::Fault};

const FOR_GOOD: Option<u32> = None;
const NO_MORE: Option<u32> = Some(0);

#[test]
fn record_that_cannot_be_read_for_a_minute_is_damaged_and_readers_go_on() {
    for sealed in [false, true] {
        let (mut log, cursor, seqs) = with_records(sealed);
        spoil_page(&log, 3, FOR_GOOD);
        log.keep_house();
        for _ in 0..25 {
            require_withheld(&log, cursor);
            assert_eq!(entered(&log), [], "it may come back");
            log.keep_house();
        }
        wait_a_minute(&mut log);
        let whole = [&seqs[..1], &seqs[2..]].concat();
        assert_eq!(log.seqs(cursor), whole);
        let once = [(LossReason::Damaged, 1, seqs[1], seqs[1])];
        assert_eq!(entered(&log), once);
        log.drain(cursor);
        let low = log.spool.inner.lock().cursors[&cursor.0].low();
        assert!(Some(&low) >= seqs.last(), "the low mark pins nothing");
        wait_a_minute(&mut log);
        assert_eq!(entered(&log), once);
        let log = log.kill();
        assert_eq!(entered(&log), once);
    }
}

#[test]
fn records_that_cannot_be_read_are_waited_for_together() {
    let (mut log, cursor, seqs) = with_records(false);
    spoil_page(&log, 2, FOR_GOOD);
    spoil_page(&log, 4, FOR_GOOD);
    require_withheld(&log, cursor);
    wait_a_minute(&mut log);
    assert_eq!(log.seqs(cursor), [seqs[1]]);
}

#[test]
fn record_that_can_be_read_again_within_a_minute_is_served() {
    let (mut log, cursor, seqs) = with_records(true);
    spoil_page(&log, 3, FOR_GOOD);
    for _ in 0..25 {
        require_withheld(&log, cursor);
        log.keep_house();
    }
    spoil_page(&log, 3, NO_MORE);
    wait_a_minute(&mut log);
    assert_eq!(log.seqs(cursor), seqs);
    assert_eq!(entered(&log), []);
    // Another minute begins with the next error.
    spoil_page(&log, 3, FOR_GOOD);
    require_withheld(&log, cursor);
    log.keep_house();
    log.keep_house();
    assert_eq!(entered(&log), []);
}

#[test]
fn nothing_is_given_up_while_no_part_of_a_file_can_be_read() {
    let (mut log, cursor, seqs) = with_records(true);
    let pages = u64::from(SEGMENT) / PAGE;
    spoil_page(&log, 3, FOR_GOOD);
    require_withheld(&log, cursor);
    (0..pages).for_each(|page| spoil_page(&log, page, FOR_GOOD));
    for _ in 0..3 {
        assert!(log.spool.read(cursor, Seq::ZERO, ALL).is_err());
        wait_a_minute(&mut log);
    }
    assert_eq!(entered(&log), []);
    // The minute of what still cannot be read begins when the rest is back.
    let others = (0..pages).filter(|&page| page != 3);
    others.for_each(|page| spoil_page(&log, page, NO_MORE));
    for _ in 0..3 {
        require_withheld(&log, cursor);
        log.keep_house();
    }
    assert_eq!(entered(&log), []);
    spoil_page(&log, 3, NO_MORE);
    log.keep_house();
    assert_eq!(log.seqs(cursor), seqs);
    wait_a_minute(&mut log);
    assert_eq!(entered(&log), []);
}

#[test]
fn index_that_cannot_be_read_is_made_again_and_waits_for_frames_that_cannot() {
    for with_frame in [false, true] {
        let (log, cursor, seqs) = with_records(true);
        // In a process that remembers nothing of the index.
        let mut log = log.kill();
        let end = log.spool.inner.lock().segments[0].end;
        spoil_page(&log, end / PAGE, FOR_GOOD);
        if with_frame {
            spoil_page(&log, 3, FOR_GOOD);
            require_withheld(&log, cursor);
            assert_eq!(entered(&log), []);
            wait_a_minute(&mut log);
            let whole = [&seqs[..1], &seqs[2..]].concat();
            assert_eq!(log.seqs(cursor), whole);
            assert_eq!(entered(&log), [(LossReason::Damaged, 1, seqs[1], seqs[1])]);
        } else {
            assert_eq!(log.seqs(cursor), seqs);
            assert_eq!(entered(&log), []);
        }
    }
}

#[test]
fn state_that_cannot_be_read_at_the_start_is_damaged_at_once() {
    let mut log = Log::new();
    let mut seqs = Vec::new();
    for text in [b"one", b"two"] {
        let seq = log.append_kind(Kind::State, 0, RouteId::NOBODY, text);
        seqs.push(seq.unwrap().0);
        log.commit();
    }
    log = log.kill();
    append_alone(&mut log, RouteId::NOBODY);
    log.keep_house();
    spoil_page(&log, 1, FOR_GOOD);
    let log = log.kill();
    assert_eq!(entered(&log), [(LossReason::Damaged, 1, seqs[0], seqs[0])]);
}

#[test]
fn segment_that_cannot_be_written_anew_keeps_no_other_from_being_sealed() {
    let (mut log, cursor, seqs) = with_records(false);
    spoil_page(&log, 3, FOR_GOOD);
    fail_a_sync(&mut log);
    let is_sealed = |log: &Log| {
        let state = log.spool.inner.lock();
        Vec::from_iter(
            state
                .segments
                .iter()
                .map(crate::segment::Segment::is_sealed),
        )
    };
    let more = fill(&mut log);
    log.keep_house();
    assert_eq!(is_sealed(&log)[..2], [false, true]);
    wait_a_minute(&mut log);
    // The ledger reaches the disk with the next commit.
    let route = route(&log);
    append_alone(&mut log, route);
    wait_a_minute(&mut log);
    assert_eq!(is_sealed(&log)[..2], [true, true]);
    let once = [(LossReason::Damaged, 1, seqs[1], seqs[1])];
    assert_eq!(entered(&log), once);
    let given = log.drain(cursor).len() as u64;
    assert_eq!(given, seqs.len() as u64 - 1 + more + 1);
}

#[test]
fn segment_that_cannot_be_read_keeps_no_other_from_being_cleaned() {
    let mut log = Log::new();
    let slow = fill_and_drain_one(&mut log, 3);
    log.spool.inner.seal_all().unwrap();
    let owed = all_of(&log, slow);
    let is_small = |log: &Log, id: u64| log.disk.files()[&segment(id)].len() < SEGMENT as usize;
    // Each page of the frames, or the probes that tell a sector from a disk.
    for page in 1..20 {
        spoil_page(&log, page, FOR_GOOD);
    }
    let cleaned = log.spool.inner.clean(3);
    assert!(cleaned.is_err(), "what cannot be read is said");
    assert!(!is_small(&log, 1), "it may come back");
    assert!(is_small(&log, 2) && is_small(&log, 3));
    for page in 1..20 {
        spoil_page(&log, page, NO_MORE);
    }
    log.spool.inner.look_at_withheld(log.now + 5_000);
    log.spool.inner.clean(3).unwrap();
    assert!(is_small(&log, 1));
    assert_eq!(all_of(&log, slow), owed);
    assert_eq!(entered(&log), []);
}

/// A log with a reader and three records in its first segment, one in a frame each.
fn with_records(sealed: bool) -> (Log, CursorId, Vec<u64>) {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let mut seqs: Vec<u64> = (0..3).map(|_| append_alone(&mut log, route)).collect();
    if sealed {
        log = log.kill();
        seqs.push(append_alone(&mut log, route));
        log.keep_house();
        assert!(log.spool.inner.lock().segments[0].is_sealed());
    }
    (log, cursor, seqs)
}

/// A commit fails, so that its segment is not written any more.
fn fail_a_sync(log: &mut Log) {
    let route = route(log);
    log.append(0, route, b"again").unwrap();
    log.disk.set_faults(Faults {
        sync: 1.0,
        ..Faults::default()
    });
    log.spool.commit_once();
    log.disk.set_faults(Faults::default());
    log.commit();
    assert_eq!(
        log.spool.inner.lock().segments[0].fault,
        Some(Fault::Failed)
    );
}

/// As many records as take another segment; how many, with that of the failed commit.
fn fill(log: &mut Log) -> u64 {
    let mut count = 1;
    while log.spool.inner.lock().segments.len() < 3 {
        let route = route(log);
        log.append(0, route, &[7; 20_000]).unwrap();
        log.commit();
        count += 1;
    }
    count
}

pub(super) fn route(log: &Log) -> RouteId {
    let cursor = log.spool.cursor("sink").unwrap();
    let mut transaction = log.spool.transaction(NodeTime(log.now));
    let route = transaction.route(&[cursor], b"terms").unwrap();
    transaction.finish();
    route
}

fn require_withheld(log: &Log, cursor: CursorId) {
    let read = log.spool.read(cursor, Seq::ZERO, ALL);
    assert!(matches!(read, Err(StorageError::Withheld)), "{read:?}");
}

fn wait_a_minute(log: &mut Log) {
    for _ in 0..40 {
        log.keep_house();
        log.commit();
    }
}

fn spoil_page(log: &Log, page: u64, reads: Option<u32>) {
    log.disk
        .spoil_sector_at(&segment(1), (page * PAGE) as usize, reads);
}
