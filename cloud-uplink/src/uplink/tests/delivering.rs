//! What is acknowledged, in which order, and within which bounds.

use super::*;

#[test]
fn an_event_is_acknowledged_only_after_the_receiver_took_it_and_is_sent_again_until_then() {
    let mut bench = Bench::new(Limits::default());
    bench.offer(1..=3);
    for _ in 0..20 {
        let (batch, seqs) = bench.sent();
        assert_eq!(seqs, [1, 2, 3]);
        bench.answer(batch, unavailable());
        assert!(bench.acked().is_empty());
        bench.wait();
    }
    let (batch, _) = bench.sent();
    bench.answer(batch, Answer::All(Outcome::Accepted));
    assert_eq!(bench.acked(), [1, 2, 3]);
}

#[test]
fn a_backlog_is_released_without_new_publishes_and_faster_than_one_by_one() {
    let mut bench = Bench::new(Limits {
        batch_events: 100,
        ..Limits::default()
    });
    bench.offer(1..=1000);
    let (batch, _) = bench.sent();
    for action in bench.actions() {
        assert!(
            !matches!(action, Action::Send { .. }),
            "one batch before the first answer"
        );
    }
    bench.answer(batch, unavailable());
    bench.now += Duration::from_secs(24 * 3600);
    bench.uplink.handle_deadline(bench.now);
    let mut requests = 0;
    while bench.acked.len() < 1000 {
        let (batch, _) = bench.sent();
        bench.now += Duration::from_millis(10);
        bench.answer(batch, Answer::All(Outcome::Accepted));
        requests += 1;
    }
    assert_eq!(requests, 10);
}

#[test]
fn a_higher_lane_goes_first_and_finds_room_when_lower_ones_fill_the_memory() {
    let limits = Limits {
        batch_events: 10,
        read_ahead_bytes: 8000,
        in_flight: 1,
        ..Limits::default()
    };
    let mut bench = Bench::with_lanes(limits, &[Lane(0), Lane(1)]);
    bench.take_reads();
    bench
        .uplink
        .handle_read(bench.now, Lane(0), Vec::new(), Seq::ZERO, true);
    bench.read(Lane(1), 1..=24);
    let (batch, _) = bench.sent();
    bench.uplink.handle_commit(bench.now);
    let reads = bench.all_actions();
    assert!(
        matches!(reads[..], [Action::Read { lane: Lane(0), .. }]),
        "{reads:?}"
    );
    bench.read(Lane(0), 31..=32);
    bench.answer(batch, Answer::All(Outcome::Accepted));
    assert_eq!(bench.sent().1, [31, 32, 11, 12, 13, 14, 15, 16, 17, 18]);
}

#[test]
fn events_of_one_key_wait_for_each_other_and_others_pass() {
    let mut bench = Bench::new(Limits {
        batch_events: 2,
        in_flight: 8,
        ..Limits::default()
    });
    bench.offer(100..=101);
    let (batch, _) = bench.sent();
    bench.answer(batch, Answer::All(Outcome::Accepted));
    bench.offer_as(102..=107, |seq| u64::from(seq == 105));
    assert_eq!(bench.sent().1, [102, 103], "two of key 0");
    assert_eq!(
        bench.sent().1,
        [105],
        "then the one of key 1, while 104 waits"
    );
    assert_eq!(bench.all_sent(), []);
}

#[test]
fn what_is_held_stays_within_its_bound_on_an_unstable_link() {
    let limits = Limits {
        read_ahead_bytes: 100_000,
        ..Limits::default()
    };
    let mut bench = Bench::new(limits);
    let mut next = 1;
    for _ in 0..2000 {
        for action in bench.all_actions() {
            match action {
                Action::Read { lane, .. } => {
                    bench.read(lane, next..=next + 9);
                    next += 10;
                }
                Action::Send { batch, .. } => bench.answer(batch, unavailable()),
                other => panic!("{other:?}"),
            }
        }
        bench.wait();
        // One read of ten events of 100 bytes over the bound, each with what it costs beside its bytes.
        assert!(bench.uplink.status(bench.now, 0).held_bytes <= 100_000 + 10 * (100 + 256));
    }
    assert!(bench.uplink.status(bench.now, 0).held_bytes >= 100_000);
}

#[test]
fn acknowledgements_run_no_further_ahead_than_a_cursor_can_hold() {
    let limits = Limits {
        batch_events: 1000,
        batch_bytes: 1 << 20,
        read_ahead_bytes: 1 << 30,
        ..Limits::default()
    };
    let mut bench = Bench::new(limits);
    bench.offer(1..=1);
    let (stuck, _) = bench.sent();
    bench.answer(stuck, Answer::All(doubtful()));
    bench.offer(2..=9000);
    let mut ahead = 0;
    loop {
        let mut sent = 0;
        for action in bench.actions() {
            let Action::Send { batch, seqs, .. } = action else {
                continue;
            };
            if seqs != [Seq(1)] {
                sent += seqs.len();
                bench.answer(batch, Answer::All(Outcome::Accepted));
            }
        }
        ahead += sent;
        if sent == 0 {
            break;
        }
    }
    assert_eq!(ahead, crate::ACKS_AHEAD_MAX);
}

#[test]
fn a_lane_that_nobody_has_read_does_not_hold_up_a_backlog_in_another() {
    let limits = Limits {
        read_ahead_bytes: 256 * 1024,
        ..Limits::default()
    };
    let mut bench = Bench::with_lanes(limits, &[Lane(0), Lane(1)]);
    let (mut read, mut sent, mut batches) = (0, 0, 0);
    while sent < 50_000 {
        for action in bench.all_actions() {
            match action {
                Action::Read {
                    lane: Lane(0),
                    after,
                    ..
                } => {
                    read = after.0 + 500;
                    bench.read(Lane(0), after.0 + 1..=read);
                }
                Action::Read { lane, .. } => {
                    let end = Seq(read.max(50_000));
                    let nothing = Vec::new();
                    bench
                        .uplink
                        .handle_read(bench.now, lane, nothing, end, true);
                }
                Action::Send { batch, seqs, .. } => {
                    (sent, batches) = (sent + seqs.len(), batches + 1);
                    bench.answer(batch, Answer::All(Outcome::Accepted));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(
        batches < sent / 100,
        "{sent} events went in {batches} batches"
    );
}

#[test]
fn a_batch_size_learned_from_a_refusal_grows_back_while_batches_are_taken() {
    let mut bench = Bench::new(Limits {
        batch_bytes: 3200,
        in_flight: 1,
        ..Limits::default()
    });
    bench.offer(1..=2000);
    let mut sizes = Vec::new();
    for round in 0..80 {
        let (batch, seqs) = bench.sent();
        sizes.push(seqs.len());
        let error = "too large".to_owned();
        bench.answer(
            batch,
            Answer::All(match round {
                0 => Outcome::TooLarge { error },
                _ => Outcome::Accepted,
            }),
        );
    }
    // Events of 100 bytes.
    let grown = [vec![32], vec![16; 32], vec![17; 32], vec![18; 15]].concat();
    assert_eq!(sizes, grown);
}

#[test]
fn a_lane_is_read_again_where_something_was_committed_while_its_end_was_found() {
    let mut bench = Bench::new(Limits::default());
    assert_eq!(bench.reads(), [Seq::ZERO]);
    bench.uplink.handle_commit(bench.now);
    bench.read_as(Lane(0), 1..=1, |seq| seq, true);
    assert_eq!(bench.reads(), [Seq(1)]);
    bench.read_as(Lane(0), 2..=2, |seq| seq, true);
    assert_eq!(bench.reads(), []);
}

#[test]
fn what_cannot_be_read_is_read_again_after_a_rest() {
    let mut bench = Bench::new(Limits::default());
    assert_eq!(bench.reads(), [Seq::ZERO]);
    let error = "input/output error".to_owned();
    bench.uplink.handle_read_error(bench.now, error);
    bench.uplink.handle_commit(bench.now);
    assert_eq!(bench.reads(), []);
    bench.wait();
    assert_eq!(bench.reads(), [Seq::ZERO]);
}
