//! What finding the rules that match an event costs: `cargo bench --profile load -p filters --bench index`; with `-- telemetry`,
//! `adding`, `scale`, `kinds` or `attributes` only that part.
//!
//! Prints medians of alternating runs in one process, in nanoseconds for one event, and the ratio to the row it is compared
//! with; and for each claim the ratio that is to be reached.

#![expect(clippy::print_stdout, reason = "what it measures is printed")]
#![expect(
    clippy::indexing_slicing,
    reason = "a benchmark may stop at its own fault"
)]

use std::{hint::black_box, time::Instant};

use filters::{
    DataView, EventView, Pattern,
    index::{Budget, Index, IndexBuilder, Rule, Scratch, When},
};
use quamina::Quamina;

type Row<'a> = (String, Box<dyn FnMut() + 'a>);

const RUNS: usize = 21;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let all = wanted.iter().all(|it| it.starts_with('-'));
    let parts: [(&str, fn()); 5] = [
        ("telemetry", telemetry),
        ("adding", adding),
        ("scale", scale),
        ("kinds", kinds),
        ("attributes", attributes_only),
    ];
    for (name, part) in parts {
        if all || wanted.iter().any(|it| it == name) {
            part();
        }
    }
}

fn telemetry() {
    matching("at begin, middle and end", reading);
    matching("at the front", reading_with_fields_in_front);
}

/// One rule of many matches a reading, by device, status and temperature.
fn matching(fields: &str, reading: fn(usize) -> String) {
    for count in [1, 100, 10_000] {
        let event = reading(count / 2);
        let index = index(&patterns(count));
        let mut scratch = Scratch::default();
        assert_eq!(matches(&index, &event, &mut scratch), 1);
        let quamina = quamina(count);
        let matched = quamina.matches_for_event(event.as_bytes());
        assert!(matched.is_ok_and(|it| it.len() == 1));
        let rows: Vec<Row<'_>> = vec![
            (
                "quamina 0.7.0".into(),
                Box::new(|| {
                    black_box(
                        quamina
                            .matches_for_event(black_box(event.as_bytes()))
                            .is_ok(),
                    );
                }),
            ),
            (
                "index".into(),
                Box::new(|| {
                    black_box(matches(&index, black_box(&event), &mut scratch));
                }),
            ),
        ];
        let medians = measure(rows, 20_000);
        println!(
            "\n{count} rules, {} bytes, fields {fields}: {:.2} x quamina's time (to reach: 0.6)",
            event.len(),
            medians[1] / medians[0]
        );
    }
}

fn adding() {
    let patterns = patterns(10_000);
    let rows: Vec<Row<'_>> = vec![
        (
            "adding 10,000 rules, quamina 0.7.0".into(),
            Box::new(|| {
                black_box(quamina(10_000));
            }),
        ),
        (
            "adding 10,000 rules, index".into(),
            Box::new(|| {
                black_box(index(black_box(&patterns)));
            }),
        ),
    ];
    let medians = measure_runs(rows, 1, 5);
    println!(
        "\n10,000 rules: added in {:.3} x quamina's time (to reach: 0.05)",
        medians[1] / medians[0]
    );
}

/// 100,000 rules against one.
fn scale() {
    let (one, many) = (index(&patterns(1)), index(&patterns(100_000)));
    let event = reading(0);
    let (mut scratch, mut scratch_many) = (Scratch::default(), Scratch::default());
    let events: Vec<String> = (0..10_000).map(|it| reading(it * 10)).collect();
    let mut order: Vec<usize> = (0..events.len()).collect();
    fastrand::Rng::with_seed(1).shuffle(&mut order);
    let (mut next, mut next_many) = (0, 0);
    let (mut distinct, mut distinct_many) = (Scratch::default(), Scratch::default());
    for event in &events {
        assert_eq!(matches(&many, event, &mut distinct), 1);
    }
    let rows: Vec<Row<'_>> = vec![
        (
            "1 rule, the same event".into(),
            Box::new(|| {
                black_box(matches(&one, black_box(&event), &mut scratch));
            }),
        ),
        (
            "100,000 rules, the same event".into(),
            Box::new(|| {
                black_box(matches(&many, black_box(&event), &mut scratch_many));
            }),
        ),
        (
            "1 rule, 10,000 events".into(),
            Box::new(|| {
                next = (next + 1) % events.len();
                black_box(matches(
                    &one,
                    black_box(&events[order[next]]),
                    &mut distinct,
                ));
            }),
        ),
        (
            "100,000 rules, 10,000 events".into(),
            Box::new(|| {
                next_many = (next_many + 1) % events.len();
                black_box(matches(
                    &many,
                    black_box(&events[order[next_many]]),
                    &mut distinct_many,
                ));
            }),
        ),
    ];
    let medians = measure(rows, 20_000);
    println!(
        "\n100,000 rules: {:.2} x the time of 1 on the same event (to reach: 1.3)",
        medians[1] / medians[0]
    );
    println!(
        "100,000 rules: {:.2} x the time of 1 on 10,000 events (to reach: 2; by 1 rule on one event: {:.2})",
        medians[3] / medians[2],
        medians[3] / medians[0]
    );
}

/// 10,000 rules of one kind on one field.
fn kinds() {
    let mut random = fastrand::Rng::with_seed(2);
    let texts: Vec<String> = (0..10_000).map(|_| literal(&mut random)).collect();
    let kind = |name: &str| -> Vec<String> {
        let all = texts.iter().enumerate();
        all.map(|(at, text)| {
            let other = &texts[(at + 1) % texts.len()];
            let condition = match name {
                "prefix" => format!(r#""name": [{{"prefix": "{text}"}}]"#),
                "suffix" => format!(r#""name": [{{"suffix": "{text}"}}]"#),
                "numeric" => format!(r#""value": [{{"numeric": [">=", {at}.25, "<", {at}.75]}}]"#),
                _ if at % 2 == 0 => format!(r#""name": [{{"wildcard": "{text}*{other}"}}]"#),
                _ => format!(r#""name": [{{"wildcard": "*{text}*"}}]"#),
            };
            format!(r#"{{"data": {{{condition}}}}}"#)
        })
        .collect()
    };
    let names = ["prefix", "suffix", "numeric", "wildcard"];
    let kinds: Vec<Vec<String>> = names.iter().map(|it| kind(it)).collect();
    let (first, second, fifth) = (&texts[4_000], &texts[4_001], &texts[5_001]);
    let values = [
        format!("{first}/line/3/zone-7"),
        format!("plant/line/3/{second}"),
        "plant/line/3".into(),
        format!("a/{fifth}/line/3"),
        format!("{first}/{fifth}/{second}"),
    ];
    let event = |value: &str| {
        reading(7).replace(
            "\"service\"",
            &format!("\"service\",\"name\":\"{value}\",\"value\":4000.5"),
        )
    };
    let all: Vec<String> = kinds.iter().flatten().cloned().collect();
    let sets = kinds.iter().chain([&all]);
    for ((set, name), value) in sets.zip(names.iter().chain(&["all together"])).zip(&values) {
        let event = event(value);
        let many = index(set);
        let mut scratch = Scratch::default();
        let matched = matches(&many, &event, &mut scratch);
        assert!(matched > 0, "{name}");
        let at = many.matches(&view(&event), &mut scratch)[0].0 as usize;
        let one = index(&set[at..=at]);
        let mut scratch_one = Scratch::default();
        let rows: Vec<Row<'_>> = vec![
            (
                format!("1 rule: {name}"),
                Box::new(|| {
                    black_box(matches(&one, black_box(&event), &mut scratch_one));
                }),
            ),
            (
                format!("{} rules: {name}, {matched} matched", set.len()),
                Box::new(|| {
                    black_box(matches(&many, black_box(&event), &mut scratch));
                }),
            ),
        ];
        let medians = measure(rows, 10_000);
        let reach = if set.len() > 10_000 { 6 } else { 3 };
        println!(
            "{name}: {:.2} x one rule (to reach: {reach})\n",
            medians[1] / medians[0]
        );
    }
}

/// Rules that read no payload do not pay for one.
fn attributes_only() {
    let rules: Vec<String> = (0..10_000)
        .map(|it| format!(r#"{{"source": ["pump-{it}"], "type": ["reading"]}}"#))
        .collect();
    let index = index(&rules);
    let (small, large) = (reading(0), format!("[{}0]", "0,".repeat(100_000)));
    let run = |payload: &str, scratch: &mut Scratch| {
        let mut event = view(payload);
        event.attributes.push("source", "pump-4711");
        event.attributes.push("type", "reading");
        assert_eq!(index.matches(&event, scratch).len(), 1);
    };
    let (mut one, mut other) = (Scratch::default(), Scratch::default());
    let rows: Vec<Row<'_>> = vec![
        (
            "10,000 rules on attributes, 306 bytes".into(),
            Box::new(|| run(black_box(&small), &mut one)),
        ),
        (
            "10,000 rules on attributes, 200,000 bytes".into(),
            Box::new(|| run(black_box(&large), &mut other)),
        ),
    ];
    measure(rows, 10_000);
}

/// A reading of some 306 bytes; what rules read stands at its begin, in its middle and at its end.
fn reading(device: usize) -> String {
    format!(
        r#"{{"device":"pump-{device}","sequence":184467,"pressure":3.8,"rpm":1480,"vibration":[0.12,0.09,0.14],"alarms":[],"firmware":"4.2.1","status":"running","position":{{"lat":48.137154,"lon":11.576124}},"site":{{"plant":"7","line":"3","cell":"b"}},"unit":"C","quality":"good","interval":1000,"temperature":61.25,"note":"service"}}"#
    )
}

/// The same reading with what rules read before all else, where quamina stops.
fn reading_with_fields_in_front(device: usize) -> String {
    let front = format!(r#"{{"device":"pump-{device}","status":"running","temperature":61.25,"#);
    let rest = reading(device);
    let rest = rest
        .replace(r#""status":"running","#, "")
        .replace(r#""temperature":61.25,"#, "");
    let behind = rest.find("\"sequence\"").unwrap_or_default();
    front + &rest[behind..]
}

/// What rule number `device` asks of a reading.
fn condition(device: usize) -> String {
    let limit = device % 50 + 10;
    format!(
        r#"{{"device": ["pump-{device}"], "status": ["running"], "temperature": [{{"numeric": [">", {limit}.5]}}]}}"#
    )
}

fn patterns(count: usize) -> Vec<String> {
    (0..count)
        .map(|it| format!(r#"{{"data": {}}}"#, condition(it)))
        .collect()
}

fn index(patterns: &[String]) -> Index {
    let mut builder = IndexBuilder::new(Budget::default());
    for text in patterns {
        let pattern = Pattern::parse(text).expect("a pattern");
        let rule = Rule {
            topic: None,
            when: When::Pattern(&pattern),
        };
        builder.add(&rule).expect("within the budget");
    }
    builder.build()
}

fn quamina(count: usize) -> Quamina<usize> {
    let mut quamina = Quamina::new();
    for at in 0..count {
        quamina.add_pattern(at, &condition(at)).expect("a pattern");
    }
    quamina
}

fn view(payload: &str) -> EventView<'_> {
    EventView {
        data: DataView::Json(payload.as_bytes()),
        ..EventView::default()
    }
}

fn matches(index: &Index, payload: &str, scratch: &mut Scratch) -> usize {
    index.matches(&view(payload), scratch).len()
}

fn literal(random: &mut fastrand::Rng) -> String {
    (0..random.usize(6..12))
        .map(|_| random.lowercase())
        .collect()
}

fn measure(rows: Vec<Row<'_>>, rounds: u32) -> Vec<f64> {
    measure_runs(rows, rounds, RUNS)
}

fn measure_runs(mut rows: Vec<Row<'_>>, rounds: u32, runs: usize) -> Vec<f64> {
    let mut measured = vec![Vec::new(); rows.len()];
    for _ in 0..runs {
        for ((_, run), times) in rows.iter_mut().zip(&mut measured) {
            let start = Instant::now();
            (0..rounds).for_each(|_| run());
            times.push(start.elapsed().as_secs_f64() * 1e9 / f64::from(rounds));
        }
    }
    let medians: Vec<f64> = measured.into_iter().map(median).collect();
    for ((name, _), nanos) in rows.iter().zip(&medians) {
        println!("{nanos:12.0} ns  {name}");
    }
    medians
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
