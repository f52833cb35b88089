use std::{num::NonZeroU32, time::Duration};

use super::*;

const BOUNDS: Bounds = Bounds {
    keys: 100,
    bytes: usize::MAX,
};

const fn passes() -> Verdict {
    Verdict::PASS
}

fn rated(sampledrate: i32) -> Verdict {
    Verdict::Pass {
        sampledrate: Some(sampledrate),
        threshold: None,
    }
}

fn alarm(threshold: ThresholdState) -> Verdict {
    Verdict::Pass {
        sampledrate: None,
        threshold: Some(threshold),
    }
}

/// The verdicts over readings of one key, each at its second.
fn verdicts(kind: GateKind, readings: &[(u64, f64)]) -> Vec<Verdict> {
    let mut gate = Gate::new(kind, BOUNDS);
    readings
        .iter()
        .map(|(second, number)| {
            let reading = Reading::Float(*number);
            let input = GateInput {
                key: "pump",
                reading: Some(&reading),
                sampledrate: None,
                at: Moment(second * 1000),
            };
            gate.judge(&input).unwrap().verdict
        })
        .collect()
}

fn deadband(band: Band, heartbeat: Option<u64>) -> GateKind {
    GateKind::Deadband(Deadband {
        band,
        heartbeat: heartbeat.map(Duration::from_secs),
    })
}

fn threshold(side: Side, seconds: u64) -> GateKind {
    GateKind::Threshold(Threshold {
        side,
        limit: 80.0,
        hysteresis: 5.0,
        duration: Duration::from_secs(seconds),
    })
}

#[test]
fn a_deadband_passes_what_leaves_the_band_around_what_passed_last() {
    let readings = [(0, 20.0), (1, 20.5), (2, 20.6), (3, 20.2), (4, 20.0)];
    assert_eq!(
        verdicts(deadband(Band::Absolute(0.5), None), &readings),
        [
            passes(),
            Verdict::Suppress,
            passes(),
            Verdict::Suppress,
            passes()
        ]
    );
    let readings = [
        (0, 200.0),
        (1, 204.0),
        (2, 204.1),
        (3, 0.0),
        (4, 0.1),
        (5, 0.1),
    ];
    assert_eq!(
        verdicts(deadband(Band::Percent(2.0), None), &readings),
        [
            passes(),
            Verdict::Suppress,
            passes(),
            passes(),
            passes(),
            Verdict::Suppress
        ]
    );
}

#[test]
fn a_slow_drift_leaves_the_band_in_the_end() {
    let readings: Vec<(u64, f64)> = (0..100_u32)
        .map(|it| (u64::from(it), f64::from(it) * 0.1))
        .collect();
    let passed = verdicts(deadband(Band::Absolute(0.95), None), &readings);
    assert_eq!(passed.iter().filter(|it| **it == passes()).count(), 10);
}

#[test]
fn a_heartbeat_passes_when_nothing_has_for_so_long() {
    let readings = [(0, 1.0), (59, 1.0), (60, 1.0), (119, 1.0), (120, 1.0)];
    assert_eq!(
        verdicts(deadband(Band::Absolute(9.0), Some(60)), &readings),
        [
            passes(),
            Verdict::Suppress,
            passes(),
            Verdict::Suppress,
            passes()
        ]
    );
}

#[test]
fn a_change_of_anything_is_a_change() {
    let mut gate = Gate::new(deadband(Band::Change, None), BOUNDS);
    let readings = [
        Reading::Other("on".into()),
        Reading::Other("on".into()),
        Reading::Other("off".into()),
        Reading::Integer(9_007_199_254_740_992),
        Reading::Integer(9_007_199_254_740_993),
    ];
    let verdicts = readings.map(|reading| {
        let input = GateInput {
            key: "",
            reading: Some(&reading),
            sampledrate: None,
            at: Moment(0),
        };
        gate.judge(&input).unwrap().verdict
    });
    assert_eq!(
        verdicts,
        [passes(), Verdict::Suppress, passes(), passes(), passes()]
    );
}

#[test]
fn a_throttle_tells_how_many_it_suppressed() {
    let throttle = GateKind::Throttle(Throttle {
        count: NonZeroU32::new(2).unwrap(),
        per: Duration::from_secs(10),
    });
    let readings = [
        (0, 0.0),
        (1, 0.0),
        (2, 0.0),
        (9, 0.0),
        (10, 0.0),
        (11, 0.0),
        (30, 0.0),
    ];
    assert_eq!(
        verdicts(throttle, &readings),
        [
            rated(1),
            rated(1),
            Verdict::Suppress,
            Verdict::Suppress,
            rated(3),
            rated(1),
            rated(1)
        ]
    );
}

#[test]
fn a_sample_multiplies_the_rate_that_is_there() {
    let sample = GateKind::Sample(Sample {
        every: NonZeroU32::new(3).unwrap(),
    });
    let mut gate = Gate::new(sample, BOUNDS);
    let verdicts = [
        None,
        None,
        None,
        Some(10),
        Some(10),
        Some(10),
        Some(i32::MAX),
    ]
    .map(|rate| {
        let input = GateInput {
            key: "",
            reading: None,
            sampledrate: rate,
            at: Moment(0),
        };
        gate.judge(&input).unwrap().verdict
    });
    let gone = Verdict::Suppress;
    assert_eq!(
        verdicts,
        [rated(3), gone, gone, rated(30), gone, gone, rated(i32::MAX)]
    );
}

#[test]
fn a_repeat_is_suppressed_for_its_time() {
    let dedupe = GateKind::Dedupe(Dedupe {
        within: Duration::from_secs(60),
    });
    assert_eq!(
        verdicts(dedupe, &[(0, 0.0), (59, 0.0), (60, 0.0), (61, 0.0)]),
        [passes(), Verdict::Suppress, passes(), Verdict::Suppress]
    );
}

#[test]
fn an_alarm_is_raised_once_and_cleared_beyond_the_hysteresis() {
    let readings = [
        (0, 80.0),
        (1, 80.1),
        (2, 90.0),
        (3, 76.0),
        (4, 81.0),
        (5, 75.0),
        (6, 74.0),
    ];
    let gone = Verdict::Suppress;
    let (raised, cleared) = (
        alarm(ThresholdState::Raised),
        alarm(ThresholdState::Cleared),
    );
    assert_eq!(
        verdicts(threshold(Side::Above, 0), &readings),
        [gone, raised, gone, gone, gone, cleared, gone]
    );
    let mirrored = readings.map(|(second, number)| (second, 160.0 - number));
    assert_eq!(
        verdicts(threshold(Side::Below, 0), &mirrored),
        [gone, raised, gone, gone, gone, cleared, gone]
    );
}

#[test]
fn an_alarm_waits_until_readings_were_alarming_for_its_duration() {
    let readings = [
        (0, 90.0),
        (4, 90.0),
        (5, 79.0),
        (6, 90.0),
        (15, 90.0),
        (16, 90.0),
        (17, 70.0),
    ];
    let gone = Verdict::Suppress;
    assert_eq!(
        verdicts(threshold(Side::Above, 10), &readings),
        [
            gone,
            gone,
            gone,
            gone,
            gone,
            alarm(ThresholdState::Raised),
            alarm(ThresholdState::Cleared)
        ]
    );
}

#[test]
fn what_a_gate_cannot_judge_moves_nothing() {
    let mut gate = Gate::new(deadband(Band::Absolute(1.0), None), BOUNDS);
    let text = Reading::Other("hot".into());
    let input = |reading| GateInput {
        key: "",
        reading,
        sampledrate: None,
        at: Moment(0),
    };
    assert_eq!(gate.judge(&input(None)).unwrap_err(), GateError::Missing);
    assert_eq!(
        gate.judge(&input(Some(&text))).unwrap_err(),
        GateError::NotANumber
    );
    assert!(gate.memories().is_empty());
}

fn kinds() -> [GateKind; 6] {
    let count = NonZeroU32::new(3).unwrap();
    let time = Duration::from_secs(5);
    [
        deadband(Band::Percent(10.0), Some(7)),
        deadband(Band::Change, None),
        GateKind::Throttle(Throttle { count, per: time }),
        GateKind::Sample(Sample { every: count }),
        GateKind::Dedupe(Dedupe { within: time }),
        threshold(Side::Above, 3),
    ]
}

/// Readings of a few keys around the limits of `kinds`, as time goes on.
fn timeline(seed: u64) -> Vec<(&'static str, Reading, Moment)> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut now = 0;
    std::iter::repeat_with(|| {
        now += random.u64(0..3000);
        let key = ["a", "b", "c"][random.usize(0..3)];
        (key, Reading::Integer(random.i64(70..90)), Moment(now))
    })
    .take(200)
    .collect()
}

fn judge(gate: &mut Gate, (key, reading, at): &(&str, Reading, Moment)) -> Judgement {
    let input = GateInput {
        key,
        reading: Some(reading),
        sampledrate: None,
        at: *at,
    };
    gate.judge(&input).unwrap()
}

#[test]
fn an_event_whose_commit_fails_leaves_no_trace() {
    for (seed, kind) in (0..30).flat_map(|seed| kinds().map(|kind| (seed, kind))) {
        let bounds = Bounds { keys: 2, ..BOUNDS };
        let mut random = fastrand::Rng::with_seed(seed);
        let mut gate = Gate::new(kind.clone(), bounds);
        let mut untroubled = Gate::new(kind, bounds);
        for events in timeline(seed).chunks(5) {
            let judgements: Vec<_> = events.iter().map(|it| judge(&mut gate, it)).collect();
            if random.bool() {
                for judgement in judgements.into_iter().rev() {
                    judgement.undo.into_iter().for_each(|it| gate.undo(it));
                }
                continue;
            }
            for (event, judgement) in events.iter().zip(judgements) {
                let expected = judge(&mut untroubled, event).verdict;
                assert_eq!(judgement.verdict, expected, "seed {seed}");
            }
            assert_eq!(gate.evicted(), untroubled.evicted(), "seed {seed}");
        }
    }
}

#[test]
fn after_a_crash_nothing_is_suppressed_that_would_have_passed() {
    for (seed, kind) in (0..30).flat_map(|seed| kinds().map(|kind| (seed, kind))) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut gate = Gate::new(kind.clone(), BOUNDS);
        let mut untroubled = gate.clone();
        let mut stored: std::collections::BTreeMap<&str, Vec<u8>> = [].into();
        for event in timeline(seed) {
            if random.u8(0..20) == 0 {
                gate = Gate::new(kind.clone(), BOUNDS);
                for (key, bytes) in &stored {
                    gate.recover(key, postcard::from_bytes(bytes).unwrap());
                }
            }
            let judgement = judge(&mut gate, &event);
            if judgement.stores {
                let memory = gate.memory(event.0).unwrap();
                stored.insert(event.0, postcard::to_stdvec(memory).unwrap());
            }
            let expected = judge(&mut untroubled, &event).verdict;
            let is_counter = matches!(kind, GateKind::Sample(_));
            if !is_counter && expected != Verdict::Suppress {
                assert_ne!(judgement.verdict, Verdict::Suppress, "seed {seed} {kind:?}");
            }
        }
    }
}

#[test]
fn at_its_bound_a_gate_forgets_the_key_moved_least_recently_whose_next_event_passes() {
    for kind in kinds() {
        let bounds = Bounds { keys: 2, ..BOUNDS };
        let mut gate = Gate::new(kind.clone(), bounds);
        let alarming = |key| (key, Reading::Integer(85), Moment(9_000));
        for key in ["a", "b", "c"] {
            judge(&mut gate, &alarming(key));
        }
        let keys: Vec<&str> = gate.memories().iter().map(|it| it.0).collect();
        assert_eq!((keys, gate.evicted()), (vec!["b", "c"], 1), "{kind:?}");
        let verdict = judge(&mut gate, &alarming("a")).verdict;
        let waits = matches!(kind, GateKind::Threshold(_));
        assert_eq!(verdict == Verdict::Suppress, waits, "{kind:?}");
    }
}

#[test]
fn eight_thousand_gates_of_one_key_are_small() {
    let gate = size_of::<Gate>();
    assert!(gate <= 256, "{gate}");
}
