//! Retained messages: topic and position in memory, payload on disk.

use std::collections::BTreeMap;

use filters::{Subscription, TopicFilter};
use serde::{Deserialize, Serialize};
use spool::{NodeTime, Seq};

use super::{
    Broker, deadline::Timer, errands::RetainedGrant, journal::Journal, session::SessionId,
};
use crate::{mqtt::packet::SubscriptionRequest, record::Change};

/// The newest retained message of each topic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Retained {
    by_topic: BTreeMap<String, Kept>,
}

/// Where a retained message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) seq: Seq,
    pub(crate) expires: Option<NodeTime>,
}

impl Retained {
    /// Sets or, with `None`, clears; gives the position it replaces.
    pub(crate) fn set(&mut self, topic: &str, kept: Option<Kept>) -> Option<Seq> {
        let replaced = match kept {
            Some(kept) => self.by_topic.insert(topic.to_owned(), kept),
            None => self.by_topic.remove(topic),
        };
        replaced.map(|old| old.seq)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_topic.len()
    }

    pub(crate) fn contains(&self, topic: &str) -> bool {
        self.by_topic.contains_key(topic)
    }

    pub(crate) fn positions(&self) -> impl Iterator<Item = Seq> {
        self.by_topic.values().map(|kept| kept.seq)
    }

    /// The positions of all that match and have not expired, by topic.
    pub(crate) fn matching(&self, filter: &TopicFilter, now: NodeTime) -> Vec<Seq> {
        let alive = |kept: &&Kept| kept.expires.is_none_or(|at| at > now);
        let text = filter.as_str();
        let Some(wildcard) = text.find(['+', '#']) else {
            return self
                .by_topic
                .get(text)
                .filter(alive)
                .map(|kept| kept.seq)
                .into_iter()
                .collect();
        };
        // `a/#` matches `a` as well, so the common prefix ends before the separator.
        let prefix = text.get(..wildcard).unwrap_or("").trim_end_matches('/');
        self.by_topic
            .range(prefix.to_owned()..)
            .take_while(|(topic, _)| topic.starts_with(prefix))
            .filter(|(topic, kept)| alive(kept) && filter.matches(topic))
            .map(|(_, kept)| kept.seq)
            .collect()
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
pub(super) const RETAINED_SWEEP_MS: u64 = 30_000;

impl Broker {
    pub(super) fn send_retained(
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
        let seqs = self.retained.matching(&subscription.filter, journal.now);
        if seqs.is_empty() {
            return;
        }
        let grant = RetainedGrant {
            qos: request.qos as u8,
            identifier,
        };
        self.send_retained_at(session, grant, seqs);
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
        if self.retained.next_expiry().is_some() {
            self.timers
                .insert((NodeTime(journal.now.0 + RETAINED_SWEEP_MS), Timer::Retained));
        }
    }
}
