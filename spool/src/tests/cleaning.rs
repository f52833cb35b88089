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

fn all_of(log: &Log, cursor: CursorId) -> Vec<u64> {
    let (mut after, mut all) = (Seq::ZERO, Vec::new());
    loop {
        let batch = log.spool.read(cursor, after, ALL).unwrap();
        all.extend(seqs(&batch.entries));
        after = batch.next;
        if batch.at_end {
            return all;
        }
    }
}
