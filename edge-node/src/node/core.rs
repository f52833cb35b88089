//! The node's core: broker, log and ingest on one thread.
//!
//! Every door of the broker is called inside one transaction of the log; when it has ended, the broker's actions are
//! carried out. What needs the outside (sockets, reads of the log) becomes an [`Effect`] for the shell.

use std::sync::Arc;

use bytes::BytesMut;
use spool::{Batch, NodeTime, Spool, StorageError, clock::ClockMark};

use crate::{
    broker::{Action, Broker, ConnectionId, Excess, Journal, PeerError, sink_cursor},
    config::NodeId,
    ingest::Ingest,
    jq::Outcome,
    mqtt::packet::ReasonCode,
    rules::{JqJob, Judge},
};

mod devices;
mod groups;
mod log_order;
mod reading;
mod requests;
mod status;

use self::log_order::LogOrder;
pub use self::reading::{Order, Reading};

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

    /// Runs one door of the broker inside a transaction, and has the log do what it says.
    fn transact<T>(&mut self, door: impl FnOnce(&mut Broker, &mut Journal<'_>) -> T) -> T {
        let result = self.append(door);
        self.carry_out();
        result
    }

    /// A commit may take all of it before anything else happens.
    fn append<T>(&mut self, door: impl FnOnce(&mut Broker, &mut Journal<'_>) -> T) -> T {
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
        self.broker.hand_over(&mut journal);
        journal.finish();
        result
    }

    fn carry_out(&mut self) {
        for order in self.take_log_orders() {
            order.carry_out(&self.spool);
        }
        self.effects
            .extend(self.broker.take_job().map(Effect::Work));
    }

    /// What the log is told, in this order, and beside it effects. A commit may come between any two: what is let go was
    /// counted before, and what is kept was pinned.
    fn take_log_orders(&mut self) -> Vec<LogOrder> {
        let losses = self.broker.take_losses();
        let mut orders: Vec<_> = losses.into_iter().map(LogOrder::Lose).collect();
        while let Some(action) = self.broker.poll_action() {
            let effect = match action {
                Action::Flush(id) => Effect::Flush(id),
                Action::Close(id) => Effect::Close(id),
                Action::Resume(id) => Effect::Resume(id),
                Action::Fault(id, error) => Effect::Fault(id, error),
                Action::Excess(id, excess) => Effect::Excess(id, excess),
                Action::Read {
                    reader,
                    request,
                    ticket,
                } => Effect::Read(Reading::Debt(reader, request, ticket)),
                Action::RunErrands {
                    session,
                    ticket,
                    errands,
                } => Effect::Read(Reading::Errands(session, ticket, errands)),
                Action::Pin(seq) => {
                    orders.push(LogOrder::Pin(seq));
                    continue;
                }
                Action::Unpin(seq) => {
                    orders.push(LogOrder::Unpin(seq));
                    continue;
                }
            };
            self.effects.push(effect);
        }
        orders.extend(log_order::acknowledgements(
            &self.broker.take_acknowledged(),
        ));
        orders
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
