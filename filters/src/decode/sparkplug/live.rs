use std::collections::BTreeMap;

use crate::stage::Moment;

/// Nodes whose messages are counted. One more takes the place of the eighth of them that was not heard for longest; the next message of each of
/// those is taken as it comes.
pub(super) const MAX_NODES: usize = 10_000;

/// Group and node.
type Name = (Box<str>, Box<str>);

/// The nodes that were heard since the start.
#[derive(Clone, Debug, Default)]
pub(super) struct LiveNodes(BTreeMap<Name, Live>);

/// What is known of a node from its messages since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Live {
    /// The position of its last message.
    heard: u64,
    pub(super) seq: Option<u8>,
    /// When it was asked for its births.
    pub(super) asked: Option<Moment>,
}

impl LiveNodes {
    pub(super) fn find(&self, node: &Name) -> Option<Live> {
        self.0.get(node).copied()
    }

    /// What is known of the node whose message is at `position`.
    pub(super) fn hear(&mut self, node: Name, position: u64) -> &mut Live {
        if self.0.len() >= MAX_NODES && !self.0.contains_key(&node) {
            self.forget_silent();
        }
        let live = self.0.entry(node).or_default();
        live.heard = position;
        live
    }

    /// Puts back what [`LiveNodes::find`] said before a message.
    pub(super) fn undo(&mut self, node: Name, before: Option<Live>) {
        match before {
            Some(live) => self.0.insert(node, live),
            None => self.0.remove(&node),
        };
    }

    /// The next message of the node is taken as it comes.
    pub(super) fn forget_seq(&mut self, node: &Name) {
        if let Some(live) = self.0.get_mut(node) {
            live.seq = None;
        }
    }

    /// So many at once that what it costs to look for them is shared by many that come.
    fn forget_silent(&mut self) {
        let mut heard: Vec<u64> = self.0.values().map(|it| it.heard).collect();
        heard.sort_unstable();
        let last = heard.get(heard.len() / 8).copied();
        self.0.retain(|_, it| Some(it.heard) > last);
    }
}
