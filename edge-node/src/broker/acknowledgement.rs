//! Acknowledgements of subscribers: a message in flight is done, and its cursor moves.

use std::num::NonZeroU16;

use super::{
    Broker, action::Reader, fault::PeerError, flight::Place, group::GroupId, session::SessionId,
};
use crate::mqtt::packet::{QoS, ReasonCode};

/// PUBACK for a message of QoS 2, PUBREC for one of QoS 1, or PUBCOMP before PUBREC.
pub(super) const OTHER_QOS: PeerError = PeerError::Protocol(
    ReasonCode::ProtocolError,
    "an acknowledgement that its message does not call for",
);

impl Broker {
    /// PUBACK of a subscriber.
    pub(super) fn handle_acknowledgement(
        &mut self,
        id: SessionId,
        packet_id: NonZeroU16,
    ) -> Result<(), PeerError> {
        let Some(session) = self.sessions.get_mut(id) else {
            return Ok(());
        };
        // An unknown identifier is the echo of an older connection.
        let Some(flight) = session.flights.get_mut(packet_id) else {
            return Ok(());
        };
        if flight.qos != QoS::AtLeastOnce {
            return Err(OTHER_QOS);
        }
        let flight = flight.clone();
        session.flights.remove(packet_id);
        self.settle(id, &flight.place, flight.group);
        self.made_room(id, flight.group);
        Ok(())
    }

    /// A message in flight is done with: acknowledges it for whoever owed it to this session.
    pub(crate) fn settle(&mut self, id: SessionId, place: &Place, group: Option<GroupId>) {
        let seq = match place {
            Place::Stored(seq) => *seq,
            Place::Retained(_, seq) => return self.unpin(*seq),
            Place::Withheld(withheld) => match withheld.seq.get() {
                Some(seq) => seq,
                None => {
                    withheld.settled.borrow_mut().insert((id, group));
                    return;
                }
            },
        };
        let cursor = match group {
            Some(group) => self.groups.get(group).map(|group| group.cursor),
            None => self
                .sessions
                .get(id)
                .and_then(|session| session.kept.cursor),
        };
        if let Some(cursor) = cursor {
            self.acknowledged.push((cursor, seq));
        }
    }

    /// The reader behind an acknowledged message may take more.
    pub(super) fn made_room(&mut self, id: SessionId, group: Option<GroupId>) {
        self.room_made = true;
        if self
            .sessions
            .get(id)
            .is_some_and(|session| session.feed.is_behind() || !session.errands.is_empty())
        {
            self.hungry.insert(Reader::Session(id));
        }
        if let Some(group) = group {
            self.hungry.insert(Reader::Group(group));
        }
    }
}
