use std::path::Path;

use serde_json::{Value, json};
use spool::{Head, Kind, Lane, NodeTime, Options, Spool, Start, storage::disk::Disk};

use super::*;
use crate::{
    config::Config,
    ingest::{Ingest, PublishView, Received},
    mqtt::packet::QoS,
    record::{DeadRecord, PublishRecord},
};

/// More than a cursor gives ahead of the first.
const MANY: u64 = 5_000;
const DIED: NodeTime = NodeTime(1_767_268_800_000);

#[test]
fn all_dead_letters_of_a_sink_are_listed_as_they_died_however_many_and_those_of_no_other() {
    let folder = tempfile::tempdir().unwrap();
    bury(folder.path(), &["mesh", "lake"]);
    let of = Of {
        data: DataDir {
            data: folder.path().to_owned(),
        },
        name: "mesh".parse().unwrap(),
    };
    let mut out = Vec::new();
    execute(&DeadCommand::List(of), &mut out).unwrap();
    let lines = out.split(|byte| *byte == b'\n').filter(|it| !it.is_empty());
    let lines: Vec<Value> = lines
        .map(|it| serde_json::from_slice(it).unwrap())
        .collect();
    let positions = lines.iter().map(|line| line["position"].as_u64().unwrap());
    assert!(positions.eq(MANY + 1..=2 * MANY));
    let mut last = lines.last().unwrap().clone();
    assert_eq!(last["event"]["data"], json!({"n": 2 * MANY}));
    last.as_object_mut().unwrap().remove("event");
    let expected = json!({
        "position": 2 * MANY,
        "died": "2026-01-01T12:00:00.000Z",
        "reason": "422 to mesh",
        "tries": 3,
        "topic": "pump/7",
    });
    assert_eq!(last, expected);
}

/// Puts as many events aside for each of these, by turns, as if they had stood in the log from `MANY` on.
fn bury(folder: &Path, sinks: &[&str]) {
    let storage = Arc::new(Disk::open(folder).unwrap());
    let options = Options {
        bound_bytes: Some(64 << 20),
        min_free_percent: 0,
        ..Options::default()
    };
    let (spool, _) = Spool::open(storage, options, DIED, Arc::new(|| {})).unwrap();
    let mut transaction = spool.transaction(DIED);
    let graveyards: Vec<_> = sinks
        .iter()
        .map(|sink| transaction.create_cursor(&dead_cursor(sink), Start::Now, None))
        .map(Result::unwrap)
        .collect();
    transaction.finish();
    let mut ingest = Ingest::new(&Config::default(), "gate".parse().unwrap(), [7; 16]);
    for seq in MANY + 1..=2 * MANY {
        let body = event(&mut ingest, seq);
        let mut transaction = spool.transaction(DIED);
        for (sink, graveyard) in sinks.iter().zip(&graveyards) {
            let reason = format!("422 to {sink}");
            let dead = DeadRecord {
                sink,
                seq: Seq(seq),
                reason: &reason,
                tries: 3,
                was: None,
                body: &body,
            };
            let head = Head {
                kind: Kind::Event,
                lane: Lane(1),
                route: transaction.route(&[*graveyard], &[]).unwrap(),
            };
            transaction.append(head, |out| dead.encode(out)).unwrap();
        }
        transaction.finish();
        if seq % 1_000 == 0 {
            while spool.commit_once() {}
        }
    }
}

fn event(ingest: &mut Ingest, number: u64) -> Vec<u8> {
    let payload = format!("{{\"n\":{number}}}");
    let view = PublishView {
        topic: "pump/7",
        properties: None,
        payload: payload.as_bytes(),
        client: "pump",
    };
    let received = Received {
        millis: DIED.0,
        plausible: true,
    };
    let minted = ingest.accept(&view, received).unwrap().minted;
    let minted = postcard::to_stdvec(&minted).unwrap();
    let record = PublishRecord {
        qos: QoS::AtLeastOnce,
        retain: false,
        will: false,
        packet_id: None,
        waited_ms: 0,
        place: None,
        sender: "pump",
        origin: "",
        topic: "pump/7",
        properties: b"",
        minted: &minted,
        settled: b"",
        payload: payload.as_bytes(),
    };
    let mut body = Vec::new();
    record.encode(&mut body);
    body
}
