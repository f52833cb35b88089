//! The node's core: broker, log and ingest on one thread.
//!
//! Every door of the broker is called inside one transaction of the log; when it has ended, the broker's actions are
//! carried out. What needs the outside (sockets, reads of the log) becomes an [`Effect`] for the shell.

use std::sync::Arc;

use bytes::BytesMut;
use spool::{Batch, CursorId, NodeTime, ReadLimits, Seq, Spool, StorageError, clock::ClockMark};

use crate::{
    broker::{
        Action, Broker, ConnectionId, Errand, Excess, Journal, KnownSink, PeerError, ReadRequest,
        Reader, Ticket, dead_cursor, sink_cursor,
    },
    config::{NodeId, units::ByteSize},
    ingest::Ingest,
    jq::Outcome,
    mqtt::packet::ReasonCode,
    node::{
        handle::{Incoming, PublishError, RemoveError, Request},
        status::{LossStatus, MessagesStatus, NodeHealth, NodeStatus, SessionsStatus, SpoolStatus},
    },
    rules::{JqJob, Judge},
};

mod devices;
mod groups;

/// Tells the time: the node clock, by which ages are measured, and the wall clock, which events carry.
pub type Clock = Arc<dyn Fn() -> ClockMark + Send + Sync>;

/// What the shell has to do.
#[derive(Debug)]
pub enum Effect {
    /// There is something to write to this client.
    Flush(ConnectionId),
    /// Close it when all is written.
    Close(ConnectionId),
    /// Read it again.
    Resume(ConnectionId),
    /// Its peer is at fault: say so, once for many.
    Fault(ConnectionId, PeerError),
    /// Its peer is not given something: say so, once for many.
    Excess(ConnectionId, Excess),
    /// Run a jq program on an event, on a thread that may block, then hand the outcome to `handle_outcome`.
    Work(JqJob),
    /// Run the reading on a thread that may block, then hand the result to `handle_reading`.
    Read(Reading),
}

/// Something to be read from the log.
#[derive(Debug)]
pub enum Reading {
    /// For a session or group that is behind.
    Debt(Reader, ReadRequest, Ticket),
    /// For a session that resumes or subscribes.
    Errands(usize, Ticket, Vec<Errand>),
}

impl Reading {
    /// What is to be read; `Send`, unlike the reading.
    pub fn order(&self) -> Order {
        match self {
            Reading::Debt(_, request, _) => match request.clone() {
                ReadRequest::Cursor {
                    cursor,
                    after,
                    limits,
                } => Order::Cursor {
                    cursor,
                    after,
                    limits,
                },
                ReadRequest::Positions(seqs) => Order::Positions {
                    seqs,
                    bytes: DEBT_BYTES,
                },
            },
            Reading::Errands(_, _, errands) => Order::Positions {
                seqs: errands.iter().filter_map(Errand::seq).collect(),
                bytes: usize::MAX,
            },
        }
    }
}

/// A read of the log, ready to run anywhere.
#[derive(Clone, Debug)]
pub enum Order {
    /// What a cursor is owed.
    Cursor {
        /// The cursor.
        cursor: CursorId,
        /// Behind this position.
        after: Seq,
        /// At most so much.
        limits: ReadLimits,
    },
    /// These records, until there are so many bytes.
    Positions {
        /// Their positions.
        seqs: Vec<Seq>,
        /// The bound.
        bytes: usize,
    },
}

impl Order {
    /// Runs it; may block on the disk.
    pub fn run(&self, spool: &Spool) -> Result<Batch, StorageError> {
        match self {
            Order::Cursor {
                cursor,
                after,
                limits,
            } => spool.read(*cursor, *after, *limits),
            Order::Positions { seqs, bytes } => read_positions(spool, seqs, *bytes),
        }
    }
}

/// Reads what is committed of these positions, until it has so many bytes. `next` is the last read, or, where all are, the
/// last committed.
fn read_positions(spool: &Spool, seqs: &[Seq], bytes: usize) -> Result<Batch, StorageError> {
    let committed = spool.committed();
    let mut batch = Batch {
        next: committed,
        ..Batch::default()
    };
    let mut read = 0;
    for seq in seqs.iter().filter(|seq| **seq <= committed) {
        let entry = spool.read_at(*seq)?;
        read += entry.as_ref().map_or(0, |entry| entry.body.len());
        batch.entries.extend(entry);
        if read >= bytes {
            batch.next = *seq;
            break;
        }
    }
    Ok(batch)
}

/// Bytes read at once of the positions a reader is behind.
const DEBT_BYTES: usize = 256 * 1024;

/// How the names of the cursors over what sessions are owed begin.
const SESSION_CURSORS: &str = "session/";

/// Broker and log, and what joins them.
pub struct Core {
    spool: Spool,
    broker: Broker,
    ingest: Ingest,
    clock: Clock,
    started: NodeTime,
    /// Without any sink, what nobody is owed is kept as history.
    keeps_history: bool,
    effects: Vec<Effect>,
}

impl Core {
    /// Joins a broker, recovered and started, to its log.
    pub fn new(
        spool: Spool,
        broker: Broker,
        ingest: Ingest,
        clock: Clock,
        keeps_history: bool,
    ) -> Core {
        let started = clock().node;
        let mut core = Core {
            spool,
            broker,
            ingest,
            clock,
            started,
            keeps_history,
            effects: Vec::new(),
        };
        core.meet_uplinks();
        core.transact(Broker::handle_stages);
        core
    }

    /// Judges every publish by these rules from here on; gives back those before. The uplinks they know are those of the node.
    pub fn set_rules(&mut self, judge: Judge) -> Judge {
        let before = self.broker.set_rules(judge);
        self.meet_uplinks();
        self.transact(Broker::handle_stages);
        before
    }

    /// Tells of losses on this topic from here on. `node` is what the node calls itself.
    pub fn tell_losses(&mut self, topic: String, node: NodeId) {
        self.broker.tell_losses(topic, node);
    }

    fn meet_uplinks(&mut self) {
        let spool = &self.spool;
        self.broker.meet_uplinks(|name| {
            let cursor = spool.cursor(&sink_cursor(name));
            cursor.expect("every uplink of the configuration has a cursor")
        });
    }

    /// Runs one door of the broker inside a transaction.
    fn transact<T>(&mut self, door: impl FnOnce(&mut Broker, &mut Journal<'_>) -> T) -> T {
        let mut journal = Journal::begin(
            &self.spool,
            &mut self.ingest,
            (self.clock)(),
            self.keeps_history,
        );
        let result = door(&mut self.broker, &mut journal);
        if self.broker.has_derived() {
            self.broker.publish_derived(&mut journal);
        }
        self.broker.hand_over_retentions(&mut journal);
        journal.finish();
        self.carry_out();
        result
    }

    fn carry_out(&mut self) {
        while let Some(action) = self.broker.poll_action() {
            match action {
                Action::Flush(id) => self.effects.push(Effect::Flush(id)),
                Action::Close(id) => self.effects.push(Effect::Close(id)),
                Action::Resume(id) => self.effects.push(Effect::Resume(id)),
                Action::Fault(id, error) => self.effects.push(Effect::Fault(id, error)),
                Action::Excess(id, excess) => self.effects.push(Effect::Excess(id, excess)),
                Action::Read {
                    reader,
                    request,
                    ticket,
                } => self
                    .effects
                    .push(Effect::Read(Reading::Debt(reader, request, ticket))),
                Action::RunErrands {
                    session,
                    ticket,
                    errands,
                } => {
                    self.effects
                        .push(Effect::Read(Reading::Errands(session, ticket, errands)));
                }
                Action::Pin(seq) => self.spool.pin(seq),
                Action::Unpin(seq) => self.spool.unpin(seq),
                Action::Lose(loss) => self.spool.record_loss(loss),
            }
        }
        // A commit may come at any time: what is let go was counted before, and what is kept was pinned.
        acknowledge(&self.spool, &self.broker.take_acknowledged());
        self.effects
            .extend(self.broker.take_job().map(Effect::Work));
    }

    /// What the shell has to do since the last call.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// A client connected.
    pub fn handle_connected(&mut self, peer: String) -> ConnectionId {
        self.broker.handle_connected((self.clock)().node, peer)
    }

    /// A client sent bytes; `bytes` is empty afterwards.
    pub fn handle_input(&mut self, id: ConnectionId, bytes: &mut BytesMut) {
        self.transact(|broker, journal| broker.handle_input(journal, id, bytes));
    }

    /// A stopped client is read again.
    pub fn handle_resumed(&mut self, id: ConnectionId) {
        self.transact(|broker, journal| broker.handle_resumed(journal, id));
    }

    /// A client's stream ended.
    pub fn handle_disconnected(&mut self, id: ConnectionId) {
        self.transact(|broker, journal| broker.handle_disconnected(journal, id));
    }

    /// Whether this client is to be read.
    pub fn wants_input(&self, id: ConnectionId) -> bool {
        self.broker.wants_input(id)
    }

    /// Bytes to take at once from a client that is to be read.
    pub fn input_bytes(&self) -> usize {
        self.broker.input_bytes()
    }

    /// Moves what is to be written to this client into `buffer`, which is empty.
    pub fn take_output(&mut self, id: ConnectionId, buffer: &mut BytesMut) {
        self.broker.take_output(id, buffer);
        self.carry_out();
    }

    /// The log has committed, or has room again.
    pub fn handle_commit(&mut self) {
        let now = (self.clock)().node;
        self.broker.handle_commit(self.spool.committed(), now);
        self.publish_derived();
        // Each in a transaction of its own: a record may fit none with others.
        for id in self.broker.withholding() {
            self.transact(|broker, journal| broker.handle_room(journal, id));
        }
        self.carry_out();
    }

    /// Tries what was derived and found no room once more.
    fn publish_derived(&mut self) {
        self.broker.let_derived_go();
        if self.broker.has_derived() || self.broker.has_unsettled() {
            self.transact(Broker::write_answer_again);
        }
    }

    /// A reading is done. A read that failed is tried again after a while.
    pub fn handle_reading(&mut self, reading: Reading, found: Result<Batch, StorageError>) {
        let found = found
            .inspect_err(|error| tracing::error!(%error, "the log cannot be read"))
            .ok();
        self.transact(|broker, journal| match reading {
            Reading::Debt(reader, request, ticket) => match found {
                Some(batch) => broker.handle_read(reader, &request, ticket, batch, journal),
                None => broker.handle_unread(reader, ticket, journal.now),
            },
            Reading::Errands(session, ticket, errands) => {
                let entries = found.as_ref().map(|batch| batch.entries.as_slice());
                broker.handle_errands(session, ticket, errands, entries, journal);
            }
        });
    }

    /// A jq program has been run.
    pub fn handle_outcome(&mut self, job: JqJob, outcome: Outcome) {
        self.transact(|broker, journal| broker.handle_outcome(journal, job, outcome));
    }

    /// When `handle_deadline` wants to be called.
    pub fn next_deadline(&self) -> Option<NodeTime> {
        self.broker.next_deadline()
    }

    /// Does what is due, and takes a checkpoint where one is.
    pub fn handle_deadline(&mut self) {
        if self
            .broker
            .next_deadline()
            .is_some_and(|due| due <= (self.clock)().node)
        {
            self.transact(|broker, journal| broker.handle_deadline(journal));
        }
        if self.broker.is_telling_due((self.clock)().node) {
            self.transact(Broker::handle_losses);
        }
        if self.broker.rules().has_unnamed_stages() {
            self.transact(Broker::handle_stages);
        }
        self.publish_derived();
        let now = (self.clock)();
        if self.spool.checkpoint_due() || self.broker.is_checkpoint_due(now.node) {
            self.spool.checkpoint(self.broker.snapshot(now));
            self.broker.is_covered(now.node);
        }
    }

    /// A door asks.
    pub fn handle_request(&mut self, request: Request) {
        // An asker that went away needs no answer.
        match request {
            Request::Publish {
                origin,
                events,
                reply,
            } => {
                if let Some(index) = self.speaks_for_device(&events) {
                    return drop(reply.send(Err(not_for_others(index))));
                }
                let now = (self.clock)();
                let mut journal =
                    Journal::begin(&self.spool, &mut self.ingest, now, self.keeps_history);
                let taken = self.broker.handle_events(&mut journal, &origin, &events);
                if taken.is_ok() {
                    self.broker.publish_derived(&mut journal);
                    self.broker.hand_over_retentions(&mut journal);
                    journal.finish();
                } else {
                    drop(journal); // takes back what was appended of the batch
                }
                self.carry_out();
                drop(reply.send(taken.map_err(full)));
            }
            Request::Groups(request) => self.handle_group_request(request),
            Request::RemoveSink { name, reply } => drop(reply.send(self.remove_sink(&name))),
            Request::Devices(request) => self.handle_device_request(request),
            Request::Tap { reply } => drop(reply.send(self.broker.open_tap())),
            Request::Status { reply } => drop(reply.send(self.status())),
        }
    }

    /// The first of these events on a topic where only a device or the node itself speaks.
    fn speaks_for_device(&self, events: &[Incoming]) -> Option<usize> {
        events.iter().position(|incoming| {
            let carried = incoming.mesh_topic();
            let is_open = |topic: &str| self.broker.is_open_topic(topic);
            !is_open(&incoming.topic) || carried.is_some_and(|topic| !is_open(&topic))
        })
    }

    fn remove_sink(&mut self, name: &str) -> Result<Seq, RemoveError> {
        let sink = || name.to_owned();
        let known = KnownSink {
            debt: self.spool.cursor(&sink_cursor(name)),
            dead: self.spool.cursor(&dead_cursor(name)),
        };
        match known.debt {
            Some(debt) if self.broker.is_sink(debt) => {
                return Err(RemoveError::Configured { sink: sink() });
            }
            None if known.dead.is_none() => return Err(RemoveError::Unknown { sink: sink() }),
            _ => {}
        }
        self.transact(|broker, journal| broker.handle_remove_sink(journal, name, known))
            .map_err(|error| RemoveError::Unavailable {
                what: error.to_string(),
            })
    }

    fn status(&self) -> NodeStatus {
        let now = (self.clock)().node;
        let log = self.spool.status();
        let counters = self.broker.counters();
        NodeStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_ms: now.0.saturating_sub(self.started.0),
            health: health(&log),
            sessions: self.sessions_status(&log),
            devices: self.broker.devices_status(),
            messages: MessagesStatus {
                received: counters.received,
                acknowledged: counters.acknowledged,
                delivered: counters.delivered,
                events: counters.events,
                gaps: counters.gaps,
                wrapped: counters.wrapped,
                refused: counters.refused,
            },
            spool: SpoolStatus::of(&log, now),
            rules: self.broker.rules().status(),
            derived_waiting: self.broker.rules().waiting() as u64,
            decoders: self.broker.rules().decoders_status(),
            ledger: log
                .ledger
                .iter()
                .map(|loss| LossStatus::of(loss, now))
                .collect(),
            ..NodeStatus::default()
        }
    }

    fn sessions_status(&self, log: &spool::Status) -> SessionsStatus {
        let cursors = log.cursors.iter();
        let owed: Vec<_> = cursors
            .filter(|cursor| cursor.name.starts_with(SESSION_CURSORS))
            .collect();
        SessionsStatus {
            pending_records: owed.iter().map(|cursor| cursor.pending_records).sum(),
            pending_bytes: owed.iter().map(|cursor| cursor.pending_bytes).sum(),
            ..self.broker.sessions_status()
        }
    }

    /// The node is about to stop: no client is read any more.
    pub fn stop_reading(&mut self) {
        self.broker.stop_reading();
        self.carry_out();
    }

    /// The node stops: every client is told, and no more input is taken.
    pub fn shut_down(&mut self) {
        self.transact(|broker, journal| {
            broker.shut_down(ReasonCode::ServerShuttingDown);
            let _ = journal; // What clients sent before is committed by the caller.
        });
    }

    /// Ends the log cleanly.
    pub fn close(&mut self) -> Result<(), StorageError> {
        self.spool
            .close(self.broker.snapshot((self.clock)()), (self.clock)().node)
    }

    /// The broker, to be looked at.
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// The log.
    pub fn spool(&self) -> &Spool {
        &self.spool
    }

    /// The time.
    pub fn now(&self) -> NodeTime {
        (self.clock)().node
    }
}

/// Hands acknowledgements to the log, a run per cursor.
fn acknowledge(spool: &Spool, acknowledged: &[(CursorId, Seq)]) {
    for run in acknowledged.chunk_by(|(a, _), (b, _)| a == b) {
        let seqs: Vec<Seq> = run.iter().map(|(_, seq)| *seq).collect();
        if let Some((cursor, _)) = run.first() {
            spool.ack(*cursor, &seqs);
        }
    }
}

fn not_for_others(index: usize) -> PublishError {
    PublishError::Refused {
        index,
        reason: "its topic belongs to a device of [devices]; commands to it go to POST /api/v1/devices/ID/commands".to_owned(),
    }
}

fn full(full: spool::Full) -> PublishError {
    match full {
        spool::Full::TooLarge => PublishError::TooLarge,
        spool::Full::Bound { .. } | spool::Full::Waiting | spool::Full::UnknownRoute => {
            PublishError::Full {
                what: full.to_string(),
            }
        }
    }
}

fn health(log: &spool::Status) -> NodeHealth {
    let full = log.lanes.iter().filter(|lane| lane.full);
    let mut reasons: Vec<String> = full
        .map(|lane| format!("lane {} is full", lane.name))
        .collect();
    let (free, kept) = (log.free_bytes, log.min_free_bytes);
    if free < kept {
        reasons.push(format!(
            "the disk has {} free and `min-free` of [spool] keeps {}: the log gets no new file",
            ByteSize(free),
            ByteSize(kept)
        ));
    }
    if let spool::Health::Failing { error, .. } = &log.health {
        reasons.insert(
            0,
            format!("the disk does not take what it is given: {error}"),
        );
        return NodeHealth::Failing { reasons };
    }
    if reasons.is_empty() {
        NodeHealth::Ok
    } else {
        NodeHealth::Degraded { reasons }
    }
}
