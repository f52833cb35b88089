//! Catching up: a reader that is behind is given from the log what it is owed, as fast as it takes it.

use std::collections::BTreeSet;

use spool::{Batch, CursorId, Entry, LossReason, NodeTime, ReadLimits, Seq};

use super::{
    Broker,
    action::{Action, ReadRequest, Reader, Ticket},
    deadline::Timer,
    delivery::Offered,
    fault::Excess,
    feed::Feed,
    flight::Place,
    group::GroupId,
    journal::Journal,
    message::{Message, effective},
    route::grant_of,
    session::{Session, SessionId},
};
use crate::{mqtt::packet::QoS, record::Record};

/// Records asked for in one read of a session.
pub(super) const READ_RECORDS: usize = 1024;

/// Bytes asked for in one read of a session.
pub(super) const READ_BYTES: usize = 256 * 1024;

/// How long a reader waits after a read that failed, or one that the log has no room to act on, in milliseconds.
const READ_AGAIN_MS: u64 = 1_000;

impl Broker {
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
        match reader {
            Reader::Session(id) => self.session_wants_more(id),
            Reader::Group(id) => self.group_wants_more(id),
        }
    }

    fn session_wants_more(&mut self, id: SessionId) -> bool {
        self.run_errands(id);
        let (room, committed) = (self.has_room(id), self.committed);
        let Some(session) = self.sessions.get_mut(id) else {
            return false;
        };
        if session.connection.is_none() {
            return false;
        }
        if !session.feed.is_behind() {
            return !session.errands.is_empty();
        }
        if room && !session.feed.resending && session.feed.may_read(committed) {
            let request = match session.kept.cursor {
                Some(cursor) => read_behind(cursor, session.feed.sent),
                None => ReadRequest::Positions(session.feed.positions(READ_RECORDS)),
            };
            self.order_read(Reader::Session(id), request);
        }
        true
    }

    fn group_wants_more(&mut self, id: GroupId) -> bool {
        let committed = self.committed;
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
        if room && group.feed.may_read(committed) {
            let request = if group.returned.is_empty() {
                read_behind(group.cursor, group.feed.sent)
            } else {
                let first = group.returned.iter().copied().take(READ_RECORDS);
                ReadRequest::Positions(first.collect())
            };
            self.order_read(Reader::Group(id), request);
        }
        true
    }

    fn order_read(&mut self, reader: Reader, request: ReadRequest) {
        let ticket = self.next_ticket();
        if let Some(feed) = self.feed_of(reader) {
            feed.reading = Some(ticket);
        }
        self.actions.push_back(Action::Read {
            reader,
            request,
            ticket,
        });
    }

    fn feed_of(&mut self, reader: Reader) -> Option<&mut Feed> {
        match reader {
            Reader::Session(id) => self.sessions.get_mut(id).map(|session| &mut session.feed),
            Reader::Group(id) => self.groups.get_mut(id).map(|group| &mut group.feed),
        }
    }

    /// Whether this is the read that the reader waits for; its index may have passed to another one meanwhile.
    fn ends_read(&mut self, reader: Reader, ticket: Ticket) -> bool {
        self.feed_of(reader)
            .is_some_and(|feed| feed.ends_read(ticket))
    }

    /// Takes what a read gave.
    pub fn handle_read(
        &mut self,
        reader: Reader,
        request: &ReadRequest,
        ticket: Ticket,
        batch: Batch,
        journal: &mut Journal<'_>,
    ) {
        if !self.ends_read(reader, ticket) {
            return;
        }
        // Where nothing came, nothing is committed beyond this point yet: the next commit asks again.
        let dry_at = batch.entries.is_empty().then_some(batch.next);
        if let Some(feed) = self.feed_of(reader) {
            feed.dry_at = dry_at;
        }
        match reader {
            Reader::Session(id) => self.deliver_read(id, request, batch, journal),
            Reader::Group(id) => self.distribute_read(id, request, &batch, journal),
        }
        if self.wants_more(reader) {
            self.hungry.insert(reader);
        } else {
            self.hungry.remove(&reader);
        }
    }

    /// The log could not be read: this reader waits a while.
    pub fn handle_unread(&mut self, reader: Reader, ticket: Ticket, now: NodeTime) {
        if !self.ends_read(reader, ticket) {
            return;
        }
        self.rest(reader, now);
    }

    /// A read at this committed position brought nothing on: the next commit may.
    pub(super) fn is_dry(&mut self, reader: Reader, at: Seq) {
        if let Some(feed) = self.feed_of(reader) {
            feed.dry_at = Some(at);
        }
    }

    /// Lets a reader read nothing for a while.
    pub(super) fn rest(&mut self, reader: Reader, now: NodeTime) {
        self.is_dry(reader, Seq(u64::MAX));
        self.read_again_later(reader, now);
    }

    pub(super) fn read_again_later(&mut self, reader: Reader, now: NodeTime) {
        let at = NodeTime(now.0 + READ_AGAIN_MS);
        self.timers.set_at_latest(Timer::ReadAgain(reader), at);
    }

    pub(super) fn read_again(&mut self, reader: Reader) {
        if let Some(feed) = self.feed_of(reader) {
            feed.dry_at = None;
        }
        if let Reader::Session(id) = reader
            && let Some(session) = self.sessions.get_mut(id)
        {
            session.errands.dry_at = None;
        }
        self.hungry.insert(reader);
        self.feed_hungry();
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
        if session.feed.resending {
            return;
        }
        let gone = match request {
            ReadRequest::Cursor { .. } => Vec::new(),
            ReadRequest::Positions(asked) => session.missing(asked, &batch),
        };
        let reached = self.deliver_entries(id, request, batch, journal);
        if let Some(session) = self.sessions.get_mut(id) {
            session.feed.advance(reached);
            if session.kept.cursor.is_none() && session.feed.runs.is_empty() {
                session.feed.sent = session.feed.owed;
            }
        }
        self.lose_gone(id, &gone, journal.now);
    }

    /// Sends what was read and is awaited, as far as the client has room. Gives the last position that is done with.
    fn deliver_entries(
        &mut self,
        id: SessionId,
        request: &ReadRequest,
        batch: Batch,
        journal: &mut Journal<'_>,
    ) -> Seq {
        let mut reached = Seq::ZERO;
        for entry in batch.entries {
            let awaited = self
                .sessions
                .get(id)
                .is_some_and(|s| s.is_durable() || s.feed.awaits(entry.seq));
            if !awaited {
                continue;
            }
            if !self.deliver_entry(id, &entry, journal) {
                return reached;
            }
            reached = entry.seq;
            if let Some(session) = self.sessions.get_mut(id) {
                session.feed.advance(entry.seq);
            }
        }
        match request {
            ReadRequest::Cursor { .. } => batch.next,
            ReadRequest::Positions(asked) => {
                let read = asked.iter().copied().filter(|seq| *seq <= batch.next);
                read.max().unwrap_or_default()
            }
        }
    }

    /// A session without cursor pins nothing: what it did not take in time, and nobody else is owed, is gone.
    fn lose_gone(&mut self, id: SessionId, gone: &[Seq], now: NodeTime) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let passed = gone.iter().filter(|seq| **seq <= session.feed.sent);
        let lost: Vec<Seq> = passed
            .copied()
            .filter(|seq| !session.flights.take_ahead(*seq))
            .collect();
        if lost.is_empty() {
            return;
        }
        if let Some(connection) = session.connection {
            self.exceed(connection, Excess::Unread);
        }
        let scope = self.client_of(id);
        self.lose_all(LossReason::SlowSubscriber, scope, &lost, now);
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
            let scope = self.client_of(id);
            let bytes = record.payload.len() as u64;
            self.lose_at(LossReason::Expired, scope, entry.seq, bytes, now);
            return true;
        }
        match effective(message.qos, grant.qos) {
            QoS::AtMostOnce => {
                self.send_unacknowledged(now, id, &message, &grant);
                self.settle(id, &place, None);
                true
            }
            QoS::AtLeastOnce => {
                let (qos, dup) = (QoS::AtLeastOnce, entry.seq <= self.recovered);
                self.send_acknowledged(now, id, &message, &grant, qos, place, None, dup)
                    == Offered::Sent
            }
            QoS::ExactlyOnce => self.send_exactly_once(id, &message, &grant, place, None, journal),
        }
    }
}

/// The next records that a cursor is owed.
fn read_behind(cursor: CursorId, after: Seq) -> ReadRequest {
    ReadRequest::Cursor {
        cursor,
        after,
        limits: ReadLimits {
            records: READ_RECORDS,
            bytes: READ_BYTES,
            lanes: u32::MAX,
        },
    }
}

impl Session {
    /// What of the positions read it awaits and the log does not hold any more.
    fn missing(&self, asked: &[Seq], batch: &Batch) -> Vec<Seq> {
        let held: BTreeSet<Seq> = batch.entries.iter().map(|entry| entry.seq).collect();
        let read = asked.iter().copied().filter(|seq| *seq <= batch.next);
        read.filter(|seq| self.feed.awaits(*seq) && !held.contains(seq))
            .collect()
    }
}
