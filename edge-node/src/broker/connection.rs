//! A connection: one live stream of packets, and what is owed to it in order.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    rc::Rc,
};

use bytes::BytesMut;
use spool::NodeTime;

use super::{answer::Answers, session::SessionId, withheld::Withheld};
use crate::mqtt::{
    decode::Decoder,
    encode::{Limits, encode_within},
    packet::{Packet, Version},
};

/// Index of a connection in the broker; taken until the shell reports its end.
pub type ConnectionId = usize;

/// Bytes that may wait to be written to one client before deliveries to it wait in the log.
pub(crate) const OUT_HIGH_BYTES: usize = 256 * 1024;

/// Bytes of answers at which the node stops reading a client that does not read.
pub(crate) const OUT_STOP_BYTES: usize = 1024 * 1024;

/// One client's stream.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) peer: String,
    pub(crate) phase: Phase,
    pub(crate) version: Version,
    /// Bytes read and not yet decoded.
    pub(crate) input: BytesMut,
    /// When they were read, if they wait for the connection to be read on.
    pub(super) put_by: Option<NodeTime>,
    /// Bytes to write. Until CONNACK has left its queue they wait for it, for it must come first.
    pub(crate) out: BytesMut,
    pub(crate) greeted: bool,
    /// An answer was larger than the client takes, which would wait for it for ever.
    pub(super) is_unanswered: bool,
    pub(crate) answers: Answers,
    /// Bytes of encoded packets among them.
    pub(super) gated_bytes: usize,
    pub(crate) withheld: VecDeque<Rc<Withheld>>,
    /// Sessions that were not given one of these from memory: they are given no later one before it.
    pub(crate) missed: BTreeSet<SessionId>,
    pub(crate) aliases: HashMap<u16, String>,
    pub(crate) last_seen: NodeTime,
    /// One and a half keep-alives in milliseconds; `None`: off.
    pub(crate) silence_ms: Option<u64>,
    /// Publishes above QoS 0 that the client may not yet regard as done.
    pub(crate) open: usize,
    /// The client's receive maximum.
    pub(crate) window: usize,
    /// What the client takes.
    pub(crate) limits: Limits,
    pub(crate) decoder: Decoder,
    /// Publishes acknowledged since somebody asked.
    pub(crate) acknowledged: u64,
    pub(crate) intake: Intake,
    /// Its place among those that wait for a commit, kept until a packet of it is taken.
    pub(super) turn: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// CONNECT has not come.
    Greeting,
    Open(SessionId),
    /// What is in `out` is still written, then the stream is closed.
    Closing,
}

/// Whether a client is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intake {
    Open,
    /// Stopped at a bound.
    Stopped,
    /// What is here of it is to be read, and has not been yet.
    Reopened,
}

impl Connection {
    pub(crate) fn new(peer: String, now: NodeTime, packet_bytes: usize) -> Connection {
        Connection {
            peer,
            phase: Phase::Greeting,
            version: Version::V311,
            input: BytesMut::new(),
            put_by: None,
            out: BytesMut::new(),
            greeted: false,
            is_unanswered: false,
            answers: Answers::default(),
            gated_bytes: 0,
            withheld: VecDeque::new(),
            missed: BTreeSet::new(),
            aliases: HashMap::new(),
            last_seen: now,
            silence_ms: None,
            open: 0,
            window: usize::from(u16::MAX),
            limits: Limits::default(),
            decoder: Decoder::from_client(packet_bytes),
            acknowledged: 0,
            intake: Intake::Open,
            turn: None,
        }
    }

    pub(crate) fn session(&self) -> Option<SessionId> {
        match self.phase {
            Phase::Open(session) => Some(session),
            Phase::Greeting | Phase::Closing => None,
        }
    }

    /// The bytes that may be written.
    pub(crate) fn take_out(&mut self) -> BytesMut {
        if self.session().is_some() && !self.greeted {
            return BytesMut::new();
        }
        std::mem::take(&mut self.out)
    }

    /// Sends a packet at once, ahead of answers that wait. False if the client's own limit, or 3.1.1, leaves no way to say it.
    pub(crate) fn send(&mut self, packet: &Packet) -> bool {
        let sent = encode_within(self.version, packet, self.limits, &mut self.out);
        if let Err(error) = &sent {
            tracing::debug!(peer = %self.peer, packet = packet.name(), %error, "not sent");
        }
        sent.is_ok()
    }

    /// Whether deliveries may still be encoded, or wait in the log until the client has read.
    pub(crate) fn has_room(&self) -> bool {
        self.out.len() + self.gated_bytes < OUT_HIGH_BYTES
    }
}
