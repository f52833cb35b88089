//! Whose fault a refusal is, and what becomes of the event.

use super::{super::queue::STRIKES, *};

#[test]
fn a_poison_event_is_found_by_halving_and_its_neighbours_go_on() {
    let mut bench = Bench::new(Limits {
        batch_events: 512,
        ..Limits::default()
    });
    bench.offer(1..=512);
    let (mut requests, mut buried) = (0, Vec::new());
    for _ in 0..100 {
        let sends: Vec<Action> = bench.actions();
        if sends.is_empty() {
            bench.wait();
        }
        if bench.acked.len() == 511 {
            bench.offer(513..=513);
        }
        for action in sends {
            match action {
                Action::Send { batch, seqs, .. } => {
                    requests += 1;
                    let bad = seqs.contains(&Seq(300));
                    let outcome = if bad { doubtful() } else { Outcome::Accepted };
                    bench.answer(batch, Answer::All(outcome));
                }
                Action::Bury { seq, reason, tries } => {
                    assert_eq!(reason, DeadReason::Doubtful("400".to_owned()));
                    assert_eq!(tries, 14, "nine halvings and five refusals alone");
                    buried.push(seq.0);
                    bench.uplink.handle_buried(bench.now, seq, Buried::Kept);
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(buried, [300]);
    assert_eq!(bench.acked.len(), 512);
    assert!(requests <= 9 + 9 + 5 + 1, "{requests} requests");
}

#[test]
fn a_permanent_refusal_is_a_dead_letter_at_once_and_a_full_lane_for_them_stops_nothing() {
    let mut bench = Bench::new(Limits::default());
    bench.offer(1..=3);
    let (batch, _) = bench.sent();
    let refused = Outcome::Refused {
        error: "no".to_owned(),
    };
    bench.answer(
        batch,
        Answer::Each(vec![Outcome::Accepted, refused, Outcome::Accepted]),
    );
    assert_eq!(bench.acked(), [1, 3]);
    let reason = DeadReason::Refused("no".to_owned());
    assert_eq!(
        bench.actions(),
        [Action::Bury {
            seq: Seq(2),
            reason,
            tries: 1
        }]
    );
    bench
        .uplink
        .handle_buried(bench.now, Seq(2), Buried::AtBound);
    let status = bench.uplink.status(bench.now, 0);
    assert_eq!(
        (
            status.dead_letters,
            status.dead_letters_lost,
            status.held_bytes
        ),
        (1, 1, 0)
    );
    bench.offer(4..=4);
    assert_eq!(bench.sent().1, [4]);
}

#[test]
fn dead_letters_are_given_up_once_none_has_found_room_for_a_minute() {
    let mut bench = Bench::new(Limits::default());
    bench.offer(1..=2);
    let (batch, _) = bench.sent();
    let refused = Outcome::Refused {
        error: "no".to_owned(),
    };
    bench.answer(batch, Answer::Each(vec![refused.clone(), refused]));
    let second = Duration::from_secs(1);
    bench.uplink.handle_bury_error(bench.now, "cannot be read");
    bench.now += 100 * second;
    assert!(
        !bench.uplink.gives_up_graves(bench.now),
        "there may be room"
    );
    bench.uplink.handle_no_grave(bench.now, "full");
    bench.now += 59 * second;
    bench.uplink.handle_no_grave(bench.now, "full");
    assert!(!bench.uplink.gives_up_graves(bench.now));
    bench.now += second;
    assert!(bench.uplink.gives_up_graves(bench.now));
    bench
        .uplink
        .handle_buried(bench.now, Seq(1), Buried::AtBound);
    assert!(
        bench.uplink.gives_up_graves(bench.now),
        "there is no more room"
    );
    bench.uplink.handle_buried(bench.now, Seq(2), Buried::Kept);
    bench.uplink.handle_no_grave(bench.now, "full");
    assert!(!bench.uplink.gives_up_graves(bench.now));
}

#[test]
fn a_dead_letter_has_its_minute_though_an_earlier_one_was_given_up() {
    let mut bench = Bench::new(Limits::default());
    let refused = || Outcome::Refused {
        error: "no".to_owned(),
    };
    for (seq, gives_up) in [(1, true), (2, false)] {
        bench.offer(seq..=seq);
        let (batch, _) = bench.sent();
        bench.answer(batch, Answer::All(refused()));
        bench.uplink.handle_no_grave(bench.now, "full");
        if gives_up {
            bench.now += Duration::from_secs(60);
        }
        assert_eq!(bench.uplink.gives_up_graves(bench.now), gives_up, "{seq}");
        bench
            .uplink
            .handle_buried(bench.now, Seq(seq), Buried::AtBound);
    }
}

#[test]
fn transport_errors_and_refused_credentials_are_never_held_against_an_event() {
    let mut bench = Bench::new(Limits {
        refused_tries: 1,
        ..Limits::default()
    });
    bench.offer(1..=1);
    for _ in 0..10_000 {
        let (batch, _) = bench.sent();
        bench.answer(batch, unavailable());
        bench.wait();
    }
    assert_eq!(bench.sent().1, [1]);
}

#[test]
fn a_doubtful_event_stays_while_nothing_else_is_accepted_and_the_sink_backs_off() {
    let mut bench = Bench::new(Limits::default());
    bench.offer(1..=1);
    let start = bench.now;
    for _ in 0..100 {
        let (batch, seqs) = bench.sent();
        assert_eq!(seqs, [1]);
        bench.answer(batch, Answer::All(doubtful()));
        assert_eq!(
            bench.state(),
            LinkState::BackingOff {
                error: "400".to_owned()
            }
        );
        bench.wait_for_send();
    }
    assert!(
        bench.now - start > Duration::from_secs(20 * 60),
        "a minute at most between tries, half on average"
    );
    let (batch, _) = bench.sent();
    bench.answer(batch, Answer::All(Outcome::Accepted));
    assert_eq!(bench.acked(), [1]);
}

#[test]
fn one_key_behind_a_doubtful_event_finds_out_by_itself_whether_it_is_at_fault() {
    let mut bench = Bench::new(Limits {
        batch_events: 1,
        ..Limits::default()
    });
    bench.offer_as(1..=3, |_| 7);
    let mut order = Vec::new();
    for _ in 0..8 {
        let (batch, seqs) = bench.sent();
        order.extend(seqs.iter().copied());
        let outcome = if seqs == [1] {
            doubtful()
        } else {
            Outcome::Accepted
        };
        bench.answer(batch, Answer::All(outcome));
        if bench
            .queued
            .iter()
            .any(|action| matches!(action, Action::Bury { .. }))
        {
            break;
        }
        bench.wait_for_send();
    }
    assert_eq!(
        order,
        [1, 1, 1, 1, 1, 2, 1],
        "five refusals, the one behind it, and the sixth decides"
    );
}

#[test]
fn what_went_too_far_what_came_from_the_peer_and_what_expired_is_not_sent() {
    let mut bench = Bench::new(Limits::default());
    let fit = |hops| Fitness::Send {
        key: 1,
        target: "".into(),
        bytes: 100,
        hops,
    };
    let kinds = [
        fit(8),
        fit(9),
        Fitness::FromPeer,
        Fitness::Expired { bytes: 5 },
        Fitness::NotOwed,
        Fitness::Unsendable("no form".to_owned()),
    ];
    let offered = (1..)
        .zip(kinds)
        .map(|(seq, fitness)| Offered {
            seq: Seq(seq),
            fitness,
        })
        .collect();
    bench.take_reads();
    bench
        .uplink
        .handle_read(bench.now, Lane(0), offered, Seq(6), true);
    assert_eq!(bench.sent().1, [1]);
    assert_eq!(bench.acked(), [3, 4, 5]);
    let unsendable = DeadReason::Unsendable("no form".to_owned());
    let expected = [
        Action::Bury {
            seq: Seq(2),
            reason: DeadReason::TooManyHops,
            tries: 0,
        },
        Action::Expire {
            seq: Seq(4),
            bytes: 5,
        },
        Action::Bury {
            seq: Seq(6),
            reason: unsendable,
            tries: 0,
        },
    ];
    assert_eq!(bench.actions(), expected);
    let status = bench.uplink.status(bench.now, 1);
    assert_eq!((status.not_sent_back, status.expired), (1, 1));
}

#[test]
fn a_target_rests_after_many_refusals_in_a_row_and_not_after_as_many_with_one_taken_between() {
    let mut bench = Bench::new(Limits {
        batch_events: 1,
        in_flight: 1,
        ..Limits::default()
    });
    let many = u64::from(STRIKES);
    bench.offer(1..=3 * many);
    let refused = |bench: &mut Bench| {
        let (batch, _) = bench.sent();
        let error = "never".to_owned();
        bench.answer(batch, Answer::All(Outcome::Refused { error }));
    };
    (1..many).for_each(|_| refused(&mut bench));
    let (batch, _) = bench.sent();
    bench.answer(batch, Answer::All(Outcome::Accepted));
    (0..many).for_each(|_| refused(&mut bench));
    assert_eq!(bench.all_sent(), []);
    bench.wait();
    assert_eq!(bench.all_sent().len(), 1);
}
