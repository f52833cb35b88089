//! The uplink's own core, between the log and a receiver that a seed has bad ideas for.
//!
//! ```text
//!  log ─▶ read ─▶ Uplink ─▶ a batch on its way ─▶ the receiver takes it, or part, or nothing ─▶ an answer, or none
//! ```

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use cloud_uplink::{
    Action, Answer, BatchId, Buried, DeadLetter, Fitness, Limits, Offered, Outcome, Outgoing,
    RecordSource, Uplink,
};
use fastrand::Rng;
use filters::timestamp_millis;
use spool::{CursorId, Entry, Full, Lane, Loss, LossReason, NodeTime, ReadLimits, Seq, Spool};
use wire::Mark;

use super::{
    model::{Model, SINKS},
    peer::payload::number_in,
    story::tell,
};
use crate::{
    broker::tests::harness::{TestNode, filters},
    node::{handle::RULE_ORIGIN, source::Source},
    record::Record,
};

/// Every third of such messages is one the receiver refuses, in seeds where it does.
const POISON: usize = 17;

/// How the link and the receiver are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weather {
    Fine,
    /// No request arrives.
    Down,
    /// Requests arrive, and half of the answers are lost.
    Lossy,
    /// Everything is asked to come later.
    Busy,
    /// A part of every batch is taken.
    Part,
    /// Everything is refused, and the receiver cannot say whose fault it is.
    Broken,
}

/// One run of an uplink, from a start of the node to its end.
pub(super) struct Sink {
    /// Its place among the sinks.
    index: usize,
    uplink: Uplink,
    source: Arc<Source>,
    cursor: CursorId,
    /// The uplink's clock at the node's start.
    base: (Instant, NodeTime),
    weather: Weather,
    taste: Taste,
    reads: VecDeque<(Lane, Seq, ReadLimits)>,
    flights: Vec<(BatchId, Vec<Seq>)>,
    items: BTreeMap<Seq, Item>,
    graves: Vec<(Seq, String, u32)>,
}

/// What an event is to the model.
#[derive(Clone, Copy, Debug)]
enum Item {
    /// A message, by its number.
    Message(usize),
    /// What a stage of a rule derived.
    Derived,
    /// Of a device, by its stream and mark.
    Device(u8, Mark),
}

/// What the receiver refuses for good, and how many dead letters are kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taste {
    refuses: bool,
    dead_letters_max: u64,
}

impl Taste {
    pub(super) fn new(rng: &mut Rng) -> Taste {
        Taste {
            refuses: rng.u8(..3) == 0,
            dead_letters_max: [1, 1000][rng.usize(..2)],
        }
    }

    fn spits(self, item: Item) -> bool {
        let number = match item {
            Item::Message(number) => number,
            Item::Device(_, mark) => mark.seq as usize,
            Item::Derived => return false,
        };
        self.refuses && number % POISON == 5
    }
}

impl Sink {
    pub(super) fn start(index: usize, node: &TestNode, taste: Taste, rng: &mut Rng) -> Sink {
        let spool = node.core.spool();
        let (name, from) = SINKS[index];
        let cursor = node.sink_of(name);
        let after = spool
            .cursor_status(cursor)
            .map_or(Seq::ZERO, |status| status.low);
        let limits = Limits {
            batch_events: rng.usize(1..8),
            batch_bytes: rng.usize(500..8000),
            in_flight: rng.usize(1..4),
            read_ahead_bytes: rng.usize(1_000..50_000),
            refused_tries: 3,
            ..Limits::default()
        };
        let (base, now) = (Instant::now(), node.now());
        let lanes = [Lane(0), Lane(1), Lane(2)];
        let source = Source::new(
            name,
            spool.clone(),
            node.clock(),
            filters(from),
            u32::MAX,
            Arc::default(),
            Vec::new(),
            node.graveyard_of(name),
        );
        Sink {
            index,
            uplink: Uplink::new(base, limits, &lanes, after, rng.fork()),
            source,
            cursor,
            base: (base, now),
            weather: Weather::Fine,
            taste,
            reads: VecDeque::new(),
            flights: Vec::new(),
            items: BTreeMap::new(),
            graves: Vec::new(),
        }
    }

    fn clock(&self, now: NodeTime) -> Instant {
        self.base.0 + Duration::from_millis(now.0 - self.base.1.0)
    }

    /// The link or the receiver changes.
    pub(super) fn change(&mut self, rng: &mut Rng) {
        use Weather::{Broken, Busy, Down, Fine, Lossy, Part};
        if self.fails_long() && self.weather == Down && rng.u8(..4) > 0 {
            return;
        }
        let all = [Fine, Fine, Down, Lossy, Busy, Part, Broken];
        self.weather = all[rng.usize(..all.len())];
        if self.fails_long() && self.weather != Fine {
            self.weather = Down;
        }
        tell(|| format!("sink {}: {:?}", self.index, self.weather));
    }

    pub(super) fn weather(&self) -> Weather {
        self.weather
    }

    /// The node was away, and the receiver of a sink that fails for long has not changed.
    pub(super) fn stay(&mut self, weather: Weather) {
        if self.fails_long() {
            self.weather = weather;
        }
    }

    fn fails_long(&self) -> bool {
        self.index > 0
    }

    pub(super) fn clear_up(&mut self) {
        self.weather = Weather::Fine;
    }

    /// The log has committed something.
    pub(super) fn handle_commit(&mut self, spool: &Spool, now: NodeTime) {
        let at = self.clock(now);
        self.uplink.handle_commit(at);
        self.act(spool, now);
        self.bury(spool, now);
    }

    /// Time has passed.
    pub(super) fn handle_time(&mut self, spool: &Spool, now: NodeTime) {
        let at = self.clock(now);
        self.uplink.handle_deadline(at);
        self.act(spool, now);
        self.bury(spool, now);
    }

    /// Runs the oldest read that the uplink has asked for. False if there is none.
    pub(super) fn run_read(&mut self, spool: &Spool, now: NodeTime, model: &mut Model) -> bool {
        let Some((lane, after, limits)) = self.reads.pop_front() else {
            return false;
        };
        let at = self.clock(now);
        match spool.read(self.cursor, after, limits) {
            Ok(batch) => {
                let offered = batch
                    .entries
                    .iter()
                    .map(|entry| self.offer(entry, model))
                    .collect();
                self.uplink
                    .handle_read(at, lane, offered, batch.next, batch.at_end);
            }
            Err(error) => self.uplink.handle_read_error(at, error.to_string()),
        }
        self.act(spool, now);
        true
    }

    fn offer(&mut self, entry: &Entry, model: &mut Model) -> Offered {
        let outgoing = self.source.event(entry).expect("the sink is owed events");
        let item = item_of(&entry.body);
        self.items.insert(entry.seq, item);
        match item {
            Item::Message(number) => {
                let expirytime = outgoing.event.extension_text("expirytime");
                let expirytime = expirytime.and_then(|text| timestamp_millis(&text));
                model.shown(self.index, number, outgoing.expires, expirytime);
                model.derivations.show_input(entry.seq, &outgoing.topic);
            }
            Item::Device(stream, mark) => {
                model
                    .devices
                    .shown(stream, mark, entry.seq, &outgoing.event);
            }
            Item::Derived => {
                let (id, data) = (outgoing.event.id.clone(), outgoing.event.data_bytes());
                model.derivations.show_derived(id, entry.seq, data);
            }
        }
        Offered {
            seq: entry.seq,
            fitness: Fitness::Send {
                key: outgoing.partition_key(),
                target: "".into(),
                bytes: entry.body.len(),
                hops: Outgoing::hops(&outgoing),
            },
        }
    }

    /// One of the batches on their way meets its fate. False if there is none.
    pub(super) fn answer(
        &mut self,
        spool: &Spool,
        now: NodeTime,
        model: &mut Model,
        rng: &mut Rng,
    ) -> bool {
        if self.flights.is_empty() {
            return false;
        }
        let (batch, seqs) = self.flights.swap_remove(rng.usize(..self.flights.len()));
        let answer = self.judge(&seqs, model, rng);
        tell(|| format!("sink {}: {seqs:?} {answer:?}", self.index));
        let at = self.clock(now);
        self.uplink.handle_answer(at, batch, answer);
        self.act(spool, now);
        self.bury(spool, now);
        true
    }

    fn judge(&mut self, seqs: &[Seq], model: &mut Model, rng: &mut Rng) -> Answer {
        let sink = self.index;
        let error = || "the seed says so".to_owned();
        let retry_after = (rng.bool()).then(|| Duration::from_millis(rng.u64(..3000)));
        let later = Outcome::Unavailable {
            retry_after,
            error: error(),
        };
        let busy = Outcome::Overloaded {
            retry_after,
            error: error(),
        };
        match self.weather {
            Weather::Down => Answer::All(later),
            Weather::Busy => Answer::All(busy),
            Weather::Broken => {
                for seq in seqs {
                    model.refuse(sink, self.items[seq]);
                }
                Answer::All(Outcome::Doubtful { error: error() })
            }
            Weather::Lossy if rng.bool() => {
                self.take(seqs, model);
                Answer::All(later)
            }
            Weather::Part => {
                let taken = rng.usize(..=seqs.len());
                let mut outcomes = self.take(&seqs[..taken], model);
                outcomes.extend((taken..seqs.len()).map(|_| busy.clone()));
                outcomes.truncate(rng.usize(taken..=seqs.len()));
                Answer::Each(outcomes)
            }
            Weather::Fine | Weather::Lossy => Answer::Each(self.take(seqs, model)),
        }
    }

    /// The receiver gets these, and refuses what it does not like.
    fn take(&mut self, seqs: &[Seq], model: &mut Model) -> Vec<Outcome> {
        let (sink, taste) = (self.index, self.taste);
        let one = |seq: &Seq| {
            let item = self.items[seq];
            if taste.spits(item) {
                model.refuse(sink, item);
                let error = "it is bad".to_owned();
                return Outcome::Refused { error };
            }
            match item {
                Item::Message(number) => model.arrived(sink, number, *seq),
                Item::Device(stream, mark) => model.devices.arrived(sink, stream, mark),
                Item::Derived => {}
            }
            Outcome::Accepted
        };
        seqs.iter().map(one).collect()
    }

    fn act(&mut self, spool: &Spool, now: NodeTime) {
        while let Some(action) = self.uplink.poll_action() {
            match action {
                Action::Read {
                    lane,
                    after,
                    records,
                    bytes,
                } => {
                    let limits = ReadLimits {
                        records,
                        bytes,
                        lanes: 1 << lane.0,
                    };
                    self.reads.push_back((lane, after, limits));
                }
                Action::Send { batch, seqs, .. } => self.flights.push((batch, seqs)),
                Action::Ack { seqs } => spool.ack(self.cursor, &seqs),
                Action::Bury { seq, reason, tries } => {
                    self.graves.push((seq, reason.to_string(), tries));
                }
                Action::Canary { .. } | Action::Expire { .. } => {
                    panic!("{action:?} at {now:?} was not asked for")
                }
            }
        }
    }

    /// Keeps dead letters, as long as there is room for them.
    fn bury(&mut self, spool: &Spool, now: NodeTime) {
        let at = self.clock(now);
        for (seq, reason, tries) in std::mem::take(&mut self.graves) {
            let buried = match spool.read_at(seq) {
                Ok(Some(_))
                    if self.source.dead_letters().records >= self.taste.dead_letters_max =>
                {
                    Ok(Buried::AtBound)
                }
                Ok(Some(entry)) => self.keep(spool, now, &entry, &reason, tries),
                Ok(None) => panic!("{seq:?} is gone before it was buried"),
                Err(error) => {
                    self.uplink.handle_bury_error(at, &error.to_string());
                    self.graves.push((seq, reason, tries));
                    continue;
                }
            };
            let gives_up = self.uplink.gives_up_graves(at);
            let buried = match buried {
                Err(full) if full != Full::Waiting && gives_up => Ok(Buried::AtBound),
                buried => buried,
            };
            match buried {
                Ok(buried) => {
                    if buried == Buried::AtBound {
                        spool.record_loss(lost(SINKS[self.index].0, seq, now));
                        spool.ack(self.cursor, &[seq]);
                    }
                    self.uplink.handle_buried(at, seq, buried);
                }
                Err(full) => {
                    match full {
                        Full::Waiting => self.uplink.handle_bury_error(at, &full.to_string()),
                        full => self.uplink.handle_no_grave(at, &full.to_string()),
                    }
                    self.graves.push((seq, reason, tries));
                }
            }
        }
        self.act(spool, now);
    }

    /// The dead letter and the acknowledgement of its event are one commit.
    fn keep(
        &self,
        spool: &Spool,
        now: NodeTime,
        entry: &Entry,
        reason: &str,
        tries: u32,
    ) -> Result<Buried, Full> {
        let letter = DeadLetter {
            sink: SINKS[self.index].0,
            seq: entry.seq,
            entry,
            reason,
            tries,
        };
        let mut transaction = spool.transaction(now);
        let kept = self.source.bury(&mut transaction, &letter);
        if kept.is_ok() {
            transaction.ack(self.cursor, entry.seq);
        }
        transaction.finish();
        kept.map(|()| Buried::Kept)
    }
}

impl Model {
    /// Takes note of every dead letter.
    pub(super) fn read_dead_letters(&mut self, sink: usize, spool: &Spool, graveyard: CursorId) {
        let limits = ReadLimits {
            records: 100_000,
            bytes: usize::MAX,
            lanes: u32::MAX,
        };
        for entry in spool.read(graveyard, Seq::ZERO, limits).unwrap().entries {
            let Some(Record::Dead(dead)) = Record::decode(&entry.body) else {
                panic!("{entry:?} is no dead letter");
            };
            match item_of(dead.body) {
                Item::Message(number) => self.buried(sink, number, dead.seq),
                Item::Device(stream, mark) => self.devices.buried(sink, stream, mark),
                Item::Derived => {}
            }
        }
    }

    fn refuse(&mut self, sink: usize, item: Item) {
        match item {
            Item::Message(number) => self.refused(sink, number),
            Item::Device(stream, mark) => self.devices.refused(sink, stream, mark),
            Item::Derived => {}
        }
    }
}

fn item_of(body: &[u8]) -> Item {
    match Record::decode(body) {
        Some(Record::Publish(record)) if record.origin.starts_with(RULE_ORIGIN) => Item::Derived,
        Some(Record::Publish(record)) => match record.place {
            Some(place) => Item::Device(place.stream.number, place.mark()),
            None => Item::Message(number_in(record.payload)),
        },
        other => panic!("a sink is owed events, not {other:?}"),
    }
}

fn lost(sink: &str, seq: Seq, at: NodeTime) -> Loss {
    Loss {
        reason: LossReason::DeadLetterBound,
        scope: sink.to_owned(),
        count: 1,
        bytes: 1,
        first: seq,
        last: seq,
        at,
    }
}
