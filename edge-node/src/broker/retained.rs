//! Retained messages: topic and position in memory, payload on disk.

use std::{collections::BTreeMap, ops::Bound};

use filters::{Subscription, TopicFilter};
use serde::{Deserialize, Serialize};
use spool::{Entry, NodeTime, Seq};

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
    /// A new subscription is to be given what is retained.
    pub(super) fn search_retained(
        &mut self,
        journal: &Journal<'_>,
        session: SessionId,
        request: &SubscriptionRequest,
        identifier: Option<u32>,
    ) {
        let Ok(subscription) = Subscription::parse(&request.filter) else {
            return;
        };
        if subscription.group.is_some() {
            return;
        }
        let grant = RetainedGrant {
            qos: request.qos as u8,
            identifier,
        };
        let search = Search {
            grant,
            filter: subscription.filter,
            upto: journal.appended(),
            after: None,
            is_over: false,
        };
        if let Some(found) = self.sessions.get_mut(session) {
            found.errands.search(request.filter.clone(), search);
            self.hungry.insert(Reader::Session(session));
        }
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
            QoS::ExactlyOnce => {
                let place = Place::Retained(grant, entry.seq);
                self.send_exactly_once(id, &message, &granted, place, None, journal)
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
