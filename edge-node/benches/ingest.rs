//! What ingest costs for one PUBLISH: `cargo bench --profile load -p edge-node --bench ingest`.
//!
//! Prints medians of alternating runs, in nanoseconds, and beside each the ratio to parsing the same payload into
//! `serde_json::Value`. The first row is paid by every PUBLISH on the core's one thread; the aim is under 500 ns.

#![expect(clippy::print_stdout, reason = "what it measures is printed")]
#![expect(
    clippy::indexing_slicing,
    reason = "a benchmark may stop at its own fault"
)]

use std::{hint::black_box, time::Instant};

use edge_node::{
    config::{Config, Overrides},
    ingest::{Ingest, Minted, PublishView, Received, view},
    mqtt::packet::PublishPropertySet,
};

type Row<'a> = (&'a str, Box<dyn FnMut() + 'a>);

const RUNS: usize = 21;
const ROUNDS: u32 = 20_000;
const RECEIVED: Received = Received {
    millis: 1_767_268_800_000,
    plausible: true,
};

fn main() {
    let payload = payload();
    let document = format!(
        r#"{{"specversion":"1.0","id":"7","source":"urn:own","type":"reading","data":{}}}"#,
        String::from_utf8_lossy(&payload)
    );
    let binary = binary();
    let plain = |payload| PublishView {
        topic: "plant/7/line/3/temperature",
        properties: None,
        payload,
        client: "pump-7",
    };
    let in_binary_mode = PublishView {
        properties: Some(&binary),
        ..plain(&payload)
    };
    let structured = plain(document.as_bytes());
    let mut default = ingest("");
    let mut configured = ingest(
        "[[ingest]]\ntopic = \"plant/#\"\nid = \"{payload:/sequence}\"\nsubject = \"{topic[1]}\"\n",
    );
    let minted = accept(&mut default, &plain(&payload));
    let mut structured_by = ingest("");
    let mut binary_by = ingest("");

    let mut rows: Vec<Row<'_>> = vec![
        (
            "parse the payload into serde_json::Value",
            Box::new(|| {
                let parsed: Result<serde_json::Value, _> =
                    serde_json::from_slice(black_box(&payload));
                black_box(parsed.is_ok());
            }),
        ),
        (
            "accept, plain, no configuration",
            Box::new(|| {
                black_box(accept(&mut default, black_box(&plain(&payload))));
            }),
        ),
        (
            "accept, plain, id by JSON pointer and subject by topic level",
            Box::new(|| {
                black_box(accept(&mut configured, black_box(&plain(&payload))));
            }),
        ),
        (
            "accept, binary mode, 6 attributes",
            Box::new(|| {
                black_box(accept(&mut binary_by, black_box(&in_binary_mode)));
            }),
        ),
        (
            "accept, structured mode",
            Box::new(|| {
                black_box(accept(&mut structured_by, black_box(&structured)));
            }),
        ),
        (
            "view of a plain record",
            Box::new(|| {
                black_box(view(
                    "plant/7/line/3/temperature",
                    None,
                    black_box(&payload),
                    &minted,
                ))
                .expect("accepted");
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
    println!("payload: {} bytes of JSON", payload.len());
    for ((name, _), nanos) in rows.iter().zip(&medians) {
        println!("{nanos:7.0} ns  {:5.2} x  {name}", nanos / medians[0]);
    }
}

fn ingest(config: &str) -> Ingest {
    let config =
        Config::parse("bench.toml", config, &Overrides::default()).expect("a valid configuration");
    Ingest::new(&config, "gate".parse().expect("a valid id"), [7; 16])
}

fn accept(ingest: &mut Ingest, publish: &PublishView<'_>) -> Minted {
    let accepted = ingest.accept(publish, RECEIVED).expect("a valid event");
    assert!(accepted.wrapped.is_none());
    accepted.minted
}

/// 256 bytes, as a sensor sends them.
fn payload() -> Vec<u8> {
    let mut text = r#"{"device":"pump-7","sequence":184467,"status":"running","temperature":61.25,"pressure":3.8,"rpm":1480,"vibration":[0.12,0.09,0.14],"alarms":[],"firmware":"4.2.1","note":""#.to_owned();
    while text.len() < 254 {
        text.push('.');
    }
    text.push_str("\"}");
    text.into_bytes()
}

fn binary() -> PublishPropertySet {
    let user = [
        ("specversion", "1.0"),
        ("id", "184467"),
        ("source", "urn:plant:7"),
        ("type", "plant.reading"),
        ("time", "2026-01-01T12:00:00.000Z"),
        ("sequence", "184467"),
    ];
    PublishPropertySet {
        user_properties: user
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        content_type: Some("application/json".to_owned()),
        ..PublishPropertySet::default()
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
