use super::*;

/// Holds the records from 200 on.
const SECOND_SEGMENT: &str = "0000000000000002.segment";
const SECOND_COPY: &str = "quarantine-0000000000000002";

#[test]
fn scrub_finds_a_flipped_bit_that_nobody_reads_while_the_log_is_written() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let seqs = fill(&mut log, route, 1_000, 50);
    log.keep_house();
    assert!(log.spool.status().segments > 2);
    flip_body_of(&log, 300);
    let damaged_file = log.disk.files()[SECOND_SEGMENT].clone();

    let mut later = Vec::new();
    for _ in 0..30 {
        later.push(log.append(0, route, b"meanwhile").unwrap());
        log.commit();
        log.keep_house();
    }

    let ledger = log.spool.status().ledger;
    let damage: Vec<_> = ledger
        .iter()
        .map(|loss| (loss.reason, loss.count, loss.first, loss.last))
        .collect();
    assert_eq!(
        damage,
        [(LossReason::Damaged, 1, seqs[300], seqs[300])],
        "what is beside it in its frame is whole"
    );
    assert_eq!(log.disk.files()[SECOND_COPY], damaged_file);
    let expected: Vec<u64> = seqs
        .iter()
        .filter(|&&seq| seq != seqs[300])
        .chain(&later)
        .map(|seq| seq.0)
        .collect();
    assert_eq!(log.seqs(cursor), expected);
}

#[test]
fn scrub_finds_nothing_missing_where_only_the_frame_is_damaged() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let seqs = fill(&mut log, route, 1_000, 50);
    log.keep_house();
    log.disk.flip_bit_at(SECOND_SEGMENT, 4096);
    for _ in 0..30 {
        log.keep_house();
    }
    assert_eq!(log.spool.status().ledger, []);
    assert_eq!(log.seqs(cursor).len(), seqs.len());
}

#[test]
fn scrub_reads_a_bounded_number_of_bytes_a_second_and_then_rests_for_a_day() {
    let mut log = Log::with(Options {
        bound_bytes: Some(64 << 20),
        segment_bytes: Some(4 << 20),
        ..Options::default()
    });
    let (_, route) = log.reader("sink");
    fill(&mut log, route, 10_000, 900);
    log.spool.housekeep_once(NodeTime(log.now));
    let sealed = (log.spool.status().segments - 1) * (4 << 20);
    assert!(sealed >= 8 << 20, "{sealed}");
    let (begun, started) = (log.disk.counters().bytes_read, log.now);
    let mut per_second = Vec::new();
    for _ in 0..120 {
        let before = log.disk.counters().bytes_read;
        for _ in 0..10 {
            log.now += 100;
            log.spool.housekeep_once(NodeTime(log.now));
        }
        per_second.push(log.disk.counters().bytes_read - before);
    }
    let read = log.disk.counters().bytes_read - begun;
    assert!(
        read <= sealed && read > sealed / 4 * 3,
        "{read} of {sealed} bytes"
    );
    // One frame may be larger than a second's share; the seconds behind it then have none.
    let most = per_second.iter().max().unwrap();
    assert!(*most <= (1 << 20) + (256 << 10), "{most}");
    let busy = per_second.iter().rposition(|&bytes| bytes > 0).unwrap() as u64 + 1;
    assert!(busy * (256 << 10) >= read, "{read} bytes in {busy} s");

    let rested = log.disk.counters().bytes_read;
    log.spool
        .housekeep_once(NodeTime(started + 23 * 60 * 60 * 1_000));
    assert_eq!(log.disk.counters().bytes_read, rested);
    log.spool
        .housekeep_once(NodeTime(started + 25 * 60 * 60 * 1_000));
    assert!(log.disk.counters().bytes_read > rested);
}

#[test]
fn scrub_passes_what_cannot_be_read() {
    let mut log = Log::new();
    let (_, route) = log.reader("sink");
    let seqs = fill(&mut log, route, 1_000, 50);
    log.spool.housekeep_once(NodeTime(log.now));
    flip_body_of(&log, 500);
    log.disk.set_faults(Faults {
        read: 1.0,
        ..Faults::default()
    });
    log.keep_house();
    log.disk.set_faults(Faults::default());
    for _ in 0..30 {
        log.keep_house();
    }
    let ledger = log.spool.status().ledger;
    assert_eq!(ledger.len(), 1);
    assert_eq!((ledger[0].first, ledger[0].count), (seqs[500], 1));
}

#[test]
fn damage_that_a_reader_meets_is_quarantined_too() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let seqs = fill(&mut log, route, 1_000, 50);
    log.keep_house();
    flip_body_of(&log, 300);
    assert_eq!(log.seqs(cursor).len(), seqs.len() - 1);
    assert!(!log.disk.files().contains_key(SECOND_COPY));
    let before = log.spool.status().used_bytes;
    log.keep_house();
    assert!(log.disk.files().contains_key(SECOND_COPY));
    let more = log.spool.status().used_bytes - before;
    assert!(more >= u64::from(SEGMENT), "the copy counts: {more}");
}

#[test]
fn segment_whose_first_frame_and_index_are_damaged_is_read_by_the_index_made_again() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let seqs = fill(&mut log, route, 1_000, 50);
    log.keep_house();
    let first_frame = 4096;
    log.disk.flip_bit_at(SECOND_SEGMENT, first_frame);
    flip_list(&log);

    let mut log = log.kill();
    let whole: Vec<u64> = seqs
        .iter()
        .enumerate()
        .filter(|(number, _)| !(200..250).contains(number))
        .map(|(_, seq)| seq.0)
        .collect();
    assert_eq!(log.seqs(cursor), whole, "from the frames");
    log.keep_house();
    assert_eq!(log.seqs(cursor), whole, "by the index made again");
    let mut log = log.kill();
    log.keep_house();
    assert_eq!(log.seqs(cursor), whole, "after another start");
    let ledger = log.spool.status().ledger;
    let damage: Vec<_> = ledger
        .iter()
        .map(|loss| (loss.reason, loss.count, loss.first, loss.last))
        .collect();
    assert_eq!(damage, [(LossReason::Damaged, 50, seqs[200], seqs[249])]);
}

/// Damages what the index of the second segment says of one key.
fn flip_list(log: &Log) {
    use crate::segment::{Index, Segment, Trailer};
    let bytes = log.disk.files()[SECOND_SEGMENT].clone();
    let crate::page::Page::Valid(trailer) = Trailer::decode(&bytes[bytes.len() - 4096..]) else {
        panic!("the segment is sealed")
    };
    let Index::Sealed(sealed) = Segment::from_trailer(trailer, bytes.len() as u64).index else {
        panic!("the segment is sealed")
    };
    log.disk
        .flip_bit_at(SECOND_SEGMENT, sealed.lists_offset() as usize + 8);
}

/// Records of a kilobyte, each with its number.
fn fill(log: &mut Log, route: RouteId, count: usize, per_commit: usize) -> Vec<Seq> {
    let mut seqs = Vec::new();
    for number in 0..count {
        let mut body = format!("record {number:06}").into_bytes();
        body.resize(1_000, 0);
        seqs.push(log.append(0, route, &body).unwrap());
        if number % per_commit == per_commit - 1 {
            log.commit();
        }
    }
    seqs
}

fn flip_body_of(log: &Log, number: usize) {
    let wanted = format!("record {number:06}");
    let files = log.disk.files();
    let found = files.iter().find_map(|(name, bytes)| {
        let at = bytes
            .windows(wanted.len())
            .position(|window| window == wanted.as_bytes());
        Some((name, at?))
    });
    let (name, at) = found.unwrap();
    log.disk.flip_bit_at(name, at);
}
