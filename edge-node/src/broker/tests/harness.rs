//! A node's core over simulated storage, and clients that speak packets to it. Nothing runs but what a test tells to.
#![expect(
    clippy::needless_pass_by_value,
    reason = "a scenario gives packets and connections away"
)]

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::BytesMut;
use filters::{TopicFilter, rules::Known, stage::Moment, timestamp_millis};
use spool::{
    CursorId, NodeTime, Options, Seq, Spool, Start,
    clock::{ClockMark, WallTime},
    storage::simulated::Simulated,
};

mod client;
mod packets;

pub(crate) use client::{Client, payloads, take_all, take_publishes, take_rounds};
pub(crate) use packets::*;

use crate::{
    broker::{
        Broker, ConnectionId, Excess, Journal, KnownSink, Limits, PeerError, dead_cursor,
        sink_cursor,
    },
    config::{
        Config, DeviceDataForm, DevicesConfig, Overrides, Rules, StreamNumber, units::ByteSize,
    },
    ingest::Ingest,
    mqtt::{
        encode::encode,
        packet::{Connect, Packet, QoS, ReasonCode, Version},
    },
    node::{
        core::{Clock, Core, Effect, Reading},
        handle::{Incoming, Origin, PublishError, Request},
        status::NodeStatus,
        view,
    },
    rules::{JqJob, Judge},
};

/// The core, its storage and its clock.
pub(crate) struct TestNode {
    pub(crate) core: Core,
    pub(crate) storage: Arc<Simulated>,
    time: Arc<AtomicU64>,
    limits: Limits,
    options: Options,
    sinks: Sinks,
    /// The text of its rules.
    rules: String,
    pending: Vec<Reading>,
    closing: Vec<ConnectionId>,
    /// What clients were not given.
    pub(super) excesses: Vec<Excess>,
    /// Faults of peers.
    pub(super) faults: Vec<PeerError>,
    jobs: Vec<JqJob>,
    /// Readings of the log fail.
    pub(super) fail_reads: bool,
    /// How many have failed.
    pub(super) failed_reads: usize,
}

/// Two lanes can be full apart from each other; what is no valid event is refused on some topics and wrapped on others.
const CONFIG: &str = "[[ingest]]\ntopic = \"alarm/#\"\nlane = \"alarm\"\n\
                      [[ingest]]\ntopic = \"strict/#\"\ninvalid = \"refuse\"\n";

/// Name of the sink that a node without history has.
pub(crate) const SINK: &str = "mesh";

/// The sinks of a node, by their names, and what each is sent. A node without any keeps history.
pub(crate) type Sinks = &'static [(&'static str, &'static [&'static str])];

/// What stands in front of the topics of devices; two of them are known at most.
pub(crate) const DEVICES: &str = "plant";
/// Their stream whose events go to the lane `alarm`.
pub(crate) const ALARMS: u8 = 5;

fn mark(now: u64) -> ClockMark {
    ClockMark {
        node: NodeTime(now),
        wall: WallTime(now),
    }
}

fn clock(time: &Arc<AtomicU64>) -> Clock {
    let time = Arc::clone(time);
    Arc::new(move || mark(time.load(Ordering::Relaxed)))
}

pub(crate) fn limits() -> Limits {
    Limits {
        receive_maximum: 256,
        packet_bytes: 1 << 20,
        topic_alias_maximum: 32,
        session_expiry_seconds: u32::MAX,
        keep_alive_seconds: 0,
        sessions: 1000,
        retained: 1000,
        retained_bytes: 1 << 20,
        subscriptions: 100,
        subscription_bytes: 1 << 20,
        session_bytes: 16 << 20,
        withheld_bytes: 8 << 20,
        connect_timeout_ms: 10_000,
    }
}

pub(crate) fn filters(topics: &[&str]) -> Vec<TopicFilter> {
    let filters = topics.iter().map(|topic| TopicFilter::parse(topic));
    filters.map(Result::unwrap).collect()
}

fn options() -> Options {
    let mut options = Config::parse("", "", &Overrides::default())
        .unwrap()
        .spool
        .options();
    options.bound_bytes = Some(64 << 20);
    options.min_free_percent = 0;
    options
}

/// Rules of this text, which may name the sinks.
fn judge(text: &str, sinks: Sinks) -> Judge {
    let known = Known {
        sinks: sinks.iter().map(|(name, _)| (*name).to_owned()).collect(),
        lanes: ["alarm", "normal", "bulk"].map(str::to_owned).to_vec(),
        ..Known::default()
    };
    let file = ("rules.toml".to_owned(), text.to_owned());
    Judge::new(Rules::compile(&[file], Some(known), Moment(0)).unwrap())
}

impl TestNode {
    pub(crate) fn new() -> TestNode {
        TestNode::with(limits(), options())
    }

    /// What whoever publishes events over HTTP is promised.
    pub(crate) fn post(&mut self, events: Vec<Incoming>) -> Result<Seq, PublishError> {
        let (reply, mut answer) = tokio::sync::oneshot::channel();
        self.core.handle_request(Request::Publish {
            origin: Origin::Http {
                peer: "1.2.3.4".to_owned(),
            },
            events,
            reply,
        });
        answer.try_recv().unwrap()
    }

    pub(crate) fn with_limits(limits: Limits) -> TestNode {
        TestNode::with(limits, options())
    }

    pub(crate) fn with_options(change: impl FnOnce(&mut Options)) -> TestNode {
        let mut options = options();
        change(&mut options);
        TestNode::with(limits(), options)
    }

    fn with(limits: Limits, options: Options) -> TestNode {
        let time = Arc::new(AtomicU64::new(1_800_000_000_000));
        let storage = Arc::new(Simulated::new(1));
        let mut node = TestNode::open(storage, time, limits, options, &[], "");
        node.settle();
        node
    }

    /// A node with one sink that is owed everything, over a storage of this seed; nothing is settled.
    pub(crate) fn with_sink(
        seed: u64,
        limits: Limits,
        change: impl FnOnce(&mut Options),
    ) -> TestNode {
        TestNode::with_sinks(seed, limits, &[(SINK, &["#"])], change)
    }

    /// As `with_sink`, with these.
    pub(crate) fn with_sinks(
        seed: u64,
        limits: Limits,
        sinks: Sinks,
        change: impl FnOnce(&mut Options),
    ) -> TestNode {
        let time = Arc::new(AtomicU64::new(1_800_000_000_000));
        let mut options = options();
        change(&mut options);
        let storage = Arc::new(Simulated::new(seed));
        TestNode::open(storage, time, limits, options, sinks, "")
    }

    fn open(
        storage: Arc<Simulated>,
        time: Arc<AtomicU64>,
        limits: Limits,
        options: Options,
        sinks: Sinks,
        rules: &str,
    ) -> TestNode {
        let now = NodeTime(time.load(Ordering::Relaxed));
        let disk = Arc::clone(&storage);
        let (spool, recovery) =
            Spool::open(disk, options.clone(), NodeTime(0), Arc::new(|| {})).unwrap();
        let mut broker = Broker::new(limits.clone());
        broker.set_rules(judge(rules, sinks));
        if let Some(checkpoint) = &recovery.checkpoint {
            broker.restore(checkpoint).unwrap();
        }
        spool
            .replay_state(&mut |entry| broker.apply(entry))
            .unwrap();
        let marked = broker.clock_mark().map_or(NodeTime(0), |mark| mark.node);
        let alive = marked.max(spool.last_time());
        if spool.checkpoint_due() {
            spool.checkpoint(broker.snapshot(mark(now.0)));
        }
        let keeps_history = sinks.is_empty();
        let known = |(name, _): &(&str, _)| KnownSink {
            debt: spool.cursor(&sink_cursor(name)),
            dead: spool.cursor(&dead_cursor(name)),
        };
        let known: Vec<_> = sinks.iter().map(known).collect();
        let config = Config::parse("test.toml", CONFIG, &Overrides::default()).unwrap();
        let mut ingest = Ingest::new(&config, "test".parse().unwrap(), [7; 16]);
        let mut journal = Journal::begin(&spool, &mut ingest, mark(now.0), keeps_history);
        let alarms = (StreamNumber(ALARMS), "alarm".parse().unwrap());
        let devices = DevicesConfig {
            prefix: DEVICES.to_owned(),
            max_devices: 2,
            command_bound: ByteSize(64 << 10),
            command_events: true,
            data: DeviceDataForm::Json,
            lanes: [alarms].into(),
        };
        broker.serve_devices(&devices, &config.spool);
        broker.start(&mut journal, 42, alive).unwrap();
        for ((name, from), known) in sinks.iter().zip(known) {
            let from = filters(from);
            broker
                .handle_sink(&mut journal, name, known, Start::Oldest, &from, u32::MAX)
                .unwrap();
        }
        journal.finish();
        let core = Core::new(spool, broker, ingest, clock(&time), keeps_history);
        TestNode {
            core,
            storage,
            time,
            limits,
            options,
            sinks,
            rules: rules.to_owned(),
            pending: Vec::new(),
            closing: Vec::new(),
            excesses: Vec::new(),
            faults: Vec::new(),
            jobs: Vec::new(),
            fail_reads: false,
            failed_reads: 0,
        }
    }

    /// The core, and the milliseconds of its clock.
    pub(crate) fn into_core(self) -> (Core, Arc<AtomicU64>) {
        (self.core, self.time)
    }

    /// The power fails: what was not synced is as the seed has it. The node starts again; clients are gone.
    pub(crate) fn crash(self) -> TestNode {
        let mut node = self.cut();
        node.settle();
        node
    }

    /// As `crash`, with nothing settled after the start.
    pub(crate) fn cut(self) -> TestNode {
        let storage = Arc::new(self.storage.crash());
        TestNode::open(
            storage,
            self.time,
            self.limits,
            self.options,
            self.sinks,
            &self.rules,
        )
    }

    /// As `crash`, into other rules.
    pub(crate) fn crash_into(mut self, rules: &str) -> TestNode {
        rules.clone_into(&mut self.rules);
        self.crash()
    }

    /// Whether it has a session of this client, which is away.
    pub(crate) fn holds_offline(&self, client: &str) -> bool {
        let broker = self.core.broker();
        let session = broker.clients.get(client).copied();
        let session = session.and_then(|id| broker.sessions.get(id));
        session.is_some_and(|session| session.connection.is_none())
    }

    /// Lets time pass in which the node does nothing.
    pub(crate) fn skip(&self, milliseconds: u64) {
        self.time.fetch_add(milliseconds, Ordering::Relaxed);
    }

    /// A clean stop and a start.
    pub(crate) fn restart(mut self) -> TestNode {
        self.settle();
        let mut node = self.stop();
        node.settle();
        node
    }

    /// The log is closed and opened again, with nothing settled before or after.
    pub(crate) fn stop(mut self) -> TestNode {
        self.core.close().unwrap();
        self.open_again()
    }

    fn open_again(self) -> TestNode {
        TestNode::open(
            self.storage,
            self.time,
            self.limits,
            self.options,
            self.sinks,
            &self.rules,
        )
    }

    /// A clean stop, and a start that long after it.
    pub(crate) fn stop_for(mut self, milliseconds: u64) -> TestNode {
        self.settle();
        self.core.close().unwrap();
        self.skip(milliseconds);
        let mut node = self.open_again();
        node.settle();
        node
    }

    /// Judges by these rules from here on, after a crash too.
    pub(crate) fn set_rules(&mut self, text: &str) {
        self.core.set_rules(judge(text, self.sinks));
        text.clone_into(&mut self.rules);
    }

    /// The cursor over what the sink is owed.
    pub(crate) fn sink(&self) -> CursorId {
        self.sink_of(SINK)
    }

    /// The cursor over what the sink of this name is owed.
    pub(crate) fn sink_of(&self, name: &str) -> CursorId {
        self.core.spool().cursor(&sink_cursor(name)).unwrap()
    }

    /// The cursor over the dead letters of the sink of this name.
    pub(crate) fn graveyard_of(&self, name: &str) -> CursorId {
        self.core.spool().cursor(&dead_cursor(name)).unwrap()
    }

    /// The node's clock, for parts of it that run beside the core.
    pub(crate) fn clock(&self) -> Clock {
        clock(&self.time)
    }

    /// Lets time pass and what is due happen.
    pub(crate) fn wait(&mut self, milliseconds: u64) {
        self.time.fetch_add(milliseconds, Ordering::Relaxed);
        self.core.handle_deadline();
        self.take_effects();
    }

    /// What the core wants to be read, to be done by the caller.
    pub(crate) fn take_readings(&mut self) -> Vec<Reading> {
        self.take_effects();
        std::mem::take(&mut self.pending)
    }

    /// The events whose jq programs are to be run, to be answered by the caller.
    #[cfg(feature = "jq")]
    pub(crate) fn take_jobs(&mut self) -> Vec<JqJob> {
        self.take_effects();
        std::mem::take(&mut self.jobs)
    }

    /// Takes a checkpoint, due or not.
    pub(crate) fn checkpoint(&self) {
        let snapshot = self.core.broker().snapshot(mark(self.now().0));
        self.core.spool().checkpoint(snapshot);
    }

    pub(crate) fn now(&self) -> NodeTime {
        NodeTime(self.time.load(Ordering::Relaxed))
    }

    /// Lets time pass and what is due happen, committed.
    pub(crate) fn pass(&mut self, milliseconds: u64) {
        self.time.fetch_add(milliseconds, Ordering::Relaxed);
        self.core.handle_deadline();
        self.settle();
    }

    /// Commits and reads until nothing is left to do.
    pub(crate) fn settle(&mut self) {
        loop {
            let committed = self.core.spool().commit_once();
            self.core.handle_commit();
            let read = self.read();
            if !committed && !read {
                return;
            }
        }
    }

    /// Commits once and lets what waited for it leave, without reading.
    pub(crate) fn commit(&mut self) {
        self.core.spool().commit_once();
        self.core.handle_commit();
    }

    /// Runs the readings the core has asked for.
    pub(crate) fn read(&mut self) -> bool {
        self.take_effects();
        let readings = std::mem::take(&mut self.pending);
        let any = !readings.is_empty() && !self.fail_reads;
        for reading in readings {
            let found = if self.fail_reads {
                self.failed_reads += 1;
                Err(spool::StorageError::Moved)
            } else {
                reading.order().run(self.core.spool())
            };
            self.core.handle_reading(reading, found);
        }
        self.take_effects();
        any
    }

    fn take_effects(&mut self) {
        for effect in self.core.take_effects() {
            match effect {
                Effect::Read(reading) => self.pending.push(reading),
                Effect::Resume(id) => self.core.handle_resumed(id),
                Effect::Close(id) => self.closing.push(id),
                Effect::Excess(_, excess) => self.excesses.push(excess),
                Effect::Work(job) => self.jobs.push(job),
                Effect::Fault(_, fault) => self.faults.push(fault),
                Effect::Flush(_) => {}
            }
        }
    }

    /// A new connection that has not spoken.
    pub(crate) fn dial(&mut self, version: Version) -> Client {
        let id = self.core.handle_connected("test".into());
        Client::new(id, version)
    }

    /// Connects and takes the CONNACK, which must be a success.
    pub(crate) fn connect(&mut self, connect: Connect) -> Client {
        let (client, packet) = self.try_connect(connect);
        match packet {
            Some(Packet::ConnAck(ack)) if ack.reason == ReasonCode::Success => client,
            other => panic!("{other:?}"),
        }
    }

    /// Connects and takes what is answered.
    pub(crate) fn try_connect(&mut self, connect: Connect) -> (Client, Option<Packet>) {
        let mut client = self.dial(connect.version);
        self.send(&client, Packet::Connect(Box::new(connect)));
        self.core.spool().commit_once();
        self.core.handle_commit();
        let packet = client.next(self);
        self.settle();
        (client, packet)
    }

    pub(crate) fn send(&mut self, client: &Client, packet: Packet) {
        let mut bytes = BytesMut::new();
        encode(client.version, &packet, &mut bytes).unwrap();
        self.core.handle_input(client.id, &mut bytes);
        self.take_effects();
    }

    /// Sends packets that are read at once.
    pub(crate) fn send_all(&mut self, client: &Client, packets: &[Packet]) {
        let mut bytes = BytesMut::new();
        for packet in packets {
            encode(client.version, packet, &mut bytes).unwrap();
        }
        self.send_bytes(client, &bytes);
    }

    pub(crate) fn send_bytes(&mut self, client: &Client, bytes: &[u8]) {
        self.core
            .handle_input(client.id, &mut BytesMut::from(bytes));
        self.take_effects();
    }

    pub(crate) fn subscribe(&mut self, client: &mut Client, filter: &str, qos: QoS) -> Packet {
        self.send(client, subscribe(filter, qos));
        self.settle();
        client.next(self).expect("SUBACK")
    }

    /// Sends and takes the acknowledgement, committed.
    pub(crate) fn publish(
        &mut self,
        client: &mut Client,
        topic: &str,
        payload: &str,
        qos: QoS,
        id: u16,
    ) -> Option<Packet> {
        self.send(client, publish(topic, payload, qos, id));
        self.settle();
        client.next(self)
    }

    /// The stream breaks.
    pub(crate) fn drop_connection(&mut self, client: Client) {
        self.core.handle_disconnected(client.id);
        self.settle();
    }

    /// The stream is gone; nothing is settled.
    pub(crate) fn hang_up(&mut self, client: &Client) {
        self.core.handle_disconnected(client.id);
        self.take_effects();
        self.closing.retain(|id| *id != client.id);
    }

    pub(crate) fn is_closed(&self, client: &Client) -> bool {
        self.closing.contains(&client.id)
    }

    /// What it says of itself.
    pub(crate) fn status(&mut self) -> NodeStatus {
        let (reply, mut answer) = tokio::sync::oneshot::channel();
        self.core.handle_request(Request::Status { reply });
        answer.try_recv().expect("the core answers at once")
    }

    /// When the events on this topic expire, oldest first, in milliseconds from now by the wall clock.
    pub(crate) fn expirytimes(&self, topic: &str) -> Vec<Option<i64>> {
        let spool = self.core.spool();
        let entries = (1..=spool.committed().0).filter_map(|seq| spool.read_at(Seq(seq)).unwrap());
        let seen = entries.filter_map(|entry| view::event(&entry));
        let now = i64::try_from(self.now().0).unwrap();
        seen.filter(|seen| seen.topic == topic)
            .map(|seen| Some(timestamp_millis(&seen.event.extension_text("expirytime")?)? - now))
            .collect()
    }

    /// The count in the ledger for a reason.
    pub(crate) fn lost(&self, reason: spool::LossReason) -> u64 {
        self.core
            .spool()
            .status()
            .ledger
            .iter()
            .filter(|loss| loss.reason == reason)
            .map(|loss| loss.count)
            .sum()
    }
}
