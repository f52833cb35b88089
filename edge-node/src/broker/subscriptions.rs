//! Who hears a topic: sessions, shared groups and sinks in one table, and the answer for each topic remembered.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    rc::Rc,
};

use filters::{TopicFilter, TopicTrie};
use serde::{Deserialize, Serialize};
use spool::{CursorId, Lane, RouteId};

use super::{group::GroupId, session::SessionId};
use crate::record::SubscriptionOptions;

/// Topics whose audience is remembered; all are forgotten when it is full or a subscription changes.
const REMEMBERED_MAX: usize = 4096;

/// Who subscribes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Subscriber {
    Session(SessionId),
    /// A member of a shared group; the group hears once.
    Member(GroupId, SessionId),
    /// A group of the mesh services.
    Group(GroupId),
    Sink(CursorId),
}

/// What a subscriber is granted of a message, merged over its subscriptions that match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grant {
    /// Maximum QoS, 0 to 2.
    pub(crate) qos: u8,
    pub(crate) retain_as_published: bool,
    pub(crate) identifiers: Vec<u32>,
}

impl Grant {
    fn merge(&mut self, options: &SubscriptionOptions) {
        self.qos = self.qos.max(options.qos);
        self.retain_as_published |= options.retain_as_published;
        self.identifiers.extend(options.identifier);
    }

    pub(crate) fn of(options: &SubscriptionOptions) -> Grant {
        let mut grant = Grant::default();
        grant.merge(options);
        grant
    }
}

/// A session that hears a topic.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listener {
    pub(crate) grant: Option<Grant>,
    /// The grant for what the session published itself: without its no-local subscriptions.
    pub(crate) own: Option<Grant>,
}

/// Everybody who hears one topic.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    pub(crate) sessions: BTreeMap<SessionId, Listener>,
    pub(crate) groups: BTreeMap<GroupId, BTreeMap<SessionId, Grant>>,
    pub(crate) sinks: Vec<CursorId>,
    /// The routes found so far, by whether the QoS is above 0 and by lane.
    routes: RefCell<Vec<((bool, Lane), RouteId)>>,
    /// Whether a session here has a no-local subscription, so that a route depends on the publisher.
    pub(crate) depends_on_publisher: bool,
}

/// The terms of a route, as the log keeps them: what each cursor is granted, in the order of the cursors.
pub(crate) type Terms = Vec<(CursorId, Grant)>;

/// The table.
#[derive(Default)]
pub(crate) struct Subscriptions {
    trie: TopicTrie<Subscriber, SubscriptionOptions>,
    remembered: HashMap<String, Rc<Audience>>,
}

impl Subscriptions {
    pub(crate) fn insert(
        &mut self,
        filter: &TopicFilter,
        who: Subscriber,
        options: SubscriptionOptions,
    ) {
        self.remembered.clear();
        self.trie.insert(filter, who, options);
    }

    pub(crate) fn remove(&mut self, filter: &TopicFilter, who: Subscriber) {
        self.remembered.clear();
        self.trie.remove(filter, &who);
    }

    /// Forgets routes: a cursor came or went that the table does not show.
    pub(crate) fn forget(&mut self) {
        self.remembered.clear();
    }

    pub(crate) fn audience(&mut self, topic: &str) -> Rc<Audience> {
        if let Some(audience) = self.remembered.get(topic) {
            return Rc::clone(audience);
        }
        let mut audience = Audience::default();
        self.trie
            .matches(topic, |who, options| audience.add(*who, options));
        audience.sinks.sort_unstable();
        audience.sinks.dedup();
        let audience = Rc::new(audience);
        if self.remembered.len() >= REMEMBERED_MAX {
            self.remembered.clear();
        }
        self.remembered
            .insert(topic.to_owned(), Rc::clone(&audience));
        audience
    }

    /// Who hears an event that a mesh carried under a topic of its own: besides those who hear `topic` the groups of the
    /// mesh services that hear that.
    pub(crate) fn audience_of_carried(
        &mut self,
        topic: &str,
        mesh_topic: Option<&str>,
    ) -> Rc<Audience> {
        let audience = self.audience(topic);
        let Some(mesh_topic) = mesh_topic else {
            return audience;
        };
        // A group of the mesh services has no members here.
        let carried = self.audience(mesh_topic);
        let groups = carried
            .groups
            .iter()
            .filter(|(id, members)| members.is_empty() && !audience.groups.contains_key(id));
        let more: Vec<GroupId> = groups.map(|(id, _)| *id).collect();
        if more.is_empty() {
            return audience;
        }
        let mut both = audience.without(&BTreeSet::new(), &BTreeSet::new());
        both.sinks.clone_from(&audience.sinks);
        both.depends_on_publisher = audience.depends_on_publisher;
        both.groups
            .extend(more.into_iter().map(|id| (id, BTreeMap::new())));
        Rc::new(both)
    }
}

impl Audience {
    fn add(&mut self, who: Subscriber, options: &SubscriptionOptions) {
        match who {
            Subscriber::Session(session) => {
                let listener = self.sessions.entry(session).or_default();
                listener.grant.get_or_insert_default().merge(options);
                if options.no_local {
                    self.depends_on_publisher = true;
                } else {
                    listener.own.get_or_insert_default().merge(options);
                }
            }
            Subscriber::Member(group, session) => {
                self.groups
                    .entry(group)
                    .or_default()
                    .insert(session, Grant::of(options));
            }
            Subscriber::Group(group) => {
                self.groups.entry(group).or_default();
            }
            Subscriber::Sink(cursor) => self.sinks.push(cursor),
        }
    }

    /// The same without these sessions and groups.
    pub(super) fn without(
        &self,
        sessions: &BTreeSet<SessionId>,
        groups: &BTreeSet<GroupId>,
    ) -> Audience {
        let sessions = self
            .sessions
            .iter()
            .filter(|(id, _)| !sessions.contains(id));
        let groups = self.groups.iter().filter(|(id, _)| !groups.contains(id));
        Audience {
            sessions: sessions.map(|(id, one)| (*id, one.clone())).collect(),
            groups: groups.map(|(id, one)| (*id, one.clone())).collect(),
            ..Audience::default()
        }
    }

    pub(crate) fn remembered_route(&self, class: (bool, Lane)) -> Option<RouteId> {
        self.routes
            .borrow()
            .iter()
            .find(|(known, _)| *known == class)
            .map(|(_, route)| *route)
    }

    pub(crate) fn remember_route(&self, class: (bool, Lane), route: RouteId) {
        self.routes.borrow_mut().push((class, route));
    }

    /// What this session is granted of a message of `publisher`.
    pub(crate) fn grant(&self, session: SessionId, publisher: Option<SessionId>) -> Option<&Grant> {
        let listener = self.sessions.get(&session)?;
        if publisher == Some(session) {
            listener.own.as_ref()
        } else {
            listener.grant.as_ref()
        }
    }
}
