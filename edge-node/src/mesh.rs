//! The node as a mesh: EventMesh 1.x over gRPC, so that EventMesh's own clients and other nodes use it unchanged.
//!
//! ```text
//!  PublisherService ──▶ decode ──▶ NodeHandle::publish ──▶ (commit) ──▶ "0"
//!  ConsumerService, HeartbeatService ──▶ hub ──▶ core ──▶ Read ──▶ the log, by one cursor for each group
//!                                         ▲                          │
//!        stream to the client ◀───────────┴──────── Deliver ◀────────┘
//! ```
//!
//! - A mesh topic is an MQTT topic: what is published here on `subject` = T reaches MQTT subscribers of T, and the reverse.
//!   An event that another node sent has the MQTT topic on which it entered in its extension `mqtttopic`, and is published
//!   on that; subscribers here hear it by either topic and get the mesh topic as `subject` (docs/decisions).
//! - `publish` answers 0 once the event is on stable storage. `batchPublish` takes all of its events or none, and says so.
//! - A subscription is a durable cursor. Over a stream that breaks, delivery is at least once: what it took in its
//!   last 60 s, or had not taken (16,384 events of a group at most) is given again, with the same ids. What a client had taken off its
//!   stream when it was killed is its own: that the node cannot know.
//! - A group is kept for 24 h without members, over all starts of the node, the part of a broadcasting member for 10 minutes. What they hold lies in the
//!   log, within its bound.
//! - Not served: webhooks (`subscribe` answers 17) and requests that wait for a reply (22).
//!
//! Start reading at [`serve`], then at `core`.

mod answer;
mod consumer;
mod core;
mod delivery;
mod hub;
mod intake;
mod key;
mod listener;
mod publisher;
mod request;
mod stream;

use std::{io, sync::Arc, time::Duration};

use cloud_uplink::eventmesh::proto::{
    consumer_service_server::ConsumerServiceServer,
    heartbeat_service_server::HeartbeatServiceServer,
    publisher_service_server::PublisherServiceServer,
};
use tokio::{net::TcpListener, sync::watch, time::timeout};
use tonic::transport::Server;

use crate::{
    config::GrpcConfig,
    node::{door::DoorCounters, handle::NodeHandle},
};
use consumer::Consumers;
use hub::Hub;
use intake::Intake;
use publisher::Publishers;

/// Calls of one connection at one time. EventMesh's own queue takes as many from all.
const CALLS_MAX: usize = 256;
/// A connection that does not answer a ping for this long after the interval is gone, with its streams.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_WITHIN: Duration = Duration::from_secs(20);
/// A call that has no answer by then never gets one: its message came too slowly, or the disk stands still.
const CALL_WITHIN: Duration = Duration::from_secs(60);
/// The largest subscription or heartbeat: room for 128 topics of 1 KiB.
const SUBSCRIPTION_BYTES: usize = 192 * 1024;
/// How long clients may take to see that their streams have ended when the node stops.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// Serves EventMesh's clients on `listener` until `shutdown` is true; then accepts nothing more, ends every stream and
/// returns within seconds.
///
/// # Errors
/// The listener fails for good.
pub async fn serve(
    listener: TcpListener,
    node: NodeHandle,
    config: GrpcConfig,
    counters: Arc<DoorCounters>,
    shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    let message_bytes = config.max_message.as_usize();
    let (hub, inputs) = Hub::new();
    let consumers = Arc::new(Consumers::new(hub.clone()));
    let publishers = PublisherServiceServer::new(Publishers::new(node.clone()))
        .max_decoding_message_size(message_bytes);
    let subscribers = ConsumerServiceServer::from_arc(Arc::clone(&consumers))
        .max_decoding_message_size(SUBSCRIPTION_BYTES);
    let heartbeats =
        HeartbeatServiceServer::from_arc(consumers).max_decoding_message_size(SUBSCRIPTION_BYTES);
    let intake = Intake::new(message_bytes);
    let router = Server::builder()
        .concurrency_limit_per_connection(CALLS_MAX)
        .max_concurrent_streams(u32::try_from(CALLS_MAX * 2).ok())
        .http2_keepalive_interval(Some(PING_EVERY))
        .http2_keepalive_timeout(Some(PING_WITHIN))
        .timeout(CALL_WITHIN)
        .add_service(intake.guard(publishers))
        .add_service(intake.guard(subscribers))
        .add_service(intake.guard(heartbeats));

    let connections = listener::connections(listener, &config, counters);
    let hub = tokio::spawn(hub::run(node, hub, inputs, message_bytes, shutdown.clone()));
    let stopped = |mut shutdown: watch::Receiver<bool>| async move {
        let _ = shutdown.wait_for(|stop| *stop).await; // its sender is gone: the node stops
    };
    let mut serving =
        Box::pin(router.serve_with_incoming_shutdown(connections, stopped(shutdown.clone())));
    let result = tokio::select! {
        result = &mut serving => Some(result),
        () = stopped(shutdown) => timeout(STOP_PATIENCE, serving).await.ok(),
    };
    hub.abort();
    result.unwrap_or(Ok(())).map_err(io::Error::other)
}
