//! Delivery: one message to one session, at once from memory or later from the log.

use spool::{LossReason, NodeTime};

use super::{
    Broker,
    action::Action,
    connection::{ConnectionId, OUT_HIGH_BYTES},
    fault::Excess,
    flight::{self, IN_FLIGHT_MAX, Place},
    group::GroupId,
    message::{Message, Sending},
    session::SessionId,
    subscriptions::Grant,
};
use crate::mqtt::packet::QoS;

/// What became of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offered {
    /// In flight, or done where no acknowledgement is expected.
    Sent,
    /// The client has no room (or is away): it is to be read from the log later.
    Later,
}

impl Broker {
    /// The open connection of a session.
    pub(super) fn live(&self, session: SessionId) -> Option<ConnectionId> {
        self.sessions.get(session)?.connection
    }

    /// Whether a message above QoS 0 can go to this session at once.
    pub(super) fn has_room(&self, session: SessionId) -> bool {
        let Some(found) = self.sessions.get(session) else {
            return false;
        };
        let Some(connection) = found.connection.and_then(|id| self.connections.get(id)) else {
            return false;
        };
        found.flights.len() < connection.window.min(IN_FLIGHT_MAX) && connection.has_room()
    }

    pub(super) fn send_unacknowledged(
        &mut self,
        now: NodeTime,
        id: SessionId,
        message: &Message<'_>,
        grant: &Grant,
    ) {
        let Some(connection_id) = self.live(id) else {
            return;
        };
        let Some(connection) = self.connections.get_mut(connection_id) else {
            return;
        };
        let retain = message.retain && grant.retain_as_published;
        let sending = Sending {
            qos: QoS::AtMostOnce,
            id: None,
            dup: false,
            retain,
            identifiers: &grant.identifiers,
        };
        let mut out = std::mem::take(&mut connection.out);
        let lost = if message.is_expired(now) {
            Some(LossReason::Expired)
        } else if out.len() >= OUT_HIGH_BYTES {
            Some(LossReason::SlowSubscriber)
        } else if !connection.encode_publish(&mut out, message, sending, now) {
            Some(LossReason::TooLargeForSubscriber)
        } else {
            None
        };
        connection.out = out;
        let Some(reason) = lost else {
            self.count_delivered(QoS::AtMostOnce);
            return self.flush(connection_id);
        };
        if reason == LossReason::SlowSubscriber {
            self.exceed(connection_id, Excess::Unread);
        }
        let (scope, bytes) = (self.client_of(id), message.payload.len() as u64);
        self.lose(reason, scope, 1, bytes, now);
    }

    /// Sends at QoS 1, or at QoS 2 where the packet identifier need not be durable first.
    #[expect(
        clippy::too_many_arguments,
        reason = "one message, whom it goes to, and how"
    )]
    pub(super) fn send_acknowledged(
        &mut self,
        now: NodeTime,
        id: SessionId,
        message: &Message<'_>,
        grant: &Grant,
        qos: QoS,
        place: Place,
        group: Option<GroupId>,
        dup: bool,
    ) -> Offered {
        if !self.has_room(id) {
            return Offered::Later;
        }
        let Some(connection_id) = self.live(id) else {
            return Offered::Later;
        };
        let (Some(session), Some(connection)) = (
            self.sessions.get_mut(id),
            self.connections.get_mut(connection_id),
        ) else {
            return Offered::Later;
        };
        let packet_id = session.flights.next_id();
        let retain = message.retain && grant.retain_as_published;
        let sending = Sending {
            qos,
            id: Some(packet_id),
            dup,
            retain,
            identifiers: &grant.identifiers,
        };
        let mut out = std::mem::take(&mut connection.out);
        let fits = connection.encode_publish(&mut out, message, sending, now);
        connection.out = out;
        if let Place::Withheld(withheld) = &place {
            withheld.delivered.borrow_mut().sessions.insert(id);
        }
        if let Place::Retained(_, seq) = &place {
            self.actions.push_back(Action::Pin(*seq));
        }
        if fits {
            session
                .flights
                .insert(packet_id, place, group, qos, flight::Phase::Published);
            self.count_delivered(qos);
            self.flush(connection_id);
        } else {
            let scope = session.client.to_string();
            self.settle(id, &place, group);
            self.lose(
                LossReason::TooLargeForSubscriber,
                scope,
                1,
                message.payload.len() as u64,
                now,
            );
        }
        Offered::Sent
    }

    pub(super) fn count_delivered(&mut self, qos: QoS) {
        if let Some(count) = self.counters.delivered.get_mut(qos as usize) {
            *count += 1;
        }
    }
}
