//! Whole runs of the core against receivers that fail in every way a seed can think of, in virtual time.
//!
//! One seed again: `UPLINK_SEED=7 cargo test -p cloud-uplink simulation`; more of them: `UPLINK_SEEDS=100000 …`.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

use spool::{Lane, Seq};

use super::{Action, BatchId, Buried, Fitness, Offered, Uplink};
use crate::{Answer, Limits, Outcome};

#[test]
fn whatever_the_receiver_does_acknowledged_events_arrived_in_order_and_none_is_left() {
    let seed_of = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let seeds = match seed_of("UPLINK_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=seed_of("UPLINK_SEEDS").unwrap_or(300),
    };
    let mut seen = BTreeSet::new();
    for seed in seeds.clone() {
        let mut world = World::new(seed);
        world.run();
        world.check();
        seen.extend(world.seen);
    }
    if seeds.count() >= 300 {
        let all = [
            "buried",
            "overloaded",
            "part",
            "repeat",
            "too-large",
            "unavailable",
            "unsure",
        ];
        assert_eq!(
            seen.into_iter().collect::<Vec<_>>(),
            all,
            "the simulation does not meet what it is for"
        );
    }
}

#[derive(Clone, Debug)]
struct Record {
    lane: Lane,
    key: u64,
    target: &'static str,
    bytes: usize,
    fault: Fault,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// Refused for good.
    Refused,
    /// Refused, and the receiver cannot say whose fault it is.
    Doubtful,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Weather {
    Fine,
    /// No request arrives.
    Down,
    /// Requests arrive, half of the answers do not.
    Lossy,
    /// Everything is asked to come later.
    Busy,
    /// Everything is refused with a doubtful answer.
    Broken,
}

#[derive(Debug)]
enum Happening {
    Commit(usize),
    Read(Lane, Seq, usize, usize),
    Answer(BatchId, Answer),
    Buried(Seq),
}

struct World {
    seed: u64,
    rng: fastrand::Rng,
    start: Instant,
    now: Instant,
    limits: Limits,
    uplink: Uplink,
    log: Vec<Record>,
    committed: usize,
    /// When events were last published because nothing else was left.
    published: Instant,
    /// When the receiver last took an event.
    progressed: Instant,
    happenings: BTreeMap<(Instant, u64), Happening>,
    next_happening: u64,
    weather: Vec<(Duration, Weather)>,
    /// Events per second the receiver takes, where it has a limit.
    quota: Option<f64>,
    tokens: f64,
    tokens_at: Instant,
    request_bytes_max: usize,
    flights: HashMap<BatchId, Vec<Seq>>,
    arrived: Vec<Seq>,
    acked: BTreeSet<Seq>,
    buried: BTreeSet<Seq>,
    /// How often each was refused alone with a doubtful answer.
    doubted: HashMap<Seq, u32>,
    seen: BTreeSet<&'static str>,
}

const LANES: [Lane; 3] = [Lane(0), Lane(1), Lane(2)];

impl World {
    fn new(seed: u64) -> World {
        let mut rng = fastrand::Rng::with_seed(seed);
        let start = Instant::now();
        let limits = Limits {
            batch_events: rng.usize(1..40),
            batch_bytes: rng.usize(500..8000),
            in_flight: rng.usize(1..8),
            read_ahead_bytes: rng.usize(20_000..200_000),
            ..Limits::default()
        };
        let records = rng.usize(1..600);
        let (keys, poison) = (rng.u64(1..30), rng.f64() * 0.05);
        let targets: &[&'static str] = if rng.bool() { &["t"] } else { &["t", "u", "v"] };
        let log = (0..records).map(|_| Record {
            lane: LANES[[0, 1, 1, 1, 2, 2][rng.usize(..6)]],
            key: rng.u64(..keys),
            target: targets[rng.usize(..targets.len())],
            bytes: rng.usize(50..400),
            fault: match rng.f64() {
                it if it < poison / 2.0 => Fault::Refused,
                it if it < poison => Fault::Doubtful,
                _ => Fault::None,
            },
        });
        let log: Vec<Record> = log.collect();
        let mut weather = Vec::new();
        let mut broken = false;
        for _ in 0..rng.usize(..6) {
            let kind = [
                Weather::Down,
                Weather::Lossy,
                Weather::Busy,
                Weather::Broken,
                Weather::Fine,
            ][rng.usize(..5)];
            if kind == Weather::Broken && broken {
                continue;
            }
            broken |= kind == Weather::Broken;
            weather.push((Duration::from_millis(rng.u64(1..200_000)), kind));
        }
        let uplink = Uplink::new(
            start,
            limits.clone(),
            &LANES,
            Seq::ZERO,
            fastrand::Rng::with_seed(seed ^ 1),
        );
        World {
            seed,
            start,
            now: start,
            limits,
            uplink,
            committed: 0,
            published: start,
            progressed: start,
            happenings: BTreeMap::new(),
            next_happening: 0,
            weather,
            quota: rng.bool().then(|| rng.f64() * 500.0 + 20.0),
            tokens: 0.0,
            tokens_at: start,
            request_bytes_max: if rng.bool() {
                1_000_000
            } else {
                rng.usize(500..4000)
            },
            flights: HashMap::new(),
            arrived: Vec::new(),
            acked: BTreeSet::new(),
            buried: BTreeSet::new(),
            doubted: HashMap::new(),
            seen: BTreeSet::new(),
            log,
            rng,
        }
    }

    fn run(&mut self) {
        let mut commits = 0;
        let mut at = Duration::ZERO;
        while commits < self.log.len() {
            commits = (commits + self.rng.usize(1..200)).min(self.log.len());
            at += Duration::from_millis(self.rng.u64(..5000));
            self.later(at, Happening::Commit(commits));
        }
        let mut steps = 0;
        loop {
            while let Some(action) = self.uplink.poll_action() {
                self.act(action);
            }
            steps += 1;
            assert!(
                steps < 200_000,
                "seed {}: it turns in circles after {:?}: {:?}",
                self.seed,
                self.now - self.start,
                self.uplink.status(self.now, 1)
            );
            if self.is_done() {
                return;
            }
            self.go_on_publishing();
            let next = self.happenings.first_key_value().map(|((at, _), _)| *at);
            let deadline = self.uplink.next_deadline(self.now);
            let Some(now) = [next, deadline].into_iter().flatten().min() else {
                panic!(
                    "seed {}: stuck with {:?}",
                    self.seed,
                    self.uplink.status(self.now, 1)
                );
            };
            self.now = self.now.max(now);
            match self
                .happenings
                .first_key_value()
                .map(|(key, _)| *key)
                .filter(|(at, _)| *at <= self.now)
            {
                Some(key) => {
                    let happening = self.happenings.remove(&key).unwrap();
                    self.happen(happening);
                }
                None => self.uplink.handle_deadline(self.now),
            }
        }
    }

    fn is_done(&self) -> bool {
        self.acked.len() + self.buried.len() == self.log.len()
    }

    /// A doubtful event is proven bad only by another one that is taken: where nothing else is left, some are published.
    fn go_on_publishing(&mut self) {
        let quiet =
            self.now > self.progressed + Duration::from_secs(200) && self.happenings.is_empty();
        if !quiet || self.now < self.published + Duration::from_secs(100) {
            return;
        }
        self.published = self.now;
        for target in ["t", "u", "v"] {
            let key = 1000 + self.log.len() as u64;
            self.log.push(Record {
                lane: Lane(1),
                key,
                target,
                bytes: 60,
                fault: Fault::None,
            });
        }
        self.later(Duration::ZERO, Happening::Commit(self.log.len()));
    }

    fn later(&mut self, after: Duration, happening: Happening) {
        self.next_happening += 1;
        self.happenings
            .insert((self.now + after, self.next_happening), happening);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Commit(committed) => {
                self.committed = committed;
                self.uplink.handle_commit(self.now);
            }
            Happening::Read(lane, after, records, bytes) => self.read(lane, after, records, bytes),
            Happening::Answer(batch, answer) => {
                self.flights.remove(&batch);
                self.uplink.handle_answer(self.now, batch, answer);
            }
            Happening::Buried(seq) => {
                self.buried.insert(seq);
                self.uplink.handle_buried(self.now, seq, Buried::Kept);
            }
        }
    }

    fn record(&self, seq: Seq) -> &Record {
        &self.log[seq.0 as usize - 1]
    }

    fn read(&mut self, lane: Lane, after: Seq, records: usize, bytes: usize) {
        if self.rng.f64() < 0.02 {
            self.uplink
                .handle_read_error(self.now, "a bad day".to_owned());
            return;
        }
        let (mut offered, mut taken, mut next) = (Vec::new(), 0, after.0);
        while next < self.committed as u64 && offered.len() < records && taken < bytes {
            next += 1;
            let record = self.record(Seq(next));
            if record.lane != lane || self.acked.contains(&Seq(next)) {
                continue;
            }
            taken += record.bytes;
            let (key, bytes) = (record.key, record.bytes);
            let fitness = Fitness::Send {
                key,
                target: record.target.into(),
                bytes,
                hops: 0,
            };
            offered.push(Offered {
                seq: Seq(next),
                fitness,
            });
        }
        let at_end = next == self.committed as u64;
        self.uplink
            .handle_read(self.now, lane, offered, Seq(next), at_end);
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Read {
                lane,
                after,
                records,
                bytes,
            } => {
                let delay = Duration::from_millis(self.rng.u64(..20));
                self.later(delay, Happening::Read(lane, after, records, bytes));
            }
            Action::Send {
                batch,
                target,
                seqs,
            } => self.receive(batch, &target, &seqs),
            Action::Canary { .. } | Action::Expire { .. } => {
                panic!("seed {}: not asked for", self.seed)
            }
            Action::Ack { seqs } => {
                for seq in seqs {
                    assert!(
                        self.arrived.contains(&seq),
                        "seed {}: {seq:?} acknowledged, never arrived",
                        self.seed
                    );
                    assert!(
                        self.acked.insert(seq),
                        "seed {}: {seq:?} acknowledged twice",
                        self.seed
                    );
                }
            }
            Action::Bury { seq, .. } => {
                self.seen.insert("buried");
                assert_ne!(
                    self.record(seq).fault,
                    Fault::None,
                    "seed {}: {seq:?} was sound",
                    self.seed
                );
                let delay = Duration::from_millis(self.rng.u64(..500));
                self.later(delay, Happening::Buried(seq));
            }
        }
    }

    fn receive(&mut self, batch: BatchId, target: &str, seqs: &[Seq]) {
        self.check_batch(target, seqs);
        self.flights.insert(batch, seqs.to_vec());
        let delay = match self.rng.f64() {
            it if it < 0.02 => Duration::from_millis(self.rng.u64(5000..20_000)),
            _ => Duration::from_millis(self.rng.u64(1..200)),
        };
        let answer = self.answer(seqs);
        if let (Answer::All(Outcome::Doubtful { .. }), [seq]) = (&answer, seqs) {
            *self.doubted.entry(*seq).or_default() += 1;
        }
        self.later(delay, Happening::Answer(batch, answer));
    }

    fn check_batch(&mut self, target: &str, seqs: &[Seq]) {
        let seed = self.seed;
        assert!(
            !seqs.is_empty() && seqs.len() <= self.limits.batch_events,
            "seed {seed}: {seqs:?}"
        );
        assert!(
            self.flights.len() < self.limits.in_flight,
            "seed {seed}: too many in flight"
        );
        let bytes: usize = seqs.iter().map(|seq| self.record(*seq).bytes).sum();
        assert!(
            seqs.len() == 1 || bytes <= self.limits.batch_bytes,
            "seed {seed}: {bytes} bytes"
        );
        assert!(
            seqs.iter().all(|seq| self.record(*seq).target == target),
            "seed {seed}: a mixed batch"
        );
        let line = |seq: &Seq| {
            (
                self.record(*seq).lane,
                self.record(*seq).key,
                self.record(*seq).target,
            )
        };
        for flight in self.flights.values() {
            let clash = flight
                .iter()
                .find(|seq| seqs.iter().any(|other| line(other) == line(seq)));
            assert_eq!(clash, None, "seed {seed}: two batches of one key in flight");
        }
        if self.arrived.iter().any(|seq| seqs.contains(seq)) {
            self.seen.insert("repeat");
        }
    }

    /// What the receiver answers, after it has taken what it takes.
    fn answer(&mut self, seqs: &[Seq]) -> Answer {
        let elapsed = self.now - self.start;
        let weather = self
            .weather
            .iter()
            .filter(|(until, _)| elapsed < *until)
            .min()
            .map_or(Weather::Fine, |(_, it)| *it);
        let bytes: usize = seqs.iter().map(|seq| self.record(*seq).bytes).sum();
        let unavailable = || {
            Answer::All(Outcome::Unavailable {
                retry_after: None,
                error: "no answer".to_owned(),
            })
        };
        match weather {
            Weather::Down => {
                self.seen.insert("unavailable");
                return unavailable();
            }
            Weather::Busy => return self.overloaded(),
            Weather::Broken => {
                return Answer::All(Outcome::Doubtful {
                    error: "broken".to_owned(),
                });
            }
            Weather::Lossy | Weather::Fine => {}
        }
        if seqs.len() > 1 && bytes > self.request_bytes_max {
            self.seen.insert("too-large");
            return Answer::All(Outcome::TooLarge {
                error: "413".to_owned(),
            });
        }
        if !self.in_quota(seqs.len()) {
            return self.overloaded();
        }
        let faults: Vec<Fault> = seqs.iter().map(|seq| self.record(*seq).fault).collect();
        if faults.iter().any(|fault| *fault != Fault::None) && self.rng.bool() {
            let doubtful = faults.contains(&Fault::Doubtful) || seqs.len() > 1;
            let error = "one of them".to_owned();
            return Answer::All(if doubtful {
                Outcome::Doubtful { error }
            } else {
                Outcome::Refused { error }
            });
        }
        let outcomes = seqs.iter().zip(faults).map(|(seq, fault)| match fault {
            Fault::None => {
                self.arrived.push(*seq);
                self.progressed = self.now;
                Outcome::Accepted
            }
            Fault::Refused => Outcome::Refused {
                error: "no".to_owned(),
            },
            Fault::Doubtful => Outcome::Doubtful {
                error: "no?".to_owned(),
            },
        });
        let outcomes: Vec<Outcome> = outcomes.collect();
        if weather == Weather::Lossy && self.rng.bool() {
            self.seen.insert("unsure");
            return unavailable();
        }
        self.seen.insert("part");
        Answer::Each(outcomes)
    }

    fn overloaded(&mut self) -> Answer {
        self.seen.insert("overloaded");
        let retry_after = self
            .rng
            .bool()
            .then(|| Duration::from_secs(self.rng.u64(..5)));
        Answer::All(Outcome::Overloaded {
            retry_after,
            error: "429".to_owned(),
        })
    }

    fn in_quota(&mut self, events: usize) -> bool {
        let Some(quota) = self.quota else { return true };
        self.tokens =
            (self.tokens + quota * (self.now - self.tokens_at).as_secs_f64()).min(quota + 40.0);
        self.tokens_at = self.now;
        let taken = self.tokens >= events as f64;
        self.tokens -= if taken { events as f64 } else { 0.0 };
        taken
    }

    fn check(&self) {
        let seed = self.seed;
        for (index, record) in self.log.iter().enumerate() {
            let seq = Seq(index as u64 + 1);
            let buried = self.buried.contains(&seq);
            assert_eq!(
                buried,
                record.fault != Fault::None,
                "seed {seed}: {seq:?} {record:?}"
            );
            assert_ne!(buried, self.acked.contains(&seq), "seed {seed}: {seq:?}");
        }
        let mut last: HashMap<(Lane, u64, &str), Seq> = HashMap::new();
        let mut before = BTreeSet::new();
        for seq in self.arrived.iter().filter(|seq| before.insert(**seq)) {
            let record = self.record(*seq);
            let last = last
                .entry((record.lane, record.key, record.target))
                .or_default();
            // An event under suspicion is passed by the one behind it: that shows whether the event is at fault. Where the
            // receiver mends itself between the two, the event arrives after all.
            let suspect = self
                .doubted
                .get(seq)
                .is_some_and(|refusals| *refusals >= self.limits.refused_tries);
            assert!(
                *last < *seq || suspect,
                "seed {seed}: {seq:?} arrived after {last:?} of the same key"
            );
            *last = *seq.max(last);
        }
        let status = self.uplink.status(self.now, 0);
        assert_eq!(status.held_bytes, 0, "seed {seed}");
        assert_eq!(status.acknowledged, self.acked.len() as u64, "seed {seed}");
        assert_eq!(status.dead_letters, self.buried.len() as u64, "seed {seed}");
    }
}
