//! Opens logs whose files were changed in any way: no panic, no record that was never appended, and the log goes on.
//!
//! The first byte chooses how the run before ended; each five bytes that follow are one change of a file.

#![no_main]

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use libfuzzer_sys::fuzz_target;
use spool::{
    Entry, Head, Kind, Lane, NodeTime, Options, ReadLimits, Seq, Spool, Start, StorageError,
    storage::simulated::Simulated,
};

type Files = BTreeMap<String, Vec<u8>>;

const NOW: NodeTime = NodeTime(1_767_225_600_000);
const LIMITS: ReadLimits = ReadLimits { records: 100, bytes: 64 << 10, lanes: u32::MAX };
const SECTOR: usize = 512;

fuzz_target!(|bytes: &[u8]| {
    static WRITTEN: OnceLock<[Files; 2]> = OnceLock::new();
    let Some((end, changes)) = bytes.split_first() else { return };
    let written = WRITTEN.get_or_init(|| [write(false), write(true)]);
    let mut files = written[usize::from(end % 2)].clone();
    for change in changes.chunks_exact(5).take(64) {
        apply(&mut files, change);
    }
    let storage = Simulated::with_files(0, files);
    let Some(spool) = open(&storage) else { return };
    read_everything(&spool);
    append(&spool, 1_000_000, 20);
    while spool.commit_once() {}
    spool.housekeep_once(NOW);
    read_everything(&spool);
    let again = open(&storage.crash()).expect("what was opened once opens again");
    read_everything(&again);
});

fn options() -> Options {
    let bounds = Options { bound_bytes: Some(16 << 16), segment_bytes: Some(1 << 16), ..Options::default() };
    Options { min_free_percent: 0, ..bounds }
}

/// A refusal (a file that claims a newer version) is a right answer; a panic is not.
fn open(storage: &Simulated) -> Option<Spool> {
    let (spool, _) = Spool::open(Arc::new(storage.clone()), options(), NOW, Arc::new(|| {})).ok()?;
    spool.replay_state(&mut |entry| check(entry)).expect("the simulated disk reads");
    Some(spool)
}

fn write(close: bool) -> Files {
    let storage = Simulated::new(0);
    let spool = open(&storage).expect("an empty storage opens");
    for round in 0..12 {
        append(&spool, round * 100, 12);
        while spool.commit_once() {}
        let uplink = spool.cursor("uplink").expect("it was created");
        let batch = spool.read(uplink, Seq::ZERO, LIMITS).expect("the simulated disk reads");
        let acknowledged: Vec<Seq> = batch.entries.iter().step_by(2).map(|entry| entry.seq).collect();
        spool.ack(uplink, &acknowledged);
        if round % 5 == 4 {
            spool.checkpoint(vec![7; 300]);
        }
        spool.housekeep_once(NodeTime(NOW.0 + round * 1_000));
    }
    if close {
        spool.close(vec![8; 300], NodeTime(NOW.0 + 60_000)).expect("the simulated disk writes");
    }
    storage.files()
}

fn append(spool: &Spool, first: u64, count: u64) {
    let cursor = spool.cursor("uplink");
    let mut transaction = spool.transaction(NOW);
    let uplink = match cursor {
        Some(uplink) => uplink,
        None => transaction.create_cursor("uplink", Start::Now, None).unwrap(),
    };
    let route = transaction.route(&[uplink], b"terms").unwrap();
    for serial in first..first + count {
        let kind = [Kind::Event, Kind::State, Kind::EventAndState][serial as usize % 3];
        let head = Head { kind, lane: Lane(serial as u8 % 3), route };
        // A log that is full by its own account may refuse.
        let _ = transaction.append(head, |bytes| bytes.extend_from_slice(&body(serial)));
    }
    transaction.finish();
}

fn body(serial: u64) -> Vec<u8> {
    let mut body = serial.to_le_bytes().to_vec();
    body.resize(8 + (serial as usize * 37) % 1_500, serial as u8 ^ 0x5a);
    body
}

fn check(entry: &Entry) {
    let serial = entry.body.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes));
    let serial = serial.expect("a body that was never appended was given");
    assert!(*entry.body == body(serial), "a body that was never appended was given");
}

fn read_everything(spool: &Spool) {
    let mut after = Seq::ZERO;
    loop {
        let batch = spool.scan(after, LIMITS).expect("the simulated disk reads");
        batch.entries.iter().for_each(check);
        assert!(batch.at_end || batch.next > after, "a scan ends");
        after = batch.next;
        if batch.at_end {
            break;
        }
    }
    let Some(uplink) = spool.cursor("uplink") else { return };
    after = Seq::ZERO;
    loop {
        match spool.read(uplink, after, LIMITS) {
            Ok(batch) => {
                batch.entries.iter().for_each(check);
                assert!(batch.at_end || batch.next > after, "a read ends");
                after = batch.next;
                if batch.at_end {
                    return;
                }
            }
            Err(StorageError::NoSuchCursor) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

fn apply(files: &mut Files, change: &[u8]) {
    let &[kind, file, high, low, value] = change else { return };
    let names: Vec<String> = files.keys().cloned().collect();
    let Some(name) = names.get(usize::from(file) % names.len().max(1)) else { return };
    let place = usize::from(high) << 8 | usize::from(low);
    let other = names[usize::from(value) % names.len()].clone();
    match kind % 8 {
        0 => {
            files.remove(name);
        }
        1 => {
            let bytes = files[name].clone();
            files.insert(other, bytes);
        }
        2 => files.get_mut(name).expect("it was listed").truncate(place),
        3 => fill(files, name, place / SECTOR * SECTOR, &[0; SECTOR]),
        4 => fill(files, name, place / SECTOR * SECTOR, &[value; SECTOR]),
        5 => {
            let source = files[&other].get(place / SECTOR * SECTOR..).unwrap_or_default();
            let sectors: Vec<u8> = source.iter().copied().take(8 * SECTOR).collect();
            fill(files, name, place / SECTOR * SECTOR, &sectors);
        }
        6 => fill(files, name, place, &[value; 8]),
        _ => {
            let byte = files.get_mut(name).and_then(|bytes| bytes.get_mut(place));
            if let Some(byte) = byte {
                *byte ^= value;
            }
        }
    }
}

fn fill(files: &mut Files, name: &str, place: usize, with: &[u8]) {
    let bytes = files.get_mut(name).expect("it was listed");
    for (to, from) in bytes.iter_mut().skip(place).zip(with) {
        *to = *from;
    }
}
