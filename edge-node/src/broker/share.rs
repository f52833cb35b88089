//! Shared subscriptions: each message of a group to one of its members.

use spool::{Batch, Entry, LossReason, NodeTime, Seq};

use super::{
    Broker,
    action::{ReadRequest, Reader},
    flight::{self, Place},
    group::GroupId,
    journal::Journal,
    message::{Message, effective},
    session::SessionId,
};
use crate::{mqtt::packet::QoS, record::Record};

impl Broker {
    pub(super) fn offer_to_group(
        &mut self,
        now: NodeTime,
        id: GroupId,
        message: &Message<'_>,
        place: Option<&Place>,
    ) {
        let Some(group) = self.groups.get(id) else {
            return;
        };
        if group.members.is_empty() {
            return;
        }
        let best = group
            .members
            .values()
            .map(|grant| grant.qos)
            .max()
            .unwrap_or(0);
        match (effective(message.qos, best), place) {
            (QoS::AtMostOnce, _) => {
                let member = group
                    .turn()
                    .into_iter()
                    .find(|member| self.live(*member).is_some());
                if let Some(member) = member {
                    let grant = group.members.get(&member).cloned().unwrap_or_default();
                    self.send_unacknowledged(now, member, message, &grant);
                    self.took_turn(id, member);
                }
                if let Some(Place::Withheld(withheld)) = place {
                    withheld.delivered.borrow_mut().groups.insert(id);
                }
            }
            (QoS::AtLeastOnce, Some(place @ Place::Stored(seq))) => {
                let idle = !group.feed.is_behind()
                    && group.returned.is_empty()
                    && !message.is_expired(now);
                let sent = idle
                    && self
                        .hand_to_member(now, id, message, place.clone(), false)
                        .is_some();
                self.note_group_owed(id, *seq, sent);
            }
            (_, Some(Place::Stored(seq))) => self.note_group_owed(id, *seq, false),
            // A group is given what has found room; its members do not wait for one message twice.
            (_, Some(Place::Withheld(_) | Place::Retained(..)) | None) => {}
        }
    }

    fn note_group_owed(&mut self, id: GroupId, seq: Seq, sent: bool) {
        let Some(group) = self.groups.get_mut(id) else {
            return;
        };
        group.feed.owed = seq;
        if sent {
            group.feed.advance(seq);
        } else {
            self.hungry.insert(Reader::Group(id));
        }
    }

    /// Gives a message of a group to the next member that has room.
    fn hand_to_member(
        &mut self,
        now: NodeTime,
        id: GroupId,
        message: &Message<'_>,
        place: Place,
        dup: bool,
    ) -> Option<SessionId> {
        let group = self.groups.get(id)?;
        let member = group
            .turn()
            .into_iter()
            .find(|member| self.has_room(*member))?;
        let grant = group.members.get(&member)?.clone();
        let qos = effective(message.qos, grant.qos);
        if qos == QoS::AtMostOnce {
            self.send_unacknowledged(now, member, message, &grant);
            self.settle(member, &place, Some(id));
        } else {
            self.send_acknowledged(now, member, message, &grant, qos, place, Some(id), dup);
        }
        self.took_turn(id, member);
        Some(member)
    }

    fn took_turn(&mut self, group: GroupId, member: SessionId) {
        if let Some(group) = self.groups.get_mut(group) {
            group.last = member;
        }
    }

    pub(super) fn distribute_read(
        &mut self,
        id: GroupId,
        request: &ReadRequest,
        batch: &Batch,
        journal: &mut Journal<'_>,
    ) {
        let returned = matches!(request, ReadRequest::Positions(_));
        for entry in &batch.entries {
            if !self.distribute_entry(id, entry, returned, journal) {
                return;
            }
        }
        let Some(group) = self.groups.get_mut(id) else {
            return;
        };
        match request {
            ReadRequest::Cursor { .. } => group.feed.advance(batch.next),
            // What is committed and could not be read is gone, and in the ledger.
            ReadRequest::Positions(asked) => group
                .returned
                .retain(|seq| *seq > batch.next || !asked.contains(seq)),
        }
    }

    /// Hands one record that was read to a member; false if none has room.
    fn distribute_entry(
        &mut self,
        id: GroupId,
        entry: &Entry,
        returned: bool,
        journal: &mut Journal<'_>,
    ) -> bool {
        let Some(group) = self.groups.get_mut(id) else {
            return false;
        };
        if returned && !group.returned.contains(&entry.seq) {
            return true;
        }
        if !returned && group.held.remove(&entry.seq) {
            group.feed.advance(entry.seq);
            return true;
        }
        let Some(Record::Publish(record)) = Record::decode(&entry.body) else {
            return true;
        };

        let message = Message::of(&record, entry.time);
        if message.is_expired(journal.now) {
            self.acknowledged.push((group.cursor, entry.seq));
            let (scope, bytes) = (group.name.clone(), record.payload.len() as u64);
            self.lose_at(LossReason::Expired, scope, entry.seq, bytes, journal.now);
        } else {
            let place = Place::Stored(entry.seq);
            let dup = returned || entry.seq <= self.recovered;
            if !self.hand_read_to_member(id, &message, place, dup, journal) {
                return false;
            }
        }
        let Some(group) = self.groups.get_mut(id) else {
            return false;
        };
        group.returned.remove(&entry.seq);
        if !returned {
            group.feed.advance(entry.seq);
        }
        true
    }

    fn hand_read_to_member(
        &mut self,
        id: GroupId,
        message: &Message<'_>,
        place: Place,
        dup: bool,
        journal: &mut Journal<'_>,
    ) -> bool {
        let Some(group) = self.groups.get(id) else {
            return false;
        };
        let Some(member) = group
            .turn()
            .into_iter()
            .find(|member| self.has_room(*member))
        else {
            return false;
        };
        let grant = group.members.get(&member).cloned().unwrap_or_default();
        if effective(message.qos, grant.qos) != QoS::ExactlyOnce {
            return self
                .hand_to_member(journal.now, id, message, place, dup)
                .is_some();
        }
        self.took_turn(id, member);
        self.send_exactly_once(member, message, &grant, place, Some(id), journal)
    }

    /// What the session held for its groups goes to another member; its outbound QoS 2 stays with it.
    pub(super) fn return_group_flights(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let mut returned = Vec::new();
        let durable = session.is_durable();
        session
            .flights
            .retain(|_, flight| match (flight.group, &flight.place) {
                (Some(group), Place::Stored(seq)) if flight.qos == QoS::AtLeastOnce || !durable => {
                    if flight.phase == flight::Phase::Published {
                        returned.push((group, *seq));
                    }
                    false
                }
                _ => true,
            });
        for (group, seq) in returned {
            self.return_to_group(group, seq);
        }
    }

    /// A message of a group goes to another member: it is committed, so no commit will bring it on.
    pub(super) fn return_to_group(&mut self, group: GroupId, seq: Seq) {
        if let Some(found) = self.groups.get_mut(group) {
            found.returned.insert(seq);
            found.feed.dry_at = None;
            self.hungry.insert(Reader::Group(group));
        }
    }
}
