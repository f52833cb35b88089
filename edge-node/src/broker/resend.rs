//! What was in flight when a connection ended, sent again on the next one.

use std::num::NonZeroU16;

use bytes::BytesMut;
use spool::{Entry, Full, LossReason, Seq};

use super::{
    Broker,
    action::Reader,
    answer::{Answer, Gate},
    connection::ConnectionId,
    errands::Errand,
    flight::{self, Place},
    group::GroupId,
    journal::Journal,
    message::{Message, Sending},
    route::grant_of,
    session::SessionId,
    subscriptions::Grant,
};
use crate::{mqtt::packet::QoS, record::Change};

impl Broker {
    /// Sends again what was in flight when the last connection of this session ended.
    pub(crate) fn resume_flights(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let flights = session.flights.in_order().into_iter();
        let again = flights.map(|(packet_id, flight)| match (flight.phase, flight.place) {
            (flight::Phase::Released, _) => Errand::Release(packet_id),
            (_, Place::Stored(seq) | Place::Retained(_, seq)) => Errand::Publish(packet_id, seq),
            (_, Place::Withheld(withheld)) => Errand::Memory(packet_id, withheld),
        });
        session.errands.send_again(again);
        session.feed.resending = session.errands.has_resends();
        self.hungry.insert(Reader::Session(id));
        self.run_errands(id);
    }

    /// A message in flight is never sent again: nobody owes it to this session any more. Where that is to be recorded first
    /// and the log has no room, it stays in flight.
    pub(super) fn give_up(
        &mut self,
        journal: &mut Journal<'_>,
        id: SessionId,
        packet_id: NonZeroU16,
    ) -> Result<(), Full> {
        let Some(session) = self.sessions.get_mut(id) else {
            return Ok(());
        };
        let client = session.client.to_string();
        let Some(flight) = session.flights.get_mut(packet_id).cloned() else {
            return Ok(());
        };
        if flight.qos == QoS::ExactlyOnce {
            self.record_of(journal, id, Change::Completed { client, packet_id })?;
        }
        if let Some(session) = self.sessions.get_mut(id) {
            session.flights.remove(packet_id);
        }
        self.settle(id, &flight.place, flight.group);
        Ok(())
    }

    /// Sends what is in flight again; an error if that is to be recorded and the log has no room.
    pub(super) fn send_again(
        &mut self,
        connection_id: ConnectionId,
        id: SessionId,
        packet_id: NonZeroU16,
        mut message: Message<'_>,
        entry: Option<&Entry>,
        journal: &mut Journal<'_>,
    ) -> Result<(), Full> {
        let session = self.sessions.get_mut(id);
        let Some(flight) = session.and_then(|session| session.flights.get_mut(packet_id)) else {
            return Ok(());
        };
        let (place, group, qos) = (flight.place.clone(), flight.group, flight.qos);
        let seq = place.seq();
        let grant = match place {
            Place::Retained(grant, _) => {
                message.retain = true;
                grant.into()
            }
            Place::Stored(_) | Place::Withheld(_) => {
                self.grant_in_flight(id, group, message.topic, entry, journal)
            }
        };
        let sending = Sending {
            qos,
            id: Some(packet_id),
            dup: true,
            retain: message.retain && grant.retain_as_published,
            identifiers: &grant.identifiers,
        };
        let Some(connection) = self.connections.get_mut(connection_id) else {
            return Ok(());
        };
        let mut encoded = BytesMut::new();
        if connection.encode_publish(&mut encoded, &message, sending, journal.now) {
            // Behind the CONNACK, which may wait for a commit; nothing else of this may come to one.
            let gate = Gate::Committed(Seq::ZERO);
            self.answer(connection_id, gate, Answer::Encoded(encoded));
        } else {
            // The client takes smaller packets than on the connection before.
            self.give_up(journal, id, packet_id)?;
            let (why, scope) = (LossReason::TooLargeForSubscriber, self.client_of(id));
            self.lose_at(why, scope, seq, message.payload.len() as u64, journal.now);
        }
        Ok(())
    }

    /// What a message in flight was granted: to a member by its own subscription, if it has that still, for the record holds
    /// the best of the group; to others as the record has it.
    fn grant_in_flight(
        &mut self,
        id: SessionId,
        group: Option<GroupId>,
        topic: &str,
        entry: Option<&Entry>,
        journal: &Journal<'_>,
    ) -> Grant {
        if let Some(group) = group {
            let group = self.groups.get(group);
            let own = group.and_then(|group| group.members.get(&id));
            return own.cloned().unwrap_or_default();
        }
        let cursor = self.sessions.get(id).and_then(|it| it.kept.cursor);
        let terms = entry.and_then(|entry| self.terms(journal, entry.route));
        let stored = terms
            .zip(cursor)
            .and_then(|(terms, cursor)| grant_of(&terms, cursor));
        stored.unwrap_or_else(|| self.present_grant(id, topic))
    }

    /// What the session's subscriptions grant of a topic as they are.
    fn present_grant(&mut self, id: SessionId, topic: &str) -> Grant {
        let audience = self.subscriptions.audience(topic);
        audience.grant(id, None).cloned().unwrap_or_default()
    }
}
