//! Outbound QoS 2: the packet identifier is durable before PUBLISH leaves, the receipt before PUBREL.

use std::num::NonZeroU16;

use bytes::BytesMut;
use spool::{Full, LossReason, NodeTime, Seq};

use super::{
    Broker,
    acknowledgement::OTHER_QOS,
    action::Reader,
    answer::{Answer, Gate},
    connection::ConnectionId,
    delivery::Offered,
    errands::RetainedGrant,
    fault::PeerError,
    flight::{self, Place},
    group::GroupId,
    journal::Journal,
    message::{Message, Sending},
    session::SessionId,
    subscriptions::Grant,
};
use crate::{
    mqtt::packet::{QoS, ReasonCode},
    record::Change,
};

impl Broker {
    /// QoS 2: the packet identifier is durable before the PUBLISH leaves.
    pub(super) fn send_exactly_once(
        &mut self,
        id: SessionId,
        message: &Message<'_>,
        grant: &Grant,
        place: Place,
        group: Option<GroupId>,
        journal: &mut Journal<'_>,
    ) -> bool {
        if !self.has_room(id) {
            return false;
        }
        let Some(session) = self.sessions.get_mut(id) else {
            return false;
        };
        if !session.is_durable() {
            let (now, qos) = (journal.now, QoS::ExactlyOnce);
            return self.send_acknowledged(now, id, message, grant, qos, place, group, false)
                == Offered::Sent;
        }
        let packet_id = session.flights.next_id();
        let client = session.client.to_string();
        let connection = session.connection.and_then(|id| self.connections.get(id));
        let sending = Sending {
            qos: QoS::ExactlyOnce,
            id: Some(packet_id),
            dup: false,
            retain: message.retain && grant.retain_as_published,
            identifiers: &grant.identifiers,
        };
        let mut encoded = BytesMut::new();
        let fits = connection.is_some_and(|connection| {
            connection.encode_publish(&mut encoded, message, sending, journal.now)
        });
        if let Place::Retained(_, seq) = place {
            self.pin(seq);
        }
        if !fits {
            self.settle(id, &place, group);
            let (why, bytes) = (
                LossReason::TooLargeForSubscriber,
                message.payload.len() as u64,
            );
            self.lose_at(why, client, place.seq(), bytes, journal.now);
            return true;
        }

        let shared = group.and_then(|group| Some(self.groups.get(group)?.name.clone()));
        match self.change(
            journal,
            sent(client, packet_id, &place, shared, message.topic),
        ) {
            Ok(gate) => self.fly_once_durable(id, packet_id, place, group, gate, encoded),
            Err(full) => {
                self.wait_for_log(id, &place, group, full, journal.now);
                false
            }
        }
    }

    /// The log takes no packet identifier: the next commit may make room, or there is some after a while.
    fn wait_for_log(
        &mut self,
        id: SessionId,
        place: &Place,
        group: Option<GroupId>,
        full: Full,
        now: NodeTime,
    ) {
        if let Place::Retained(_, seq) = place {
            self.unpin(*seq);
            return self.errands_wait(id, full, now);
        }
        let reader = group.map_or(Reader::Session(id), Reader::Group);
        match full {
            Full::Waiting => self.is_dry(reader, self.committed),
            Full::Bound { .. } | Full::TooLarge | Full::UnknownRoute => self.rest(reader, now),
        }
    }

    /// The PUBLISH leaves when its packet identifier is on stable storage.
    fn fly_once_durable(
        &mut self,
        id: SessionId,
        packet_id: NonZeroU16,
        place: Place,
        group: Option<GroupId>,
        gate: Seq,
        encoded: BytesMut,
    ) -> bool {
        let Some(connection_id) = self.live(id) else {
            return false;
        };
        let (Some(session), Some(connection)) = (
            self.sessions.get_mut(id),
            self.connections.get_mut(connection_id),
        ) else {
            return false;
        };
        let (qos, phase) = (QoS::ExactlyOnce, flight::Phase::Published);
        session.flights.insert(packet_id, place, group, qos, phase);
        connection.answer(Gate::Committed(gate), Answer::Encoded(encoded));
        self.acking.insert(connection_id);
        self.count_delivered(qos);
        true
    }

    /// PUBREC of a subscriber: recorded before PUBREL goes out.
    pub(super) fn handle_receipt(
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
        if flight.qos != QoS::ExactlyOnce {
            return Err(OTHER_QOS);
        }
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
            match (cursor, &flight.place) {
                (Some(cursor), Place::Stored(seq)) => journal.acknowledge(cursor, *seq),
                (_, Place::Retained(_, seq)) => self.unpin(*seq),
                _ => {}
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
    pub(super) fn handle_completion(
        &mut self,
        journal: &mut Journal<'_>,
        id: SessionId,
        packet_id: NonZeroU16,
    ) -> Result<(), PeerError> {
        let Some(session) = self.sessions.get_mut(id) else {
            return Ok(());
        };
        let client = session.client.to_string();
        let Some(flight) = session.flights.get_mut(packet_id) else {
            return Ok(());
        };
        if flight.phase != flight::Phase::Released {
            return Err(OTHER_QOS);
        }
        let flight = flight.clone();
        session.flights.remove(packet_id);
        self.record_of(journal, id, Change::Completed { client, packet_id })?;
        self.made_room(id, flight.group);
        Ok(())
    }
}

/// What the log is told before the first PUBLISH of a message leaves.
fn sent(
    client: String,
    packet_id: NonZeroU16,
    place: &Place,
    shared: Option<String>,
    topic: &str,
) -> Change {
    match *place {
        Place::Retained(
            RetainedGrant {
                identifier, asked, ..
            },
            seq,
        ) => match asked {
            Some(asked) => Change::SentFound {
                client,
                packet_id,
                seq,
                identifier,
                asked,
                topic: topic.to_owned(),
            },
            None => Change::SentRetained {
                client,
                packet_id,
                seq,
                identifier,
            },
        },
        ref place => Change::Sent {
            client,
            packet_id,
            seq: place.seq(),
            shared,
        },
    }
}
