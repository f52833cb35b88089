//! Inbound acknowledgements: what is promised to a publisher, and QoS 2 identifiers until they are released.

use std::num::NonZeroU16;

use spool::Seq;

use super::{
    Broker,
    answer::{Answer, Gate},
    connection::ConnectionId,
    fault::PeerError,
    journal::Journal,
    publish::Taken,
    session::SessionId,
};
use crate::{
    mqtt::packet::{QoS, ReasonCode},
    record::Change,
};

impl Broker {
    /// Answers a QoS 2 publish whose identifier is taken: the message is here already. False: it is new.
    pub(super) fn answer_repeat(
        &mut self,
        id: ConnectionId,
        session: SessionId,
        packet_id: Option<NonZeroU16>,
    ) -> bool {
        let taken = packet_id.and_then(|packet_id| {
            let inbound = &self.sessions.get(session)?.kept.inbound;
            Some((packet_id, *inbound.get(&packet_id)?))
        });
        let Some((packet_id, seq)) = taken else {
            return false;
        };
        // One that waits for room is answered when it has found some.
        if seq != Seq(u64::MAX) {
            let answer = Answer::PubRec(packet_id, ReasonCode::Success);
            self.answer(id, Gate::Committed(seq), answer);
        }
        true
    }

    /// Promises the acknowledgement of a publish that was taken.
    pub(super) fn promise_taken(
        &mut self,
        id: ConnectionId,
        session: SessionId,
        qos: QoS,
        packet_id: NonZeroU16,
        taken: Taken,
    ) {
        let (seq, reason) = match taken {
            Taken::Stored(seq) => (seq, ReasonCode::Success),
            Taken::Passed(after) => (after, ReasonCode::Success),
            Taken::Unheard(after) => (after, ReasonCode::NoMatchingSubscribers),
        };
        let gate = Gate::Committed(seq);
        self.promise(id, session, qos, packet_id, gate, seq, reason);
    }

    /// Queues the acknowledgement of a publish, and takes its identifier where it is QoS 2.
    #[expect(
        clippy::too_many_arguments,
        reason = "one acknowledgement, whose it is, and when it leaves"
    )]
    pub(super) fn promise(
        &mut self,
        id: ConnectionId,
        session: SessionId,
        qos: QoS,
        packet_id: NonZeroU16,
        gate: Gate,
        seq: Seq,
        reason: ReasonCode,
    ) {
        if qos == QoS::ExactlyOnce {
            if let Some(session) = self.sessions.get_mut(session) {
                session.kept.inbound.insert(packet_id, seq);
            }
            self.answer(id, gate, Answer::PubRec(packet_id, reason));
        } else {
            self.answer(id, gate, Answer::PubAck(packet_id, reason));
        }
    }

    /// The client released an inbound QoS 2 identifier.
    pub(crate) fn handle_release(
        &mut self,
        journal: &mut Journal<'_>,
        id: ConnectionId,
        session_id: SessionId,
        packet_id: NonZeroU16,
    ) -> Result<(), PeerError> {
        let Some(session) = self.sessions.get(session_id) else {
            return Ok(());
        };
        if !session.kept.inbound.contains_key(&packet_id) {
            let reason = ReasonCode::PacketIdentifierNotFound;
            self.answer(
                id,
                Gate::Committed(Seq::ZERO),
                Answer::PubComp(packet_id, reason),
            );
            return Ok(());
        }
        let client = session.client.to_string();
        let gate = self.record_of(journal, session_id, Change::Released { client, packet_id })?;
        self.answer(
            id,
            Gate::Committed(gate),
            Answer::PubComp(packet_id, ReasonCode::Success),
        );
        Ok(())
    }
}
