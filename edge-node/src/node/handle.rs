//! How the HTTP and gRPC doors reach the node's core, from any thread.

use std::{borrow::Cow, sync::Arc};

use cloud_uplink::eventmesh::attribute::{MESH_TOPIC, MQTT_TOPIC};
use filters::{Event, Value};
use spool::{Seq, Spool};
use tokio::sync::{mpsc, oneshot, watch};

use crate::config::NodeId;

use super::{
    dead::DeadOrder,
    devices::DeviceRequest,
    groups::GroupRequest,
    reload::{ReloadAnswer, ReloadError, ReloadOrder},
    replay::{ReplayAnswer, ReplayError, ReplayOrder, ReplayRequest},
    status::NodeStatus,
    tap::TapReader,
    view,
};

/// Requests that may wait for the core.
const REQUESTS_MAX: usize = 64;

/// A door's way to the core. Cheap to clone.
#[derive(Clone)]
pub struct NodeHandle {
    id: NodeId,
    requests: mpsc::Sender<Request>,
    spool: Spool,
    commits: watch::Receiver<Seq>,
    surroundings: Surroundings,
    pub(super) orders: Orders,
}

/// What is ordered of others than the core.
#[derive(Clone)]
pub struct Orders {
    /// Of the uplinks.
    pub uplinks: mpsc::Sender<UplinkOrder>,
    /// Of the shell: to read the rules again.
    pub reloads: mpsc::Sender<ReloadOrder>,
}

/// What is ordered of the uplinks.
#[derive(Debug)]
pub enum UplinkOrder {
    /// To give a sink again what it had.
    Replay(ReplayOrder),
    /// What is to become of dead letters.
    DeadLetters(DeadOrder),
}

/// Adds to a status what the core does not know: the node's name, its listeners, its sinks.
pub type Surroundings = Arc<dyn Fn(&mut NodeStatus) + Send + Sync>;

/// One event on its way in through a door other than MQTT.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The topic it is published on: delivered to MQTT subscribers of it, owed to sinks whose `from` accepts it.
    pub topic: String,
    /// The event.
    pub event: Event,
}

impl Incoming {
    /// An event that came on `topic`. One that another node sent names the topic it was published on there: it is
    /// published on that here too, and its mesh topic stays with it, for those who subscribe to that.
    pub fn on(topic: String, mut event: Event) -> Incoming {
        event.extensions.remove(MESH_TOPIC);
        let named = event.extension_text(MQTT_TOPIC).map(Cow::into_owned);
        let fits = |named: &String| {
            *named != topic && !named.starts_with('$') && filters::check_topic_name(named).is_ok()
        };
        match named.filter(fits) {
            None => Incoming { topic, event },
            Some(named) => {
                let carried = Value::String(topic);
                event.extensions.insert(MESH_TOPIC.to_owned(), carried);
                Incoming {
                    topic: named,
                    event,
                }
            }
        }
    }

    /// The topic under which a mesh carried it, if that is not the one it is published on.
    pub fn mesh_topic(&self) -> Option<Cow<'_, str>> {
        self.event.extension_text(MESH_TOPIC)
    }
}

/// Who sent it: what a sink's peer sent is not sent back to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Another node, by whatever door.
    Node {
        /// What it calls itself.
        id: NodeId,
    },
    /// Over HTTP, from this address.
    Http {
        /// The peer.
        peer: String,
    },
    /// Over gRPC, from this address.
    Grpc {
        /// The peer.
        peer: String,
    },
}

/// How the origin of what a stage of a rule derived begins; the name of the rule follows.
pub const RULE_ORIGIN: &str = "rule:";

/// How the origin of what another node sent begins.
pub const NODE_ORIGIN: &str = "node:";

impl Origin {
    /// The origin of a request with this value of [`NODE_HEADER`](cloud_uplink::NODE_HEADER), or else this one.
    pub fn of_node(said: Option<&str>, otherwise: impl FnOnce() -> Origin) -> Origin {
        match said.map(str::parse) {
            Some(Ok(id)) => Origin::Node { id },
            Some(Err(_)) | None => otherwise(),
        }
    }

    /// As a record keeps it.
    pub fn text(&self) -> String {
        match self {
            Origin::Node { id } => format!("{NODE_ORIGIN}{}", id.as_str()),
            Origin::Http { peer } => format!("http:{peer}"),
            Origin::Grpc { peer } => format!("grpc:{peer}"),
        }
    }
}

/// Why a batch was not taken.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum PublishError {
    /// The lane is full or the disk does not take it: nothing of the batch was taken; try again later.
    #[error("the spool is full: {what}")]
    Full {
        /// What the log said.
        what: String,
    },
    /// The batch is more than the log can ever take at once; nothing of it was taken. Send fewer events at a time.
    #[error(
        "this is more than the log takes at once: send it in smaller batches, or events with less data"
    )]
    TooLarge,
    /// This event is invalid; nothing of the batch was taken.
    #[error("event {index}: {reason}")]
    Refused {
        /// Its place in the batch, from 0.
        index: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The node is stopping: whether the batch was taken is open.
    #[error("the node is stopping")]
    Stopping,
}

/// Why a sink was not removed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum RemoveError {
    /// Nothing is held under this name.
    #[error("nothing is held for a sink `{sink}`")]
    Unknown {
        /// As asked for.
        sink: String,
    },
    /// It runs.
    #[error(
        "`{sink}` is in the configuration; take its [[uplink]] out of the file and start the node again"
    )]
    Configured {
        /// As asked for.
        sink: String,
    },
    /// The log does not take it; try again later.
    #[error("the node cannot take it at the moment: {what}")]
    Unavailable {
        /// What the log said.
        what: String,
    },
}

/// What a door asks of the core.
pub enum Request {
    /// Take these events in, all or none.
    Publish {
        /// From whom.
        origin: Origin,
        /// Which.
        events: Vec<Incoming>,
        /// The position that must be committed before they are acknowledged.
        reply: oneshot::Sender<Result<Seq, PublishError>>,
    },
    /// Something about groups.
    Groups(GroupRequest),
    /// Remove what is held for a sink that left the configuration.
    RemoveSink {
        /// Its name.
        name: String,
        /// The position that must be committed before it is gone.
        reply: oneshot::Sender<Result<Seq, RemoveError>>,
    },
    /// Something about devices.
    Devices(DeviceRequest),
    /// Show every event that passes from here on.
    Tap {
        /// `None`: as many look on as may.
        reply: oneshot::Sender<Option<TapReader>>,
    },
    /// Tell how the node is.
    Status {
        /// All but the sinks.
        reply: oneshot::Sender<NodeStatus>,
    },
}

impl NodeHandle {
    /// A handle, and the requests the core is to answer.
    pub fn new(
        id: NodeId,
        spool: Spool,
        commits: watch::Receiver<Seq>,
        surroundings: Surroundings,
        orders: Orders,
    ) -> (NodeHandle, mpsc::Receiver<Request>) {
        let (requests, receiver) = mpsc::channel(REQUESTS_MAX);
        (
            NodeHandle {
                id,
                requests,
                spool,
                commits,
                surroundings,
                orders,
            },
            receiver,
        )
    }

    /// What the node calls itself.
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    /// Takes events in as one transaction; returns when all of them are on stable storage. Cancel-safe in this sense:
    /// dropping the future leaves it open whether they were taken.
    pub async fn publish(&self, origin: Origin, events: Vec<Incoming>) -> Result<(), PublishError> {
        let seq = self
            .ask(|reply| Request::Publish {
                origin,
                events,
                reply,
            })
            .await??;
        self.committed(seq).await
    }

    /// Removes what is held for a sink that left the configuration; what it was owed enters the ledger.
    pub async fn remove_sink(&self, name: &str) -> Result<(), RemoveError> {
        let unavailable = |error: PublishError| RemoveError::Unavailable {
            what: error.to_string(),
        };
        let name = name.to_owned();
        let asked = self.ask(|reply| Request::RemoveSink { name, reply }).await;
        let seq = asked.map_err(unavailable)??;
        self.committed(seq).await.map_err(unavailable)
    }

    /// A look at every event that is taken in from here on; `None` if as many look on as may.
    pub async fn tap(&self) -> Result<Option<TapReader>, PublishError> {
        self.ask(|reply| Request::Tap { reply }).await
    }

    /// The whole of status, as `GET /api/v1/status` shows it.
    pub async fn status(&self) -> Result<NodeStatus, PublishError> {
        let mut status = self.ask(|reply| Request::Status { reply }).await?;
        (self.surroundings)(&mut status);
        Ok(status)
    }

    /// Gives a sink once more what lies in a range of the log and its `from` accepts. Returns once that is durable; the
    /// sink sends it beside what it is owed, which keeps the larger share.
    pub async fn replay(&self, request: ReplayRequest) -> Result<ReplayAnswer, ReplayError> {
        self.order(|reply| ReplayOrder::Begin { request, reply })
            .await
    }

    /// Ends the replay of a sink before its end. Returns once that is durable; what is on its way to the sink arrives.
    pub async fn stop_replay(&self, sink: &str) -> Result<(), ReplayError> {
        let sink = sink.to_owned();
        self.order(|reply| ReplayOrder::Stop { sink, reply }).await
    }

    async fn order<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<T, ReplayError>>) -> ReplayOrder,
    ) -> Result<T, ReplayError> {
        let stopping = || ReplayError::Unavailable {
            what: PublishError::Stopping.to_string(),
        };
        let (reply, answer) = oneshot::channel();
        self.orders
            .uplinks
            .send(UplinkOrder::Replay(order(reply)))
            .await
            .map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?
    }

    /// Reads the files of rules again, all or none; returns once every event is judged by them.
    pub async fn reload_rules(&self) -> Result<ReloadAnswer, ReloadError> {
        let (reply, answer) = oneshot::channel();
        let ordered = self.orders.reloads.send(reply).await;
        ordered.map_err(|_| ReloadError::Stopping)?;
        answer.await.map_err(|_| ReloadError::Stopping)?
    }

    /// The event a record carries, with the topic it was published on; `None` for a record that carries none.
    pub fn event(&self, entry: &spool::Entry) -> Option<Incoming> {
        view::event(entry).map(|seen| Incoming {
            topic: seen.topic,
            event: seen.event,
        })
    }

    /// The log.
    pub fn spool(&self) -> &Spool {
        &self.spool
    }

    /// Changes with each commit.
    pub fn commits(&self) -> watch::Receiver<Seq> {
        self.commits.clone()
    }

    pub(super) async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, PublishError> {
        let (reply, answer) = oneshot::channel();
        self.requests
            .send(request(reply))
            .await
            .map_err(|_| PublishError::Stopping)?;
        answer.await.map_err(|_| PublishError::Stopping)
    }

    pub(super) async fn committed(&self, seq: Seq) -> Result<(), PublishError> {
        let mut commits = self.commits.clone();
        commits
            .wait_for(|committed| *committed >= seq)
            .await
            .map(drop)
            .map_err(|_| PublishError::Stopping)
    }
}

#[cfg(test)]
mod tests;
