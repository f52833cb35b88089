//! A group: several consumers of one debt, each message to one of them.

use std::collections::{BTreeMap, BTreeSet};

use spool::{CursorId, LossReason, NodeTime, Seq};

use super::{
    Broker,
    action::Reader,
    deadline::Timer,
    feed::Feed,
    journal::Journal,
    session::SessionId,
    subscriptions::{Grant, Subscriber},
};
use crate::record::{Change, SubscriptionOptions};

/// Index of a group in the broker.
pub(crate) type GroupId = usize;

/// A shared subscription, or a group of the mesh services (which reads for itself).
#[derive(Debug)]
pub(crate) struct Group {
    /// `share/<group>/<filter>` or `mesh/<name>`; its cursor has the same name.
    pub(crate) name: String,
    pub(crate) cursor: CursorId,
    /// Topic filters of a mesh group; empty for a shared subscription.
    pub(crate) filters: Vec<String>,
    pub(crate) members: BTreeMap<SessionId, Grant>,
    /// The member whose turn comes after this one.
    pub(crate) last: SessionId,
    pub(crate) feed: Feed,
    /// Handed to a member that went away without acknowledging; they go first.
    pub(crate) returned: BTreeSet<Seq>,
    /// Held by a member since before the last start: not to be handed out again when the feed comes to them.
    pub(crate) held: BTreeSet<Seq>,
}

impl Group {
    pub(crate) fn new(name: String, cursor: CursorId, filters: Vec<String>, after: Seq) -> Group {
        Group {
            name,
            cursor,
            filters,
            members: BTreeMap::new(),
            last: 0,
            feed: Feed {
                sent: after,
                owed: after,
                ..Feed::default()
            },
            returned: BTreeSet::new(),
            held: BTreeSet::new(),
        }
    }

    /// The members in turn, beginning after the last one that got a message.
    pub(crate) fn turn(&self) -> Vec<SessionId> {
        let after = self.members.range(self.last + 1..).map(|(id, _)| *id);
        let before = self.members.range(..=self.last).map(|(id, _)| *id);
        after.chain(before).collect()
    }
}

/// The name of the group, and of its cursor, behind a shared subscription.
pub(crate) fn shared_name(group: &str, filter: &str) -> String {
    format!("share/{group}/{filter}")
}

impl Broker {
    pub(super) fn wake_groups_of(&mut self, session: SessionId) {
        let groups = self
            .groups
            .iter()
            .filter(|(_, group)| group.members.contains_key(&session));
        let groups: Vec<_> = groups.map(|(id, _)| id).collect();
        for id in groups {
            if let Some(group) = self.groups.get_mut(id) {
                group.feed.owed = group.feed.owed.max(self.appended);
            }
            self.hungry.insert(Reader::Group(id));
        }
    }

    pub(crate) fn open_group(
        &mut self,
        name: String,
        cursor: spool::CursorId,
        filters: Vec<String>,
        after: Seq,
    ) {
        self.forget_group(&name);
        let parsed: Vec<_> = filters
            .iter()
            .filter_map(|filter| filters::TopicFilter::parse(filter).ok())
            .collect();
        let id = self
            .groups
            .insert(Group::new(name.clone(), cursor, filters, after));
        self.group_names.insert(name, id);
        for filter in parsed {
            let options = SubscriptionOptions {
                qos: 2,
                ..SubscriptionOptions::default()
            };
            self.subscriptions
                .insert(&filter, Subscriber::Group(id), options);
        }
        self.subscriptions.forget();
    }

    pub(super) fn forget_group(&mut self, name: &str) {
        self.resting.remove(name);
        let Some(id) = self.group_names.remove(name) else {
            return;
        };
        let Some(group) = self.groups.try_remove(id) else {
            return;
        };
        for filter in &group.filters {
            if let Ok(filter) = filters::TopicFilter::parse(filter) {
                self.subscriptions.remove(&filter, Subscriber::Group(id));
            }
        }
        self.hungry.remove(&super::Reader::Group(id));
        self.subscriptions.forget();
    }

    /// Removes shared groups without any subscriber, now or as soon as there is room to note it.
    pub(crate) fn remove_empty_groups(&mut self, journal: &mut Journal<'_>) {
        let empty = self.groups.iter().filter(|(_, g)| {
            g.members.is_empty() && g.filters.is_empty() && g.name.starts_with("share/")
        });
        let empty: Vec<_> = empty
            .map(|(_, group)| (group.name.clone(), group.cursor))
            .collect();
        for (name, cursor) in empty {
            if self.change(journal, Change::GroupRemoved { name }).is_err() {
                let again = NodeTime(journal.now.0 + 1000);
                self.timers.set_at_latest(Timer::EmptyGroups, again);
                return;
            }
            journal.remove_cursor(cursor, Some(LossReason::SessionEnded));
        }
    }
}
