//! Errands: what goes to a session by position, beside its feed: messages that were in flight on an earlier connection,
//! and retained messages of a new subscription. A few at a time, as the client takes them, so that neither the messages
//! in flight nor a subscription to everything retained are ever in memory as a whole.

use std::{collections::VecDeque, num::NonZeroU16, rc::Rc};

use bytes::BytesMut;
use spool::{Entry, NodeTime, Seq};

use super::{
    Broker,
    action::{Action, Reader},
    answer::{Answer, Gate},
    connection::ConnectionId,
    delivery::Offered,
    flight::{self, Place},
    journal::Journal,
    message::{Message, Sending, effective},
    route::grant_of,
    session::SessionId,
    subscriptions::Grant,
    withheld::Withheld,
};
use crate::{mqtt::packet::QoS, record::Record};

/// Errands of one read: at the largest packet size, so many packets are in memory.
const AT_ONCE: usize = 16;

/// One message to be sent by position.
#[derive(Clone, Debug)]
pub enum Errand {
    /// PUBREL, again.
    Release(NonZeroU16),
    /// The PUBLISH stored at this position, again.
    Publish(NonZeroU16, Seq),
    /// A PUBLISH whose publisher's acknowledgement is withheld, again.
    Memory(NonZeroU16, Rc<Withheld>),
    /// The retained message at this position.
    Retained(RetainedGrant, Seq),
}

/// What a new subscription is granted of retained messages.
#[derive(Clone, Copy, Debug)]
pub struct RetainedGrant {
    pub(crate) qos: u8,
    pub(crate) identifier: Option<u32>,
}

/// The errands of a session.
#[derive(Debug, Default)]
pub(crate) struct Errands {
    waiting: VecDeque<Errand>,
    /// Some are being read.
    running: bool,
}

impl Errand {
    /// The position to be read for it.
    pub fn seq(&self) -> Option<Seq> {
        match self {
            Errand::Publish(_, seq) | Errand::Retained(_, seq) => Some(*seq),
            Errand::Release(_) | Errand::Memory(..) => None,
        }
    }

    fn is_resend(&self) -> bool {
        !matches!(self, Errand::Retained(..))
    }
}

impl Errands {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn has_resends(&self) -> bool {
        self.waiting.iter().any(Errand::is_resend)
    }
}

impl Broker {
    /// Sends again what was in flight when the last connection of this session ended.
    pub(crate) fn resume_flights(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let flights = session.flights.in_order().into_iter();
        let again = flights.map(|(packet_id, flight)| match (flight.phase, flight.place) {
            (flight::Phase::Released, _) => Errand::Release(packet_id),
            (flight::Phase::Published, Place::Stored(seq)) => Errand::Publish(packet_id, seq),
            (flight::Phase::Published, Place::Withheld(withheld)) => {
                Errand::Memory(packet_id, withheld)
            }
        });
        session.errands = Errands {
            waiting: again.collect(),
            running: false,
        };
        session.feed.resending = !session.errands.is_empty();
        self.hungry.insert(Reader::Session(id));
        self.run_errands(id);
    }

    /// Sends the retained messages at these positions.
    pub(crate) fn send_retained_at(&mut self, id: SessionId, grant: RetainedGrant, seqs: Vec<Seq>) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let retained = seqs.into_iter().map(|seq| Errand::Retained(grant, seq));
        session.errands.waiting.extend(retained);
        self.hungry.insert(Reader::Session(id));
        self.run_errands(id);
    }

    /// Orders the next few errands, if the client has room and what they read is committed.
    pub(crate) fn run_errands(&mut self, id: SessionId) {
        let committed = self.committed;
        let room = self.has_room(id);
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let connection = session
            .connection
            .and_then(|id| Some((id, self.connections.get(id)?)));
        let Some((connection_id, connection)) = connection else {
            return;
        };
        if session.errands.running || !connection.has_room() {
            return;
        }
        let mut errands = Vec::new();
        while errands.len() < AT_ONCE
            && let Some(errand) = session.errands.waiting.front()
            && errand.seq().is_none_or(|seq| seq <= committed)
            // What was in flight has its place in the window already.
            && (room || errand.is_resend())
        {
            errands.extend(session.errands.waiting.pop_front());
        }
        if !errands.is_empty() {
            session.errands.running = true;
            self.actions.push_back(Action::RunErrands {
                connection: connection_id,
                session: id,
                errands,
            });
        }
    }

    /// Runs errands with what was read for them; `None`: the log could not be read, and they are tried again.
    pub fn handle_errands(
        &mut self,
        connection_id: ConnectionId,
        id: SessionId,
        errands: Vec<Errand>,
        entries: Option<&[Entry]>,
        journal: &mut Journal<'_>,
    ) {
        if self.live(id) != Some(connection_id) {
            return;
        }
        let mut rest: VecDeque<Errand> = errands.into();
        if let Some(entries) = entries {
            while let Some(errand) = rest.pop_front() {
                if !self.run_errand(connection_id, id, &errand, entries, journal) {
                    rest.push_front(errand);
                    break;
                }
            }
        }
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        session.errands.running = false;
        while let Some(errand) = rest.pop_back() {
            session.errands.waiting.push_front(errand);
        }
        session.feed.resending = session.errands.has_resends();
        self.hungry.insert(Reader::Session(id));
        if entries.is_some() {
            self.feed_hungry();
        }
        self.flush(connection_id);
    }

    /// Runs one errand; false if the client has no room for it.
    fn run_errand(
        &mut self,
        connection_id: ConnectionId,
        id: SessionId,
        errand: &Errand,
        entries: &[Entry],
        journal: &mut Journal<'_>,
    ) -> bool {
        let entry = errand
            .seq()
            .and_then(|seq| entries.iter().find(|entry| entry.seq == seq));
        let record = entry.and_then(|entry| match Record::decode(&entry.body) {
            Some(Record::Publish(record)) => Some((entry, Message::of(&record, entry.time))),
            _ => None,
        });
        match (errand, record) {
            (Errand::Release(packet_id), _) => {
                self.answer(
                    connection_id,
                    Gate::Committed(Seq::ZERO),
                    Answer::PubRel(*packet_id),
                );
            }
            (Errand::Memory(packet_id, withheld), _) => {
                let message = withheld.message();
                self.send_again(
                    connection_id,
                    id,
                    *packet_id,
                    &message,
                    journal.now,
                    None,
                    journal,
                );
            }
            (Errand::Publish(packet_id, _), Some((entry, message))) => {
                self.send_again(
                    connection_id,
                    id,
                    *packet_id,
                    &message,
                    journal.now,
                    Some(entry),
                    journal,
                );
            }
            // Gone from the log, by a bound that the ledger names.
            (Errand::Publish(packet_id, _), None) => self.give_up(id, *packet_id),
            (Errand::Retained(grant, _), Some((entry, message))) => {
                return self.send_retained_entry(id, *grant, entry, message, journal.now);
            }
            // Replaced or cleared since.
            (Errand::Retained(..), None) => {}
        }
        true
    }

    fn send_retained_entry(
        &mut self,
        id: SessionId,
        grant: RetainedGrant,
        entry: &Entry,
        mut message: Message<'_>,
        now: NodeTime,
    ) -> bool {
        if message.is_expired(now) {
            return true;
        }
        message.retain = true;
        let granted = Grant {
            qos: grant.qos,
            retain_as_published: true,
            identifiers: grant.identifier.into_iter().collect(),
        };
        match effective(message.qos, grant.qos) {
            QoS::AtMostOnce => {
                let connection = self.live(id).and_then(|id| self.connections.get(id));
                if !connection.is_some_and(super::connection::Connection::has_room) {
                    return false;
                }
                self.send_unacknowledged(now, id, &message, &granted);
                true
            }
            qos => {
                let place = Place::Stored(entry.seq);
                self.send_acknowledged(now, id, &message, &granted, qos, place, None, false)
                    == Offered::Sent
            }
        }
    }

    fn give_up(&mut self, id: SessionId, packet_id: NonZeroU16) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        if let Some(flight) = session.flights.remove(packet_id) {
            session.kept.outbound.remove(&packet_id);
            self.settle(id, &flight.place, flight.group);
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one message, whom it goes to, and how"
    )]
    fn send_again(
        &mut self,
        connection_id: ConnectionId,
        id: SessionId,
        packet_id: NonZeroU16,
        message: &Message<'_>,
        now: NodeTime,
        entry: Option<&Entry>,
        journal: &Journal<'_>,
    ) {
        let (group, qos) = match self
            .sessions
            .get_mut(id)
            .and_then(|session| session.flights.get_mut(packet_id))
        {
            Some(flight) => (flight.group, flight.qos),
            None => return,
        };
        let cursor = match group {
            Some(group) => self.groups.get(group).map(|group| group.cursor),
            None => self
                .sessions
                .get(id)
                .and_then(|session| session.kept.cursor),
        };
        let stored = entry
            .and_then(|entry| self.terms(journal, entry.route))
            .zip(cursor)
            .and_then(|(terms, cursor)| grant_of(&terms, cursor));
        let grant = stored.or_else(|| {
            self.subscriptions
                .audience(message.topic)
                .grant(id, None)
                .cloned()
        });
        let grant = grant.unwrap_or_default();
        let Some(connection) = self.connections.get_mut(connection_id) else {
            return;
        };
        let retain = message.retain && grant.retain_as_published;
        let sending = Sending {
            qos,
            id: Some(packet_id),
            dup: true,
            retain,
            identifiers: &grant.identifiers,
        };
        let mut encoded = BytesMut::new();
        if connection.encode_publish(&mut encoded, message, sending, now) {
            // Behind the CONNACK, which may wait for a commit.
            connection.answer(Gate::Committed(Seq::ZERO), Answer::Encoded(encoded));
            self.acking.insert(connection_id);
        } else {
            self.give_up(id, packet_id);
        }
    }
}
