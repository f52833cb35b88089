//! Sectors that answer with an error, for good or for a while.

use super::{
    damaging::{append_alone, entered, flip_in_page, segment},
    withheld::route,
    *,
};
use crate::{frame::PAGE, segment::Index};

const FOR_GOOD: Option<u32> = None;
/// More often than a start asks for one page.
const FOR_THIS_START: Option<u32> = Some(50);

#[test]
fn tail_that_cannot_be_read_is_cut_and_its_file_is_kept_as_it_is() {
    for reads in [FOR_GOOD, FOR_THIS_START] {
        // The first frame of the segment, so that nothing of it is left, or a later one.
        for kept_before in [0, 2] {
            let mut log = Log::new();
            let (cursor, route) = log.reader("sink");
            let before = append_alone(&mut log, route);
            let mut log = log.kill();
            let mut kept = vec![before];
            kept.extend((0..kept_before).map(|_| append_alone(&mut log, route)));
            let cut = append_alone(&mut log, route);
            let file = log.disk.files()[&segment(2)].clone();
            spoil_page(&log, &segment(2), 1 + kept_before, reads);
            for _ in 0..3 {
                log = log.kill();
                assert_eq!(log.seqs(cursor), kept);
                let entries = entered(&log);
                let [(LossReason::TailCut, 1, first, last)] = entries[..] else {
                    panic!("{entries:?}")
                };
                assert!(first == cut && cut <= last);
                kept.push(append_alone(&mut log, route));
                assert!(kept.last() > Some(&last), "a position is given out once");
                log.keep_house();
                assert_eq!(log.disk.files()["quarantine-0000000000000002"], file);
            }
        }
    }
}

#[test]
fn newest_segment_without_a_readable_header_and_first_frame_is_entered_and_kept() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let before = append_alone(&mut log, route);
    let mut log = log.kill();
    let cut = append_alone(&mut log, route);
    let file = log.disk.files()[&segment(2)].clone();
    (0..2).for_each(|page| spoil_page(&log, &segment(2), page, FOR_GOOD));
    let log = log.kill();
    assert_eq!(log.seqs(cursor), [before]);
    let entries = entered(&log);
    let [(LossReason::TailCut, 1, first, last)] = entries[..] else {
        panic!("{entries:?}")
    };
    assert!((first..=last).contains(&cut));
    assert_eq!(log.disk.files()["quarantine-0000000000000002"], file);
}

#[test]
fn sector_that_can_be_read_again_at_once_is_no_loss() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let seqs = [(); 3].map(|()| append_alone(&mut log, route));
    spoil_page(&log, &segment(1), 4, Some(2));
    let log = log.kill();
    assert_eq!(log.seqs(cursor), seqs);
    assert_eq!(entered(&log), []);
}

#[test]
fn frame_in_the_middle_that_cannot_be_read_is_damage() {
    for newest in [true, false] {
        let mut log = Log::new();
        let (cursor, route) = log.reader("sink");
        let [first, gone, last] = [(); 3].map(|()| append_alone(&mut log, route));
        let mut kept = vec![first, last];
        if !newest {
            log = log.kill();
            kept.push(append_alone(&mut log, route));
        }
        let file = log.disk.files()[&segment(1)].clone();
        spoil_page(&log, &segment(1), 3, FOR_GOOD);
        for _ in 0..3 {
            log = log.kill();
            assert_eq!(log.seqs(cursor), kept);
            assert_eq!(entered(&log), [(LossReason::Damaged, 1, gone, gone)]);
            assert_eq!(log.disk.files()["quarantine-0000000000000001"], file);
            kept.push(append_alone(&mut log, route));
            log.keep_house();
        }
    }
}

#[test]
fn file_of_an_unreadable_frame_is_kept_although_an_index_is_made_again_at_the_same_start() {
    let (mut log, cursor, seqs) = with_two_segments();
    let file = log.disk.files()[&segment(2)].clone();
    spoil_page(&log, &segment(2), 2, FOR_GOOD);
    flip_in_page(&log, 1, 3);
    let own_list = match &log.spool.inner.lock().segments[0].index {
        Index::Sealed(sealed) => {
            let mut rows = sealed.rows.iter().flat_map(|rows| rows.iter());
            let own = rows.find(|row| row.tag.is_control()).unwrap();
            sealed.lists_offset() + own.list_offset()
        }
        Index::Open(_) => panic!("it is sealed"),
    };
    // The start reads the log's own records by it.
    log.disk.flip_bit_at(&segment(1), own_list as usize);
    let whole: Vec<u64> = [0, 2, 3, 5].map(|at| seqs[at]).into();
    for _ in 0..2 {
        log = log.kill();
        assert_eq!(log.seqs(cursor), whole);
        assert_eq!(entered(&log), [(LossReason::Damaged, 2, seqs[1], seqs[4])]);
        assert_eq!(log.disk.files()["quarantine-0000000000000002"], file);
        log.keep_house();
    }
}

#[test]
fn file_of_an_unreadable_frame_that_finds_no_room_at_the_start_is_kept_once_there_is_some() {
    let (log, cursor, seqs) = with_two_segments();
    let file = log.disk.files()[&segment(2)].clone();
    let mut whole = seqs;
    whole.remove(4);
    for has_room_for_the_ledger in [true, false] {
        let disk = Simulated::with_files(1, log.disk.files());
        disk.spoil_sector_at(&segment(2), 2 * PAGE as usize, FOR_GOOD);
        let used: usize = log.disk.files().values().map(Vec::len).sum();
        let more = if has_room_for_the_ledger { 64 << 10 } else { 0 };
        disk.set_capacity(used as u64 + more);
        let mut log = Log::on(disk, options()).unwrap();
        let kept = |log: &Log| log.disk.files().get("quarantine-0000000000000002").cloned();
        assert!(kept(&log).is_none());
        log.disk.set_capacity(1 << 30);
        log.keep_house();
        let mut given = whole.clone();
        for _ in 0..3 {
            let route = route(&log);
            given.push(append_alone(&mut log, route));
            log.keep_house();
        }
        assert!(kept(&log).as_ref() == Some(&file), "as it was");
        assert_eq!(log.seqs(cursor), given);
        assert!(log.spool.inner.lock().segments[1].is_sealed());
    }
}

#[test]
fn segment_whose_first_or_last_page_cannot_be_read_is_read_from_its_frames() {
    let last_page = u64::from(SEGMENT) / PAGE - 1;
    for pages in [vec![0], vec![last_page], vec![0, last_page]] {
        for newest in [true, false] {
            let mut log = Log::new();
            let (cursor, route) = log.reader("sink");
            let mut kept = vec![append_alone(&mut log, route)];
            log = log.kill();
            kept.push(append_alone(&mut log, route));
            if !newest {
                log = log.kill();
                kept.push(append_alone(&mut log, route));
                log.keep_house();
            }
            for &page in &pages {
                spoil_page(&log, &segment(2), page, FOR_GOOD);
            }
            for _ in 0..2 {
                log = log.kill();
                assert_eq!(log.seqs(cursor), kept, "{pages:?}");
                assert_eq!(entered(&log), []);
                kept.push(append_alone(&mut log, route));
                log.keep_house();
            }
        }
    }
}

#[test]
fn older_checkpoint_serves_where_the_newer_cannot_be_read() {
    let (log, cursor, seqs) = with_checkpoints();
    for name in ["checkpoint-0", "checkpoint-1"] {
        let disk = Simulated::with_files(1, log.disk.files());
        disk.spoil_sector_at(name, 0, FOR_GOOD);
        let log = Log::on(disk, options()).unwrap();
        assert_eq!(log.seqs(cursor), seqs);
        assert_eq!(entered(&log), []);
        assert!(log.recovery.checkpoint.is_some());
    }
}

#[test]
fn only_checkpoint_is_done_without_where_it_cannot_be_read() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let seqs = [append_alone(&mut log, route)];
    log.spool.checkpoint(Vec::new());
    log.keep_house();
    let there = |name: &&str| log.disk.files().contains_key(*name);
    let names: Vec<&str> = ["checkpoint-0", "checkpoint-1"]
        .into_iter()
        .filter(there)
        .collect();
    let [name] = names[..] else {
        panic!("{names:?}")
    };
    log.disk.spoil_sector_at(name, 0, FOR_GOOD);
    let log = log.kill();
    assert_eq!(log.seqs(cursor), seqs);
    assert_eq!(entered(&log), []);
}

#[test]
fn log_waits_for_a_disk_that_gives_back_nothing_of_a_file() {
    let (log, cursor, seqs) = with_checkpoints();
    let files = log.disk.files();
    let newest = files
        .keys()
        .rfind(|name| name.ends_with(".segment"))
        .unwrap();
    let both = ["checkpoint-0", "checkpoint-1"].map(str::to_owned).to_vec();
    for names in [both, vec![newest.clone()], vec!["cursors".to_owned()]] {
        let disk = Simulated::with_files(1, files.clone());
        for name in &names {
            for sector in 0..files[name].len().div_ceil(512) {
                disk.spoil_sector_at(name, sector * 512, FOR_GOOD);
            }
        }
        let error = Log::on(disk.clone(), options()).err();
        assert!(
            matches!(error, Some(OpenError::Storage { .. })),
            "{names:?}: {error:?}"
        );
        assert!(disk.files() == files, "nothing is touched");
        let log = Log::on(Simulated::with_files(1, disk.files()), options()).unwrap();
        assert_eq!(log.seqs(cursor), seqs, "{names:?}");
        assert_eq!(entered(&log), []);
    }
}

#[test]
fn marks_that_cannot_be_read_cost_repeats_and_no_start() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let seqs = [(); 3].map(|()| append_alone(&mut log, route));
    for seq in &seqs[..2] {
        log.spool.ack(cursor, &[Seq(*seq)]);
        log.keep_house();
    }
    for slot in 0..2 {
        let disk = Simulated::with_files(1, log.disk.files());
        let slot_bytes = log.disk.files()["cursors"].len() / 2;
        disk.spoil_sector_at("cursors", slot * slot_bytes, FOR_GOOD);
        let mut log = Log::on(disk, options()).unwrap();
        let given = log.seqs(cursor);
        assert!(given == seqs[1..] || given == seqs[2..], "{given:?}");
        assert_eq!(entered(&log), []);
        log.spool.ack(cursor, &seqs.map(Seq));
        log.keep_house();
        assert_eq!(log.kill().seqs(cursor), [], "marks are saved again");
    }
}

#[test]
fn crash_while_a_file_is_kept_aside_loses_neither_it_nor_what_could_be_read() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let kept = [(); 2].map(|()| append_alone(&mut log, route));
    let cut = append_alone(&mut log, route);
    let file = log.disk.files()[&segment(1)].clone();
    let files = log.disk.files();
    drop(log);
    for operation in 0.. {
        for variant in 0..8 {
            let disk = Simulated::with_files(operation * 8 + variant, files.clone());
            disk.spoil_sector_at(&segment(1), 4 * PAGE as usize, FOR_GOOD);
            disk.crash_at(disk.operations() + operation);
            let opened = Log::on(disk.clone(), options());
            let is_done = !disk.crashed();
            let log = match opened {
                Ok(log) if is_done => log,
                _ => Log::on(disk.crash(), options()).unwrap(),
            };
            assert_eq!(log.seqs(cursor), kept, "crashed at {operation}");
            let entries = entered(&log);
            assert!(
                matches!(entries[..], [(LossReason::TailCut, 1, first, last)] if (first..=last).contains(&cut)),
                "crashed at {operation}: {entries:?}"
            );
            let files = log.disk.files();
            assert!(
                files.values().any(|other| *other == file),
                "crashed at {operation}: {:?}",
                files.keys()
            );
            if is_done {
                return;
            }
        }
    }
}

/// A log with a reader and two segments, of three records in a frame each; the first is sealed.
fn with_two_segments() -> (Log, CursorId, Vec<u64>) {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let mut seqs: Vec<u64> = (0..3).map(|_| append_alone(&mut log, route)).collect();
    log = log.kill();
    seqs.extend((0..3).map(|_| append_alone(&mut log, route)));
    log.keep_house();
    assert!(log.spool.inner.lock().segments[0].is_sealed());
    (log, cursor, seqs)
}

/// A log with both checkpoints, what its reader is owed, and enough behind them.
fn with_checkpoints() -> (Log, CursorId, Vec<u64>) {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let mut seqs = Vec::new();
    for round in 0..3_u8 {
        seqs.push(append_alone(&mut log, route));
        log.spool.checkpoint(vec![round]);
        log.keep_house();
        log.commit();
    }
    seqs.push(append_alone(&mut log, route));
    log = log.kill();
    seqs.push(append_alone(&mut log, route));
    (log, cursor, seqs)
}

fn spoil_page(log: &Log, name: &str, page: u64, reads: Option<u32>) {
    log.disk
        .spoil_sector_at(name, (page * PAGE) as usize, reads);
}
