//! Errands: what goes to a session by position, beside its feed: messages that were in flight on an earlier connection,
//! and retained messages of a new subscription. A few at a time, as the client takes them, so that neither the messages
//! in flight nor a subscription to everything retained are ever in memory as a whole.

use std::{
    collections::{BTreeMap, VecDeque},
    num::NonZeroU16,
    rc::Rc,
};

use spool::{Entry, Full, NodeTime, Seq};

use super::{
    Broker,
    action::{Action, Reader, Ticket},
    answer::{Answer, Gate},
    connection::ConnectionId,
    journal::Journal,
    message::Message,
    retained::{Retained, Search},
    session::SessionId,
    withheld::Withheld,
};
use crate::record::Record;

/// Errands of one read: at the largest packet size, so many packets are in memory.
const AT_ONCE: usize = 16;

/// Topics with a retained message that are looked at in one step of a search: nobody else is served meanwhile.
pub(super) const LOOKED_AT_ONCE: usize = 1024;

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
    /// Where a durable session asked for it, if a start is to go on with that.
    pub(crate) asked: Option<Seq>,
}

/// The errands of a session.
#[derive(Debug, Default)]
pub(crate) struct Errands {
    /// What was in flight on the last connection.
    again: VecDeque<Errand>,
    /// A few retained messages that were found.
    found: VecDeque<Errand>,
    /// Where the rest of them is searched, by topic filter.
    searches: BTreeMap<String, Search>,
    /// What is being read, and under which ticket.
    running: Vec<Errand>,
    ticket: Option<Ticket>,
    /// At this committed position the log could not be read, or had no room.
    pub(super) dry_at: Option<Seq>,
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
        self.again.is_empty() && self.found.is_empty() && self.searches.is_empty()
    }

    /// Whether something that was in flight is still to be sent again.
    pub(super) fn has_resends(&self) -> bool {
        !self.again.is_empty()
    }

    /// Whether everything retained that was asked for was found and sent.
    pub(super) fn has_found_all(&self) -> bool {
        let all = self.found.is_empty() && self.searches.is_empty();
        all && self.running.iter().all(Errand::is_resend)
    }

    /// What is in flight is to be sent again.
    pub(super) fn send_again(&mut self, errands: impl Iterator<Item = Errand>) {
        self.again = errands.collect();
    }

    /// A subscription is given what is retained; one that is made again begins anew.
    pub(super) fn search(&mut self, filter: String, search: Search) {
        self.searches.insert(filter, search);
    }

    /// A subscription ended.
    pub(super) fn stop_search(&mut self, filter: &str) {
        self.searches.remove(filter);
    }

    /// The connection ended. What is retained is still to be sent on the next one.
    pub(super) fn interrupt(&mut self) {
        self.again.clear();
        self.dry_at = None;
        self.ticket = None;
        let unsent = std::mem::take(&mut self.running);
        self.put_back(unsent.into_iter().filter(|errand| !errand.is_resend()));
    }

    fn put_back(&mut self, errands: impl DoubleEndedIterator<Item = Errand>) {
        for errand in errands.rev() {
            if errand.is_resend() {
                self.again.push_front(errand);
            } else {
                self.found.push_front(errand);
            }
        }
    }

    /// Those of `again` that come next, with room for so many messages on the connection.
    fn next_again(&mut self, committed: Seq, mut room: usize) -> Vec<Errand> {
        let mut next = Vec::new();
        while next.len() < AT_ONCE
            && let Some(errand) = self.again.front()
            && errand.seq().is_none_or(|seq| seq <= committed)
        {
            if !matches!(errand, Errand::Release(_)) {
                if room == 0 {
                    break;
                }
                room -= 1;
            }
            next.extend(self.again.pop_front());
        }
        next
    }

    fn next_found(&mut self, committed: Seq, retained: &Retained) -> Vec<Errand> {
        let mut looks = LOOKED_AT_ONCE;
        while self.found.is_empty()
            && looks > 0
            && let Some(mut search) = self.searches.first_entry()
        {
            let seqs = retained.find(search.get_mut(), AT_ONCE, &mut looks);
            let grant = search.get().grant;
            if search.get().is_over {
                search.remove();
            }
            let errand = |seq| Errand::Retained(grant, seq);
            self.found.extend(seqs.into_iter().map(errand));
        }
        let mut next = Vec::new();
        while let Some(errand) = self.found.front()
            && errand.seq().is_none_or(|seq| seq <= committed)
        {
            next.extend(self.found.pop_front());
        }
        next
    }

    /// Whether a search goes on that has found nothing yet.
    fn is_searching(&self) -> bool {
        self.found.is_empty() && !self.searches.is_empty()
    }

    /// Whether others may be run.
    fn may_run(&self, committed: Seq) -> bool {
        self.ticket.is_none()
            && self.running.is_empty()
            && self.dry_at.is_none_or(|dry| dry < committed)
    }

    /// How many are in flight and not on this connection yet.
    fn unsent(&self) -> usize {
        self.again.len()
    }
}

impl Broker {
    /// Orders the next few errands, if the client has room and what they read is committed.
    pub(crate) fn run_errands(&mut self, id: SessionId) {
        let (room, committed) = (self.has_room(id), self.committed);
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let Some(connection_id) = session.connection else {
            return;
        };
        let Some(connection) = self.connections.get(connection_id) else {
            return;
        };
        if !session.errands.may_run(committed) || !connection.has_room() {
            return;
        }
        let sent = session
            .flights
            .len()
            .saturating_sub(session.errands.unsent());
        let window = connection.window.saturating_sub(sent);
        let mut errands = session.errands.next_again(committed, window);
        let mut goes_on = false;
        if errands.is_empty() && session.errands.again.is_empty() && room {
            errands = session.errands.next_found(committed, &self.retained);
            // Without an errand: others have their turn, then it is looked further.
            goes_on = session.errands.is_searching();
        }
        if !errands.is_empty() || goes_on {
            session.errands.running.clone_from(&errands);
            let ticket = self.next_ticket();
            if let Some(session) = self.sessions.get_mut(id) {
                session.errands.ticket = Some(ticket);
            }
            self.actions.push_back(Action::RunErrands {
                session: id,
                ticket,
                errands,
            });
        }
    }

    /// Runs errands with what was read for them; `None`: the log could not be read, and they are tried again.
    pub fn handle_errands(
        &mut self,
        id: SessionId,
        ticket: Ticket,
        errands: Vec<Errand>,
        entries: Option<&[Entry]>,
        journal: &mut Journal<'_>,
    ) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let Some(connection_id) = session.connection else {
            return;
        };
        // The connection they were for may be gone: then the next one has orders of its own.
        if session.errands.ticket != Some(ticket) {
            return;
        }
        session.errands.ticket = None;
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
        session.errands.running.clear();
        session.errands.put_back(rest.into_iter());
        session.feed.resending = session.errands.has_resends();
        if entries.is_none() {
            self.rest_errands(id, journal.now);
        }
        self.hungry.insert(Reader::Session(id));
        if entries.is_some() {
            self.feed_hungry();
        }
        self.note_given(journal, id);
        self.flush(connection_id);
    }

    /// Nothing came of the errands of a session at this committed position: the next commit may help.
    pub(super) fn errands_are_dry(&mut self, id: SessionId, at: Seq) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.errands.dry_at = Some(at);
        }
    }

    /// Lets the errands of a session wait for a while.
    pub(super) fn rest_errands(&mut self, id: SessionId, now: NodeTime) {
        self.errands_are_dry(id, Seq(u64::MAX));
        self.read_again_later(Reader::Session(id), now);
    }

    /// The log has no room for what an errand records: the next commit may make some, or there is some after a while.
    pub(super) fn errands_wait(&mut self, id: SessionId, full: Full, now: NodeTime) {
        match full {
            Full::Waiting => self.errands_are_dry(id, self.committed),
            Full::Bound { .. } | Full::TooLarge | Full::UnknownRoute => self.rest_errands(id, now),
        }
    }

    /// Whether an errand is done, or waits for room in the log.
    fn is_done(&mut self, id: SessionId, done: Result<(), Full>, now: NodeTime) -> bool {
        if let Err(full) = done {
            self.errands_wait(id, full, now);
        }
        done.is_ok()
    }

    /// Runs one errand; false if the client or the log has no room for it.
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
                let sent = self.send_again(connection_id, id, *packet_id, message, None, journal);
                return self.is_done(id, sent, journal.now);
            }
            (Errand::Publish(packet_id, _), Some((entry, message))) => {
                let entry = Some(entry);
                let sent = self.send_again(connection_id, id, *packet_id, message, entry, journal);
                return self.is_done(id, sent, journal.now);
            }
            // Gone from the log, by a bound that the ledger names.
            (Errand::Publish(packet_id, _), None) => {
                let given_up = self.give_up(journal, id, *packet_id);
                return self.is_done(id, given_up, journal.now);
            }
            (Errand::Retained(grant, seq), Some((entry, message)))
                if self.retained.holds(message.topic, *seq) =>
            {
                return self.send_retained_entry(id, *grant, entry, message, journal);
            }
            // Replaced or cleared since it was found: what did so was delivered, or is.
            (Errand::Retained(..), _) => {}
        }
        true
    }
}

#[cfg(test)]
impl Broker {
    /// Errands and searches for more of them in memory, over all sessions.
    pub(crate) fn errands_in_memory(&self) -> usize {
        let errands = self.sessions.iter().map(|(_, session)| &session.errands);
        errands
            .map(|all| all.again.len() + all.found.len() + all.running.len() + all.searches.len())
            .sum()
    }
}
