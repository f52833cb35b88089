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
use crate::{record::SubscriptionOptions, rules::OwedUplinks};

/// Topics whose audience is remembered; all are forgotten when it is full or a subscription changes.
const REMEMBERED_MAX: usize = 4096;

/// Bytes that these may take.
const REMEMBERED_BYTES: usize = 4 << 20;

/// Routes of one audience that are remembered.
const ROUTES_MAX: usize = 32;

/// What one level of a topic filter takes beside its name, at most.
const LEVEL_BYTES: usize = 192;

/// Bytes of memory that a subscription takes, at most: its text is kept with the session and, level by level, in the
/// table, where filters that begin alike share theirs.
pub(crate) fn subscription_bytes(filter: &str) -> usize {
    let levels = 1 + filter.bytes().filter(|byte| *byte == b'/').count();
    2 * filter.len() + LEVEL_BYTES * levels
}

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
    /// The routes found so far.
    routes: RefCell<Vec<KnownRoute>>,
    /// Whether a session here has a no-local subscription, so that a route depends on the publisher.
    pub(crate) depends_on_publisher: bool,
}

/// A route by what it depends on, for one audience.
#[derive(Debug)]
struct KnownRoute {
    /// Whether the QoS is above 0, and the lane.
    class: (bool, Lane),
    /// What rules say of uplinks.
    owed: OwedUplinks,
    route: RouteId,
}

/// The terms of a route, as the log keeps them: what each cursor is granted, in the order of the cursors.
pub(crate) type Terms = Vec<(CursorId, Grant)>;

/// The table.
#[derive(Default)]
pub(crate) struct Subscriptions {
    trie: TopicTrie<Subscriber, SubscriptionOptions>,
    remembered: HashMap<String, Rc<Audience>>,
    remembered_bytes: usize,
    /// Of the subscriptions of sessions.
    bytes: usize,
}

impl Subscriptions {
    pub(crate) fn insert(
        &mut self,
        filter: &TopicFilter,
        who: Subscriber,
        options: SubscriptionOptions,
    ) {
        self.forget();
        let is_new = self.trie.insert(filter, who, options).is_none();
        if is_new && who.is_client() {
            self.bytes += subscription_bytes(filter.as_str());
        }
    }

    pub(crate) fn remove(&mut self, filter: &TopicFilter, who: Subscriber) {
        self.forget();
        let removed = self.trie.remove(filter, &who).is_some();
        if removed && who.is_client() {
            self.bytes -= subscription_bytes(filter.as_str());
        }
    }

    /// Forgets routes: a cursor came or went that the table does not show.
    pub(crate) fn forget(&mut self) {
        self.remembered.clear();
        self.remembered_bytes = 0;
    }

    /// Bytes that the subscriptions of sessions take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
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
        self.remember(topic, &audience);
        audience
    }

    fn remember(&mut self, topic: &str, audience: &Rc<Audience>) {
        let bytes = topic.len() + audience.bytes();
        if self.remembered.len() >= REMEMBERED_MAX
            || self.remembered_bytes + bytes > REMEMBERED_BYTES
        {
            self.forget();
        }
        if bytes <= REMEMBERED_BYTES {
            self.remembered_bytes += bytes;
            self.remembered
                .insert(topic.to_owned(), Rc::clone(audience));
        }
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

impl Subscriber {
    fn is_client(self) -> bool {
        matches!(self, Subscriber::Session(_) | Subscriber::Member(..))
    }
}

impl Audience {
    /// Those who take events and no PUBLISH: uplinks, and groups of the mesh services, which have no members here.
    pub(crate) fn of_uplinks(&self) -> Audience {
        let mesh = self.groups.iter().filter(|(_, members)| members.is_empty());
        Audience {
            groups: mesh.map(|(id, _)| (*id, BTreeMap::new())).collect(),
            sinks: self.sinks.clone(),
            ..Audience::default()
        }
    }

    /// The uplinks alone.
    pub(crate) fn of_sinks(&self) -> Audience {
        Audience {
            sinks: self.sinks.clone(),
            ..Audience::default()
        }
    }

    /// Bytes of memory it takes, about.
    fn bytes(&self) -> usize {
        let of = |grant: &Grant| size_of::<Grant>() + 4 * grant.identifiers.capacity();
        let of_listener = |listener: &Listener| {
            let grants = listener.grant.iter().chain(&listener.own);
            size_of::<SessionId>() + grants.map(of).sum::<usize>()
        };
        let sessions = self.sessions.values().map(of_listener).sum::<usize>();
        let members = self.groups.values().flat_map(BTreeMap::values).map(of);
        size_of::<Audience>() + sessions + members.sum::<usize>() + size_of_val(&*self.sinks)
    }

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

    /// The route found last; the log may have forgotten it since.
    pub(crate) fn remembered_route(
        &self,
        class: (bool, Lane),
        owed: &OwedUplinks,
    ) -> Option<RouteId> {
        self.routes
            .borrow()
            .iter()
            .find(|known| known.class == class && known.owed == *owed)
            .map(|known| known.route)
    }

    /// Remembers a route, in place of one that the log has forgotten.
    pub(crate) fn remember_route(&self, class: (bool, Lane), owed: &OwedUplinks, route: RouteId) {
        let mut routes = self.routes.borrow_mut();
        let is_same = |known: &&mut KnownRoute| known.class == class && known.owed == *owed;
        if let Some(known) = routes.iter_mut().find(is_same) {
            known.route = route;
        } else if routes.len() < ROUTES_MAX {
            routes.push(KnownRoute {
                class,
                owed: owed.clone(),
                route,
            });
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_of_topics_is_bounded_in_bytes() {
        let mut table = Subscriptions::default();
        let everything = TopicFilter::parse("#").unwrap();
        for session in 0..1_000 {
            let options = SubscriptionOptions::default();
            table.insert(&everything, Subscriber::Session(session), options);
        }
        for n in 0..300 {
            let topic = format!("{n}{}", "x".repeat(60_000));
            assert_eq!(table.audience(&topic).sessions.len(), 1_000);
            assert!(table.remembered_bytes <= REMEMBERED_BYTES);
            let names: usize = table.remembered.keys().map(String::len).sum();
            assert!(names < table.remembered_bytes);
        }
        assert!(table.remembered.len() > 1, "nothing is remembered");
    }

    #[test]
    fn the_bytes_of_subscriptions_are_given_back_when_they_end() {
        let mut table = Subscriptions::default();
        let filter = TopicFilter::parse("a/b").unwrap();
        let options = SubscriptionOptions::default();
        for _ in 0..2 {
            table.insert(&filter, Subscriber::Session(1), options);
            assert_eq!(table.bytes(), subscription_bytes("a/b"));
        }
        for _ in 0..2 {
            table.remove(&filter, Subscriber::Session(1));
            assert_eq!(table.bytes(), 0);
        }
    }
}
