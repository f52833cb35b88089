//! A group: several consumers of one debt, each message to one of them.

use std::collections::{BTreeMap, BTreeSet};

use spool::{CursorId, Seq};

use super::{feed::Feed, session::SessionId, subscriptions::Grant};

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
