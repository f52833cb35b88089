//! Acknowledgements of subscribers: a message in flight is done, and its cursor moves.

use std::num::NonZeroU16;

use super::{Broker, action::Reader, flight::Place, group::GroupId, session::SessionId};

impl Broker {
    /// PUBACK of a subscriber.
    pub(super) fn handle_acknowledgement(&mut self, id: SessionId, packet_id: NonZeroU16) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        // An unknown identifier is the echo of an older connection.
        let Some(flight) = session.flights.remove(packet_id) else {
            return;
        };
        self.settle(id, &flight.place, flight.group);
        self.made_room(id, flight.group);
    }

    /// Acknowledges a message for whoever owed it to this session.
    pub(crate) fn settle(&mut self, id: SessionId, place: &Place, group: Option<GroupId>) {
        let seq = match place {
            Place::Stored(seq) => *seq,
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
            .is_some_and(|session| session.feed.is_behind())
        {
            self.hungry.insert(Reader::Session(id));
        }
        if let Some(group) = group {
            self.hungry.insert(Reader::Group(group));
        }
    }
}
