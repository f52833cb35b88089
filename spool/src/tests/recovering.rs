use super::*;
use crate::storage::Storage;

#[test]
fn what_was_committed_survives_power_loss_and_what_was_not_is_gone() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let kept = log.append(0, route, b"kept").unwrap();
    log.commit();
    log.append(0, route, b"not committed").unwrap();
    let mut log = log.crash();
    assert!(!log.recovery.clean);
    assert_eq!(log.recovery.findings, Vec::<String>::new());
    assert_eq!(log.spool.cursor("sink"), Some(cursor));
    assert_eq!(log.seqs(cursor), [kept.0]);
    let next = log.append(0, route, b"next").unwrap();
    log.commit();
    let log = log.crash();
    assert_eq!(log.seqs(cursor), [kept.0, next.0]);
    assert_eq!(&*log.read(cursor, kept)[0].body, b"next");
}

/// Killed between the write and the sync of a frame: the next process finds the frame, though no disk has it yet.
#[test]
fn what_is_served_after_a_kill_survives_power_loss_although_it_was_never_synced() {
    for seed in 0..32 {
        let mut log = Log::on(Simulated::new(seed), options()).unwrap();
        let (cursor, route) = log.reader("sink");
        let synced = log.append(0, route, b"synced").unwrap();
        log.commit();
        let written = log.append(0, route, b"written").unwrap();
        write_without_sync(&log);
        let log = log.kill();
        assert_eq!(log.seqs(cursor), [synced.0, written.0]);
        let log = log.crash();
        assert_eq!(log.seqs(cursor), [synced.0, written.0], "seed {seed}");
        assert_eq!(log.spool.status().ledger, []);
    }
}

fn write_without_sync(log: &Log) {
    let inner = &log.spool.inner;
    let mut batch = inner.next_batch().unwrap();
    let target = inner.target.lock().unwrap();
    let segment = target.segment.as_ref().unwrap();
    let frame = batch.seal(segment.salt, segment.end, None);
    segment.file.write_at(frame, segment.end).unwrap();
}

#[test]
fn a_new_log_is_clean_and_so_is_one_that_was_closed() {
    let mut log = Log::new();
    assert!(log.recovery.clean);
    let (cursor, route) = log.reader("sink");
    let first = log.append(0, route, b"first").unwrap();
    log.spool
        .close(b"sessions".to_vec(), NodeTime(log.now))
        .unwrap();
    assert_eq!(log.append(0, route, b"late"), Err(Full::Waiting));
    let mut log = log.crash();
    assert!(log.recovery.clean);
    assert_eq!(
        log.recovery.checkpoint.as_deref(),
        Some(b"sessions".as_slice())
    );
    assert_eq!(log.spool.status().segments, 1);
    let second = log.append(0, route, b"second").unwrap();
    log.commit();
    assert_eq!(
        log.spool.status().segments,
        1,
        "a clean log goes on where it stopped"
    );
    let log = log.kill();
    assert!(!log.recovery.clean);
    assert_eq!(log.seqs(cursor), [first.0, second.0]);
}

#[test]
fn state_behind_the_checkpoint_is_handed_back_in_order() {
    let mut log = Log::new();
    let (_, route) = log.reader("sink");
    log.append_kind(Kind::State, 0, RouteId::NOBODY, b"covered")
        .unwrap();
    log.spool.checkpoint(b"owner".to_vec());
    let one = log
        .append_kind(Kind::State, 0, RouteId::NOBODY, b"one")
        .unwrap();
    log.append(0, route, b"event").unwrap();
    let two = log
        .append_kind(Kind::EventAndState, 0, route, b"two")
        .unwrap();
    log.commit();
    log.keep_house();
    let disk = log.disk.crash();
    let (spool, recovery) =
        Spool::open(Arc::new(disk), options(), NodeTime(0), Arc::new(|| {})).unwrap();
    assert_eq!(recovery.checkpoint.as_deref(), Some(b"owner".as_slice()));
    let mut replayed = Vec::new();
    spool
        .replay_state(&mut |entry| replayed.push((entry.seq, entry.body.to_vec())))
        .unwrap();
    assert_eq!(replayed, [(one, b"one".to_vec()), (two, b"two".to_vec())]);
}

#[test]
fn a_damaged_frame_before_a_good_one_is_reported_and_skipped() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let mut all = Vec::new();
    for n in 0..5 {
        all.push(log.append(0, route, &body(n, 100)).unwrap().0);
        log.commit();
    }
    let name = "0000000000000001.segment";
    // Frames of one page each; the first holds the cursor and the route.
    log.disk.flip_bit_at(name, 3 * 4096 + 200);
    let log = log.kill();
    assert_eq!(log.seqs(cursor), [all[0], all[2], all[3], all[4]]);
    let ledger = log.spool.status().ledger;
    assert_eq!(ledger.len(), 1);
    assert_eq!(
        (ledger[0].reason, ledger[0].first.0, ledger[0].last.0),
        (LossReason::Damaged, all[1], all[1])
    );
    assert!(log.disk.files().contains_key("quarantine-0000000000000001"));
}

#[test]
fn a_torn_tail_is_cut_with_an_entry_and_its_positions_are_not_given_out_again() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let first = log.append(0, route, &body(1, 100)).unwrap().0;
    log.commit();
    let torn = log.append(0, route, &body(2, 100)).unwrap().0;
    log.commit();
    log.disk
        .flip_bit_at("0000000000000001.segment", 3 * 4096 + 200);
    let mut log = log.kill();
    assert_eq!(log.seqs(cursor), [first]);
    let ledger = log.spool.status().ledger;
    assert_eq!(
        (ledger[0].reason, ledger[0].first.0, ledger[0].last.0),
        (LossReason::TailCut, torn, torn)
    );
    assert_eq!(log.append(0, route, b"next").unwrap().0, torn + 1);
    log.commit();
    let log = log.crash();
    assert_eq!(log.seqs(cursor), [first, torn + 1]);
}

#[test]
fn what_recovery_cut_bears_the_time_of_what_was_last_kept() {
    let mut log = Log::new();
    let (_, route) = log.reader("sink");
    log.append(0, route, &body(1, 100)).unwrap();
    log.commit();
    let kept_at = NodeTime(log.now);
    log.append(0, route, &body(2, 100)).unwrap();
    log.commit();
    log.disk
        .flip_bit_at("0000000000000001.segment", 3 * 4096 + 200);
    let disk = Arc::new(log.disk.clone());
    drop(log.spool);
    // A process learns the time from the log it opens.
    let (spool, _) = Spool::open(disk, options(), NodeTime(0), Arc::new(|| {})).unwrap();
    assert_eq!(spool.status().ledger[0].at, kept_at);
}

#[test]
fn the_last_frame_of_a_closed_log_is_damage_and_no_torn_tail() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let first = log.append(0, route, &body(1, 100)).unwrap();
    log.commit();
    let last = log.append(0, route, &body(2, 100)).unwrap();
    log.commit();
    log.spool.close(Vec::new(), NodeTime(log.now)).unwrap();
    log.disk
        .flip_bit_at("0000000000000001.segment", 3 * 4096 + 200);
    let log = log.crash();
    assert_eq!(log.seqs(cursor), [first.0]);
    let ledger = log.spool.status().ledger;
    let found: Vec<_> = ledger
        .iter()
        .map(|loss| (loss.reason, loss.first, loss.last))
        .collect();
    assert_eq!(found, [(LossReason::Damaged, last, last)]);
}

#[test]
fn a_newer_format_is_refused_untouched() {
    let mut log = Log::new();
    log.append(0, RouteId::NOBODY, b"record").unwrap();
    log.commit();
    let mut files = log.disk.files();
    let segment = files.get_mut("0000000000000001.segment").unwrap();
    for copy in [0, 2048] {
        segment[copy + 12] = 9;
        let crc = crc32c::crc32c(&segment[copy + 12..copy + 64]);
        segment[copy + 8..copy + 12].copy_from_slice(&crc.to_le_bytes());
    }
    let disk = Simulated::with_files(1, files.clone());
    let refused = Log::on(disk.clone(), options()).err().unwrap();
    assert!(
        matches!(
            refused,
            OpenError::NewerVersion {
                found: 9,
                supported: 1,
                ..
            }
        ),
        "{refused}"
    );
    assert_eq!(disk.files(), files);
}

#[test]
fn a_frame_written_again_after_a_failed_sync_counts_once() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let seq = log.append(0, route, b"in both files").unwrap();
    log.disk.set_faults(crate::storage::simulated::Faults {
        sync: 1.0,
        ..Default::default()
    });
    log.spool.commit_once();
    log.disk.set_faults(Default::default());
    log.commit();
    let log = log.kill();
    assert_eq!(log.seqs(cursor), [seq.0]);
    assert_eq!(
        seqs(&log.spool.scan(Seq::ZERO, ALL).unwrap().entries),
        [seq.0]
    );
    assert_eq!(log.spool.status().ledger, []);
}

#[test]
fn what_recovery_cut_stays_in_the_ledger_through_another_crash() {
    let mut log = Log::new();
    let (_, route) = log.reader("sink");
    let mut log = log.kill();
    let last = log.append(0, route, b"alone in its segment").unwrap();
    log.commit();
    log.disk.flip_bit_at("0000000000000002.segment", 4096 + 140);
    let mut log = log.kill();
    let cut = |log: &Log| {
        let ledger = log.spool.status().ledger;
        let covers = |loss: &&Loss| loss.first <= last && last <= loss.last;
        ledger.iter().find(covers).map(|loss| loss.reason)
    };
    assert_eq!(cut(&log), Some(LossReason::TailCut));
    // What held the frame is in use again, and nothing was committed.
    log.spool.transaction(NodeTime(log.now)).finish();
    log.keep_house();
    let names: Vec<String> = log.disk.files().into_keys().collect();
    assert!(
        !names.contains(&"0000000000000002.segment".into()),
        "{names:?}"
    );
    let mut log = log.crash();
    assert_eq!(cut(&log), Some(LossReason::TailCut));
    let next = log.append(0, route, b"next").unwrap();
    assert!(next > last, "a position is not given out again");
}

#[test]
fn what_was_owed_through_a_damaged_route_or_cursor_is_in_the_ledger() {
    let mut log = Log::new();
    log.reader("first");
    let (late, route) = log.reader("late");
    let owed = log.append(0, route, b"owed").unwrap();
    log.commit();
    log.disk
        .flip_bit_at("0000000000000001.segment", 2 * 4096 + 140);
    let mut log = log.kill();
    assert_eq!(log.spool.cursor("late"), None);
    let names =
        |loss: &Loss| loss.reason == LossReason::Damaged && loss.first <= owed && owed <= loss.last;
    let ledger = log.spool.status().ledger;
    assert!(ledger.iter().any(names), "{ledger:?}");
    let (again, new_route) = log.reader("late");
    assert!(
        again != late && new_route != route,
        "ids are not given out again"
    );
}

#[test]
fn a_checkpoint_never_covers_an_owner_s_part_that_it_could_not_keep() {
    let mut log = Log::new();
    let (_, route) = log.reader("sink");
    log.append_kind(Kind::State, 0, RouteId::NOBODY, b"state")
        .unwrap();
    for owner in [b"older", b"newer"] {
        log.spool.checkpoint(owner.to_vec());
        log.commit();
        log.keep_house();
    }
    log.disk.flip_bit_at("checkpoint-0", 100);
    for n in 0..2_000 {
        log.append(0, route, &body(n, 1_000)).unwrap();
        log.commit();
        log.keep_house();
    }
    assert!(
        log.spool.checkpoint_due(),
        "the owner is asked for its part"
    );
    let log = log.kill();
    assert_eq!(
        log.recovery.checkpoint.as_deref(),
        Some(b"older".as_slice())
    );
}

#[test]
fn a_frame_larger_than_a_segment_has_a_segment_of_its_size() {
    const LEAST: u32 = 64 << 10;
    let options = || Options {
        segment_bytes: Some(LEAST),
        ..options()
    };
    let terms = vec![7; 2 * LEAST as usize];
    let mut log = Log::with(options());
    let mut transaction = log.spool.transaction(NodeTime(log.now));
    let cursor = transaction.create_cursor("sink", Start::Now, None).unwrap();
    let route = transaction.route(&[cursor], &terms).unwrap();
    transaction.finish();
    log.commit();
    let on_disk: u64 = log.disk.list().unwrap().iter().map(|(_, len)| len).sum();
    assert!(log.spool.inner.lock().files_bytes() >= on_disk);
    let seqs: Vec<Seq> = (0..100)
        .map(|n| {
            let seq = log.append(1, route, &body(n, 4_000)).unwrap();
            log.commit();
            log.keep_house();
            seq
        })
        .collect();
    for _ in 0..2 {
        let disk = log.disk.crash();
        log = Log::on(disk, options()).unwrap();
        assert_eq!(log.recovery.findings, Vec::<String>::new());
        assert_eq!(&*log.spool.route(route).unwrap().terms, &*terms);
        let read = log.drain(log.spool.cursor("sink").unwrap());
        assert_eq!(read.iter().map(|entry| entry.seq).collect::<Vec<_>>(), seqs);
        log = Log::on(log.disk.crash(), options()).unwrap();
    }
}
