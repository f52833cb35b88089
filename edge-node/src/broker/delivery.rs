//! Delivery: one message to one session, at once from memory or later from the log.

use std::{num::NonZeroU16, rc::Rc};

use bytes::BytesMut;
use spool::{Batch, Entry, Loss, LossReason, NodeTime, ReadLimits, Seq};

use super::{
    Broker,
    action::{Action, ReadRequest, Reader},
    answer::{Answer, Gate},
    connection::{Connection, ConnectionId, OUT_HIGH_BYTES},
    flight::{self, IN_FLIGHT_MAX, Place},
    group::{Group, GroupId},
    journal::Journal,
    session::SessionId,
    subscriptions::{Grant, Terms},
};
use crate::{
    mqtt::{
        encode::PublishParts,
        packet::{PacketId, QoS},
        stored,
    },
    record::{Change, PublishRecord, Record},
};

/// Records asked for in one read of a session.
const READ_RECORDS: usize = 1024;

/// Bytes asked for in one read of a session.
const READ_BYTES: usize = 256 * 1024;

/// A message on its way out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) topic: &'a str,
    pub(crate) properties: &'a [u8],
    /// When the node received it.
    pub(crate) received: NodeTime,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) payload: &'a [u8],
}

impl<'a> Message<'a> {
    pub(crate) fn of(record: &PublishRecord<'a>, received: NodeTime) -> Message<'a> {
        Message {
            topic: record.topic,
            properties: record.properties,
            received,
            qos: record.qos,
            retain: record.retain,
            payload: record.payload,
        }
    }

    /// What is left of its expiry interval; `Some(0)`: it has expired.
    fn remaining_seconds(&self, now: NodeTime) -> Option<u32> {
        let waited = now.0.saturating_sub(self.received.0) / 1000;
        stored::message_expiry_interval(self.properties).map(|expiry| {
            u64::from(expiry)
                .saturating_sub(waited)
                .try_into()
                .unwrap_or(u32::MAX)
        })
    }

    pub(super) fn is_expired(&self, now: NodeTime) -> bool {
        self.remaining_seconds(now) == Some(0)
    }
}

/// How one PUBLISH goes out.
#[derive(Clone, Copy)]
pub(super) struct Sending<'a> {
    pub(super) qos: QoS,
    pub(super) id: Option<NonZeroU16>,
    pub(super) dup: bool,
    pub(super) retain: bool,
    pub(super) identifiers: &'a [u32],
}

impl Connection {
    /// Encodes a PUBLISH into `out`; false where the client would refuse its size.
    pub(super) fn encode_publish(
        &self,
        out: &mut BytesMut,
        message: &Message<'_>,
        sending: Sending<'_>,
        now: NodeTime,
    ) -> bool {
        let parts = PublishParts {
            dup: sending.dup,
            qos: sending.qos,
            retain: sending.retain,
            topic: message.topic.as_bytes(),
            packet_id: sending.id.map(PacketId),
            properties: message.properties,
            message_expiry_interval: message.remaining_seconds(now),
            topic_alias: None,
            subscription_identifiers: sending.identifiers,
            payload: message.payload,
        };
        parts.encoded_len(self.version) <= self.limits.maximum_packet_size
            && parts.encode(self.version, out).is_ok()
    }
}

/// What became of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offered {
    /// In flight, or done where no acknowledgement is expected.
    Sent,
    /// The client has no room (or is away): it is to be read from the log later.
    Later,
}

pub(super) fn effective(message: QoS, granted: u8) -> QoS {
    match (message as u8).min(granted) {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
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
                return;
            }
            (QoS::AtLeastOnce, Some(place)) if session.feed.is_live() => {
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
        if session.connection.is_none() {
            return;
        }
        let durable = session.is_durable();
        let lost = session.feed.owe(seq, durable);
        self.hungry.insert(Reader::Session(id));
        if lost > 0 {
            let scope = session.client.to_string();
            self.lose(LossReason::SlowSubscriber, scope, lost, 0, now);
        }
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
        let fits = out.len() < OUT_HIGH_BYTES
            && connection.encode_publish(&mut out, message, sending, now);
        connection.out = out;
        if fits {
            self.count_delivered(QoS::AtMostOnce);
            self.flush(connection_id);
        } else {
            let scope = self
                .sessions
                .get(id)
                .map(|s| s.client.to_string())
                .unwrap_or_default();
            self.lose(
                LossReason::SlowSubscriber,
                scope,
                1,
                message.payload.len() as u64,
                now,
            );
        }
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
        if fits {
            if let Place::Withheld(withheld) = &place {
                withheld.delivered.borrow_mut().insert(id);
            }
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

    fn count_delivered(&mut self, qos: QoS) {
        if let Some(count) = self.counters.delivered.get_mut(qos as usize) {
            *count += 1;
        }
    }

    fn offer_to_group(
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
            }
            (QoS::AtLeastOnce, Some(place @ Place::Stored(seq))) => {
                let idle = !group.feed.is_behind() && group.returned.is_empty();
                let sent = idle
                    && self
                        .hand_to_member(now, id, message, place.clone(), false)
                        .is_some();
                self.note_group_owed(id, *seq, sent);
            }
            (_, Some(Place::Stored(seq))) => self.note_group_owed(id, *seq, false),
            // A group is given what has found room; its members do not wait for one message twice.
            (_, Some(Place::Withheld(_)) | None) => {}
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

    fn took_turn(&mut self, group: GroupId, member: SessionId) {
        if let Some(group) = self.groups.get_mut(group) {
            group.last = member;
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

    /// Asks for what hungry readers can take.
    pub(crate) fn feed_hungry(&mut self) {
        for reader in std::mem::take(&mut self.hungry) {
            if self.wants_more(reader) {
                self.hungry.insert(reader);
            }
        }
    }

    /// Orders a read if this reader can take more; false once it is not behind or nobody listens.
    pub(crate) fn wants_more(&mut self, reader: Reader) -> bool {
        let committed = self.committed;
        let limits = ReadLimits {
            records: READ_RECORDS,
            bytes: READ_BYTES,
            lanes: u32::MAX,
        };
        match reader {
            Reader::Session(id) => {
                self.run_errands(id);
                let room = self.has_room(id);
                let Some(session) = self.sessions.get_mut(id) else {
                    return false;
                };
                if session.connection.is_none() {
                    return false;
                }
                if !session.feed.is_behind() {
                    return !session.errands.is_empty();
                }
                let free = !session.feed.reading
                    && !session.feed.resending
                    && session.feed.dry_at.is_none_or(|dry| dry < committed);
                if room && free {
                    session.feed.reading = true;
                    let request = match session.kept.cursor {
                        Some(cursor) => ReadRequest::Cursor {
                            cursor,
                            after: session.feed.sent,
                            limits,
                        },
                        None => ReadRequest::Positions(
                            session.feed.positions(READ_RECORDS.min(IN_FLIGHT_MAX)),
                        ),
                    };
                    self.actions.push_back(Action::Read { reader, request });
                }
                true
            }
            Reader::Group(id) => {
                let Some(group) = self.groups.get(id) else {
                    return false;
                };
                let owes = group.feed.is_behind() || !group.returned.is_empty();
                if group.members.is_empty() || !owes {
                    return false;
                }
                let room = group.members.keys().any(|member| self.has_room(*member));
                let Some(group) = self.groups.get_mut(id) else {
                    return false;
                };
                let free =
                    !group.feed.reading && group.feed.dry_at.is_none_or(|dry| dry < committed);
                if room && free {
                    group.feed.reading = true;
                    let request = if group.returned.is_empty() {
                        ReadRequest::Cursor {
                            cursor: group.cursor,
                            after: group.feed.sent,
                            limits,
                        }
                    } else {
                        ReadRequest::Positions(
                            group.returned.iter().copied().take(READ_RECORDS).collect(),
                        )
                    };
                    self.actions.push_back(Action::Read { reader, request });
                }
                true
            }
        }
    }

    /// Takes what a read gave. `committed` is the position up to which the log was complete when it was read.
    pub fn handle_read(
        &mut self,
        reader: Reader,
        request: &ReadRequest,
        batch: Batch,
        journal: &mut Journal<'_>,
    ) {
        let got = !batch.entries.is_empty();
        let upto = batch.next;
        match reader {
            Reader::Session(id) => self.deliver_read(id, request, batch, journal),
            Reader::Group(id) => self.distribute_read(id, request, &batch, journal),
        }
        // Where nothing came, nothing is committed beyond this point yet: the next commit asks again.
        let dry_at = (!got).then_some(upto);
        match reader {
            Reader::Session(id) => drop(
                self.sessions
                    .get_mut(id)
                    .map(|session| session.feed.dry_at = dry_at),
            ),
            Reader::Group(id) => drop(
                self.groups
                    .get_mut(id)
                    .map(|group| group.feed.dry_at = dry_at),
            ),
        }
        if self.wants_more(reader) {
            self.hungry.insert(reader);
        } else {
            self.hungry.remove(&reader);
        }
    }

    fn deliver_read(
        &mut self,
        id: SessionId,
        request: &ReadRequest,
        batch: Batch,
        journal: &mut Journal<'_>,
    ) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        // The index may have passed to another session while the read was under way.
        let is_its_own = match request {
            ReadRequest::Cursor { cursor, .. } => session.kept.cursor == Some(*cursor),
            ReadRequest::Positions(_) => session.kept.cursor.is_none(),
        };
        if !is_its_own || !std::mem::take(&mut session.feed.reading) || session.feed.resending {
            return;
        }
        for entry in batch.entries {
            let awaited = self
                .sessions
                .get(id)
                .is_some_and(|s| s.is_durable() || s.feed.awaits(entry.seq));
            if !awaited {
                continue;
            }
            if !self.deliver_entry(id, &entry, journal) {
                return;
            }
            if let Some(session) = self.sessions.get_mut(id) {
                session.feed.advance(entry.seq);
            }
        }
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        match request {
            ReadRequest::Cursor { .. } => session.feed.advance(batch.next),
            // What could not be read is gone, and in the ledger.
            ReadRequest::Positions(asked) => {
                let reached = asked
                    .iter()
                    .copied()
                    .filter(|seq| *seq <= batch.next)
                    .max()
                    .unwrap_or_default();
                session.feed.advance(reached);
                if session.feed.runs.is_empty() {
                    session.feed.sent = session.feed.owed;
                }
            }
        }
    }

    /// Sends one record that was read; false if the client has no more room.
    fn deliver_entry(&mut self, id: SessionId, entry: &Entry, journal: &mut Journal<'_>) -> bool {
        let now = journal.now;
        let Some(Record::Publish(record)) = Record::decode(&entry.body) else {
            return true;
        };
        let Some(session) = self.sessions.get_mut(id) else {
            return false;
        };
        if session.connection.is_none() {
            return false;
        }
        if session.flights.take_ahead(entry.seq) {
            return true;
        }
        let message = Message::of(&record, entry.time);
        let grant = match session.kept.cursor {
            Some(cursor) => self
                .terms(journal, entry.route)
                .and_then(|terms| grant_of(&terms, cursor)),
            None => {
                let publisher = self.clients.get(record.sender).copied();
                self.subscriptions
                    .audience(record.topic)
                    .grant(id, publisher)
                    .cloned()
            }
        };
        let Some(grant) = grant else { return true };
        let place = Place::Stored(entry.seq);
        if message.is_expired(now) {
            self.settle(id, &place, None);
            let scope = self
                .sessions
                .get(id)
                .map(|s| s.client.to_string())
                .unwrap_or_default();
            self.lose_at(
                LossReason::Expired,
                scope,
                entry.seq,
                record.payload.len() as u64,
                now,
            );
            return true;
        }
        match effective(message.qos, grant.qos) {
            QoS::AtMostOnce => {
                self.send_unacknowledged(now, id, &message, &grant);
                self.settle(id, &place, None);
                true
            }
            QoS::AtLeastOnce => {
                let dup = entry.seq <= self.recovered;
                self.send_acknowledged(
                    now,
                    id,
                    &message,
                    &grant,
                    QoS::AtLeastOnce,
                    place,
                    None,
                    dup,
                ) == Offered::Sent
            }
            QoS::ExactlyOnce => {
                self.send_exactly_once(id, &message, &grant, entry.seq, None, journal)
            }
        }
    }

    /// QoS 2: the packet identifier is durable before the PUBLISH leaves.
    fn send_exactly_once(
        &mut self,
        id: SessionId,
        message: &Message<'_>,
        grant: &Grant,
        seq: Seq,
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
            let place = Place::Stored(seq);
            return self.send_acknowledged(
                journal.now,
                id,
                message,
                grant,
                QoS::ExactlyOnce,
                place,
                group,
                false,
            ) == Offered::Sent;
        }
        let packet_id = session.flights.next_id();
        let client = session.client.to_string();
        let connection = session.connection.and_then(|id| self.connections.get(id));
        let retain = message.retain && grant.retain_as_published;
        let sending = Sending {
            qos: QoS::ExactlyOnce,
            id: Some(packet_id),
            dup: false,
            retain,
            identifiers: &grant.identifiers,
        };
        let mut encoded = BytesMut::new();
        let fits = connection.is_some_and(|connection| {
            connection.encode_publish(&mut encoded, message, sending, journal.now)
        });
        if !fits {
            self.settle(id, &Place::Stored(seq), group);
            let bytes = message.payload.len() as u64;
            self.lose_at(
                LossReason::TooLargeForSubscriber,
                client,
                seq,
                bytes,
                journal.now,
            );
            return true;
        }
        let shared = group
            .and_then(|group| self.groups.get(group))
            .map(|group| group.name.clone());
        let sent = Change::Sent {
            client,
            packet_id,
            seq,
            shared,
        };
        let Ok(gate) = self.change(journal, sent) else {
            return false;
        };
        let Some(connection_id) = self.live(id) else {
            return false;
        };
        let (Some(session), Some(connection)) = (
            self.sessions.get_mut(id),
            self.connections.get_mut(connection_id),
        ) else {
            return false;
        };
        session.flights.insert(
            packet_id,
            Place::Stored(seq),
            group,
            QoS::ExactlyOnce,
            flight::Phase::Published,
        );
        connection.answer(Gate::Committed(gate), Answer::Encoded(encoded));
        self.acking.insert(connection_id);
        self.count_delivered(QoS::ExactlyOnce);
        true
    }

    fn distribute_read(
        &mut self,
        id: GroupId,
        request: &ReadRequest,
        batch: &Batch,
        journal: &mut Journal<'_>,
    ) {
        let now = journal.now;
        let returned = matches!(request, ReadRequest::Positions(_));
        let Some(group) = self.groups.get_mut(id) else {
            return;
        };
        let cursor = group.cursor;
        let is_its_own = match request {
            ReadRequest::Cursor { cursor: asked, .. } => *asked == cursor,
            ReadRequest::Positions(_) => true,
        };
        if !is_its_own || !std::mem::take(&mut group.feed.reading) {
            return;
        }
        for entry in &batch.entries {
            if returned
                && !self
                    .groups
                    .get(id)
                    .is_some_and(|group| group.returned.contains(&entry.seq))
            {
                continue;
            }
            let held = |group: &mut Group| group.held.remove(&entry.seq);
            if !returned && self.groups.get_mut(id).is_some_and(held) {
                continue;
            }
            let Some(Record::Publish(record)) = Record::decode(&entry.body) else {
                continue;
            };
            let message = Message::of(&record, entry.time);
            let place = Place::Stored(entry.seq);
            if message.is_expired(now) {
                self.acknowledged.push((cursor, entry.seq));
                let scope = self
                    .groups
                    .get(id)
                    .map(|group| group.name.clone())
                    .unwrap_or_default();
                self.lose_at(
                    LossReason::Expired,
                    scope,
                    entry.seq,
                    record.payload.len() as u64,
                    now,
                );
            } else if !self.hand_read_to_member(
                id,
                &message,
                place,
                returned || entry.seq <= self.recovered,
                journal,
            ) {
                return;
            }
            let Some(group) = self.groups.get_mut(id) else {
                return;
            };
            group.returned.remove(&entry.seq);
            if !returned {
                group.feed.advance(entry.seq);
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
        let Place::Stored(seq) = place else {
            return false;
        };
        self.took_turn(id, member);
        self.send_exactly_once(member, message, &grant, seq, Some(id), journal)
    }

    /// The terms of a route, remembered.
    pub(super) fn terms(
        &mut self,
        journal: &Journal<'_>,
        route: spool::RouteId,
    ) -> Option<Rc<Terms>> {
        if let Some(terms) = self.routes.get(&route) {
            return Some(Rc::clone(terms));
        }
        let terms: Terms = postcard::from_bytes(&journal.route_terms(route)?).ok()?;
        let terms = Rc::new(terms);
        if self.routes.len() >= 1024 {
            self.routes.clear();
        }
        self.routes.insert(route, Rc::clone(&terms));
        Some(terms)
    }

    pub(crate) fn lose(
        &mut self,
        reason: LossReason,
        scope: String,
        count: u64,
        bytes: u64,
        at: NodeTime,
    ) {
        let loss = Loss {
            reason,
            scope,
            count,
            bytes,
            first: Seq::ZERO,
            last: Seq::ZERO,
            at,
        };
        self.actions.push_back(Action::Lose(loss));
    }

    pub(crate) fn lose_at(
        &mut self,
        reason: LossReason,
        scope: String,
        seq: Seq,
        bytes: u64,
        at: NodeTime,
    ) {
        self.actions.push_back(Action::Lose(Loss {
            reason,
            scope,
            count: 1,
            bytes,
            first: seq,
            last: seq,
            at,
        }));
    }
}

pub(super) fn grant_of(terms: &Terms, cursor: spool::CursorId) -> Option<Grant> {
    terms
        .iter()
        .find(|(id, _)| *id == cursor)
        .map(|(_, grant)| grant.clone())
}
