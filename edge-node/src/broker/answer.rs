//! Answers: what a client is told once its cause is on stable storage, in the order in which the causes came.

use std::{num::NonZeroU16, rc::Rc};

use bytes::BytesMut;
use spool::Seq;

use super::{
    Broker,
    connection::{Connection, ConnectionId},
    withheld::Withheld,
};
use crate::mqtt::{
    encode::{AckKind, encode_success},
    packet::{Ack, Packet, PacketId, ReasonCode},
};

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

    /// Queues an answer behind those before it.
    pub(crate) fn answer(&mut self, gate: Gate, answer: Answer) {
        if let Answer::Encoded(bytes) = &answer {
            self.gated_bytes += bytes.len();
        }
        self.acks.push_back(PendingAck { gate, answer });
    }
}

impl Broker {
    /// Queues an answer; it leaves at once if nothing before it waits and its gate is open.
    pub(super) fn answer(&mut self, id: ConnectionId, gate: Gate, answer: Answer) {
        let committed = self.committed;
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        connection.answer(gate, answer);
        let released = connection.release(committed);
        self.counters.acknowledged += std::mem::take(&mut connection.acknowledged);
        if released {
            self.flush(id);
        }
        if self
            .connections
            .get(id)
            .is_some_and(|connection| !connection.acks.is_empty())
        {
            self.acking.insert(id);
        }
    }

    /// The log is complete up to `committed`: answers leave, readers read on.
    pub fn handle_commit(&mut self, committed: Seq) {
        self.committed = self.committed.max(committed);
        for id in std::mem::take(&mut self.acking) {
            let Some(connection) = self.connections.get_mut(id) else {
                continue;
            };
            let released = connection.release(self.committed);
            self.counters.acknowledged += std::mem::take(&mut connection.acknowledged);
            if released {
                self.flush(id);
            }
            let Some(connection) = self.connections.get_mut(id) else {
                continue;
            };
            if !connection.acks.is_empty() {
                self.acking.insert(id);
            }
            self.resume_reading(id);
        }
        self.feed_hungry();
    }
}
