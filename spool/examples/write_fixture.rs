//! Writes a small data directory of the present format, as `tests/simulation/fixture.rs` expects it:
//! `cargo run -p spool --example write_fixture -- spool/tests/fixtures/v1`.
//!
//! A released format keeps the directory its release wrote; this is for the first directory of a new one.

use std::{error::Error, path::Path, sync::Arc};

use spool::{
    Head, Kind, Lane, NodeTime, Options, ReadLimits, RouteId, Seq, Spool, Start,
    storage::disk::Disk,
};

const SEGMENT_BYTES: u32 = 64 << 10;
const LIMITS: ReadLimits = ReadLimits {
    records: 1_000,
    bytes: 1 << 20,
    lanes: u32::MAX,
};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("name a directory")?;
    write(&Path::new(&path).join("closed"), true)?;
    write(&Path::new(&path).join("killed"), false)
}

fn write(path: &Path, close: bool) -> Result<(), Box<dyn Error>> {
    let options = Options {
        bound_bytes: Some(u64::from(SEGMENT_BYTES) * 16),
        min_free_percent: 0,
        segment_bytes: Some(SEGMENT_BYTES),
        ..Options::default()
    };
    let mut now = NodeTime(1_767_225_600_000);
    let (spool, _) = Spool::open(Arc::new(Disk::open(path)?), options, now, Arc::new(|| {}))?;
    let mut transaction = spool.transaction(now);
    let uplink = transaction.create_cursor("uplink", Start::Now, None)?;
    let session = transaction.create_cursor("session", Start::Now, Some(1 << 20))?;
    let routes = [
        RouteId::NOBODY,
        transaction.route(&[uplink], b"to the uplink")?,
        transaction.route(&[uplink, session], b"to both")?,
    ];
    transaction.finish();
    for (number, route) in (0..240_u64).zip(routes.into_iter().cycle()) {
        now.0 += 1_000;
        let mut transaction = spool.transaction(now);
        let kind = if number % 10 == 0 {
            Kind::EventAndState
        } else {
            Kind::Event
        };
        let head = Head {
            kind,
            lane: Lane((number % 3) as u8),
            route,
        };
        transaction.append(head, |bytes| {
            bytes.extend_from_slice(format!("event {number}").as_bytes())
        })?;
        transaction.finish();
        while number % 4 == 3 && spool.commit_once() {}
        if number == 119 {
            spool.checkpoint(b"owner's state after event 119".to_vec());
        }
        spool.housekeep_once(now);
    }
    while spool.commit_once() {}
    let acknowledged: Vec<Seq> = spool
        .read(uplink, Seq::ZERO, LIMITS)?
        .entries
        .iter()
        .map(|entry| entry.seq)
        .collect();
    spool.ack(uplink, acknowledged.get(..50).unwrap_or_default());
    now.0 += 2_000;
    spool.housekeep_once(now);
    while spool.commit_once() {}
    if close {
        spool.close(b"owner's state at the end".to_vec(), now)?;
    }
    Ok(())
}
