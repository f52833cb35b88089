//! Segments that have lost their header.

use super::{
    damaging::{append_alone, entered, flip_in_page, segment},
    *,
};
use crate::frame::PAGE;

#[test]
fn segment_without_header_and_first_frame_is_read_from_its_other_frames() {
    for newest in [true, false] {
        let mut log = Log::new();
        let (cursor, route) = log.reader("sink");
        let before = append_alone(&mut log, route);
        let mut log = log.kill();
        let gone = append_alone(&mut log, route);
        let mut kept = vec![before];
        kept.extend([append_alone(&mut log, route), append_alone(&mut log, route)]);
        if !newest {
            log = log.kill();
            kept.push(append_alone(&mut log, route));
        }
        flip_header_and_first_frame(&log, 2);
        for _ in 0..2 {
            log = log.kill();
            assert_eq!(log.seqs(cursor), kept);
            assert_eq!(entered(&log), [(LossReason::Damaged, 1, gone, gone)]);
            assert!(log.disk.files().contains_key("quarantine-0000000000000002"));
            kept.push(append_alone(&mut log, route));
        }
    }
}

#[test]
fn newest_segment_of_which_nothing_can_be_read_is_in_the_ledger_and_kept() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let mut kept = vec![append_alone(&mut log, route)];
    let mut log = log.kill();
    let gone = append_alone(&mut log, route);
    flip_header_and_first_frame(&log, 2);
    for _ in 0..2 {
        log = log.kill();
        assert_eq!(log.seqs(cursor), kept);
        let entries = entered(&log);
        let [(LossReason::TailCut, 1, first, last)] = entries[..] else {
            panic!("{entries:?}")
        };
        assert!(first <= gone && gone <= last);
        let files = log.disk.files();
        assert!(files.contains_key("quarantine-0000000000000002"));
        let on_disk: usize = files.values().map(Vec::len).sum();
        assert!(log.spool.inner.lock().files_bytes() >= on_disk as u64);
        let next = append_alone(&mut log, route);
        assert!(next > last, "a position is not given out again");
        kept.push(next);
    }
}

#[test]
fn crash_while_a_log_is_opened_forgets_nothing_of_a_newest_segment_that_cannot_be_read() {
    for with_header in [true, false] {
        let mut log = Log::new();
        let (_, route) = log.reader("sink");
        append_alone(&mut log, route);
        let mut log = log.kill();
        let gone = append_alone(&mut log, route);
        // Segments made ahead take the places of spares.
        log.keep_house();
        assert!(
            [3, 4]
                .iter()
                .all(|&id| log.disk.files().contains_key(&segment(id)))
        );
        if with_header {
            flip_in_page(&log, 2, 1);
        } else {
            flip_header_and_first_frame(&log, 2);
        }
        let files = log.disk.files();
        drop(log);
        for operation in 0.. {
            let disk = Simulated::with_files(operation, files.clone());
            disk.crash_at(disk.operations() + operation);
            let opened = Log::on(disk.clone(), options());
            let is_done = !disk.crashed();
            let log = match opened {
                Ok(log) if is_done => log,
                _ => Log::on(disk.crash(), options()).unwrap(),
            };
            let entries = entered(&log);
            let [(LossReason::TailCut, _, first, last)] = entries[..] else {
                panic!("crashed at {operation}: {entries:?}")
            };
            assert!(first <= gone && gone <= last);
            if is_done {
                break;
            }
        }
    }
}

/// The ledger finds no room on disk, so that the segment is all that tells of its damage.
#[test]
fn log_opened_on_a_full_disk_keeps_what_cannot_be_read_until_the_ledger_is_stored() {
    for with_header in [true, false] {
        let mut log = Log::new();
        let (_, route) = log.reader("sink");
        append_alone(&mut log, route);
        let mut log = log.kill();
        append_alone(&mut log, route);
        match with_header {
            true => flip_in_page(&log, 2, 1),
            false => flip_header_and_first_frame(&log, 2),
        }
        let files = log.disk.files();
        drop(log);
        for operation in 0.. {
            let disk = Simulated::with_files(operation, files.clone());
            disk.set_capacity(1);
            disk.crash_at(operation);
            if let Ok(mut log) = Log::on(disk.clone(), options()) {
                (0..3).for_each(|_| log.keep_house());
            }
            let is_done = !disk.crashed();
            let after = match is_done {
                true => Simulated::with_files(operation, disk.files()),
                false => disk.crash(),
            };
            after.set_capacity(1 << 30);
            let entries = entered(&Log::on(after, options()).unwrap());
            assert!(
                matches!(entries[..], [(LossReason::TailCut, ..)]),
                "crashed at {operation}: {entries:?}"
            );
            if is_done {
                break;
            }
        }
    }
}

#[test]
fn what_a_full_disk_kept_goes_once_the_ledger_is_stored() {
    let mut log = Log::new();
    let (_, route) = log.reader("sink");
    append_alone(&mut log, route);
    let mut log = log.kill();
    append_alone(&mut log, route);
    flip_header_and_first_frame(&log, 2);
    log.disk.set_capacity(1);
    let mut log = log.kill();
    log.keep_house();
    assert!(log.disk.files().contains_key(&segment(2)));
    log.disk.set_capacity(1 << 30);
    log.keep_house();
    append_alone(&mut log, route);
    log.keep_house();
    assert!(!log.disk.files().contains_key(&segment(2)));
    assert!(matches!(
        entered(&log.kill())[..],
        [(LossReason::TailCut, ..)]
    ));
}

#[test]
fn unread_segment_goes_where_enough_copies_are_kept() {
    let mut log = Log::new();
    let (_, route) = log.reader("sink");
    let mut log = log.kill();
    append_alone(&mut log, route);
    flip_header_and_first_frame(&log, 2);
    let mut files = log.disk.files();
    drop(log);
    for copy in [7, 8] {
        files.insert(format!("quarantine-{copy:016x}"), vec![1; 4096]);
    }
    let log = Log::on(Simulated::with_files(7, files), options()).unwrap();
    assert_eq!(entered(&log)[0].0, LossReason::TailCut);
    assert!(!log.disk.files().contains_key(&segment(2)));
}

#[test]
fn file_that_a_crash_kept_from_getting_a_header_is_no_loss() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let kept = append_alone(&mut log, route);
    let mut files = log.disk.files();
    drop(log);
    // One is new, the other was in use before: its frames are those of another segment.
    let new = vec![0; SEGMENT as usize];
    let mut recycled = files[&segment(1)].clone();
    recycled[..PAGE as usize].fill(0);
    files.insert(segment(20), new);
    files.insert(segment(21), recycled);
    let log = Log::on(Simulated::with_files(7, files), options()).unwrap();
    assert_eq!(log.seqs(cursor), [kept]);
    assert_eq!(entered(&log), []);
    let names = log.disk.files();
    assert!(!names.contains_key(&segment(20)) && !names.contains_key(&segment(21)));
}

#[test]
fn frame_that_failed_before_a_segment_without_header_is_no_torn_tail() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let before = append_alone(&mut log, route);
    let gone = append_elsewhere(&mut log, route);
    let after = append_alone(&mut log, route);
    // What is left of it does not say up to which position it went.
    log.disk.flip_bit_at(&segment(1), 3 * PAGE as usize + 20);
    let names = log.disk.files();
    let id = log.spool.inner.lock().segments[1].id;
    assert!(names.contains_key(&segment(1)) && names.contains_key(&segment(id)));
    flip_header_and_first_frame(&log, id);
    let log = log.kill();
    assert_eq!(log.seqs(cursor), [before, after]);
    assert_eq!(entered(&log), [(LossReason::Damaged, 1, gone, gone)]);
}

#[test]
fn nothing_more_goes_into_a_segment_without_header() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let mut log = log.kill();
    append_alone(&mut log, route);
    let kept = append_alone(&mut log, route);
    log.spool.close(Vec::new(), NodeTime(log.now)).unwrap();
    flip_header_and_first_frame(&log, 2);
    let mut log = log.kill();
    assert!(log.recovery.clean);
    let next = append_alone(&mut log, route);
    assert_eq!(log.seqs(cursor), [kept, next]);
    let newest = log.spool.inner.lock().segments.back().map(|it| it.id);
    assert!(newest > Some(2), "{newest:?}");
}

#[test]
fn segment_that_cannot_be_read_is_kept_although_the_frame_that_names_it_is_damaged() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let mut log = log.kill();
    let first = append_alone(&mut log, route);
    let mut log = log.kill();
    let second = append_alone(&mut log, route);
    let whole = append_alone(&mut log, route);
    flip_header_and_first_frame(&log, 2);
    flip_in_page(&log, 3, 1);
    let log = log.kill();
    assert_eq!(log.seqs(cursor), [whole]);
    assert_eq!(log.seqs(cursor), [whole]);
    assert_eq!(entered(&log), [(LossReason::Damaged, 2, first, second)]);
    assert!(log.disk.files().contains_key("quarantine-0000000000000002"));
}

#[test]
fn rewritten_segment_of_which_only_the_header_is_left_is_in_the_ledger() {
    let (log, cursor, [gone, kept, newest]) = rewritten();
    flip_trailer(&log, 2);
    log.disk.flip_bit_at(&segment(2), PAGE as usize + 20);
    // It names the one before.
    flip_trailer(&log, 3);
    let log = log.kill();
    assert_eq!(log.seqs(cursor), [kept, newest]);
    assert_eq!(entered(&log), [(LossReason::Damaged, 1, gone, gone)]);
}

#[test]
fn rewritten_segment_that_nothing_names_and_nobody_can_read_is_in_the_ledger() {
    let (log, cursor, [gone, kept, newest]) = rewritten();
    flip_trailer(&log, 2);
    flip_header_and_first_frame(&log, 2);
    flip_trailer(&log, 3);
    let log = log.kill();
    assert_eq!(log.seqs(cursor), [kept, newest]);
    assert_eq!(entered(&log), [(LossReason::Damaged, 1, gone, gone)]);
    assert!(log.disk.files().contains_key("quarantine-0000000000000002"));
}

#[test]
fn segment_that_nothing_names_and_that_has_no_whole_frame_is_in_the_ledger() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let mut log = log.kill();
    let gone = append_alone(&mut log, route);
    let mut log = log.kill();
    let kept = append_alone(&mut log, route);
    let newest = append_elsewhere(&mut log, route);
    log.keep_house();
    assert_eq!(rewritten_segments(&log), [3]);
    flip_trailer(&log, 2);
    log.disk.flip_bit_at(&segment(2), PAGE as usize + 20);
    flip_trailer(&log, 3);
    let log = log.kill();
    assert_eq!(log.seqs(cursor), [kept, newest]);
    assert_eq!(entered(&log), [(LossReason::Damaged, 1, gone, gone)]);
}

/// A log whose segments 2 and 3 were written anew, and the record of each of 2, 3 and 4.
fn rewritten() -> (Log, CursorId, [u64; 3]) {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let mut log = log.kill();
    let seqs = [
        append_alone(&mut log, route),
        append_elsewhere(&mut log, route),
        append_elsewhere(&mut log, route),
    ];
    log.keep_house();
    assert_eq!(rewritten_segments(&log), [2, 3]);
    (log, cursor, seqs)
}

/// Appends a record whose first sync fails.
fn append_elsewhere(log: &mut Log, route: RouteId) -> u64 {
    let seq = log.append(0, route, &body(7, 100)).unwrap().0;
    log.disk.set_faults(Faults {
        sync: 1.0,
        ..Faults::default()
    });
    log.spool.commit_once();
    log.disk.set_faults(Faults::default());
    log.commit();
    seq
}

fn rewritten_segments(log: &Log) -> Vec<u64> {
    let state = log.spool.inner.lock();
    let small = state
        .segments
        .iter()
        .filter(|it| it.size < u64::from(SEGMENT));
    small.map(|it| it.id).collect()
}

fn flip_trailer(log: &Log, id: u64) {
    let len = log.disk.files()[&segment(id)].len();
    log.disk.flip_bit_at(&segment(id), len - 4_000);
}

fn flip_header_and_first_frame(log: &Log, id: u64) {
    for place in [20, 2068, PAGE as usize + 20] {
        log.disk.flip_bit_at(&segment(id), place);
    }
}
