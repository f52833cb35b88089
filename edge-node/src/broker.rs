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
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    rc::Rc,
    sync::Arc,
};

use bytes::BytesMut;
use slab::Slab;
use spool::{CursorId, Full, Loss, NodeTime, Seq, clock::ClockMark};

mod acknowledgement;
mod action;
mod answer;
mod apply;
mod carried;
mod catch_up;
mod connect;
mod connection;
mod counters;
mod deadline;
mod delivery;
mod derived;
mod device;
mod disconnect;
mod doors;
mod errands;
mod expiry;
mod fan_out;
mod fault;
mod feed;
mod flight;
mod gaps;
mod group;
mod inbound;
mod input;
pub(crate) mod journal;
mod keep_alive;
mod ledger;
mod limits;
mod message;
mod outbound;
mod publish;
mod refusal;
mod resend;
mod retained;
mod route;
mod session;
mod share;
mod snapshot;
mod start;
mod subscribe;
mod subscriptions;
mod timers;
mod topic_alias;
mod will;
mod withheld;
mod work;

pub use action::{Action, ReadRequest, Reader, Ticket};
pub use connection::ConnectionId;
pub use counters::Counters;
pub use doors::{KnownSink, SinkCursors, dead_cursor, sink_cursor};
pub use errands::{Errand, RetainedGrant};
pub use fault::{Excess, PeerError};
pub use journal::Journal;
pub use limits::Limits;
pub use start::Identity;

use crate::{
    mqtt::packet::ReasonCode,
    node::tap::{TapReader, Taps},
    record::Change,
    rules::{JqJob, Judge, Settlement},
};
use connection::Connection;
use deadline::Timer;
use device::Devices;
use gaps::Gaps;
use group::{Group, GroupId};
use retained::{Retained, Retention};
use session::{Session, SessionId};
use subscriptions::{Subscriptions, Terms};
use timers::Timers;
use withheld::HeldBytes;

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
    /// Groups of the mesh services without members, and since when.
    resting: BTreeMap<String, NodeTime>,
    subscriptions: Subscriptions,
    sinks: HashMap<String, NodeTime>,
    /// The lanes each sink takes, bit n for lane n.
    sink_lanes: HashMap<CursorId, u32>,
    retained: Retained,
    routes: HashMap<spool::RouteId, Rc<Terms>>,
    judge: Judge,
    taps: Taps,
    /// Whether the log had no room to learn of a stage.
    stages_wait: bool,
    /// Whether what was derived found no room, and waits for a commit or a second.
    derived_rests: bool,
    /// What became of an event that waited for work, where the log had no room to learn of it.
    unsettled: Option<(JqJob, Settlement)>,
    /// After a closing found no room.
    closings_rest_until: NodeTime,
    /// What the operator calls the node; else its number.
    name: Option<String>,
    devices: Devices,
    gaps: Gaps,
    timers: Timers,
    /// Readers that are behind.
    hungry: BTreeSet<Reader>,
    /// Connections with answers that wait.
    acking: BTreeSet<ConnectionId>,
    /// Connections that are not read before the next commit, by turn: whoever has waited longest is read first, so that
    /// nobody is overtaken for ever by those that fill the waiting bytes anew.
    put_off: BTreeSet<(u64, ConnectionId)>,
    /// Turns given so far.
    turns: u64,
    /// Connections with publishes that wait for room.
    withholding: BTreeSet<ConnectionId>,
    withheld: HeldBytes,
    acknowledged: Vec<(CursorId, Seq)>,
    /// Whether a subscriber acknowledged something, so that readers may go on.
    room_made: bool,
    actions: VecDeque<Action>,
    /// What records of the running transaction retain and replace, in order.
    retentions: Vec<Retention>,
    losses: Vec<Loss>,
    /// Orders to read so far.
    tickets: u64,
    flushing: BTreeSet<ConnectionId>,
    committed: Seq,
    appended: Seq,
    /// Where the log says of a session that it ended, last.
    removed: Seq,
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
            resting: BTreeMap::new(),
            subscriptions: Subscriptions::default(),
            sinks: HashMap::new(),
            sink_lanes: HashMap::new(),
            retained: Retained::default(),
            routes: HashMap::new(),
            judge: Judge::default(),
            taps: Taps::default(),
            stages_wait: false,
            derived_rests: false,
            unsettled: None,
            closings_rest_until: NodeTime::default(),
            name: None,
            devices: Devices::default(),
            gaps: Gaps::default(),
            timers: Timers::default(),
            hungry: BTreeSet::new(),
            acking: BTreeSet::new(),
            put_off: BTreeSet::new(),
            turns: 0,
            withholding: BTreeSet::new(),
            withheld: HeldBytes::default(),
            acknowledged: Vec::new(),
            room_made: false,
            actions: VecDeque::new(),
            retentions: Vec::new(),
            losses: Vec::new(),
            tickets: 0,
            flushing: BTreeSet::new(),
            committed: Seq::ZERO,
            appended: Seq::ZERO,
            removed: Seq::ZERO,
            recovered: Seq::ZERO,
            assigned: 0,
            stopping: false,
            counters: Counters::default(),
        }
    }

    /// The node clock beside the wall clock when the log last said so.
    pub fn clock_mark(&self) -> Option<ClockMark> {
        self.clock
    }

    /// Judges every publish by these rules from here on; gives back those before. A rule of the same name goes on counting, a
    /// stage of the same definition goes on remembering.
    pub fn set_rules(&mut self, mut judge: Judge) -> Judge {
        judge.go_on_from(&mut self.judge);
        std::mem::replace(&mut self.judge, judge)
    }

    /// What the operator calls the node, for the source of what stages of rules derive.
    pub fn set_name(&mut self, name: &str) {
        self.name = Some(name.to_owned());
        self.name_rules();
    }

    fn name_rules(&mut self) {
        let number = || format!("{:016x}", self.identity.node);
        let name = self.name.clone().unwrap_or_else(number);
        self.judge.name_node(&name);
    }

    /// Tells the log of stages it does not know. Where it has no room for them, what gates remember is lost with the run, and what is
    /// input of a window, debounce or absence is not taken in.
    pub fn handle_stages(&mut self, journal: &mut Journal<'_>) {
        let changes = self.judge.stage_changes();
        let mut told = self.change_all(journal, changes);
        if told.is_ok() {
            let openings = self.judge.openings(journal.now);
            told = self.change_all(journal, openings);
        }
        match told {
            Ok(()) => self.stages_wait = false,
            Err(error) if !std::mem::replace(&mut self.stages_wait, true) => {
                tracing::warn!(%error, "new stages of rules are not in use before the log has room for them");
            }
            Err(_) => {}
        }
    }

    fn change_all(&mut self, journal: &mut Journal<'_>, changes: Vec<Change>) -> Result<(), Full> {
        let mut changes = changes.into_iter();
        changes.try_for_each(|change| self.change(journal, change).map(drop))
    }

    /// Whether so much moved in stages that derive that a checkpoint is due.
    pub fn is_checkpoint_due(&self, now: NodeTime) -> bool {
        self.judge.is_checkpoint_due(now)
    }

    /// A checkpoint of the state as it is was taken.
    pub fn is_covered(&mut self, now: NodeTime) {
        self.judge.is_covered(now);
    }

    /// Learns the cursors of the uplinks that rules name.
    pub fn meet_uplinks(&mut self, cursor: impl FnMut(&str) -> CursorId) {
        self.judge.meet_uplinks(cursor);
    }

    /// A look at every publish that is taken in from here on; `None` if as many look on as may.
    pub fn open_tap(&mut self) -> Option<TapReader> {
        self.taps.open()
    }

    /// The rules by which publishes are judged.
    pub fn rules(&self) -> &Judge {
        &self.judge
    }

    /// A client connected.
    pub fn handle_connected(&mut self, now: NodeTime, peer: String) -> ConnectionId {
        let id = self
            .connections
            .insert(Connection::new(peer, now, self.limits.packet_bytes));
        let due = NodeTime(now.0 + self.limits.connect_timeout_ms);
        self.timers.set(Timer::KeepAlive(id), due);
        id
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

    /// The node is about to stop: no client is read any more.
    pub fn stop_reading(&mut self) {
        self.stopping = true;
        self.taps.close();
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

    /// The connections whose publishes wait for room.
    pub fn withholding(&self) -> Vec<ConnectionId> {
        self.withholding.iter().copied().collect()
    }

    /// Counts since start.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Whether any answer waits for a commit.
    pub fn is_settled(&self) -> bool {
        self.connections
            .iter()
            .all(|(_, connection)| connection.answers.is_empty())
    }

    /// The last of every transaction: what the log keeps, lets go and counts with it.
    pub fn hand_over(&mut self, journal: &mut Journal<'_>) {
        self.hand_over_retentions(journal);
        self.hand_over_losses(journal);
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

    fn next_ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
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
