//! Answers: what a client is told once its cause is on stable storage, in the order in which the causes came; and what it
//! is sent once that is noted. The one does not wait for the other: a client whose publish waits for room may be the very
//! one that makes room by taking what it is owed.

use std::{collections::VecDeque, num::NonZeroU16, rc::Rc};

use bytes::BytesMut;
use spool::{NodeTime, Seq};

use super::{
    Broker,
    action::Action,
    connection::{Connection, ConnectionId},
    fault::PeerError,
    withheld::Withheld,
};
use crate::mqtt::{
    encode::{AckKind, encode_success},
    packet::{Ack, Packet, PacketId, ReasonCode},
};

/// Answers that wait for their turn.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// To what the client sent, in that order.
    acks: VecDeque<(Gate, Answer)>,
    /// What the node began, in that order.
    outbound: VecDeque<(Gate, Answer)>,
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

impl Answers {
    /// How many answers to the client wait.
    pub(crate) fn acks(&self) -> usize {
        self.acks.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.acks.is_empty() && self.outbound.is_empty()
    }

    /// What a withheld publish is answered changes. Gives its packet identifier.
    pub(super) fn change_reason(
        &mut self,
        withheld: &Rc<Withheld>,
        to: ReasonCode,
    ) -> Option<NonZeroU16> {
        let is_its =
            |gate: &Gate| matches!(gate, Gate::Taken(other) if Rc::ptr_eq(other, withheld));
        let (_, answer) = self.acks.iter_mut().find(|(gate, _)| is_its(gate))?;
        match answer {
            Answer::PubAck(id, reason) | Answer::PubRec(id, reason) => {
                *reason = to;
                Some(*id)
            }
            _ => None,
        }
    }

    fn push(&mut self, gate: Gate, answer: Answer) {
        match answer {
            Answer::PubRel(_) | Answer::Encoded(_) => self.outbound.push_back((gate, answer)),
            _ => self.acks.push_back((gate, answer)),
        }
    }

    /// The next one whose gate is open and that nothing before it holds up.
    fn next(&mut self, committed: Seq) -> Option<Answer> {
        let mut queues = [&mut self.acks, &mut self.outbound].into_iter();
        let is_open = |queue: &&mut VecDeque<(Gate, Answer)>| {
            let first = queue.front();
            first.is_some_and(|(gate, _)| gate.is_open(committed))
        };
        let (_, answer) = queues.find(is_open)?.pop_front()?;
        Some(answer)
    }
}

impl Connection {
    /// Encodes the answers whose gate is open. True if any was.
    pub(crate) fn release(&mut self, committed: Seq) -> bool {
        let mut any = false;
        while let Some(answer) = self.answers.next(committed) {
            self.encode_answer(answer);
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
                let waited = std::mem::take(&mut self.out);
                self.greeted = self.send(&packet);
                self.is_unanswered |= !self.greeted;
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
        self.is_unanswered |= !self.send(&packet);
    }

    /// Queues an answer behind those before it.
    pub(crate) fn answer(&mut self, gate: Gate, answer: Answer) {
        if let Answer::Encoded(bytes) = &answer {
            self.gated_bytes += bytes.len();
        }
        self.answers.push(gate, answer);
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
            self.is_released(id);
        }
        if self
            .connections
            .get(id)
            .is_some_and(|connection| !connection.answers.is_empty())
        {
            self.acking.insert(id);
        }
    }

    /// The log is complete up to `committed`: answers leave, readers read on.
    pub fn handle_commit(&mut self, committed: Seq, now: NodeTime) {
        self.committed = self.committed.max(committed);
        for id in std::mem::take(&mut self.acking) {
            self.release_answers(id);
        }
        self.take_up();
        self.tell_devices(now);
        self.feed_hungry();
    }

    /// Answers of one connection leave, as far as their gates are open.
    pub(super) fn release_answers(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let released = connection.release(self.committed);
        self.counters.acknowledged += std::mem::take(&mut connection.acknowledged);
        if !connection.answers.is_empty() {
            self.acking.insert(id);
        }
        if released {
            self.is_released(id);
        }
        self.resume_reading(id);
    }

    /// Answers left, or one of them is larger than its client takes: that connection ends.
    fn is_released(&mut self, id: ConnectionId) {
        self.flush(id);
        let connection = self.connections.get_mut(id);
        if connection.is_some_and(|it| std::mem::take(&mut it.is_unanswered)) {
            let fault = PeerError::Protocol(
                ReasonCode::PacketTooLarge,
                "an answer is larger than its Maximum Packet Size allows",
            );
            self.actions.push_back(Action::Fault(id, fault));
            self.disconnect(id, ReasonCode::PacketTooLarge);
        }
    }
}
