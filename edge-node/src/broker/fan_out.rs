//! Fan-out: a publish is offered to everybody who hears it, at once from memory where QoS and room allow.

use spool::{LossReason, NodeTime, Seq};

use super::{
    Broker,
    action::Reader,
    delivery::Offered,
    fault::Excess,
    flight::Place,
    message::{Message, effective},
    session::SessionId,
    subscriptions::Grant,
};
use crate::mqtt::packet::QoS;

impl Broker {
    /// Offers a publish to everybody who hears it, at once from memory where its QoS and their room allow.
    pub(crate) fn fan_out(
        &mut self,
        now: NodeTime,
        message: &Message<'_>,
        audience: &super::subscriptions::Audience,
        publisher: Option<SessionId>,
        place: Option<&Place>,
    ) {
        for session in audience.sessions.keys() {
            let Some(grant) = audience.grant(*session, publisher) else {
                continue;
            };
            self.offer_to_session(now, *session, message, grant, place);
        }
        for group in audience.groups.keys() {
            self.offer_to_group(now, *group, message, place);
        }
    }

    fn offer_to_session(
        &mut self,
        now: NodeTime,
        id: SessionId,
        message: &Message<'_>,
        grant: &Grant,
        place: Option<&Place>,
    ) {
        let qos = effective(message.qos, grant.qos);
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        let offered = match (qos, place) {
            (QoS::AtMostOnce, _) => {
                self.send_unacknowledged(now, id, message, grant);
                if let Some(Place::Withheld(withheld)) = place {
                    let mut delivered = withheld.delivered.borrow_mut();
                    delivered.unacknowledged.insert(id);
                }
                return;
            }
            (QoS::AtLeastOnce, Some(place))
                if session.feed.is_live()
                    && !message.is_expired(now)
                    && self.may_fly_from(place) =>
            {
                self.send_acknowledged(now, id, message, grant, qos, place.clone(), None, false)
            }
            _ => Offered::Later,
        };
        let Some(Place::Stored(seq)) = place else {
            return;
        };
        self.note_owed(now, id, *seq, offered);
    }

    /// Keeps the session's feed true after a stored message was offered.
    fn note_owed(&mut self, now: NodeTime, id: SessionId, seq: Seq, offered: Offered) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        if offered == Offered::Sent {
            session.feed.advance(seq);
            session.feed.owed = session.feed.owed.max(seq);
            return;
        }
        let Some(connection) = session.connection else {
            return;
        };
        let durable = session.is_durable();
        let lost = session.feed.owe(seq, durable);
        self.hungry.insert(Reader::Session(id));
        if lost > 0 {
            let scope = session.client.to_string();
            self.exceed(connection, Excess::Unread);
            self.lose(LossReason::SlowSubscriber, scope, lost, 0, now);
        }
    }
}
