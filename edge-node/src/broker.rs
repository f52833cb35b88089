//! The broker: MQTT 3.1.1 and 5.0 as a state machine over the log.
//!
//! ```text
//!  bytes ─▶ handle_input ─▶ packet ─┬▶ publish ───▶ journal (one transaction) ─▶ position
//!                                   ├▶ connect, subscribe … ─▶ Change ─▶ journal ─▶ apply
//!                                   └▶ acknowledgements of subscribers ─▶ cursors
//!  handle_commit ─▶ answers whose position is on stable storage leave, in order, per connection
//!  poll_action ─▶ flush, close, read from the log, acknowledge to a cursor
//! ```
//!
//! What survives a restart (`session::Kept`, groups, retained) is the fold of the log: `apply` is the only place that
//! changes it, live and at recovery. Nothing here reads a clock, a socket or a file.
//!
//! Start reading at [`Broker::handle_input`], then `publish.rs`.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    num::NonZeroU16,
    rc::Rc,
    sync::Arc,
};

use bytes::BytesMut;
use slab::Slab;
use spool::{CursorId, Full, Loss, NodeTime, ReadLimits, Seq, clock::ClockMark};

mod answer;
mod apply;
mod connect;
mod connection;
mod delivery;
mod doors;
mod errands;
mod feed;
mod flight;
mod group;
pub(crate) mod journal;
mod publish;
mod retained;
mod session;
mod snapshot;
mod subscribe;
mod subscriptions;

pub use connection::ConnectionId;
pub use doors::{KnownSink, SinkCursors, dead_cursor, sink_cursor};
pub use errands::{Errand, RetainedGrant};
pub use journal::Journal;

use crate::{
    mqtt::{
        self,
        decode::DecodeError,
        packet::{Packet, ReasonCode},
    },
    record::Change,
};
use answer::{Answer, Gate};
use connection::{Connection, Phase};
use flight::Place;
use group::{Group, GroupId};
use retained::Retained;
use session::{Session, SessionId};
use subscriptions::{Subscriptions, Terms};

/// The bounds of the broker.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Publishes above QoS 0 a client may have in flight to the node.
    pub receive_maximum: usize,
    /// Largest packet in bytes.
    pub packet_bytes: usize,
    /// Highest topic alias a client may use.
    pub topic_alias_maximum: u16,
    /// Longest session expiry interval granted, in seconds.
    pub session_expiry_seconds: u32,
    /// Longest keep-alive granted to a client of version 5, in seconds; 0: any.
    pub keep_alive_seconds: u16,
    /// Sessions, connected or not.
    pub sessions: usize,
    /// Topics with a retained message.
    pub retained: usize,
    /// Subscriptions of one session.
    pub subscriptions: usize,
    /// Bytes an offline session may be owed before it loses its oldest.
    pub session_bytes: u64,
    /// Bytes of publishes that wait for room, over all connections.
    pub withheld_bytes: usize,
    /// Milliseconds from the opening of a connection to its CONNECT.
    pub connect_timeout_ms: u64,
}

/// The node's name for itself: 64 random bits, and how often it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Identity {
    /// Random, once.
    pub node: u64,
    /// One more at each start.
    pub boot: u32,
}

/// What the shell is to do.
#[derive(Debug)]
pub enum Action {
    /// There are bytes to write: `take_output`.
    Flush(ConnectionId),
    /// Write what is there, then close.
    Close(ConnectionId),
    /// Read from this client again.
    Resume(ConnectionId),
    /// Read from the log, then `handle_read`.
    Read {
        /// For whom.
        reader: Reader,
        /// What.
        request: ReadRequest,
    },
    /// Read what the errands name, then `handle_errands`.
    RunErrands {
        /// The connection they are for.
        connection: ConnectionId,
        /// Its session.
        session: usize,
        /// What is to be sent.
        errands: Vec<Errand>,
    },
    /// The peer of this connection is at fault, and its connection ends: say so, once for many.
    Fault(ConnectionId, PeerError),
    /// Keep this record though nobody is owed it.
    Pin(Seq),
    /// Keep it no longer.
    Unpin(Seq),
    /// Enter it in the ledger.
    Lose(Loss),
}

/// Who reads the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reader {
    /// A session.
    Session(usize),
    /// A shared group.
    Group(usize),
}

/// What a reader wants.
#[derive(Clone, Debug)]
pub enum ReadRequest {
    /// The debt of a cursor.
    Cursor {
        /// The cursor.
        cursor: CursorId,
        /// Behind this position.
        after: Seq,
        /// At most so much.
        limits: ReadLimits,
    },
    /// These positions; `Batch::next` is to be the committed position at the time of reading.
    Positions(Vec<Seq>),
}

/// Why a connection ends.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum PeerError {
    /// The peer broke the protocol; it gets the reason and is closed.
    #[error("{1} (reason code 0x{code:02x})", code = *.0 as u8)]
    Protocol(ReasonCode, &'static str),
    /// CONNECT is answered with this reason.
    #[error("connection refused: {1} (reason code 0x{code:02x})", code = *.0 as u8)]
    Refused(ReasonCode, &'static str),
    /// Its bytes are no packet; the reason code and what is wrong.
    #[error("{1} (reason code 0x{code:02x})", code = *.0 as u8)]
    Malformed(ReasonCode, String),
    /// The log has no room for what the peer asks; it may come back later.
    #[error("the log has no room: {0}")]
    Full(#[from] Full),
}

impl PeerError {
    /// The kind of fault, without its details.
    pub fn kind(&self) -> &'static str {
        match self {
            PeerError::Protocol(_, why) | PeerError::Refused(_, why) => why,
            PeerError::Malformed(..) => "what it sent is no valid packet",
            PeerError::Full(_) => "the log has no room for what it asks",
        }
    }

    fn reason(&self) -> ReasonCode {
        match self {
            PeerError::Protocol(reason, _)
            | PeerError::Refused(reason, _)
            | PeerError::Malformed(reason, _) => *reason,
            PeerError::Full(_) => ReasonCode::QuotaExceeded,
        }
    }
}

/// Counts since start.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Counters {
    /// Connections that completed CONNECT.
    pub connects: u64,
    /// PUBLISH packets taken, by QoS.
    pub received: [u64; 3],
    /// Of these above QoS 0: acknowledged, so on stable storage or owed to nobody.
    pub acknowledged: u64,
    /// PUBLISH packets sent, by QoS, repeats included.
    pub delivered: [u64; 3],
    /// Events taken through other doors.
    pub events: u64,
    /// Publishes that were no valid event and were wrapped.
    pub wrapped: u64,
    /// Publishes refused.
    pub refused: u64,
    /// Packets received.
    pub packets: u64,
    /// Connections ended for a fault of the peer.
    pub peer_faults: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    KeepAlive(ConnectionId),
    Will(String),
    SessionEnd(String),
    Retained,
    MissingSink(String, CursorId),
}

/// How often retained messages are searched for expired ones, in milliseconds, while there are any that expire.
const RETAINED_SWEEP_MS: u64 = 30_000;

/// The broker's whole state.
pub struct Broker {
    limits: Limits,
    identity: Identity,
    /// The node clock beside the wall clock at the last start or checkpoint.
    clock: Option<ClockMark>,
    connections: Slab<Connection>,
    sessions: Slab<Session>,
    clients: HashMap<Arc<str>, SessionId>,
    groups: Slab<Group>,
    group_names: HashMap<String, GroupId>,
    subscriptions: Subscriptions,
    sinks: HashMap<String, NodeTime>,
    /// The lanes each sink takes, bit n for lane n.
    sink_lanes: HashMap<CursorId, u32>,
    retained: Retained,
    routes: HashMap<spool::RouteId, Rc<Terms>>,
    timers: BTreeSet<(NodeTime, Timer)>,
    /// Readers that are behind.
    hungry: BTreeSet<Reader>,
    /// Connections with answers that wait.
    acking: BTreeSet<ConnectionId>,
    /// Connections with publishes that wait for room.
    withholding: BTreeSet<ConnectionId>,
    withheld_bytes: usize,
    acknowledged: Vec<(CursorId, Seq)>,
    /// Whether a subscriber acknowledged something, so that readers may go on.
    room_made: bool,
    actions: VecDeque<Action>,
    flushing: BTreeSet<ConnectionId>,
    committed: Seq,
    appended: Seq,
    /// Everything up to here was there before this start: a delivery may be a repeat.
    recovered: Seq,
    assigned: u64,
    stopping: bool,
    counters: Counters,
}

impl Broker {
    /// An empty broker; recovery calls `restore` and `apply` before anything else.
    pub fn new(limits: Limits) -> Broker {
        Broker {
            limits,
            identity: Identity::default(),
            clock: None,
            connections: Slab::new(),
            sessions: Slab::new(),
            clients: HashMap::new(),
            groups: Slab::new(),
            group_names: HashMap::new(),
            subscriptions: Subscriptions::default(),
            sinks: HashMap::new(),
            sink_lanes: HashMap::new(),
            retained: Retained::default(),
            routes: HashMap::new(),
            timers: BTreeSet::new(),
            hungry: BTreeSet::new(),
            acking: BTreeSet::new(),
            withholding: BTreeSet::new(),
            withheld_bytes: 0,
            acknowledged: Vec::new(),
            room_made: false,
            actions: VecDeque::new(),
            flushing: BTreeSet::new(),
            committed: Seq::ZERO,
            appended: Seq::ZERO,
            recovered: Seq::ZERO,
            assigned: 0,
            stopping: false,
            counters: Counters::default(),
        }
    }

    /// Ends recovery: names the node where it has no name yet, and lets wills and expiries run.
    pub fn start(&mut self, journal: &mut Journal<'_>, random: u64) -> Result<Identity, Full> {
        self.recovered = journal.appended();
        let clock = journal.clock();
        self.appended = self.recovered;
        if self.identity.node == 0 {
            self.change(
                journal,
                Change::Named {
                    node: random.max(1),
                },
            )?;
        }
        let boot = self.identity.boot.wrapping_add(1);
        self.change(journal, Change::Started { boot, clock })?;
        for seq in self.retained.positions() {
            self.actions.push_back(Action::Pin(seq));
        }
        self.restart_sessions(journal);
        if self.retained.next_expiry().is_some() {
            self.timers
                .insert((NodeTime(journal.now.0 + RETAINED_SWEEP_MS), Timer::Retained));
        }
        Ok(self.identity)
    }

    /// The node clock beside the wall clock when the log last said so.
    pub fn clock_mark(&self) -> Option<ClockMark> {
        self.clock
    }

    /// A client connected.
    pub fn handle_connected(&mut self, now: NodeTime, peer: String) -> ConnectionId {
        let id = self
            .connections
            .insert(Connection::new(peer, now, self.limits.packet_bytes));
        self.timers.insert((
            NodeTime(now.0 + self.limits.connect_timeout_ms),
            Timer::KeepAlive(id),
        ));
        id
    }

    /// A client sent bytes: takes all whole packets out of them, up to a bound. What is left stays for later.
    pub fn handle_input(
        &mut self,
        journal: &mut Journal<'_>,
        id: ConnectionId,
        bytes: &mut BytesMut,
    ) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        connection.last_seen = journal.now;
        if connection.input.is_empty() {
            self.take_packets(journal, id, bytes);
        } else {
            let mut input = std::mem::take(&mut connection.input);
            input.extend_from_slice(bytes);
            self.take_packets(journal, id, &mut input);
            bytes.clear();
            std::mem::swap(bytes, &mut input);
        }
        if let Some(connection) = self.connections.get_mut(id)
            && connection.phase != Phase::Closing
            && !bytes.is_empty()
        {
            connection.input = BytesMut::from(bytes.as_ref());
        }
        bytes.clear();
        if std::mem::take(&mut self.room_made) {
            self.feed_hungry();
        }
    }

    /// A stopped client is read again: takes the packets that were already here.
    pub fn handle_resumed(&mut self, journal: &mut Journal<'_>, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let mut input = std::mem::take(&mut connection.input);
        self.handle_input(journal, id, &mut input);
    }

    fn take_packets(&mut self, journal: &mut Journal<'_>, id: ConnectionId, input: &mut BytesMut) {
        loop {
            let Some(connection) = self.connections.get_mut(id) else {
                return;
            };
            if connection.phase == Phase::Closing {
                return;
            }
            let withheld = self.withheld_bytes >= self.limits.withheld_bytes
                && !connection.withheld.is_empty();
            if withheld || connection.is_at_bound(self.limits.receive_maximum) {
                connection.paused = true;
                return;
            }
            let result = match connection.decoder.decode(input) {
                Ok(Some(packet)) => {
                    self.counters.packets += 1;
                    self.handle_packet(journal, id, packet)
                }
                Ok(None) => return,
                // Whoever sent it may not speak MQTT at all, and gets no answer in it.
                Err(DecodeError::UnknownProtocol) => Err(PeerError::Malformed(
                    ReasonCode::MalformedPacket,
                    DecodeError::UnknownProtocol.to_string(),
                )),
                Err(error) => Err(PeerError::Malformed(error.reason(), error.to_string())),
            };
            if let Err(error) = result {
                self.fail(journal, id, &error);
                return;
            }
        }
    }

    /// Ends a connection for a fault of its peer: it alone pays.
    fn fail(&mut self, journal: &mut Journal<'_>, id: ConnectionId, error: &PeerError) {
        self.counters.peer_faults += 1;
        let committed = self.committed;
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        tracing::debug!(peer = %connection.peer, %error, "connection ended");
        self.actions.push_back(Action::Fault(id, error.clone()));
        connection.release(committed);
        let session = connection.session();
        match connection.phase {
            Phase::Greeting => {
                if let Some(version) = connection.decoder.version() {
                    connection.version = version;
                }
                if matches!(
                    error,
                    PeerError::Refused(..) | PeerError::Full(_) | PeerError::Protocol(..)
                ) || error.reason() == ReasonCode::UnsupportedProtocolVersion
                {
                    let refusal = mqtt::packet::ConnAck::new(error.reason());
                    connection.send(&Packet::ConnAck(Box::new(refusal)));
                }
                connection.phase = Phase::Closing;
                self.close(id);
            }
            Phase::Open(_) => self.disconnect(id, error.reason()),
            Phase::Closing => {}
        }
        if let Some(session) = session {
            self.end_session_connection(journal, id, session, true);
        }
    }

    fn handle_packet(
        &mut self,
        journal: &mut Journal<'_>,
        id: ConnectionId,
        packet: Packet,
    ) -> Result<(), PeerError> {
        let Some(connection) = self.connections.get(id) else {
            return Ok(());
        };
        match (connection.phase, packet) {
            (Phase::Greeting, Packet::Connect(connect)) => {
                self.handle_connect(journal, id, &connect)
            }
            (Phase::Greeting, _) => Err(PeerError::Malformed(
                ReasonCode::ProtocolError,
                "the first packet is not CONNECT".into(),
            )),
            (Phase::Closing, _) => Ok(()),
            (Phase::Open(session), packet) => self.handle_open(journal, id, session, packet),
        }
    }

    fn handle_open(
        &mut self,
        journal: &mut Journal<'_>,
        id: ConnectionId,
        session: SessionId,
        packet: Packet,
    ) -> Result<(), PeerError> {
        match packet {
            Packet::Publish(publish) => {
                self.handle_publish(journal, id, session, publish)?;
            }
            Packet::PubAck(ack) => self.handle_acknowledgement(session, ack.packet_id.0),
            Packet::PubRec(ack) => {
                self.handle_receipt(journal, id, session, ack.packet_id.0, ack.reason)?
            }
            Packet::PubRel(ack) => self.handle_release(journal, id, session, ack.packet_id.0)?,
            Packet::PubComp(ack) => self.handle_completion(journal, session, ack.packet_id.0)?,
            Packet::Subscribe(subscribe) => {
                self.handle_subscribe(journal, id, session, &subscribe)?
            }
            Packet::Unsubscribe(unsubscribe) => {
                self.handle_unsubscribe(journal, id, session, unsubscribe)?
            }
            Packet::PingReq => {
                if let Some(connection) = self.connections.get_mut(id) {
                    connection.send(&Packet::PingResp);
                }
                self.flush(id);
            }
            Packet::Disconnect(disconnect) => {
                self.handle_disconnect(journal, id, session, &disconnect)?
            }
            Packet::Auth(_) => {
                return Err(PeerError::Protocol(
                    ReasonCode::ProtocolError,
                    "AUTH without an authentication method",
                ));
            }
            Packet::Connect(_) => {
                return Err(PeerError::Protocol(
                    ReasonCode::ProtocolError,
                    "a second CONNECT",
                ));
            }
            Packet::ConnAck(_) | Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp => {
                return Err(PeerError::Protocol(
                    ReasonCode::ProtocolError,
                    "a packet that only a server sends",
                ));
            }
        }
        Ok(())
    }

    fn handle_disconnect(
        &mut self,
        journal: &mut Journal<'_>,
        id: ConnectionId,
        session: SessionId,
        disconnect: &mqtt::packet::Disconnect,
    ) -> Result<(), PeerError> {
        if let (Some(expiry), Some(found)) = (
            disconnect.session_expiry_interval,
            self.sessions.get_mut(session),
        ) {
            if found.kept.expiry_seconds == 0 && expiry > 0 {
                return Err(PeerError::Protocol(
                    ReasonCode::ProtocolError,
                    "session expiry raised from zero",
                ));
            }
            found.kept.expiry_seconds = expiry.min(self.limits.session_expiry_seconds);
        }
        let unclean = disconnect.reason != ReasonCode::Success;
        self.end_session_connection(journal, id, session, unclean);
        self.close(id);
        Ok(())
    }

    /// PUBACK of a subscriber.
    fn handle_acknowledgement(&mut self, id: SessionId, packet_id: NonZeroU16) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        // An unknown identifier is the echo of an older connection.
        let Some(flight) = session.flights.remove(packet_id) else {
            return;
        };
        self.settle(id, &flight.place, flight.group);
        self.made_room(id, flight.group);
    }

    /// The reader behind an acknowledged message may take more.
    fn made_room(&mut self, id: SessionId, group: Option<GroupId>) {
        self.room_made = true;
        if self
            .sessions
            .get(id)
            .is_some_and(|session| session.feed.is_behind())
        {
            self.hungry.insert(Reader::Session(id));
        }
        if let Some(group) = group {
            self.hungry.insert(Reader::Group(group));
        }
    }

    /// PUBREC of a subscriber: recorded before PUBREL goes out.
    fn handle_receipt(
        &mut self,
        journal: &mut Journal<'_>,
        id: ConnectionId,
        session_id: SessionId,
        packet_id: NonZeroU16,
        reason: ReasonCode,
    ) -> Result<(), PeerError> {
        let Some(session) = self.sessions.get_mut(session_id) else {
            return Ok(());
        };
        let client = session.client.to_string();
        let Some(flight) = session
            .flights
            .get_mut(packet_id)
            .map(|flight| flight.clone())
        else {
            self.answer(id, Gate::Committed(Seq::ZERO), Answer::PubRel(packet_id));
            return Ok(());
        };
        if reason as u8 >= 0x80 {
            session.flights.remove(packet_id);
            self.settle(session_id, &flight.place, flight.group);
            self.record_of(journal, session_id, Change::Completed { client, packet_id })?;
            self.made_room(session_id, flight.group);
            return Ok(());
        }
        let gate = self.record_of(journal, session_id, Change::Received { client, packet_id })?;
        if flight.phase == flight::Phase::Published {
            let cursor = match flight.group {
                Some(group) => self.groups.get(group).map(|group| group.cursor),
                None => self
                    .sessions
                    .get(session_id)
                    .and_then(|session| session.kept.cursor),
            };
            if let (Some(cursor), Place::Stored(seq)) = (cursor, &flight.place) {
                journal.acknowledge(cursor, *seq);
            }
        }
        if let Some(flight) = self
            .sessions
            .get_mut(session_id)
            .and_then(|session| session.flights.get_mut(packet_id))
        {
            flight.phase = flight::Phase::Released;
        }
        self.answer(id, Gate::Committed(gate), Answer::PubRel(packet_id));
        Ok(())
    }

    /// PUBCOMP of a subscriber.
    fn handle_completion(
        &mut self,
        journal: &mut Journal<'_>,
        id: SessionId,
        packet_id: NonZeroU16,
    ) -> Result<(), PeerError> {
        let Some(session) = self.sessions.get_mut(id) else {
            return Ok(());
        };
        let client = session.client.to_string();
        let Some(flight) = session.flights.remove(packet_id) else {
            return Ok(());
        };
        self.record_of(journal, id, Change::Completed { client, packet_id })?;
        self.made_room(id, flight.group);
        Ok(())
    }

    /// Reads a stopped connection again once it is below its bounds.
    fn resume_reading(&mut self, id: ConnectionId) {
        let withheld = self.withheld_bytes >= self.limits.withheld_bytes;
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let stays = connection.is_at_bound(self.limits.receive_maximum)
            || (withheld && !connection.withheld.is_empty());
        if connection.paused && !stays {
            connection.paused = false;
            self.actions.push_back(Action::Resume(id));
        }
    }

    /// Whether bytes of this client are to be read at all.
    pub fn wants_input(&self, id: ConnectionId) -> bool {
        let reads =
            |connection: &Connection| !connection.paused && connection.phase != Phase::Closing;
        !self.stopping && self.connections.get(id).is_some_and(reads)
    }

    /// Moves the bytes to be written to `buffer`, which is empty.
    pub fn take_output(&mut self, id: ConnectionId, buffer: &mut BytesMut) {
        self.flushing.remove(&id);
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        *buffer = connection.take_out();
        let session = connection.session();
        self.resume_reading(id);
        if session.is_some() && !self.hungry.is_empty() {
            self.feed_hungry();
        }
    }

    /// The stream of a connection has ended, for whatever reason; called once for each `handle_connected`.
    pub fn handle_disconnected(&mut self, journal: &mut Journal<'_>, id: ConnectionId) {
        if let Some(session) = self.connections.get(id).and_then(Connection::session) {
            self.end_session_connection(journal, id, session, true);
        }
        self.connections.try_remove(id);
        self.acking.remove(&id);
        self.withholding.remove(&id);
        self.flushing.remove(&id);
    }

    /// The node is about to stop: no client is read any more.
    pub fn stop_reading(&mut self) {
        self.stopping = true;
        let ids: Vec<ConnectionId> = self.connections.iter().map(|(id, _)| id).collect();
        for id in ids {
            self.flush(id);
        }
    }

    /// The node stops: every client is told.
    pub fn shut_down(&mut self, reason: ReasonCode) {
        let ids: Vec<ConnectionId> = self.connections.iter().map(|(id, _)| id).collect();
        for id in ids {
            self.disconnect(id, reason);
        }
    }

    /// Whether publishes wait for room.
    pub fn is_withholding(&self) -> bool {
        !self.withholding.is_empty()
    }

    /// Counts since start.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Whether any answer waits for a commit.
    pub fn is_settled(&self) -> bool {
        self.connections
            .iter()
            .all(|(_, connection)| connection.acks.is_empty())
    }

    /// When `handle_deadline` wants to be called.
    pub fn next_deadline(&self) -> Option<NodeTime> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Does what is due.
    pub fn handle_deadline(&mut self, journal: &mut Journal<'_>) {
        while let Some((at, timer)) = self.timers.first().cloned() {
            if at > journal.now {
                return;
            }
            self.timers.pop_first();
            match timer {
                Timer::KeepAlive(id) => self.check_silence(journal, id),
                Timer::Will(client) => self.will_is_due(journal, &client),
                Timer::SessionEnd(client) => self.session_is_due(journal, &client),
                Timer::Retained => self.expire_retained(journal),
                Timer::MissingSink(name, cursor) => {
                    if self.handle_missing_sink(journal, &name, cursor).is_err() {
                        let again = NodeTime(journal.now.0 + 60_000);
                        self.timers
                            .insert((again, Timer::MissingSink(name, cursor)));
                    }
                }
            }
        }
    }

    fn check_silence(&mut self, journal: &mut Journal<'_>, id: ConnectionId) {
        let now = journal.now;
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        match (connection.phase, connection.silence_ms) {
            (Phase::Greeting, _) => {
                connection.phase = Phase::Closing;
                self.close(id);
            }
            (Phase::Open(session), Some(silence)) => {
                if connection.paused {
                    // It is not read, so its silence says nothing.
                    connection.last_seen = now;
                }
                let due = NodeTime(connection.last_seen.0 + silence);
                if due > now {
                    self.timers.insert((due, Timer::KeepAlive(id)));
                } else {
                    self.disconnect(id, ReasonCode::KeepAliveTimeout);
                    self.end_session_connection(journal, id, session, true);
                }
            }
            _ => {}
        }
    }

    fn will_is_due(&mut self, journal: &mut Journal<'_>, client: &str) {
        let Some(id) = self.clients.get(client) else {
            return;
        };
        let Some(session) = self.sessions.get(*id) else {
            return;
        };
        let (Some(due), Some(will)) = (session.kept.will_due, session.kept.will.clone()) else {
            return;
        };
        if session.connection.is_some() || due > journal.now {
            return;
        }
        if self.publish_will(journal, client, &will).is_err() {
            self.timers.insert((
                NodeTime(journal.now.0 + 1000),
                Timer::Will(client.to_owned()),
            ));
        }
    }

    fn session_is_due(&mut self, journal: &mut Journal<'_>, client: &str) {
        let Some(id) = self.clients.get(client).copied() else {
            return;
        };
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        let expiry = u64::from(session.kept.expiry_seconds) * 1000;
        let due = NodeTime(session.kept.disconnected_at.0 + expiry);
        if session.connection.is_some()
            || session.kept.expiry_seconds == u32::MAX
            || due > journal.now
        {
            return;
        }
        if self
            .remove_session(journal, id, spool::LossReason::SessionEnded)
            .is_err()
        {
            self.timers.insert((
                NodeTime(journal.now.0 + 1000),
                Timer::SessionEnd(client.to_owned()),
            ));
        }
    }

    fn expire_retained(&mut self, journal: &mut Journal<'_>) {
        for (topic, seq) in self.retained.expired(journal.now) {
            if self
                .change(
                    journal,
                    Change::RetainedExpired {
                        topic: topic.clone(),
                    },
                )
                .is_ok()
            {
                self.lose_at(
                    spool::LossReason::Expired,
                    format!("retained/{topic}"),
                    seq,
                    0,
                    journal.now,
                );
            }
        }
        if self.retained.next_expiry().is_some() {
            self.timers
                .insert((NodeTime(journal.now.0 + RETAINED_SWEEP_MS), Timer::Retained));
        }
    }

    /// What the shell is to do next.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Acknowledgements for cursors since the last call.
    pub fn take_acknowledged(&mut self) -> Vec<(CursorId, Seq)> {
        std::mem::take(&mut self.acknowledged)
    }

    fn flush(&mut self, id: ConnectionId) {
        if self.flushing.insert(id) {
            self.actions.push_back(Action::Flush(id));
        }
    }

    fn pin(&mut self, seq: Seq) {
        self.actions.push_back(Action::Pin(seq));
    }

    fn unpin(&mut self, seq: Seq) {
        self.actions.push_back(Action::Unpin(seq));
    }
}

#[cfg(test)]
pub(crate) mod tests;
