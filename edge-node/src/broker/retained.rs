//! Retained messages: topic and position in memory, payload on disk.

use std::{collections::BTreeMap, ops::Bound};

use filters::{Subscription, TopicFilter};
use serde::{Deserialize, Serialize};
use spool::{Entry, Full, NodeTime, Seq};

use super::{
    Broker,
    action::Reader,
    connection::Connection,
    deadline::Timer,
    delivery::Offered,
    errands::RetainedGrant,
    flight::Place,
    journal::Journal,
    limits::Limits,
    message::{Message, effective},
    session::SessionId,
    subscriptions::Grant,
};
use crate::{
    mqtt::packet::{QoS, SubscriptionRequest},
    record::Change,
};

/// The newest retained message of each topic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Retained {
    by_topic: BTreeMap<String, Kept>,
    /// Bytes of memory that they take.
    #[serde(skip)]
    bytes: usize,
}

/// Bytes of memory for a topic with a retained message.
fn topic_bytes(topic: &str) -> usize {
    topic.len() + 2 * size_of::<(String, Kept)>()
}

/// Where a retained message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) seq: Seq,
    pub(crate) expires: Option<NodeTime>,
}

/// What a record of the running transaction changes of what is kept although nobody is owed it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Retention {
    Keep(Seq),
    /// Once what takes its place is on stable storage.
    Release(Seq),
}

/// The retained messages that a new subscription is yet to be given: those that stood when it was made.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) grant: RetainedGrant,
    filter: TopicFilter,
    /// What is retained later comes as it is published.
    upto: Seq,
    /// The last topic looked at.
    after: Option<String>,
    /// Whether there is no further one.
    pub(super) is_over: bool,
}

/// What is retained and a durable session is yet to be given, since it asked for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Asked {
    filter: String,
    /// The last topic whose message of QoS 2 was sent: topics come in their order.
    after: Option<String>,
}

impl Asked {
    pub(super) fn new(filter: String) -> Asked {
        Asked {
            filter,
            after: None,
        }
    }

    pub(super) fn is_for(&self, filter: &str) -> bool {
        self.filter == filter
    }

    /// The message of this topic was sent at QoS 2.
    pub(super) fn sent(&mut self, topic: String) {
        self.after = Some(topic);
    }
}

impl Search {
    /// What is retained up to a position for this filter; none for a shared subscription.
    fn of(filter: &str, grant: RetainedGrant, upto: Seq) -> Option<Search> {
        let subscription = Subscription::parse(filter).ok()?;
        subscription.group.is_none().then_some(Search {
            grant,
            filter: subscription.filter,
            upto,
            after: None,
            is_over: false,
        })
    }
}

impl Retained {
    /// Sets or, with `None`, clears; gives the position it replaces.
    pub(crate) fn set(&mut self, topic: &str, kept: Option<Kept>) -> Option<Seq> {
        let replaced = match kept {
            Some(kept) => self.by_topic.insert(topic.to_owned(), kept),
            None => self.by_topic.remove(topic),
        };
        match (kept, replaced) {
            (Some(_), None) => self.bytes += topic_bytes(topic),
            (None, Some(_)) => self.bytes -= topic_bytes(topic),
            (Some(_), Some(_)) | (None, None) => {}
        }
        replaced.map(|old| old.seq)
    }

    /// As a checkpoint has it.
    pub(super) fn restored(mut self) -> Retained {
        self.bytes = self.by_topic.keys().map(|topic| topic_bytes(topic)).sum();
        self
    }

    /// Whether a message of this topic may be kept.
    pub(super) fn has_place_for(&self, topic: &str, limits: &Limits) -> bool {
        self.contains(topic)
            || (self.len() < limits.retained
                && self.bytes + topic_bytes(topic) <= limits.retained_bytes)
    }

    /// Bytes of memory for the topics.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.by_topic.len()
    }

    fn contains(&self, topic: &str) -> bool {
        self.by_topic.contains_key(topic)
    }

    /// Whether the message at this position is what its topic retains.
    pub(super) fn holds(&self, topic: &str, seq: Seq) -> bool {
        self.by_topic.get(topic).is_some_and(|kept| kept.seq == seq)
    }

    pub(crate) fn positions(&self) -> impl Iterator<Item = Seq> {
        self.by_topic.values().map(|kept| kept.seq)
    }

    /// The next positions, at most `most`, for at most so many looks at a topic.
    pub(super) fn find(&self, search: &mut Search, most: usize, looks: &mut usize) -> Vec<Seq> {
        let text = search.filter.as_str();
        let upto = search.upto;
        let stood = |kept: &Kept| kept.seq <= upto;
        let Some(wildcard) = text.find(['+', '#']) else {
            *looks = looks.saturating_sub(1);
            search.is_over = true;
            let kept = self.by_topic.get(text).filter(|kept| stood(kept));
            return kept.map(|kept| kept.seq).into_iter().collect();
        };
        // `a/#` matches `a` as well, so the common prefix ends before the separator.
        let prefix = text.get(..wildcard).unwrap_or("").trim_end_matches('/');
        let from = match &search.after {
            Some(topic) => Bound::Excluded(topic.as_str()),
            None => Bound::Included(prefix),
        };
        let mut topics = self
            .by_topic
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(|(topic, _)| topic.starts_with(prefix));
        let (mut found, mut last) = (Vec::new(), None);
        while found.len() < most && *looks > 0 {
            let Some((topic, kept)) = topics.next() else {
                search.is_over = true;
                break;
            };
            *looks -= 1;
            last = Some(topic);
            if stood(kept) && search.filter.matches(topic) {
                found.push(kept.seq);
            }
        }
        if let Some(topic) = last {
            search.after = Some(topic.clone());
        }
        found
    }

    /// Topics whose message has expired.
    pub(crate) fn expired(&self, now: NodeTime) -> Vec<(String, Seq)> {
        let expired = |kept: &Kept| kept.expires.is_some_and(|at| at <= now);
        self.by_topic
            .iter()
            .filter(|(_, kept)| expired(kept))
            .map(|(topic, kept)| (topic.clone(), kept.seq))
            .collect()
    }

    /// When the next one expires.
    pub(crate) fn next_expiry(&self) -> Option<NodeTime> {
        self.by_topic.values().filter_map(|kept| kept.expires).min()
    }
}

/// How often retained messages are searched for expired ones, in milliseconds, while there are any that expire.
const RETAINED_SWEEP_MS: u64 = 30_000;

impl From<RetainedGrant> for Grant {
    fn from(retained: RetainedGrant) -> Grant {
        Grant {
            qos: retained.qos,
            retain_as_published: true,
            identifiers: retained.identifier.into_iter().collect(),
        }
    }
}

impl Broker {
    /// Has the log know that a durable session is to be given what is retained, and gives the position where it says so.
    pub(super) fn ask_retained(
        &mut self,
        journal: &mut Journal<'_>,
        session: SessionId,
        request: &SubscriptionRequest,
    ) -> Result<Option<Seq>, Full> {
        let Some(found) = self.sessions.get(session) else {
            return Ok(None);
        };
        if !found.is_durable() || request.qos == QoS::AtMostOnce || self.retained.len() == 0 {
            return Ok(None);
        }
        let asked = Change::RetainedAsked {
            client: found.client.to_string(),
            filter: request.filter.clone(),
        };
        self.change(journal, asked).map(Some)
    }

    /// A new subscription is to be given what is retained.
    pub(super) fn search_retained(
        &mut self,
        journal: &Journal<'_>,
        session: SessionId,
        request: &SubscriptionRequest,
        identifier: Option<u32>,
        asked: Option<Seq>,
    ) {
        let grant = RetainedGrant {
            qos: request.qos as u8,
            identifier,
            asked,
        };
        let upto = journal.appended();
        if let (Some(found), Some(search)) = (
            self.sessions.get_mut(session),
            Search::of(&request.filter, grant, upto),
        ) {
            found.errands.search(request.filter.clone(), search);
            self.hungry.insert(Reader::Session(session));
        }
    }

    /// After a start: what a session was being given is searched from the beginning, for what of it arrived is not known.
    pub(super) fn search_again(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        for (at, asked) in &session.kept.asked {
            let Some(options) = session.kept.subscriptions.get(&asked.filter) else {
                continue;
            };
            let grant = RetainedGrant {
                qos: options.qos,
                identifier: options.identifier,
                asked: Some(*at),
            };
            if let Some(search) = Search::of(&asked.filter, grant, *at) {
                session.errands.search(asked.filter.clone(), search);
            }
        }
    }

    /// Has the log know that a session was given everything retained that it asked for, if it was.
    pub(super) fn note_given(&mut self, journal: &mut Journal<'_>, id: SessionId) {
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        let is_given = session.errands.has_found_all() && !session.flights.has_retained();
        if !session.kept.asked.is_empty() && is_given {
            let client = session.client.to_string();
            // Without room it is noted later, or given once more after a start.
            let _ = self.change(journal, Change::RetainedGiven { client });
        }
    }

    /// Whether this was sent at QoS 2, by this run or one before.
    fn has_flown(&self, id: SessionId, grant: RetainedGrant, topic: &str) -> bool {
        let session = self.sessions.get(id);
        let asked = session.zip(grant.asked);
        let asked = asked.and_then(|(session, at)| session.kept.asked.get(&at));
        let after = asked.and_then(|asked| asked.after.as_deref());
        after.is_some_and(|after| topic <= after)
    }

    /// What sessions are yet to be given, by client, for a checkpoint.
    pub(super) fn asked(&self) -> BTreeMap<&str, &BTreeMap<Seq, Asked>> {
        let asking = self.sessions.iter().map(|(_, session)| session);
        asking
            .filter(|session| !session.kept.asked.is_empty())
            .map(|session| (&*session.client, &session.kept.asked))
            .collect()
    }

    /// Sends a retained message to a new subscriber; false if it has no room.
    pub(super) fn send_retained_entry(
        &mut self,
        id: SessionId,
        grant: RetainedGrant,
        entry: &Entry,
        mut message: Message<'_>,
        journal: &mut Journal<'_>,
    ) -> bool {
        let now = journal.now;
        if message.is_expired(now) {
            return true;
        }
        message.retain = true;
        let granted = Grant::from(grant);
        match effective(message.qos, grant.qos) {
            QoS::AtMostOnce => {
                let connection = self.live(id).and_then(|id| self.connections.get(id));
                if !connection.is_some_and(Connection::has_room) {
                    return false;
                }
                self.send_unacknowledged(now, id, &message, &granted);
                true
            }
            QoS::AtLeastOnce => {
                let (qos, place) = (QoS::AtLeastOnce, Place::Retained(grant, entry.seq));
                self.send_acknowledged(now, id, &message, &granted, qos, place, None, false)
                    == Offered::Sent
            }
            QoS::ExactlyOnce if self.has_flown(id, grant, message.topic) => true,
            QoS::ExactlyOnce => {
                let place = Place::Retained(grant, entry.seq);
                self.send_exactly_once(id, &message, &granted, place, None, journal)
            }
        }
    }

    /// Has the log keep what the transaction retains, and let go with its commit what that replaces.
    pub(super) fn hand_over_retentions(&mut self, journal: &mut Journal<'_>) {
        for retention in self.retentions.drain(..) {
            match retention {
                Retention::Keep(seq) => journal.pin(seq),
                Retention::Release(seq) => journal.unpin(seq),
            }
        }
    }

    pub(super) fn expire_retained(&mut self, journal: &mut Journal<'_>) {
        for (topic, seq) in self.retained.expired(journal.now) {
            if self
                .change(
                    journal,
                    Change::RetainedExpired {
                        topic: topic.clone(),
                    },
                )
                .is_ok()
            {
                self.lose_at(
                    spool::LossReason::Expired,
                    format!("retained/{topic}"),
                    seq,
                    0,
                    journal.now,
                );
            }
        }
        self.sweep_retained_later(journal.now);
    }

    /// Has what is retained and expires looked through again, if there is any.
    pub(super) fn sweep_retained_later(&mut self, now: NodeTime) {
        if self.retained.next_expiry().is_some() {
            let again = NodeTime(now.0 + RETAINED_SWEEP_MS);
            self.timers.set_at_latest(Timer::Retained, again);
        }
    }
}
