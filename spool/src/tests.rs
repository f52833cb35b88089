//! What the log promises, over the simulated storage. Promises under random faults are in `spool/tests`.

use std::sync::Arc;

use crate::{
    storage::{
        Storage,
        simulated::{Faults, Simulated},
    },
    *,
};

mod acting;
mod appending;
mod cleaning;
mod cursors;
mod damaging;
mod directory;
mod letting_go;
mod marking;
mod recovering;
mod replacing;
mod room;
mod routes;
mod scrubbing;
mod slow_reads;
mod unread;
mod unreadable;
mod waiting;
mod withheld;

const ALL: ReadLimits = ReadLimits {
    records: 10_000,
    bytes: 64 << 20,
    lanes: u32::MAX,
};
const SEGMENT: u32 = 256 << 10;

/// A log on a simulated disk, with a clock that a test moves.
struct Log {
    disk: Simulated,
    spool: Spool,
    recovery: Recovery,
    now: u64,
}

fn options() -> Options {
    Options {
        bound_bytes: Some(16 << 20),
        segment_bytes: Some(SEGMENT),
        ..Options::default()
    }
}

impl Log {
    fn new() -> Log {
        Log::with(options())
    }

    fn with(options: Options) -> Log {
        Log::on(Simulated::new(7), options).unwrap()
    }

    fn on(disk: Simulated, options: Options) -> Result<Log, OpenError> {
        Log::over(Arc::new(disk.clone()), disk, options)
    }

    /// By way of a storage that leads to this disk.
    fn over(
        storage: Arc<dyn Storage>,
        disk: Simulated,
        options: Options,
    ) -> Result<Log, OpenError> {
        let now = 1_000_000;
        let (spool, recovery) = Spool::open(storage, options, NodeTime(now), Arc::new(|| {}))?;
        spool.replay_state(&mut |_| {}).unwrap();
        Ok(Log {
            disk,
            spool,
            recovery,
            now,
        })
    }

    /// What the next process finds after this one was killed together with the power.
    fn crash(self) -> Log {
        let disk = self.disk.crash();
        drop(self.spool);
        Log::on(disk, options()).unwrap()
    }

    /// The next process after this one was killed alone.
    fn kill(self) -> Log {
        let disk = self.disk.clone();
        drop(self.spool);
        Log::on(disk, options()).unwrap()
    }

    /// The same, by way of this storage.
    fn kill_over(self, storage: &acting::Acting) -> Log {
        drop(self.spool);
        Log::over(Arc::new(storage.clone()), self.disk, options()).unwrap()
    }

    fn append(&mut self, lane: u8, route: RouteId, body: &[u8]) -> Result<Seq, Full> {
        self.append_kind(Kind::Event, lane, route, body)
    }

    fn append_kind(
        &mut self,
        kind: Kind,
        lane: u8,
        route: RouteId,
        body: &[u8],
    ) -> Result<Seq, Full> {
        self.now += 1;
        let mut transaction = self.spool.transaction(NodeTime(self.now));
        let seq = transaction.append(
            Head {
                kind,
                lane: Lane(lane),
                route,
            },
            |bytes| bytes.extend_from_slice(body),
        );
        transaction.finish();
        seq
    }

    fn commit(&self) {
        for _ in 0..1_000 {
            if !self.spool.commit_once() {
                return;
            }
        }
        panic!("the disk takes nothing");
    }

    fn keep_house(&mut self) {
        self.now += 2_000;
        self.spool.housekeep_once(NodeTime(self.now));
    }

    /// A cursor, and the route to it alone.
    fn reader(&mut self, name: &str) -> (CursorId, RouteId) {
        self.bounded_reader(name, None)
    }

    fn bounded_reader(&mut self, name: &str, bound_bytes: Option<u64>) -> (CursorId, RouteId) {
        let mut transaction = self.spool.transaction(NodeTime(self.now));
        let cursor = transaction
            .create_cursor(name, Start::Now, bound_bytes)
            .unwrap();
        let route = transaction.route(&[cursor], b"terms").unwrap();
        transaction.finish();
        self.commit();
        (cursor, route)
    }

    fn read(&self, cursor: CursorId, after: Seq) -> Vec<Entry> {
        let batch = self.spool.read(cursor, after, ALL).unwrap();
        batch.entries
    }

    fn seqs(&self, cursor: CursorId) -> Vec<u64> {
        seqs(&self.read(cursor, Seq::ZERO))
    }

    fn pending(&self, cursor: CursorId) -> u64 {
        self.spool.cursor_status(cursor).unwrap().pending_records
    }

    /// Everything owed, however much, without acknowledging it; reads only as far as the window goes.
    fn drain(&self, cursor: CursorId) -> Vec<Entry> {
        let mut all = Vec::new();
        let mut after = Seq::ZERO;
        loop {
            let batch = self.spool.read(cursor, after, ALL).unwrap();
            let seqs: Vec<Seq> = batch.entries.iter().map(|entry| entry.seq).collect();
            self.spool.ack(cursor, &seqs);
            all.extend(batch.entries);
            after = batch.next;
            if batch.at_end {
                return all;
            }
        }
    }
}

fn all_of(log: &Log, cursor: CursorId) -> Vec<u64> {
    let (mut after, mut all) = (Seq::ZERO, Vec::new());
    loop {
        let batch = log.spool.read(cursor, after, ALL).unwrap();
        all.extend(seqs(&batch.entries));
        after = batch.next;
        if batch.at_end {
            return all;
        }
    }
}

fn seqs(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.seq.0).collect()
}

/// A body that says which it is.
fn body(n: u64, len: usize) -> Vec<u8> {
    let mut body = n.to_le_bytes().to_vec();
    body.resize(len.max(8), n as u8);
    body
}
