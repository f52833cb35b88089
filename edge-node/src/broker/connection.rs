//! A connection: one live stream of packets, and what is owed to it in order.

use std::{
    collections::{HashMap, VecDeque},
    num::NonZeroU16,
    rc::Rc,
};

use bytes::BytesMut;
use spool::{NodeTime, Seq};

use super::{publish::Withheld, session::SessionId};
use crate::mqtt::{
    decode::Decoder,
    encode::{AckKind, Limits, encode_success, encode_within},
    packet::{Ack, Packet, PacketId, ReasonCode, Version},
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
    /// Bytes to write. Until CONNACK has left its queue they wait for it, for it must come first.
    pub(crate) out: BytesMut,
    pub(crate) greeted: bool,
    pub(crate) acks: VecDeque<PendingAck>,
    /// Bytes of encoded packets among them.
    gated_bytes: usize,
    pub(crate) withheld: VecDeque<Rc<Withheld>>,
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
    /// Whether reading was stopped at a bound.
    pub(crate) paused: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// CONNECT has not come.
    Greeting,
    Open(SessionId),
    /// What is in `out` is still written, then the stream is closed.
    Closing,
}

/// An answer that waits for its turn: answers leave in the order in which their causes came.
#[derive(Debug)]
pub(crate) struct PendingAck {
    pub(crate) gate: Gate,
    pub(crate) answer: Answer,
}

/// What must have happened before an answer leaves.
#[derive(Clone, Debug)]
pub(crate) enum Gate {
    /// This position is on stable storage.
    Committed(Seq),
    /// The publish found room; then its position is on stable storage.
    Taken(Rc<Withheld>),
}

#[derive(Debug)]
pub(crate) enum Answer {
    PubAck(NonZeroU16, ReasonCode),
    PubRec(NonZeroU16, ReasonCode),
    PubRel(NonZeroU16),
    PubComp(NonZeroU16, ReasonCode),
    Whole(Box<Packet>),
    /// An outbound PUBLISH that had to wait for its packet identifier; encoded for this client.
    Encoded(BytesMut),
}

impl Gate {
    fn is_open(&self, committed: Seq) -> bool {
        match self {
            Gate::Committed(seq) => *seq <= committed,
            Gate::Taken(withheld) => withheld.seq.get().is_some_and(|seq| seq <= committed),
        }
    }
}

impl Connection {
    pub(crate) fn new(peer: String, now: NodeTime, packet_bytes: usize) -> Connection {
        Connection {
            peer,
            phase: Phase::Greeting,
            version: Version::V311,
            input: BytesMut::new(),
            out: BytesMut::new(),
            greeted: false,
            acks: VecDeque::new(),
            gated_bytes: 0,
            withheld: VecDeque::new(),
            aliases: HashMap::new(),
            last_seen: now,
            silence_ms: None,
            open: 0,
            window: usize::from(u16::MAX),
            limits: Limits::default(),
            decoder: Decoder::from_client(packet_bytes),
            acknowledged: 0,
            paused: false,
        }
    }

    pub(crate) fn session(&self) -> Option<SessionId> {
        match self.phase {
            Phase::Open(session) => Some(session),
            Phase::Greeting | Phase::Closing => None,
        }
    }

    /// Encodes the answers whose gate is open. True if any was.
    pub(crate) fn release(&mut self, committed: Seq) -> bool {
        let mut any = false;
        while self
            .acks
            .front()
            .is_some_and(|ack| ack.gate.is_open(committed))
        {
            let Some(ack) = self.acks.pop_front() else {
                break;
            };
            self.encode_answer(ack.answer);
            any = true;
        }
        any
    }

    fn encode_answer(&mut self, answer: Answer) {
        let ack = |packet_id, reason| Ack::with_reason(PacketId(packet_id), reason);
        let packet = match answer {
            Answer::PubAck(id, ReasonCode::Success) => {
                self.acknowledged += 1;
                self.open = self.open.saturating_sub(1);
                encode_success(AckKind::PubAck, PacketId(id), &mut self.out);
                return;
            }
            Answer::PubAck(id, reason) => {
                self.acknowledged += u64::from(!reason.is_error());
                self.open = self.open.saturating_sub(1);
                Packet::PubAck(ack(id, reason))
            }
            Answer::PubRec(id, reason) => {
                self.acknowledged += u64::from(!reason.is_error());
                if reason.is_error() {
                    self.open = self.open.saturating_sub(1);
                }
                Packet::PubRec(ack(id, reason))
            }
            Answer::PubRel(id) => Packet::PubRel(ack(id, ReasonCode::Success)),
            Answer::PubComp(id, reason) => {
                self.open = self.open.saturating_sub(1);
                Packet::PubComp(ack(id, reason))
            }
            Answer::Whole(packet) if matches!(*packet, Packet::ConnAck(_)) => {
                self.greeted = true;
                let waited = std::mem::take(&mut self.out);
                self.send(&packet);
                self.out.extend_from_slice(&waited);
                return;
            }
            Answer::Whole(packet) => *packet,
            Answer::Encoded(bytes) => {
                self.gated_bytes = self.gated_bytes.saturating_sub(bytes.len());
                self.out.extend_from_slice(&bytes);
                return;
            }
        };
        self.send(&packet);
    }

    /// The bytes that may be written.
    pub(crate) fn take_out(&mut self) -> BytesMut {
        if self.session().is_some() && !self.greeted {
            return BytesMut::new();
        }
        std::mem::take(&mut self.out)
    }

    /// Queues an answer behind those before it.
    pub(crate) fn answer(&mut self, gate: Gate, answer: Answer) {
        if let Answer::Encoded(bytes) = &answer {
            self.gated_bytes += bytes.len();
        }
        self.acks.push_back(PendingAck { gate, answer });
    }

    /// Sends a packet at once, ahead of answers that wait.
    pub(crate) fn send(&mut self, packet: &Packet) {
        if let Err(error) = encode_within(self.version, packet, self.limits, &mut self.out) {
            // The client's own limit, or 3.1.1, leaves no way to say it.
            tracing::debug!(peer = %self.peer, packet = packet.name(), %error, "not sent");
        }
    }

    /// Whether deliveries may still be encoded, or wait in the log until the client has read.
    pub(crate) fn has_room(&self) -> bool {
        self.out.len() + self.gated_bytes < OUT_HIGH_BYTES
    }

    /// Whether a client that sends must be made to wait.
    pub(crate) fn is_at_bound(&self, receive_maximum: usize) -> bool {
        self.acks.len() >= receive_maximum || self.out.len() >= OUT_STOP_BYTES
    }
}
