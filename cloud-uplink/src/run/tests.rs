//! A real log on disk, its threads, and a sink that fails by a script.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use filters::{Event, Value};
use spool::{
    Committer, CursorId, Entry, Full, Head, Kind, Lane, LossReason, NodeTime, Options, RouteId,
    Seq, Spool, Start, Transaction, storage::disk::Disk,
};
use tokio::{
    runtime,
    sync::{Semaphore, watch},
    time::Instant,
};

use super::{Drain, End};
use crate::{
    Answer, Batch, DeadLetter, DeadLetters, HOPS, Limits, LinkState, Outcome, Outgoing, Prepared,
    RecordSource, Sink, Unsendable, UplinkStatus,
};

mod burial;
mod delivering;
mod replaying;
mod shutdown;

/// Only bounds a hang.
const PATIENCE: Duration = Duration::from_secs(120);
const PEER: u64 = 10_000;
const EXPIRED: u64 = 10_001;
const CANARY: u64 = 10_002;
/// The node tells of a loss by it.
const GAP: u64 = 10_003;
/// Has eight hops behind it; the number above it has nine.
const FAR: u64 = 20_000;

fn unavailable() -> Answer {
    Answer::All(Outcome::Unavailable {
        retry_after: None,
        error: "down".to_owned(),
    })
}

fn run(test: impl Future<Output = ()>) {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        tokio::time::timeout(2 * PATIENCE, test)
            .await
            .expect("it hangs")
    });
}

struct Bench {
    spool: Spool,
    cursor: CursorId,
    route: RouteId,
    source: Arc<TestSource>,
    commits: watch::Receiver<Seq>,
    max: DeadLetters,
    drop_expired: bool,
    _committer: Committer,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new(max: DeadLetters) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let (told, commits) = watch::channel(Seq::ZERO);
        let notify = Arc::new(move || told.send_modify(|seq| seq.0 += 1));
        let disk = Arc::new(Disk::open(folder.path()).unwrap());
        let options = Options {
            bound_bytes: Some(64 << 20),
            min_free_percent: 0,
            ..Options::default()
        };
        let (spool, _) = Spool::open(disk, options, NodeTime(1000), notify).unwrap();
        spool.replay_state(&mut |_| {}).unwrap();
        let committer = Committer::start(&spool, Arc::new(|| NodeTime(1000)));
        let mut transaction = spool.transaction(NodeTime(1000));
        let cursor = transaction.create_cursor("sink", Start::Now, None).unwrap();
        let graveyard = transaction.create_cursor("dead", Start::Now, None).unwrap();
        let route = transaction.route(&[cursor], b"").unwrap();
        transaction.finish();
        let source = Arc::new(TestSource::new(graveyard, spool.clone()));
        Bench {
            spool,
            cursor,
            route,
            source,
            commits,
            max,
            drop_expired: true,
            _committer: committer,
            _folder: folder,
        }
    }

    fn publish(&self, numbers: impl IntoIterator<Item = u64>) {
        let mut transaction = self.spool.transaction(NodeTime(1000));
        for number in numbers {
            let head = Head {
                kind: Kind::Event,
                lane: Lane(1),
                route: self.route,
            };
            transaction
                .append(head, |body| body.extend(number.to_be_bytes()))
                .unwrap();
        }
        let last = transaction.finish();
        while self.spool.committed() < last {
            std::thread::yield_now();
        }
    }

    /// Where the record of this number is.
    fn position(&self, wanted: u64) -> Seq {
        let limits = spool::ReadLimits {
            records: 10_000,
            bytes: usize::MAX,
            lanes: u32::MAX,
        };
        let batch = self.spool.scan(Seq(1), limits).unwrap();
        let found = batch.entries.iter().find(|entry| number(entry) == wanted);
        found.unwrap().seq
    }

    /// A cursor over a range.
    fn history(&self, first: Seq, last: u64) -> CursorId {
        let mut transaction = self.spool.transaction(NodeTime(1000));
        let last = Seq(last);
        let name = format!("{}-{}", first.0, last.0);
        let cursor = transaction
            .create_cursor(&name, Start::History { first, last }, None)
            .unwrap();
        transaction.finish();
        cursor
    }

    fn start(&self, sink: &Arc<TestSink>, limits: Limits) -> Running {
        self.start_from(self.cursor, None, sink, limits)
    }

    fn start_from(
        &self,
        cursor: CursorId,
        until: Option<Seq>,
        sink: &Arc<TestSink>,
        limits: Limits,
    ) -> Running {
        let drain = Drain {
            name: "sink".to_owned(),
            spool: self.spool.clone(),
            cursor,
            until,
            lanes: vec![Lane(0), Lane(1), Lane(2)],
            limits,
            drop_expired: self.drop_expired,
            dead_letters_max: self.max,
            source: Arc::clone(&self.source),
            sink: Arc::clone(sink),
            commits: self.commits.clone(),
        };
        let (stop, mut stopped) = watch::channel(());
        let (handle, running) = drain.start(async move {
            // Either way the test is over.
            let _ = stopped.changed().await;
        });
        Running {
            handle,
            task: tokio::spawn(running),
            stop,
        }
    }

    fn lost(&self) -> BTreeMap<LossReason, u64> {
        self.spool
            .status()
            .ledger
            .iter()
            .map(|loss| (loss.reason, loss.count))
            .collect()
    }
}

struct Running {
    handle: super::DrainHandle,
    task: tokio::task::JoinHandle<End>,
    stop: watch::Sender<()>,
}

impl Running {
    async fn until(&self, condition: impl Fn(&UplinkStatus) -> bool) -> UplinkStatus {
        let start = Instant::now();
        loop {
            let status = self.handle.status();
            if condition(&status) {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "{status:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        assert_eq!(self.task.await.unwrap(), End::Told);
    }
}

struct TestSource {
    graveyard: CursorId,
    spool: Spool,
    buried: Mutex<Vec<(u64, String, u32)>>,
    /// Called by the read that finds `EXPIRED`.
    on_expired: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    /// Called by each burial, which ends as this says.
    on_bury: Mutex<Option<Box<OnBury>>>,
}

type OnBury = dyn FnMut() -> Result<(), Full> + Send;

impl TestSource {
    fn new(graveyard: CursorId, spool: Spool) -> TestSource {
        TestSource {
            graveyard,
            spool,
            buried: Mutex::default(),
            on_expired: Mutex::default(),
            on_bury: Mutex::default(),
        }
    }
}

fn number(entry: &Entry) -> u64 {
    u64::from_be_bytes(entry.body[..].try_into().unwrap())
}

impl RecordSource for TestSource {
    fn event(&self, entry: &Entry) -> Option<Outgoing> {
        let number = number(entry);
        if number == EXPIRED
            && let Some(call) = self.on_expired.lock().unwrap().take()
        {
            call();
        }
        let mut event = Event::builder(number.to_string(), "/test", "test")
            .build()
            .unwrap();
        if number >= FAR {
            event
                .extensions
                .insert(HOPS.to_owned(), Value::Integer(8 + (number - FAR) as i32));
        }
        Some(Outgoing {
            topic: "t".to_owned(),
            sink_topic: None,
            unfit: None,
            event,
            origin: (number == PEER).then(|| "peer".to_owned()),
            expires: (number == EXPIRED).then_some(NodeTime(999)),
        })
    }

    fn came_from_peer(&self, origin: &str) -> bool {
        origin == "peer"
    }

    fn tells_of_loss(&self, entry: &Entry) -> bool {
        number(entry) == GAP
    }

    fn now(&self) -> NodeTime {
        NodeTime(1000)
    }

    fn canary(&self) -> Option<Outgoing> {
        let event = Event::builder(CANARY.to_string(), "/test", "canary")
            .extension(HOPS, Value::Integer(0));
        Some(Outgoing {
            topic: "t".to_owned(),
            sink_topic: None,
            unfit: None,
            event: event.build().unwrap(),
            origin: None,
            expires: None,
        })
    }

    fn dead_letters(&self) -> DeadLetters {
        let status = self.spool.cursor_status(self.graveyard).unwrap();
        DeadLetters {
            records: status.pending_records,
            bytes: status.pending_bytes,
        }
    }

    fn bury(&self, transaction: &mut Transaction<'_>, dead: &DeadLetter<'_>) -> Result<(), Full> {
        let mut on_bury = self.on_bury.lock().unwrap_or_else(PoisonError::into_inner);
        on_bury.as_mut().map_or(Ok(()), |call| call())?;
        let route = transaction.route(&[self.graveyard], b"")?;
        let head = Head {
            kind: Kind::Event,
            lane: Lane(2),
            route,
        };
        transaction.append(head, |body| body.extend_from_slice(&dead.entry.body))?;
        self.buried
            .lock()
            .unwrap()
            .push((number(dead.entry), dead.reason.to_owned(), dead.tries));
        Ok(())
    }
}

type Script = dyn Fn(usize, &[u64]) -> Option<Answer> + Send + Sync;

struct TestSink {
    calls: AtomicUsize,
    script: Box<Script>,
    /// Closed: nothing is answered.
    open: Semaphore,
    arrived: Mutex<BTreeSet<u64>>,
    hops: Mutex<BTreeMap<u64, i32>>,
}

impl TestSink {
    /// What the script answers to the call of this number; without an answer all is taken.
    fn new(
        script: impl Fn(usize, &[u64]) -> Option<Answer> + Send + Sync + 'static,
    ) -> Arc<TestSink> {
        Arc::new(TestSink {
            calls: AtomicUsize::new(0),
            script: Box::new(script),
            open: Semaphore::new(1),
            arrived: Mutex::default(),
            hops: Mutex::default(),
        })
    }

    fn arrived(&self) -> BTreeSet<u64> {
        self.arrived.lock().unwrap().clone()
    }
}

impl Sink for TestSink {
    type Item = (u64, i32);

    fn prepare(
        &self,
        outgoing: Outgoing,
        _: &mut Vec<u8>,
    ) -> Result<Prepared<(u64, i32)>, Unsendable> {
        let Some(Value::Integer(hops)) = outgoing.event.extensions.get(HOPS) else {
            panic!("no hops")
        };
        let number = outgoing.event.id.parse().unwrap();
        Ok(Prepared {
            target: "".into(),
            bytes: 100,
            item: (number, *hops),
        })
    }

    async fn send(&self, batch: Batch<(u64, i32)>) -> Answer {
        let _open = self.open.acquire().await.unwrap();
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let numbers: Vec<u64> = batch.items.iter().map(|item| item.0).collect();
        let answer = (self.script)(call, &numbers).unwrap_or(Answer::All(Outcome::Accepted));
        for (index, item) in batch.items.iter().enumerate() {
            let taken = match &answer {
                Answer::All(outcome) => *outcome == Outcome::Accepted,
                Answer::Each(outcomes) => outcomes.get(index) == Some(&Outcome::Accepted),
            };
            if taken {
                self.arrived.lock().unwrap().insert(item.0);
                self.hops.lock().unwrap().insert(item.0, item.1);
            }
        }
        answer
    }
}
