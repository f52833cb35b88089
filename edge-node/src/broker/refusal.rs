//! Publishes that are not taken: which, what they are answered, and their entry in the ledger.

use std::{num::NonZeroU16, rc::Rc};

use spool::{Full, LossReason, NodeTime, Seq, WhenFull};

use super::{
    Broker,
    answer::{Answer, Gate},
    connection::ConnectionId,
    fault::Excess,
    session::SessionId,
    withheld::Withheld,
};
use crate::mqtt::packet::{Publish, QoS, ReasonCode, Version};

impl Broker {
    /// Whether a publish that finds no room is refused, or waits for it. `reject` is a negative answer: a client that can be
    /// given none would take any answer for the promise to keep what it sent.
    pub(super) fn is_refused(&self, id: ConnectionId, full: Full) -> bool {
        match full {
            Full::TooLarge => true,
            Full::Bound { when_full } => when_full == WhenFull::Reject && self.can_be_refused(id),
            Full::Waiting | Full::UnknownRoute => false,
        }
    }

    /// Whether a negative acknowledgement can be given on this connection.
    pub(super) fn can_be_refused(&self, id: ConnectionId) -> bool {
        let connection = self.connections.get(id);
        connection.is_some_and(|connection| connection.version == Version::V5)
    }

    /// Answers a publish that is not taken: with its reason where the protocol can say it.
    pub(super) fn refuse(
        &mut self,
        id: ConnectionId,
        publish: &Publish,
        packet_id: Option<NonZeroU16>,
        reason: ReasonCode,
        client: &str,
        now: NodeTime,
    ) {
        self.count_refused(client, publish.payload.len(), reason, now);
        let gate = Gate::Committed(Seq::ZERO);
        match (publish.qos, packet_id) {
            (QoS::AtLeastOnce, Some(packet_id)) => {
                let reason = self.sayable(id, reason);
                self.answer(id, gate, Answer::PubAck(packet_id, reason));
            }
            (QoS::ExactlyOnce, Some(packet_id)) => {
                let reason = self.sayable(id, reason);
                self.answer(id, gate, Answer::PubRec(packet_id, reason));
            }
            _ => {}
        }
    }

    /// A publish whose acknowledgement is withheld would never find room: its answer says so, in its turn.
    pub(super) fn refuse_withheld(
        &mut self,
        id: ConnectionId,
        session: SessionId,
        withheld: &Rc<Withheld>,
        client: &str,
        now: NodeTime,
    ) {
        let reason = ReasonCode::QuotaExceeded;
        self.count_refused(client, withheld.message().payload.len(), reason, now);
        let reason = self.sayable(id, reason);
        let connection = self.connections.get_mut(id);
        let packet_id = connection.and_then(|it| it.answers.change_reason(withheld, reason));
        if let Some(session) = self.sessions.get_mut(session)
            && let (QoS::ExactlyOnce, Some(packet_id)) = (withheld.message().qos, packet_id)
        {
            session.kept.inbound.remove(&packet_id);
        }
        withheld.seq.set(Some(Seq::ZERO));
    }

    fn count_refused(&mut self, client: &str, bytes: usize, reason: ReasonCode, now: NodeTime) {
        let why = match reason {
            ReasonCode::QuotaExceeded => LossReason::Rejected,
            _ => LossReason::Refused,
        };
        self.lose(why, client.to_owned(), 1, bytes as u64, now);
        self.counters.refused += 1;
    }

    /// The reason that an answer on this connection can carry.
    fn sayable(&mut self, id: ConnectionId, reason: ReasonCode) -> ReasonCode {
        if self.can_be_refused(id) {
            return reason;
        }
        // Without an answer, or without its connection, it would send the same again for ever.
        self.exceed(id, Excess::Untold);
        ReasonCode::Success
    }
}
