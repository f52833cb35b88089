use std::num::NonZeroU64;

use super::*;

const BOUNDS: Bounds = Bounds {
    keys: 100,
    bytes: usize::MAX,
};
const TIMING: Timing = Timing {
    lateness: Duration::from_secs(10),
    max_ahead: Duration::from_secs(60),
    idle: Duration::from_secs(300),
};
const FUNCTIONS: [Function; 8] = [
    Function::Count,
    Function::Avg,
    Function::Min,
    Function::Max,
    Function::Sum,
    Function::First,
    Function::Last,
    Function::Percentile(50.0),
];

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn window(kind: WindowKind) -> Window {
    let aggregates = FUNCTIONS.map(|function| Aggregate {
        field: Some(0),
        function,
    });
    Window::new(kind, TIMING, 1, aggregates.to_vec(), BOUNDS)
}

/// An event of a key: when it happened, in seconds, and its reading.
type Event = (&'static str, i64, i64);

fn handle(window: &mut Window, position: u64, (key, second, reading): Event) -> Placement {
    let input = WindowInput {
        key,
        time: Some(EventTime(second * 1000)),
        stored: EventTime(1_000_000_000),
        at: Moment(position * 1000),
        position,
        readings: &[Some(Reading::Integer(reading))],
    };
    window.handle_event(&input).unwrap()
}

fn feed(window: &mut Window, events: &[Event]) -> Vec<Placement> {
    (1..)
        .zip(events)
        .map(|(position, it)| handle(window, position, *it))
        .collect()
}

/// What was derived: key, span in seconds, count, sum, whether partial.
fn derived(window: &mut Window) -> Vec<(String, i64, i64, u64, i64, bool)> {
    std::iter::from_fn(|| window.poll_emission())
        .map(|it| {
            let sum = it.values[4].as_ref().and_then(Reading::number).unwrap();
            let span = it.span;
            (
                it.key.to_string(),
                span.start.0 / 1000,
                span.end.0 / 1000,
                it.count,
                sum as i64,
                it.partial,
            )
        })
        .collect()
}

#[test]
fn a_tumbling_window_closes_when_the_watermark_reaches_its_end() {
    let mut window = window(WindowKind::Tumbling { size: secs(60) });
    feed(
        &mut window,
        &[
            ("a", 0, 1),
            ("a", 59, 2),
            ("a", 60, 4),
            ("a", 55, 8),
            ("a", 69, 16),
        ],
    );
    assert_eq!(derived(&mut window), []);
    feed(&mut window, &[("a", 70, 32)]);
    assert_eq!(derived(&mut window), [("a".into(), 0, 60, 3, 11, false)]);
    assert_eq!(
        feed(&mut window, &[("a", 61, 64), ("a", 59, 128)]),
        [Placement::Counted, Placement::Late]
    );
    window.release();
    assert_eq!(derived(&mut window), [("a".into(), 60, 120, 4, 116, true)]);
}

/// An event without a time of its own that is stored then, in seconds; each a minute of the node's clock after the one before.
fn store(window: &mut Window, minute: u64, stored: i64) -> Placement {
    let input = WindowInput {
        key: "a",
        time: None,
        stored: EventTime(stored * 1000),
        at: Moment(minute * 60_000),
        position: minute,
        readings: &[Some(Reading::Integer(1))],
    };
    window.handle_event(&input).unwrap()
}

#[test]
fn windows_go_on_at_once_after_the_clock_was_set_back_and_what_was_open_is_partial() {
    const HOUR: i64 = 3600;
    let mut window = window(WindowKind::Tumbling { size: secs(60) });
    assert_eq!(store(&mut window, 1, 8 * HOUR), Placement::Counted);
    for minute in 0..4 {
        let placed = store(&mut window, 2 + minute, minute as i64 * 60);
        assert_eq!(placed, Placement::Counted, "minute {minute}");
    }
    let whole = |minute: i64| ("a".into(), minute * 60, minute * 60 + 60, 1, 1, false);
    assert_eq!(
        derived(&mut window),
        [
            ("a".into(), 8 * HOUR, 8 * HOUR + 60, 1, 1, true),
            whole(0),
            whole(1)
        ]
    );
    // The same where what was open had been closed by silence.
    window.close("a");
    assert_eq!(derived(&mut window), [whole(2), whole(3)]);
    assert_eq!(store(&mut window, 60, -8 * HOUR), Placement::Counted);
}

#[test]
fn a_window_that_closes_for_silence_before_its_end_is_partial_and_goes_on() {
    let mut window = window(WindowKind::Tumbling { size: secs(3600) });
    for minute in [0, 10, 20] {
        assert_eq!(
            handle(&mut window, minute, ("a", minute as i64 * 60, 1)),
            Placement::Counted
        );
        window.close("a");
        assert_eq!(derived(&mut window), [("a".into(), 0, 3600, 1, 1, true)]);
    }
    handle(&mut window, 30, ("a", 55 * 60, 1));
    window.close("a");
    assert_eq!(derived(&mut window), [("a".into(), 0, 3600, 1, 1, false)]);
    assert_eq!(handle(&mut window, 31, ("a", 56 * 60, 1)), Placement::Late);
}

#[test]
fn sliding_windows_share_their_events() {
    let mut window = window(WindowKind::Sliding {
        size: secs(30),
        every: secs(10),
    });
    feed(&mut window, &[("a", 25, 1), ("a", 31, 2), ("a", 100, 4)]);
    assert_eq!(
        derived(&mut window),
        [
            ("a".into(), 0, 30, 1, 1, false),
            ("a".into(), 10, 40, 2, 3, false),
            ("a".into(), 20, 50, 2, 3, false),
            ("a".into(), 30, 60, 1, 2, false),
        ]
    );
}

#[test]
fn a_session_ends_when_nothing_happened_for_its_gap_and_a_late_event_may_join_two() {
    let mut window = window(WindowKind::Session { gap: secs(8) });
    feed(
        &mut window,
        &[
            ("a", 0, 1),
            ("a", 5, 2),
            ("a", 20, 4),
            ("a", 14, 8),
            ("a", 11, 16),
        ],
    );
    assert_eq!(derived(&mut window), []);
    feed(&mut window, &[("a", 100, 32)]);
    assert_eq!(derived(&mut window), [("a".into(), 0, 28, 5, 31, false)]);
}

#[test]
fn a_count_closes_with_its_last_event() {
    let mut window = window(WindowKind::Count(NonZeroU64::new(3).unwrap()));
    feed(
        &mut window,
        &[
            ("a", 5, 1),
            ("b", 5, 1),
            ("a", 900, 2),
            ("a", 2, 4),
            ("a", 7, 8),
        ],
    );
    assert_eq!(derived(&mut window), [("a".into(), 2, 900, 3, 7, false)]);
}

#[test]
fn a_silent_key_closes_and_what_comes_after_is_late() {
    let mut window = window(WindowKind::Tumbling { size: secs(60) });
    feed(&mut window, &[("a", 10, 1), ("b", 10, 2)]);
    assert_eq!(window.next_deadline(), Some(Moment(301_000)));
    assert_eq!(window.due(Moment(300_999)), None);
    let key = window.due(Moment(301_000)).cloned().unwrap();
    window.close(&key);
    assert_eq!(derived(&mut window), [("a".into(), 0, 60, 1, 1, false)]);
    assert_eq!(window.next_deadline(), Some(Moment(302_000)));
    assert_eq!(handle(&mut window, 9, ("a", 20, 1)), Placement::Late);
    assert_eq!(handle(&mut window, 9, ("b", 20, 1)), Placement::Counted);
}

#[test]
fn a_time_too_far_ahead_counts_as_the_time_of_arrival() {
    let mut window = window(WindowKind::Tumbling { size: secs(60) });
    let input = |seconds_ahead: i64, position| WindowInput {
        key: "a",
        time: Some(EventTime(600_000 + seconds_ahead * 1000)),
        stored: EventTime(600_000),
        at: Moment(0),
        position,
        readings: &[Some(Reading::Integer(1))],
    };
    window.handle_event(&input(61, 1)).unwrap();
    window.handle_event(&input(60, 2)).unwrap();
    window.release();
    let spans: Vec<_> = derived(&mut window)
        .into_iter()
        .map(|it| (it.1, it.3))
        .collect();
    assert_eq!(spans, [(600, 1), (660, 1)]);
}

#[test]
fn at_the_bound_the_least_recent_key_is_given_as_partial() {
    let aggregates = FUNCTIONS.map(|function| Aggregate {
        field: Some(0),
        function,
    });
    let bounds = Bounds { keys: 2, ..BOUNDS };
    let kind = WindowKind::Tumbling { size: secs(60) };
    let mut window = Window::new(kind, TIMING, 1, aggregates.to_vec(), bounds);
    feed(
        &mut window,
        &[("a", 0, 1), ("b", 0, 2), ("a", 1, 4), ("c", 0, 8)],
    );
    assert_eq!(derived(&mut window), [("b".into(), 0, 60, 1, 2, true)]);
    assert_eq!(window.evicted(), 1);
    assert_eq!(window.due(Moment(303_000)).map(|it| &**it), Some("a"));
}

#[test]
fn windows_open_for_one_key_are_bounded() {
    let kind = WindowKind::Tumbling {
        size: Duration::from_millis(1),
    };
    let aggregates = vec![Aggregate {
        field: Some(0),
        function: Function::Sum,
    }];
    let mut window = Window::new(kind, TIMING, 1, aggregates, BOUNDS);
    for millis in 0..2000 {
        let input = WindowInput {
            key: "a",
            time: Some(EventTime(millis)),
            stored: EventTime(0),
            at: Moment(0),
            position: 1,
            readings: &[Some(Reading::Integer(1))],
        };
        window.handle_event(&input).unwrap();
    }
    let partial = std::iter::from_fn(|| window.poll_emission())
        .filter(|it| it.partial)
        .count();
    assert_eq!(partial, 2000 - MAX_PANES);
}

#[test]
fn what_cannot_be_summed_moves_nothing() {
    let mut window = window(WindowKind::Tumbling { size: secs(60) });
    let text = [Some(Reading::Other("hot".into()))];
    for (readings, error) in [
        (&[None], WindowError::Missing),
        (&text, WindowError::NotANumber),
    ] {
        let input = WindowInput {
            key: "a",
            time: None,
            stored: EventTime(0),
            at: Moment(0),
            position: 1,
            readings,
        };
        assert_eq!(window.handle_event(&input).unwrap_err(), error);
    }
    assert!(window.keys().is_empty());
}

#[test]
fn functions_of_a_field() {
    let mut window = window(WindowKind::Tumbling { size: secs(60) });
    feed(
        &mut window,
        &[("a", 9, 3), ("a", 1, i64::MAX), ("a", 30, -5), ("a", 20, 4)],
    );
    window.release();
    let values = window.poll_emission().unwrap().values;
    let total = (i128::from(i64::MAX) + 2) as f64;
    let expected = [
        Reading::Integer(4),
        Reading::Float(total / 4.0),
        Reading::Integer(-5),
        Reading::Integer(i64::MAX),
        Reading::Float(total),
        Reading::Integer(i64::MAX),
        Reading::Integer(-5),
        Reading::Float(3.0),
    ];
    assert_eq!(values, expected.map(Some));
}

#[test]
fn small_parts_are_not_lost_beside_a_great_one() {
    let aggregates = vec![Aggregate {
        field: Some(0),
        function: Function::Sum,
    }];
    let kind = WindowKind::Count(NonZeroU64::new(10_002).unwrap());
    let mut window = Window::new(kind, TIMING, 1, aggregates, BOUNDS);
    let numbers = [1e16].into_iter().chain([1.0; 10_000]).chain([-1e16]);
    for number in numbers {
        let input = WindowInput {
            key: "a",
            time: None,
            stored: EventTime(0),
            at: Moment(0),
            position: 1,
            readings: &[Some(Reading::Float(number))],
        };
        window.handle_event(&input).unwrap();
    }
    assert_eq!(
        window.poll_emission().unwrap().values,
        [Some(Reading::Float(10_000.0))]
    );
}

fn timeline(seed: u64) -> Vec<Event> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut now = 1000;
    std::iter::repeat_with(|| {
        now += random.i64(0..12);
        let key = ["a", "b"][random.usize(0..2)];
        (key, now - random.i64(0..9), random.i64(-100..100))
    })
    .take(300)
    .collect()
}

fn kinds() -> [WindowKind; 4] {
    [
        WindowKind::Tumbling { size: secs(60) },
        WindowKind::Sliding {
            size: secs(60),
            every: secs(25),
        },
        WindowKind::Session { gap: secs(8) },
        WindowKind::Count(NonZeroU64::new(7).unwrap()),
    ]
}

/// Every window of the kind over all events at once, by looking at each event for each second at which a window may begin.
fn naive(kind: WindowKind, events: &[Event], key: &str) -> Vec<(i64, i64, u64, i64)> {
    let mut of_key: Vec<(i64, i64)> = events
        .iter()
        .filter(|it| it.0 == key)
        .map(|it| (it.1, it.2))
        .collect();
    let sum = |readings: &[(i64, i64)]| readings.iter().map(|it| it.1).sum::<i64>();
    let spans = |size: i64, every: i64| {
        (0..10_000_i64)
            .filter(|start| start % every == 0)
            .filter_map(|start| {
                let inside: Vec<_> = of_key
                    .iter()
                    .copied()
                    .filter(|it| (start..start + size).contains(&it.0))
                    .collect();
                (!inside.is_empty())
                    .then(|| (start, start + size, inside.len() as u64, sum(&inside)))
            })
            .collect()
    };
    match kind {
        WindowKind::Tumbling { size } => {
            spans(size.as_secs().cast_signed(), size.as_secs().cast_signed())
        }
        WindowKind::Sliding { size, every } => {
            spans(size.as_secs().cast_signed(), every.as_secs().cast_signed())
        }
        WindowKind::Session { gap } => {
            let gap = gap.as_secs().cast_signed();
            of_key.sort_unstable();
            of_key
                .chunk_by(|a, b| b.0 - a.0 < gap)
                .map(|it| (it[0].0, it[it.len() - 1].0 + gap, it.len() as u64, sum(it)))
                .collect()
        }
        WindowKind::Count(count) => of_key
            .chunks(count.get() as usize)
            .map(|it| {
                let times = || it.iter().map(|it| it.0);
                (
                    times().min().unwrap(),
                    times().max().unwrap(),
                    it.len() as u64,
                    sum(it),
                )
            })
            .collect(),
    }
}

#[test]
fn windows_hold_what_a_look_at_all_events_finds() {
    for (seed, kind) in (0..40).flat_map(|seed| kinds().map(|kind| (seed, kind))) {
        let events = timeline(seed);
        let mut window = window(kind);
        assert!(
            feed(&mut window, &events)
                .iter()
                .all(|it| *it == Placement::Counted)
        );
        window.release();
        let all = derived(&mut window);
        for key in ["a", "b"] {
            let found: Vec<_> = all
                .iter()
                .filter(|it| it.0 == key)
                .map(|it| (it.1, it.2, it.3, it.4))
                .collect();
            assert_eq!(found, naive(kind, &events, key), "seed {seed} {kind:?}");
        }
    }
}

#[test]
fn events_read_again_from_a_checkpoint_derive_the_same() {
    for (seed, kind) in (0..40).flat_map(|seed| kinds().map(|kind| (seed, kind))) {
        let events: Vec<(u64, Event)> = (1..).zip(timeline(seed)).collect();
        let (before, after) =
            events.split_at(fastrand::Rng::with_seed(seed).usize(0..events.len()));
        let mut untroubled = window(kind);
        before
            .iter()
            .for_each(|(position, it)| _ = handle(&mut untroubled, *position, *it));
        std::iter::from_fn(|| untroubled.poll_emission()).for_each(drop);
        let mut recovered = window(kind);
        for (key, panes) in untroubled.keys().iter() {
            let checkpoint = postcard::to_stdvec(panes).unwrap();
            recovered.recover(key, postcard::from_bytes(&checkpoint).unwrap());
        }
        for (position, event) in after {
            handle(&mut untroubled, *position, *event);
            handle(&mut recovered, *position, *event);
        }
        let emissions =
            |window: &mut Window| std::iter::from_fn(|| window.poll_emission()).collect::<Vec<_>>();
        assert_eq!(
            emissions(&mut recovered),
            emissions(&mut untroubled),
            "seed {seed} {kind:?}"
        );
    }
}
