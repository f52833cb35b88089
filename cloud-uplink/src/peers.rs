//! Which nodes are at the other end of a sink, so that what came from one is not sent back to it.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

/// The name of the header, over HTTP and gRPC, in which a node says its id with every event it sends and every answer to one.
pub const NODE_HEADER: &str = "edge-node";

/// Nodes remembered for one sink: more than it has endpoints, since one may stand for several.
const NODES_MAX: usize = 64;
/// Bytes of an id.
const ID_MAX: usize = 64;

/// The nodes that answered a sink.
#[derive(Debug, Default)]
pub struct Peers {
    /// What this node calls itself; empty: nothing.
    id: String,
    /// Guards the ids met so far; never held over `.await`.
    met: Mutex<BTreeSet<String>>,
}

impl Peers {
    /// For a node of this id.
    pub fn new(id: impl Into<String>) -> Peers {
        Peers {
            id: id.into(),
            met: Mutex::default(),
        }
    }

    /// What this node calls itself.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A node of this id answered. Above the bound the first are remembered.
    pub fn meet(&self, id: &str) {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        if !id.is_empty() && id.len() <= ID_MAX && !met.contains(id) && met.len() < NODES_MAX {
            met.insert(id.to_owned());
        }
    }

    /// Whether a node of this id has answered.
    pub fn have_met(&self, id: &str) -> bool {
        let met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        met.contains(id)
    }
}
