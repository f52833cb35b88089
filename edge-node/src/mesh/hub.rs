//! Drives the core of the consumers: carries what streams and the log say to it, and its actions out.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use cloud_uplink::eventmesh::{proto::CloudEvent, status};
use filters::TopicFilter;
use spool::{CursorId, ReadLimits, Seq};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant as TokioInstant, sleep_until},
};

use super::{
    answer::{Fault, echo},
    core::{Action, Client, Closed, Core, Item, MemberId, Reading},
    delivery,
    key::GroupKey,
    stream::{Out, Outbox},
};
use crate::node::handle::NodeHandle;

/// Commits that come closer together are one to the groups.
const COMMITS_WITHIN: Duration = Duration::from_millis(2);
/// Bytes that one read brings into memory; a larger record comes alone.
const READ_BYTES: usize = 1 << 20;

/// The way to the hub. Everything sent is bounded by its sender: a stream has one subscription without an answer, and no
/// more events than the core gave it.
#[derive(Clone)]
pub(super) struct Hub {
    inputs: mpsc::UnboundedSender<Input>,
}

/// What happens to the hub.
pub(super) enum Input {
    /// A subscription on a stream.
    Subscribe {
        id: MemberId,
        client: Client,
        items: Vec<Item>,
        request: CloudEvent,
        outbox: Outbox,
        /// Told when the answer is on its way to the client.
        answered: oneshot::Sender<()>,
    },
    Taken(MemberId),
    Ended(MemberId),
    Heartbeat(Client, oneshot::Sender<bool>),
    Unsubscribe(Client, Vec<TopicFilter>, oneshot::Sender<()>),
    Opened(GroupKey, Result<CursorId, String>),
    Removed(GroupKey, bool),
    Rested(GroupKey, bool),
    Read(GroupKey, Option<Reading<Box<CloudEvent>>>),
}

impl Hub {
    /// A way to a hub that is to be run, and what it is run with.
    pub(super) fn new() -> (Hub, mpsc::UnboundedReceiver<Input>) {
        let (inputs, receiver) = mpsc::unbounded_channel();
        (Hub { inputs }, receiver)
    }

    pub(super) fn tell(&self, input: Input) {
        let _ = self.inputs.send(input); // the hub is gone: the node stops
    }

    /// Whether the client is known; not, when the node stops.
    pub(super) async fn heartbeat(&self, client: Client) -> bool {
        let (reply, answer) = oneshot::channel();
        self.tell(Input::Heartbeat(client, reply));
        answer.await.unwrap_or(false)
    }

    pub(super) async fn unsubscribe(&self, client: Client, topics: Vec<TopicFilter>) {
        let (reply, answer) = oneshot::channel();
        self.tell(Input::Unsubscribe(client, topics, reply));
        let _ = answer.await; // the hub is gone: so is the subscription
    }
}

/// Runs until `shutdown` changes, then ends every stream.
pub(super) async fn run(
    node: NodeHandle,
    hub: Hub,
    mut inputs: mpsc::UnboundedReceiver<Input>,
    message_bytes: usize,
    mut shutdown: watch::Receiver<bool>,
) {
    let names: Vec<String> = node
        .spool()
        .status()
        .cursors
        .into_iter()
        .map(|it| it.name)
        .collect();
    let mut commits = node.commits();
    let Ok(resting) = node.resting_groups().await else {
        return; // the node stops
    };
    let cursors = names
        .iter()
        .map(|name| (name.as_str(), resting.get(name).copied()));
    let mut driver = Driver {
        core: Core::new(Instant::now(), cursors),
        node,
        hub,
        message_bytes,
        streams: BTreeMap::new(),
    };
    let mut commit_at: Option<TokioInstant> = None;
    loop {
        driver.carry_out();
        let deadline = driver.core.next_deadline().map(TokioInstant::from_std);
        tokio::select! {
            input = inputs.recv() => match input {
                Some(input) => driver.handle(input),
                None => return,
            },
            changed = commits.changed(), if commit_at.is_none() => match changed {
                Ok(()) => commit_at = Some(TokioInstant::now() + COMMITS_WITHIN),
                Err(_) => break,
            },
            () = at(commit_at) => {
                commit_at = None;
                driver.core.handle_commit();
            }
            () = at(deadline) => driver.core.handle_deadline(Instant::now()),
            _ = shutdown.wait_for(|stop| *stop) => break,
        }
    }
    driver.core.shut_down();
    driver.carry_out();
}

async fn at(time: Option<TokioInstant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

struct Driver {
    core: Core<Box<CloudEvent>>,
    node: NodeHandle,
    hub: Hub,
    message_bytes: usize,
    streams: BTreeMap<MemberId, Stream>,
}

struct Stream {
    outbox: Outbox,
    /// The subscription that waits for its answer.
    asked: Option<(CloudEvent, oneshot::Sender<()>)>,
}

impl Driver {
    fn handle(&mut self, input: Input) {
        let now = Instant::now();
        match input {
            Input::Subscribe {
                id,
                client,
                items,
                request,
                outbox,
                answered,
            } => {
                let stream = Stream {
                    outbox,
                    asked: Some((request, answered)),
                };
                self.streams.insert(id, stream);
                self.core.handle_subscribe(now, id, client, items);
            }
            Input::Taken(id) => self.core.handle_taken(now, id),
            Input::Ended(id) => {
                self.streams.remove(&id);
                self.core.handle_end(now, id);
            }
            Input::Heartbeat(client, reply) => {
                let known = self.core.handle_heartbeat(now, &client);
                let _ = reply.send(known); // the client may have gone
            }
            Input::Unsubscribe(client, topics, reply) => {
                self.core.handle_unsubscribe(now, &client, &topics);
                let _ = reply.send(()); // the client may have gone
            }
            Input::Opened(key, result) => self.core.handle_opened(now, &key, result),
            Input::Removed(key, removed) => self.core.handle_removed(&key, removed),
            Input::Rested(key, noted) => self.core.handle_rested(now, &key, noted),
            Input::Read(key, reading) => self.core.handle_read(now, &key, reading),
        }
    }

    fn carry_out(&mut self) {
        while let Some(action) = self.core.poll_action() {
            match action {
                Action::Open(key) => self.open(key),
                Action::Remove(key) => self.remove(key),
                Action::Rest(key) => self.rest(key),
                Action::Read {
                    key,
                    cursor,
                    after,
                    events,
                } => self.read(key, cursor, after, events),
                Action::Deliver { member, message } => {
                    if let Some(stream) = self.streams.get(&member) {
                        stream.outbox.put(Out::Event(message));
                    }
                }
                Action::Answer(member, result) => self.answer(member, result.map_err(|it| it.0)),
                Action::Close(member, why) => self.close(member, why),
                Action::Ack { cursor, seqs } => self.node.spool().ack(cursor, &seqs),
            }
        }
    }

    fn open(&self, key: GroupKey) {
        let (node, hub) = (self.node.clone(), self.hub.clone());
        tokio::spawn(async move {
            let opened = node
                .open_group(&key.to_string(), vec![key.topic.clone()])
                .await;
            hub.tell(Input::Opened(
                key,
                opened.map_err(|error| error.to_string()),
            ));
        });
    }

    fn rest(&self, key: GroupKey) {
        let (node, hub) = (self.node.clone(), self.hub.clone());
        tokio::spawn(async move {
            let rested = node.rest_group(&key.to_string()).await;
            if let Err(error) = &rested {
                tracing::warn!(group = %key, %error, "that a group has no subscriber cannot be noted yet");
            }
            hub.tell(Input::Rested(key, rested.is_ok()));
        });
    }

    fn remove(&self, key: GroupKey) {
        let (node, hub) = (self.node.clone(), self.hub.clone());
        tokio::spawn(async move {
            let removed = node.remove_group(&key.to_string()).await;
            if let Err(error) = &removed {
                tracing::warn!(group = %key, %error, "a group that expired cannot be removed yet");
            }
            hub.tell(Input::Removed(key, removed.is_ok()));
        });
    }

    fn read(&self, key: GroupKey, cursor: CursorId, after: Seq, events: usize) {
        let (node, hub, message_bytes) = (self.node.clone(), self.hub.clone(), self.message_bytes);
        let limits = ReadLimits {
            records: events,
            bytes: READ_BYTES,
            lanes: u32::MAX,
        };
        tokio::task::spawn_blocking(move || {
            let batch = node.spool().read(cursor, after, limits);
            let reading = match batch {
                Ok(batch) => Some(delivery::reading(&node, &key, batch, message_bytes)),
                Err(error) => {
                    tracing::warn!(group = %key, %error, "the log cannot be read for a group");
                    None
                }
            };
            hub.tell(Input::Read(key, reading));
        });
    }

    fn answer(&mut self, member: MemberId, result: Result<(), String>) {
        let Some(stream) = self.streams.get_mut(&member) else {
            return;
        };
        let Some((request, answered)) = stream.asked.take() else {
            return;
        };
        let outcome = match result {
            Ok(()) => Ok("subscribe success".to_owned()),
            Err(detail) => Err(Fault::new(status::SUBSCRIBE, detail)),
        };
        let message = Box::new(echo(request, &outcome));
        stream.outbox.put(Out::Answer {
            message,
            answered: Some(answered),
        });
    }

    fn close(&mut self, member: MemberId, why: Closed) {
        if let Some(stream) = self.streams.remove(&member) {
            tracing::info!(
                member = member.0,
                ?why,
                "the stream of a subscriber is ended"
            );
            stream.outbox.put(Out::End(match why {
                Closed::Stalled => Some(tonic::Status::resource_exhausted(
                    "the stream took no event while some were waiting, for 120 s, or for 10 s while its group waited for it; \
                     they go to others",
                )),
                Closed::Stopping => Some(tonic::Status::unavailable("the node is stopping")),
                Closed::Silent | Closed::Refused => None,
            }));
        }
        self.core.handle_end(Instant::now(), member);
    }
}
