//! What is known of the link: whether it holds, when it is tried again, how fast it drains.

use super::*;

#[test]
fn it_says_connected_only_while_an_acknowledgement_is_young() {
    let mut bench = Bench::new(Limits::default());
    assert_eq!(bench.state(), LinkState::Idle);
    bench.offer(1..=1);
    assert_eq!(
        bench.state(),
        LinkState::Connecting,
        "sent is not connected"
    );
    let (batch, _) = bench.sent();
    bench.answer(batch, Answer::All(Outcome::Accepted));
    assert_eq!(bench.state(), LinkState::Connected);
    bench.now += Duration::from_secs(61);
    assert_eq!(bench.state(), LinkState::Idle);
    bench.offer(2..=2);
    let (batch, _) = bench.sent();
    bench.answer(batch, unavailable());
    assert_eq!(
        bench.state(),
        LinkState::BackingOff {
            error: "no answer".to_owned()
        }
    );
    assert!(
        bench
            .uplink
            .status(bench.now, 1)
            .next_retry_ms
            .is_some_and(|ms| (100..=200).contains(&ms))
    );
}

#[test]
fn an_idle_link_is_tried_with_a_canary() {
    let every = Duration::from_secs(30);
    let mut bench = Bench::new(Limits {
        canary_every: Some(every),
        ..Limits::default()
    });
    assert_eq!(
        bench.uplink.next_deadline(bench.now),
        Some(bench.now + every)
    );
    bench.wait();
    assert_eq!(bench.actions(), [Action::Canary { batch: BatchId(0) }]);
    bench.answer(BatchId(0), unavailable());
    assert_eq!(
        bench.state(),
        LinkState::BackingOff {
            error: "no answer".to_owned()
        }
    );
    bench.wait();
    assert_eq!(bench.actions(), [Action::Canary { batch: BatchId(1) }]);
    bench.answer(BatchId(1), Answer::All(Outcome::Accepted));
    assert_eq!(bench.state(), LinkState::Connected);
    bench.wait();
    assert_eq!(bench.actions(), [Action::Canary { batch: BatchId(2) }]);
}

#[test]
fn while_events_are_in_flight_no_canary_goes_beside_them() {
    let every = Duration::from_secs(30);
    let mut bench = Bench::new(Limits {
        canary_every: Some(every),
        ..Limits::default()
    });
    bench.offer(1..=1);
    let (batch, _) = bench.sent();
    bench.now += 2 * every;
    bench.uplink.handle_deadline(bench.now);
    assert_eq!(bench.actions(), []);
    bench.answer(batch, Answer::All(Outcome::Accepted));
    assert_eq!(
        bench.uplink.next_deadline(bench.now),
        Some(bench.now + every)
    );
}

#[test]
fn a_receiver_that_refuses_canaries_is_asked_as_seldom_as_one_that_takes_them_and_is_sent_events_at_once()
 {
    let every = Duration::from_secs(30);
    let mut bench = Bench::new(Limits {
        canary_every: Some(every),
        ..Limits::default()
    });
    let refused = Outcome::Refused {
        error: "what is this?".to_owned(),
    };
    let too_large = Outcome::TooLarge {
        error: "413".to_owned(),
    };
    for (number, refusal) in (0..).zip([doubtful(), refused, too_large]) {
        bench.wait();
        let batch = BatchId(number);
        assert_eq!(bench.actions(), [Action::Canary { batch }]);
        let error = format!("the canary: {}", refusal.error());
        bench.answer(batch, Answer::All(refusal));
        assert_eq!(bench.state(), LinkState::Idle, "it was not acknowledged");
        let status = bench.uplink.status(bench.now, 0);
        assert_eq!(status.last_error, Some(error));
        let next = bench.uplink.next_deadline(bench.now);
        assert_eq!(next, Some(bench.now + every));
    }
    bench.offer(1..=1);
    assert_eq!(bench.sent().1, [1]);
}

#[test]
fn after_an_outage_one_batch_goes_first_and_the_others_follow_its_answer() {
    let (mut bench, flights) = wide_open(4);
    for batch in flights {
        bench.answer(batch, unavailable());
    }
    assert_eq!(bench.all_sent(), []);
    bench.wait();
    let probe = bench.all_sent();
    assert_eq!(probe.len(), 1, "one batch finds out");
    bench.wait();
    assert_eq!(bench.all_sent(), [], "and it alone, however long it takes");
    bench.answer(probe[0], Answer::All(Outcome::Accepted));
    assert_eq!(bench.all_sent().len(), 2);
}

#[test]
fn retry_after_is_waited_for_and_the_rate_falls() {
    let mut bench = Bench::new(Limits {
        batch_events: 100,
        ..Limits::default()
    });
    bench.offer(1..=300);
    let (batch, _) = bench.sent();
    bench.now += Duration::from_secs(1);
    bench.answer(batch, Answer::All(Outcome::Accepted));
    let mut sent = bench.all_sent();
    let retry_after = Some(Duration::from_secs(9));
    bench.answer(sent.remove(0), overloaded(retry_after));
    bench.answer(sent.remove(0), Answer::All(Outcome::Accepted));
    assert_eq!(
        bench.uplink.next_deadline(bench.now),
        Some(bench.now + Duration::from_secs(9))
    );
    assert_eq!(
        bench.uplink.status(bench.now, 200).rate_limit,
        Some(50.0),
        "half of what it took"
    );
    bench.wait();
    let (_, seqs) = bench.sent();
    assert!(
        seqs.len() < 25,
        "a fifth of a second's worth, not {}",
        seqs.len()
    );
}

#[test]
fn batches_that_fail_together_halve_the_window_once() {
    let (mut bench, flights) = wide_open(16);
    for batch in flights {
        bench.answer(batch, overloaded(None));
    }
    bench.wait_for_send();
    let (probe, _) = bench.sent();
    bench.answer(probe, Answer::All(Outcome::Accepted));
    assert_eq!(bench.all_sent().len(), 8);
}

#[test]
fn answers_that_come_late_together_halve_the_window_once() {
    let (mut bench, flights) = wide_open(16);
    bench.now += Limits::default().slow_answer + Duration::from_secs(1);
    for batch in flights {
        bench.answer(batch, Answer::All(Outcome::Accepted));
    }
    let open = bench.all_sent().len();
    assert!(
        (8..=10).contains(&open),
        "{open}: half, and what has grown since"
    );
}

#[test]
fn what_was_in_flight_at_a_failure_may_ask_for_a_longer_rest_and_does_not_end_it() {
    let (mut bench, flights) = wide_open(4);
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let rests = [(9, 9), (20, 20), (200_000, 3_600)];
    for (batch, (asked, rest)) in flights.iter().zip(rests) {
        bench.answer(*batch, overloaded(seconds(asked)));
        let until = seconds(rest).map(|rest| bench.now + rest);
        assert_eq!(bench.uplink.next_deadline(bench.now), until);
    }
    bench.answer(flights[3], Answer::All(Outcome::Accepted));
    bench.wait();
    assert_eq!(bench.all_sent().len(), 1, "one batch finds out");
}

#[test]
fn catching_up_is_estimated_from_what_drains() {
    let mut bench = Bench::new(Limits {
        batch_events: 100,
        ..Limits::default()
    });
    bench.offer(1..=1000);
    for _ in 0..5 {
        let batch = bench.sent().0;
        bench.now += Duration::from_secs(1);
        bench.answer(batch, Answer::All(Outcome::Accepted));
    }
    let status = bench.uplink.status(bench.now, 500);
    assert_eq!(status.drain_per_second, Some(100.0));
    assert_eq!(status.catch_up_ms, Some(5000));
    let batch = bench.sent().0;
    bench.answer(batch, unavailable());
    let status = bench.uplink.status(bench.now, 500);
    assert_eq!(status.catch_up_ms, None, "nothing drains");
    bench.wait_for_send();
    bench.now += Duration::from_secs(61);
    assert_eq!(bench.state(), LinkState::Connecting);
    assert_eq!(bench.uplink.status(bench.now, 500).catch_up_ms, None);
}

/// An uplink with so many batches in flight, and more to send.
fn wide_open(in_flight: usize) -> (Bench, Vec<BatchId>) {
    let mut bench = Bench::new(Limits {
        batch_events: 10,
        in_flight,
        ..Limits::default()
    });
    bench.offer(1..=1_000);
    let mut flights = vec![bench.sent().0];
    while flights.len() < in_flight {
        let batch = flights.remove(0);
        bench.answer(batch, Answer::All(Outcome::Accepted));
        flights.extend(bench.all_sent());
    }
    (bench, flights)
}

fn overloaded(retry_after: Option<Duration>) -> Answer {
    Answer::All(Outcome::Overloaded {
        retry_after,
        error: "429".to_owned(),
    })
}
