//! How the HTTP and gRPC doors reach the node's core, from any thread.
//! CONTRACT: the bodies come with the core.
#![allow(unused_variables, clippy::unimplemented)]

use filters::Event;
use spool::{CursorId, Seq, Spool};
use tokio::sync::watch;

use super::{
    replay::{ReplayAnswer, ReplayError, ReplayRequest},
    status::NodeStatus,
};

/// A door's way to the core. Cheap to clone.
#[derive(Clone)]
pub struct NodeHandle {}

/// One event on its way in through a door other than MQTT.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The topic it is published on: delivered to MQTT subscribers of it, owed to sinks whose `from` accepts it.
    pub topic: String,
    pub event: Event,
}

/// Who sent it: what a sink's peer sent is not sent back to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Http { peer: String },
    Grpc { peer: String },
}

#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum PublishError {
    /// The lane is full or the disk does not take it: nothing of the batch was taken; try again later.
    #[error("the spool is full: {what}")]
    Full { what: String },
    /// This event is invalid; nothing of the batch was taken.
    #[error("event {index}: {reason}")]
    Refused { index: usize, reason: String },
    #[error("the node is stopping")]
    Stopping,
}

impl NodeHandle {
    /// Takes events in as one transaction; returns when all of them are on stable storage. Cancel-safe in this sense:
    /// dropping the future leaves it open whether they were taken.
    pub async fn publish(&self, origin: Origin, events: Vec<Incoming>) -> Result<(), PublishError> {
        unimplemented!()
    }

    /// Opens the durable group `name` (creates its cursor if it is new, starting now) and sets its topic filters.
    /// Returns once that is durable.
    pub async fn open_group(
        &self,
        name: &str,
        filters: Vec<filters::TopicFilter>,
    ) -> Result<CursorId, PublishError> {
        unimplemented!()
    }

    /// Removes a group; what it was owed enters the ledger.
    pub async fn remove_group(&self, name: &str) -> Result<(), PublishError> {
        unimplemented!()
    }

    /// The whole of status, as `GET /api/v1/status` shows it.
    pub async fn status(&self) -> Result<NodeStatus, PublishError> {
        unimplemented!()
    }

    /// Gives a sink once more what lies in a range of the log and its `from` accepts. Returns once that is durable; the
    /// sink sends it after what it is owed.
    pub async fn replay(&self, request: ReplayRequest) -> Result<ReplayAnswer, ReplayError> {
        unimplemented!()
    }

    /// The event a record carries, with the topic it was published on; `None` for a record that carries none.
    pub fn event(&self, entry: &spool::Entry) -> Option<Incoming> {
        unimplemented!()
    }

    pub fn spool(&self) -> &Spool {
        unimplemented!()
    }

    /// Changes with each commit.
    pub fn commits(&self) -> watch::Receiver<Seq> {
        unimplemented!()
    }
}
