//! The promises of the core, one by one.

use std::time::{Duration, Instant};

use spool::{Lane, Seq};

use super::{Action, BatchId, Buried, DeadReason, Fitness, LinkState, Offered, Uplink};
use crate::{Answer, Limits, Outcome};

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
fn after_an_outage_one_batch_goes_first_and_the_others_follow_its_answer() {
    let mut bench = Bench::new(Limits {
        batch_events: 10,
        in_flight: 4,
        ..Limits::default()
    });
    bench.offer(1..=200);
    let mut flights = vec![bench.sent().0];
    for _ in 0..6 {
        let batch = flights.remove(0);
        bench.answer(batch, Answer::All(Outcome::Accepted));
        flights.extend(bench.all_sent());
    }
    assert_eq!(flights.len(), 4, "the window has opened");
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
    let error = "429".to_owned();
    bench.answer(
        sent.remove(0),
        Answer::All(Outcome::Overloaded { retry_after, error }),
    );
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
    assert_eq!(ahead, super::ACKS_AHEAD_MAX);
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
}

fn unavailable() -> Answer {
    Answer::All(Outcome::Unavailable {
        retry_after: None,
        error: "no answer".to_owned(),
    })
}

fn doubtful() -> Outcome {
    Outcome::Doubtful {
        error: "400".to_owned(),
    }
}

struct Bench {
    uplink: Uplink,
    now: Instant,
    queued: Vec<Action>,
    acked: Vec<u64>,
    told: usize,
}

impl Bench {
    fn new(limits: Limits) -> Bench {
        Bench::with_lanes(limits, &[Lane(0)])
    }

    fn with_lanes(limits: Limits, lanes: &[Lane]) -> Bench {
        let now = Instant::now();
        let uplink = Uplink::new(now, limits, lanes, Seq::ZERO, fastrand::Rng::with_seed(7));
        Bench {
            uplink,
            now,
            queued: Vec::new(),
            acked: Vec::new(),
            told: 0,
        }
    }

    /// Commits and reads these, each with a key of its own.
    fn offer(&mut self, seqs: std::ops::RangeInclusive<u64>) {
        self.offer_as(seqs, |seq| seq);
    }

    fn offer_as(&mut self, seqs: std::ops::RangeInclusive<u64>, key: impl Fn(u64) -> u64) {
        self.uplink.handle_commit(self.now);
        self.take_reads();
        self.read_as(Lane(0), seqs, key, true);
    }

    fn read(&mut self, lane: Lane, seqs: std::ops::RangeInclusive<u64>) {
        let at_end = lane == Lane(1);
        self.take_reads();
        self.read_as(lane, seqs, |seq| seq, at_end);
    }

    fn read_as(
        &mut self,
        lane: Lane,
        seqs: std::ops::RangeInclusive<u64>,
        key: impl Fn(u64) -> u64,
        at_end: bool,
    ) {
        let next = Seq(*seqs.end());
        let fitness = |seq| Fitness::Send {
            key: key(seq),
            target: "t".into(),
            bytes: 100,
            hops: 0,
        };
        let offered = seqs
            .map(|seq| Offered {
                seq: Seq(seq),
                fitness: fitness(seq),
            })
            .collect();
        self.uplink
            .handle_read(self.now, lane, offered, next, at_end);
    }

    fn answer(&mut self, batch: BatchId, answer: Answer) {
        self.uplink.handle_answer(self.now, batch, answer);
        self.poll();
    }

    /// Lets time pass until the deadline.
    fn wait(&mut self) {
        if let Some(deadline) = self.uplink.next_deadline(self.now) {
            self.now = self.now.max(deadline);
        }
        self.uplink.handle_deadline(self.now);
    }

    /// Lets time pass until something is sent.
    fn wait_for_send(&mut self) {
        while !self
            .queued
            .iter()
            .any(|action| matches!(action, Action::Send { .. }))
        {
            self.wait();
            self.poll();
        }
    }

    fn poll(&mut self) {
        while let Some(action) = self.uplink.poll_action() {
            match action {
                Action::Ack { seqs } => self.acked.extend(seqs.iter().map(|seq| seq.0)),
                action => self.queued.push(action),
            }
        }
    }

    /// What is to be done, but for reads.
    fn actions(&mut self) -> Vec<Action> {
        self.take_reads();
        std::mem::take(&mut self.queued)
    }

    fn all_actions(&mut self) -> Vec<Action> {
        self.poll();
        std::mem::take(&mut self.queued)
    }

    fn take_reads(&mut self) {
        self.poll();
        self.queued
            .retain(|action| !matches!(action, Action::Read { .. }));
    }

    /// The next batch to be sent.
    fn sent(&mut self) -> (BatchId, Vec<u64>) {
        self.poll();
        let is_send = |action: &Action| matches!(action, Action::Send { .. });
        let Some(index) = self.queued.iter().position(is_send) else {
            panic!("nothing to send: {:?}", self.uplink.status(self.now, 0));
        };
        let Action::Send { batch, seqs, .. } = self.queued.remove(index) else {
            unreachable!()
        };
        (batch, seqs.into_iter().map(|seq| seq.0).collect())
    }

    fn all_sent(&mut self) -> Vec<BatchId> {
        self.take_reads();
        let sends = std::mem::take(&mut self.queued).into_iter();
        sends
            .filter_map(|action| {
                if let Action::Send { batch, .. } = action {
                    Some(batch)
                } else {
                    None
                }
            })
            .collect()
    }

    /// What was acknowledged since this was asked last, in order.
    fn acked(&mut self) -> Vec<u64> {
        self.poll();
        let mut fresh = self.acked.split_off(self.told);
        fresh.sort_unstable();
        self.acked.extend(&fresh);
        self.told = self.acked.len();
        fresh
    }

    fn state(&self) -> LinkState {
        self.uplink.status(self.now, 0).state
    }
}
