use super::*;

#[test]
fn a_rewritten_segment_keeps_what_is_owed_at_its_positions_through_a_crash() {
    let mut log = Log::new();
    let (slow, to_slow) = log.reader("slow");
    let (fast, to_fast) = log.reader("fast");
    let mut owed = Vec::new();
    let mut read = Seq::ZERO;
    for n in 0..30_000u64 {
        let slowly = n % 20 == 0;
        let route = if slowly { to_slow } else { to_fast };
        let seq = log.append(1, route, &body(n, 1_000)).unwrap();
        if slowly {
            owed.push((seq.0, body(n, 1_000)));
        }
        if n % 20 == 19 {
            log.commit();
            let batch = log.spool.read(fast, read, ALL).unwrap();
            let seqs: Vec<Seq> = batch.entries.iter().map(|entry| entry.seq).collect();
            log.spool.ack(fast, &seqs);
            read = batch.next;
            log.keep_house();
        }
    }
    let sizes = log.disk.files();
    let small = sizes
        .iter()
        .filter(|(name, bytes)| name.ends_with(".segment") && bytes.len() < SEGMENT as usize);
    assert!(
        small.count() > 10,
        "segments were rewritten into smaller ones"
    );
    assert_eq!(log.spool.status().ledger, []);
    let check = |log: &Log| {
        let got: Vec<(u64, Vec<u8>)> = log
            .read(slow, Seq::ZERO)
            .iter()
            .map(|entry| (entry.seq.0, entry.body.to_vec()))
            .collect();
        assert_eq!(got, owed);
    };
    check(&log);
    let log = log.crash();
    check(&log);
    assert_eq!(log.recovery.findings, Vec::<String>::new());
}

#[test]
fn cleaner_rewrites_only_where_at_least_half_of_a_segment_is_dead() {
    for (owed_of_ten, rewrites) in [(6, false), (4, true)] {
        let mut log = Log::new();
        let slow = fill_and_drain_one(&mut log, owed_of_ten);
        for _ in 0..10 {
            log.keep_house();
        }
        let sizes = segment_sizes(&log);
        let small = sizes.iter().filter(|&&size| size < SEGMENT as usize);
        assert!(small.clone().all(|&size| size <= SEGMENT as usize / 2));
        assert_eq!(
            small.count() > 0,
            rewrites,
            "{owed_of_ten} of ten are owed: {sizes:?}"
        );
        assert!(!log.seqs(slow).is_empty());
    }
}

#[test]
fn full_log_is_cleaned_from_a_reserve_that_nothing_else_uses() {
    let mut log = Log::new();
    let slow = fill_and_drain_one(&mut log, 3);
    while log
        .append_kind(Kind::State, 0, RouteId::NOBODY, &[0; 1_000])
        .is_ok()
    {
        log.commit();
    }
    let on_disk = |log: &Log| log.disk.files().values().map(Vec::len).sum::<usize>();
    let bound = options().bound_bytes.unwrap() as usize;
    let reserve = 2 * SEGMENT as usize;
    // A checkpoint that was written since may have grown a little.
    assert!(
        on_disk(&log) <= bound - reserve + 4096,
        "{} of {bound} bytes",
        on_disk(&log)
    );
    assert!(
        on_disk(&log) > bound - reserve - 2 * SEGMENT as usize,
        "it is full: {} of {bound} bytes",
        on_disk(&log)
    );
    let owed = all_of(&log, slow);
    for _ in 0..20 {
        log.keep_house();
        assert!(on_disk(&log) <= bound);
    }
    for n in 0..500 {
        log.append(0, RouteId::NOBODY, &body(n, 1_000)).unwrap();
        log.commit();
        log.keep_house();
    }
    assert_eq!(all_of(&log, slow), owed);
}

#[test]
fn rewrite_ends_with_a_sync_of_the_directory() {
    let mut log = Log::new();
    fill_and_drain_one(&mut log, 3);
    let small = |log: &Log| {
        let sizes = segment_sizes(log);
        sizes.iter().filter(|&&it| it < SEGMENT as usize).count() as u64
    };
    log.spool.inner.seal_all().unwrap();
    let (before, syncs) = (small(&log), log.disk.counters().directory_syncs);
    log.spool.inner.clean(3).unwrap();
    assert_eq!(small(&log) - before, 3);
    assert_eq!(log.disk.counters().directory_syncs - syncs, 3);
}

#[test]
fn segment_that_a_checkpoint_needs_is_not_freed() {
    let mut log = Log::new();
    let state = |log: &mut Log| {
        let seq = log.append_kind(Kind::State, 0, RouteId::NOBODY, b"state");
        log.commit();
        seq.unwrap()
    };
    let checkpoint = |log: &mut Log| {
        log.spool.checkpoint(b"owner".to_vec());
        log.keep_house();
    };
    let is_there = |log: &Log, seq| log.spool.read_at(seq).unwrap().is_some();
    let covered = |log: &Log| {
        let state = log.spool.inner.lock();
        let both = &state.checkpoints;
        (both.owner_covered(), both.spool_covered())
    };
    let first = state(&mut log);
    checkpoint(&mut log);
    assert_eq!(covered(&log), (0, 0), "one alone may be lost");
    let second = state(&mut log);
    checkpoint(&mut log);
    let of_older = (first.0, first.0);
    assert_eq!(covered(&log), of_older, "the older lacks the second");
    let third = state(&mut log);
    go_around(&mut log);
    let oldest = log.spool.status().oldest;
    assert!(is_there(&log, third), "no checkpoint has it");
    assert!(oldest <= third, "{oldest:?}");
    checkpoint(&mut log);
    checkpoint(&mut log);
    go_around(&mut log);
    for seq in [first, second, third] {
        assert!(!is_there(&log, seq), "both checkpoints have it");
    }
}

#[test]
fn state_is_whole_whichever_checkpoint_is_lost_after_the_log_has_gone_around() {
    let changes: Vec<u8> = (1..=4).collect();
    for lost in [None, Some("checkpoint-0"), Some("checkpoint-1")] {
        let mut log = Log::new();
        let mut owner = Vec::new();
        for &change in &changes {
            log.append_kind(Kind::State, 0, RouteId::NOBODY, &[change])
                .unwrap();
            log.commit();
            owner.push(change);
            // What behind the newest checkpoint is, only the log has.
            if change < 4 {
                log.spool.checkpoint(owner.clone());
                log.keep_house();
            }
        }
        // The checkpoints of the spool's part alone go on, and keep the owner's.
        go_around(&mut log);
        let early = log.spool.read_at(Seq(1_000)).unwrap();
        assert!(early.is_none(), "the log has gone around");
        if let Some(name) = lost {
            log.disk.flip_bit_at(name, 100);
        }
        assert_eq!(state_after(&log.disk.crash()), changes, "without {lost:?}");
    }
}

/// Appends more history than the bound holds.
fn go_around(log: &mut Log) {
    for n in 0..20_000 {
        log.append(2, RouteId::NOBODY, &body(n, 1_000)).unwrap();
        if n % 20 == 19 {
            log.commit();
            log.keep_house();
        }
    }
}

/// What the owner knows after a start: its part of the checkpoint, and what is handed back to it.
fn state_after(disk: &Simulated) -> Vec<u8> {
    let disk = Arc::new(disk.clone());
    let opened = Spool::open(disk, options(), NodeTime(2_000_000), Arc::new(|| {}));
    let (spool, recovery) = opened.unwrap();
    let mut state = recovery.checkpoint.unwrap_or_default();
    let mut apply = |entry: &Entry| state.extend_from_slice(&entry.body);
    spool.replay_state(&mut apply).unwrap();
    state
}

#[test]
fn checkpoint_covers_the_last_committed_position_and_none_behind_it() {
    let mut log = Log::new();
    log.append_kind(Kind::State, 0, RouteId::NOBODY, b"state")
        .unwrap();
    log.commit();
    let captured = log.spool.appended();
    log.spool.checkpoint(b"owner".to_vec());
    let committed = log.append(0, RouteId::NOBODY, b"event").unwrap();
    log.commit();
    log.append(0, RouteId::NOBODY, b"not committed").unwrap();
    log.keep_house();
    let (written, _) = crate::checkpoint::read_both(&log.disk).unwrap();
    let covered = written[0].covered;
    assert_eq!((covered.owner, covered.spool), (captured.0, committed.0));
}

#[test]
fn positions_are_not_given_out_again_whatever_was_cleaned() {
    let mut log = Log::new();
    let (mut last, mut cleaned) = (0, 0);
    for _ in 0..3 {
        let slow = fill_and_drain_one(&mut log, 3);
        for _ in 0..10 {
            log.keep_house();
        }
        cleaned += segment_sizes(&log)
            .iter()
            .filter(|&&size| size < SEGMENT as usize)
            .count();
        log.drain(slow);
        for _ in 0..10 {
            log.keep_house();
            log.commit();
        }
        let before = log.spool.appended().0;
        assert!(before > last);
        last = before;
        log = log.crash();
        let next = log.append(0, RouteId::NOBODY, b"next").unwrap();
        assert!(next.0 > before, "{next:?} after {before}");
        log.commit();
    }
    assert!(cleaned > 10, "{cleaned} segments were rewritten");
}

/// A log full to the bound of its first lane, of whose records one cursor is owed so many of ten, and another, which has
/// acknowledged them, the rest; gives the one that has not.
pub(super) fn fill_and_drain_one(log: &mut Log, owed_of_ten: u64) -> CursorId {
    let (slow, to_slow) = log.reader("slow");
    let (fast, to_fast) = log.reader("fast");
    let mut of_fast = Vec::new();
    for n in 0u64.. {
        let slowly = n % 10 < owed_of_ten;
        let route = if slowly { to_slow } else { to_fast };
        match log.append(0, route, &body(n, 1_000)) {
            Ok(seq) if !slowly => of_fast.push(seq),
            Ok(_) => {}
            Err(_) => break,
        }
        if n % 20 == 19 {
            log.commit();
            // Nothing is dead yet, and there is nothing to clean.
            log.keep_house();
        }
    }
    log.commit();
    for some in of_fast.chunks(1_000) {
        log.read(fast, Seq::ZERO);
        log.spool.ack(fast, some);
    }
    assert_eq!(log.pending(fast), 0);
    for _ in 0..2 {
        log.spool.checkpoint(Vec::new());
        log.spool.inner.checkpoint_if_due().unwrap();
    }
    slow
}

fn segment_sizes(log: &Log) -> Vec<usize> {
    let files = log.disk.files().into_iter();
    files
        .filter(|(name, _)| name.ends_with(".segment"))
        .map(|(_, bytes)| bytes.len())
        .collect()
}

#[test]
fn history_makes_room_oldest_first_and_is_no_loss() {
    let mut log = Log::new();
    for n in 0..40_000u64 {
        log.append(2, RouteId::NOBODY, &body(n, 1_000)).unwrap();
        if n % 20 == 19 {
            log.commit();
            log.keep_house();
        }
    }
    let status = log.spool.status();
    assert_eq!(status.ledger, []);
    assert!(status.oldest.0 > 20_000, "{}", status.oldest.0);
    assert!(status.used_bytes <= 16 << 20);
    assert!(log.spool.read_at(Seq(1)).unwrap().is_none());
    assert_eq!(
        &*log.spool.read_at(Seq(40_000)).unwrap().unwrap().body,
        &*body(39_999, 1_000)
    );
}

/// Cursors with a route each, more than the table of a segment in memory has rows.
fn many_readers(log: &mut Log) -> Vec<(CursorId, RouteId)> {
    (0..150)
        .map(|n| log.reader(&format!("session-{n}")))
        .collect()
}

#[test]
fn segments_of_many_routes_are_freed_once_everybody_has_acknowledged() {
    let mut log = Log::new();
    let readers = many_readers(&mut log);
    for n in 0..40_000u64 {
        let (reader, route) = readers[n as usize % readers.len()];
        let seq = log.append(1, route, &body(n, 1_000)).unwrap();
        log.spool.ack(reader, &[seq]);
        if n % 20 == 19 {
            log.commit();
            log.keep_house();
        }
    }
    let status = log.spool.status();
    assert_eq!(status.ledger, []);
    assert!(status.oldest.0 > 20_000, "{}", status.oldest.0);
    let newest = status.lanes[1].pending_records;
    assert!(newest < 1_000, "{newest} are said to be owed");
}

#[test]
fn segments_of_many_routes_are_rewritten_and_give_up_their_oldest() {
    let mut options = options();
    options.lanes[2].when_full = WhenFull::DropOldest;
    let mut log = Log::with(options);
    let readers = many_readers(&mut log);
    let (slow, to_slow) = log.reader("slow");
    let mut owed = Vec::new();
    for n in 0..24_000u64 {
        let (_, route) = readers[n as usize % readers.len()];
        log.append(2, route, &body(n, 1_000)).unwrap();
        if n % 20 == 19 {
            owed.push(log.append(1, to_slow, &body(n, 1_000)).unwrap().0);
            log.commit();
            log.keep_house();
        }
    }
    assert_eq!(all_of(&log, slow), owed, "no other lane gives anything up");
    let dropped = |loss: &&Loss| loss.reason == LossReason::DroppedForRoom;
    let ledger = log.spool.status().ledger;
    let count = ledger.iter().find(dropped).map_or(0, |loss| loss.count);
    let kept: usize = readers
        .iter()
        .map(|(reader, _)| all_of(&log, *reader).len())
        .sum();
    assert_eq!(count + kept as u64, 24_000);
    assert!(kept > 5_000, "{kept} are kept");
}
