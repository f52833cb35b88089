use super::*;
use crate::frame::PAGE;

#[test]
fn damage_found_at_the_start_adds_to_what_was_stored_behind_the_checkpoint() {
    let mut log = Log::new();
    let (_, route) = log.reader("sink");
    let damaged = append_alone(&mut log, route);
    append_alone(&mut log, route);
    log.spool.record_loss(Loss {
        reason: LossReason::Damaged,
        scope: "log".into(),
        count: 5,
        bytes: 0,
        first: Seq(9_000),
        last: Seq(9_000),
        at: NodeTime(log.now),
    });
    append_alone(&mut log, route);
    flip_in_page(&log, 1, 2);
    let log = log.kill();
    assert_eq!(entered(&log), [(LossReason::Damaged, 6, damaged, 9_000)]);
}

#[test]
fn damage_is_counted_once_however_often_it_is_met() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let seqs: Vec<u64> = (0..5).map(|_| append_alone(&mut log, route)).collect();
    flip_in_page(&log, 1, 3);
    // By a reader, first in this process, then in the next, which reads the frame itself too.
    assert_eq!(log.seqs(cursor).len(), 4);
    let once = [(LossReason::Damaged, 1, seqs[1], seqs[1])];
    assert_eq!(entered(&log), once);
    append_alone(&mut log, route);
    for _ in 0..3 {
        log = log.kill();
        assert_eq!(entered(&log), once);
        assert_eq!(log.recovery.findings, Vec::<String>::new(), "it is known");
        append_alone(&mut log, route);
        log.spool.checkpoint(Vec::new());
        log.keep_house();
        let all = log.seqs(cursor);
        assert!(!all.contains(&seqs[1]) && all.contains(&seqs[2]), "{all:?}");
    }
}

#[test]
fn damage_is_counted_once_though_more_was_lost_than_a_commit_carries() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let seqs: Vec<u64> = (0..3).map(|_| append_alone(&mut log, route)).collect();
    flip_in_page(&log, 1, 3);
    log.seqs(cursor);
    for client in 0..100 {
        log.spool.record_loss(Loss {
            reason: LossReason::Refused,
            scope: client.to_string(),
            count: 1,
            bytes: 0,
            first: Seq::ZERO,
            last: Seq::ZERO,
            at: NodeTime(0),
        });
    }
    append_alone(&mut log, route);
    let log = log.kill();
    assert_eq!(log.seqs(cursor).len(), 3);
    let mut entries = entered(&log);
    entries.retain(|entry| entry.0 == LossReason::Damaged);
    assert_eq!(entries, [(LossReason::Damaged, 1, seqs[1], seqs[1])]);
}

#[test]
fn damaged_record_holds_no_cursor_up() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let seqs: Vec<u64> = (0..5).map(|_| append_alone(&mut log, route)).collect();
    assert_eq!(log.seqs(cursor), seqs, "its window holds all of them");
    flip_in_page(&log, 1, 3);
    let whole = [seqs[0], seqs[2], seqs[3], seqs[4]];
    assert_eq!(log.seqs(cursor), whole);
    log.spool.ack(cursor, &whole.map(Seq));
    assert_eq!(log.pending(cursor), 0);
    let low = log.spool.inner.lock().cursors[&cursor.0].low();
    assert_eq!(low, seqs[4], "the low mark stands behind all of them");
}

#[test]
fn torn_tail_is_counted_once_although_every_start_finds_it() {
    let mut log = Log::new();
    let (_, route) = log.reader("sink");
    let torn = append_alone(&mut log, route);
    flip_in_page(&log, 1, 2);
    for _ in 0..3 {
        log = log.kill();
        assert_eq!(entered(&log), [(LossReason::TailCut, 1, torn, torn)]);
    }
}

#[test]
fn damage_to_an_index_and_its_frames_is_counted_once_over_several_starts() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let seqs: Vec<u64> = (0..3).map(|_| append_alone(&mut log, route)).collect();
    let mut log = log.kill();
    append_alone(&mut log, route);
    log.keep_house();
    flip_in_page(&log, 1, 3);
    // The index follows the frames.
    let end = log.spool.inner.lock().segments[0].end;
    log.disk.flip_bit_at(&segment(1), end as usize + 4);
    flip_in_page(&log, 1, u64::from(SEGMENT) / PAGE - 1);
    let once = [(LossReason::Damaged, 1, seqs[1], seqs[1])];
    for _ in 0..3 {
        log = log.kill();
        let all = log.seqs(cursor);
        assert_eq!(all[..2], [seqs[0], seqs[2]]);
        assert_eq!(entered(&log), once);
    }
}

#[test]
fn index_made_again_is_not_stored_before_the_ledger_says_what_it_lacks() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let seqs: Vec<u64> = (0..3).map(|_| append_alone(&mut log, route)).collect();
    let mut log = log.kill();
    append_alone(&mut log, route);
    log.keep_house();
    let once = [(LossReason::Damaged, 1, seqs[1], seqs[1])];
    // A table in memory gives the rows; the lists, which follow it and are all of the index but this, are read.
    let lists = {
        let state = log.spool.inner.lock();
        let crate::segment::Index::Sealed(sealed) = &state.segments[0].index else {
            panic!("the segment is sealed")
        };
        sealed.lists_offset() as usize
    };
    flip_in_page(&log, 1, 3);
    for at in 0..40 {
        log.disk.flip_bit_at(&segment(1), lists + at);
    }
    assert_eq!(log.seqs(cursor)[..2], [seqs[0], seqs[2]]);
    assert_eq!(entered(&log), once);
    log.keep_house();
    let sealed = |log: &Log| log.spool.inner.lock().segments[0].is_sealed();
    assert!(!sealed(&log), "the ledger is not on disk");
    let mut log = log.crash();
    assert_eq!(log.seqs(cursor)[..2], [seqs[0], seqs[2]]);
    assert_eq!(entered(&log), once);
    append_alone(&mut log, route);
    log.keep_house();
    assert!(sealed(&log));
    let log = log.crash();
    assert_eq!(log.seqs(cursor)[..2], [seqs[0], seqs[2]]);
    assert_eq!(entered(&log), once);
}

#[test]
fn end_of_a_segment_stays_known_although_the_frame_that_told_it_is_damaged() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let seqs: Vec<u64> = (0..4).map(|_| append_alone(&mut log, route)).collect();
    let mut log = log.kill();
    let told = append_alone(&mut log, route);
    let after = append_alone(&mut log, route);
    flip_in_page(&log, 2, 1);
    let mut log = log.kill();
    assert_eq!(entered(&log), [(LossReason::Damaged, 1, told, told)]);
    let newest = append_alone(&mut log, route);
    log.keep_house();
    assert!(
        log.spool.inner.lock().segments[1].is_sealed(),
        "what it says of the one before is on disk"
    );
    // The trailer, and the last frame before it.
    flip_in_page(&log, 1, u64::from(SEGMENT) / PAGE - 1);
    flip_in_page(&log, 1, 5);
    let log = log.kill();
    assert_eq!(log.seqs(cursor), [seqs[0], seqs[1], seqs[2], after, newest]);
    assert_eq!(entered(&log), [(LossReason::Damaged, 2, seqs[3], told)]);
}

#[test]
fn positions_that_a_checkpoint_covers_and_no_segment_holds_are_damage() {
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let kept = append_alone(&mut log, route);
    let mut log = log.kill();
    let gone = [append_alone(&mut log, route), append_alone(&mut log, route)];
    log.spool.checkpoint(Vec::new());
    log.keep_house();
    let mut files = log.disk.files();
    files.remove(&segment(2));
    drop(log.spool);
    let mut log = Log::on(Simulated::with_files(7, files), options()).unwrap();
    assert_eq!(entered(&log), [(LossReason::Damaged, 2, gone[0], gone[1])]);
    let next = append_alone(&mut log, route);
    assert!(next > gone[1], "a position is not given out again");
    let log = log.kill();
    assert_eq!(log.seqs(cursor), [kept, next]);
    assert_eq!(entered(&log), [(LossReason::Damaged, 2, gone[0], gone[1])]);
}

#[test]
fn loss_of_both_checkpoints_is_in_the_ledger() {
    let mut log = Log::new();
    let (_, route) = log.reader("sink");
    for owner in [b"older", b"newer"] {
        log.append_kind(Kind::State, 0, RouteId::NOBODY, owner)
            .unwrap();
        log.commit();
        log.spool.checkpoint(owner.to_vec());
        log.keep_house();
    }
    let last = append_alone(&mut log, route);
    log.disk.flip_bit_at("checkpoint-0", 100);
    let one_left = Log::on(log.disk.crash(), options()).unwrap();
    assert_eq!(entered(&one_left), [], "the other one serves");
    let log = one_left;
    log.disk.flip_bit_at("checkpoint-1", 100);
    let mut log = log.kill();
    assert_eq!(log.recovery.checkpoint, None);
    assert_eq!(entered(&log), [(LossReason::Damaged, 1, 1, last)]);
    let (cursor, _) = log.reader("new");
    assert!(cursor.0 > 1 << 16, "an id is not given out again");
    assert_eq!(entered(&log.kill()), [(LossReason::Damaged, 1, 1, last)]);
}

#[test]
fn owed_record_that_the_index_lacks_is_in_the_ledger_and_holds_nothing_up() {
    use crate::segment::Index;
    let mut log = Log::new();
    let (cursor, route) = log.reader("sink");
    let (other, both) = {
        let (other, _) = log.reader("other");
        let mut transaction = log.spool.transaction(NodeTime(log.now));
        let both = transaction.route(&[cursor, other], b"both").unwrap();
        transaction.finish();
        (other, both)
    };
    let seqs: Vec<u64> = [route, both, route]
        .map(|to| append_alone(&mut log, to))
        .into();
    // The windows hold all three before the index is made to lack one.
    assert_eq!(log.seqs(cursor), seqs);
    assert_eq!(log.seqs(other), [seqs[1]]);
    if let Index::Open(slots) = &mut log.spool.inner.lock().segments[0].index {
        let mut kept = crate::index::Slots::new(slots.base);
        let whole = slots.iter().filter(|place| place.seq != seqs[1]);
        whole.for_each(|place| assert!(kept.push_place(&place)));
        *slots = Arc::new(kept);
    }
    assert_eq!(log.seqs(cursor), [seqs[0], seqs[2]]);
    assert_eq!(log.seqs(other), []);
    assert_eq!(
        entered(&log),
        [(LossReason::Damaged, 1, seqs[1], seqs[1])],
        "once for both"
    );
    log.spool.ack(cursor, &[Seq(seqs[0])]);
    let low = log.spool.cursor_status(cursor).unwrap().low;
    assert_eq!(low.0, seqs[2] - 1, "nobody waits for it");
    append_alone(&mut log, route);
    assert_eq!(
        entered(&log.kill()),
        [(LossReason::Damaged, 1, seqs[1], seqs[1])]
    );
}

pub(super) fn append_alone(log: &mut Log, route: RouteId) -> u64 {
    let seq = log.append(0, route, &body(7, 100)).unwrap();
    log.commit();
    seq.0
}

pub(super) fn segment(id: u64) -> String {
    format!("{id:016x}.segment")
}

/// Frames of one record take a page each; the first is that of the header.
pub(super) fn flip_in_page(log: &Log, id: u64, page: u64) {
    let inside = 200;
    log.disk
        .flip_bit_at(&segment(id), (page * PAGE) as usize + inside);
}

pub(super) fn entered(log: &Log) -> Vec<(LossReason, u64, u64, u64)> {
    let ledger = log.spool.status().ledger;
    ledger
        .iter()
        .map(|loss| (loss.reason, loss.count, loss.first.0, loss.last.0))
        .collect()
}
