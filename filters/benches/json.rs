//! What the JSON format costs: `cargo bench --profile load -p filters --bench json`.
//!
//! Prints medians of alternating runs, in nanoseconds for one event of some 600 bytes, and the ratio to cloudevents-sdk
//! doing the same.

#![expect(clippy::print_stdout, reason = "what it measures is printed")]
#![expect(
    clippy::indexing_slicing,
    reason = "a benchmark may stop at its own fault"
)]

use std::{hint::black_box, time::Instant};

use filters::{Data, Event, json};

type Row<'a> = (&'a str, Box<dyn FnMut() + 'a>);

const RUNS: usize = 21;
const ROUNDS: u32 = 5_000;

fn main() {
    let event = event();
    let document = json::encode(&event);
    let by_sdk: cloudevents::Event =
        serde_json::from_slice(&document).expect("the SDK reads what is written here");

    let mut rows: Vec<Row<'_>> = vec![
        (
            "decode, cloudevents-sdk",
            Box::new(|| {
                let decoded: Result<cloudevents::Event, _> =
                    serde_json::from_slice(black_box(&document));
                black_box(decoded.is_ok());
            }),
        ),
        (
            "decode",
            Box::new(|| {
                black_box(json::decode(black_box(&document)).is_ok());
            }),
        ),
        (
            "encode, cloudevents-sdk",
            Box::new(|| {
                black_box(serde_json::to_vec(black_box(&by_sdk)).is_ok());
            }),
        ),
        (
            "encode",
            Box::new(|| {
                black_box(json::encode(black_box(&event)));
            }),
        ),
    ];
    let mut measured = vec![Vec::new(); rows.len()];
    for _ in 0..RUNS {
        for ((_, run), times) in rows.iter_mut().zip(&mut measured) {
            let start = Instant::now();
            (0..ROUNDS).for_each(|_| run());
            times.push(start.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS));
        }
    }
    let medians: Vec<f64> = measured.into_iter().map(median).collect();
    println!("event: {} bytes", document.len());
    for (index, ((name, _), nanos)) in rows.iter().zip(&medians).enumerate() {
        println!(
            "{nanos:7.0} ns  {:5.2} x  {name}",
            nanos / medians[index / 2 * 2]
        );
    }
}

fn event() -> Event {
    let data = r#"{"device":"pump-7","sequence":184467,"status":"running","temperature":61.25,"pressure":3.8,"rpm":1480,"vibration":[0.12,0.09,0.14],"alarms":[],"firmware":"4.2.1","position":{"lat":48.137154,"lon":11.576124},"note":"in service"}"#;
    Event::builder(
        "8f3a1c7e5b9d2046813f7a6c0e4d9b25-184467",
        "urn:edge-node:gate:pump-7",
        "mqtt.publish",
    )
    .subject("plant/7/line/3/temperature")
    .time("2026-01-01T12:00:00.000Z")
    .datacontenttype("application/json")
    .extension("mqtttopic", "plant/7/line/3/temperature")
    .extension("partitionkey", "pump-7")
    .data(Data::Json(data.into()))
    .build()
    .expect("a valid event")
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
