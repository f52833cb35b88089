//! The HTTP door: events in, status and metrics out.
//!
//! ```text
//! POST /events/publish?topic=T         one CloudEvent, structured or binary      202 once it is on stable storage
//! POST /events/publish-batch?topic=T   a JSON array of CloudEvents, all or none  202 once all are
//! POST /api/v1/replay                  {"sink": …, "from": …, "to": …}           202 once that is durable
//! DELETE /api/v1/replay/NAME           no more of that for the sink of this name         204 once that is durable
//! POST /api/v1/rules/reload            the files of rules, read again            200 once they are in use
//! DELETE /api/v1/sinks/NAME            what is held for a sink that left the configuration  204 once that is durable
//! POST /api/v1/sinks/NAME/dead-letters {"fate": "retry"} or "drop"            200 once that is durable
//! GET  /api/v1/devices?after=ID&limit=N  some devices, by name; `next` is the `after` of the next page
//! GET  /api/v1/devices/ID              all that is known of one
//! POST /api/v1/devices/ID/commands     {"name": …, "data": …, "expires": …}    202 once that is durable
//! GET  /api/v1/devices/ID/commands     those that are kept; …/commands/COMMAND one of them
//! PUT  /api/v1/devices/ID/configuration {"data": …}                              202 once that is durable
//! DELETE /api/v1/devices/ID            nothing more of one that is away          204 once that is durable
//! GET  /api/v1/tail?filter=F            a line of JSON for each event that passes and fits, as it passes
//! GET  /api/v1/status                  the whole of `NodeStatus` as JSON
//! GET  /metrics                        the same for Prometheus
//! GET  /health                         200, or 503 while nothing is acknowledged
//! ```
//!
//! Every error is JSON, `{"error": "…"}`; one that concerns an event says which (`"event": 3`, from 0) and which
//! attribute (`"attribute": "source"`). Without `?topic=` an event goes to the topic its `subject` names, else to the
//! `topic` of `[http]`. Publishing and replaying ask for a media type or a header that no web page can send to another
//! origin unasked, so that a page in a browser on this machine cannot publish.
//!
//! Bytes are `"data"`, any JSON, whose text they are, or `"data_base64"`.
//!
//! Replaying, reloading, removing, settling dead letters, looking at events, commands and configurations are the operator's: they are refused to a peer that is not on
//! this machine. One that is asks at an address or at `localhost`, in `Host`: a browser may have been told that another name is this machine.
//!
//! Bounds: connections; time for a head, for a body, and for the peer to take an answer; bytes of one body, and of all
//! bodies in memory together. A peer that is over one of them costs its own connection or request.

use std::{future::Future, sync::Arc};

use axum::{
    Router,
    http::StatusCode,
    routing::{delete, get, post, put},
};
use tokio::net::TcpListener;

use crate::{
    config::HttpConfig,
    node::{
        dead::{DeadAnswer, DeadError, DeadFate},
        devices::{
            CommandAnswer, CommandOrder, CommandStatus, ConfigurationAnswer, DeviceError,
            DevicePage, DeviceStatus, DevicesQuery,
        },
        door::DoorCounters,
        handle::{Incoming, NodeHandle, Origin, PublishError, RemoveError},
        reload::{ReloadAnswer, ReloadError},
        replay::{ReplayAnswer, ReplayError, ReplayRequest},
        status::NodeStatus,
        tap::TapReader,
    },
};

mod answer;
mod body;
mod connection;
mod devices;
mod inspect;
mod metrics;
mod peer;
mod publish;
mod replay;
mod rules;
mod sinks;
mod tail;
mod timed;

use answer::Fault;
use body::Bodies;
use connection::Bounds;

/// What the door asks of the node. The node itself is one, a fake in tests the other.
pub trait Node: Clone + Send + Sync + 'static {
    /// See [`NodeHandle::id`].
    fn id(&self) -> &str;
    /// See [`NodeHandle::publish`].
    fn publish(
        &self,
        origin: Origin,
        events: Vec<Incoming>,
    ) -> impl Future<Output = Result<(), PublishError>> + Send;
    /// See [`NodeHandle::status`].
    fn status(&self) -> impl Future<Output = Result<NodeStatus, PublishError>> + Send;
    /// See [`NodeHandle::replay`].
    fn replay(
        &self,
        request: ReplayRequest,
    ) -> impl Future<Output = Result<ReplayAnswer, ReplayError>> + Send;
    /// See [`NodeHandle::stop_replay`].
    fn stop_replay(&self, sink: &str) -> impl Future<Output = Result<(), ReplayError>> + Send;
    /// See [`NodeHandle::settle_dead_letters`].
    fn settle_dead_letters(
        &self,
        sink: &str,
        fate: DeadFate,
    ) -> impl Future<Output = Result<DeadAnswer, DeadError>> + Send;
    /// See [`NodeHandle::reload_rules`].
    fn reload_rules(&self) -> impl Future<Output = Result<ReloadAnswer, ReloadError>> + Send;
    /// See [`NodeHandle::tap`].
    fn tap(&self) -> impl Future<Output = Result<Option<TapReader>, PublishError>> + Send;
    /// See [`NodeHandle::remove_sink`].
    fn remove_sink(&self, name: &str) -> impl Future<Output = Result<(), RemoveError>> + Send;
    /// See [`NodeHandle::devices`].
    fn devices(
        &self,
        query: DevicesQuery,
    ) -> impl Future<Output = Result<DevicePage, DeviceError>> + Send;
    /// See [`NodeHandle::device`].
    fn device(
        &self,
        device: &str,
    ) -> impl Future<Output = Result<DeviceStatus, DeviceError>> + Send;
    /// See [`NodeHandle::remove_device`].
    fn remove_device(&self, device: &str) -> impl Future<Output = Result<(), DeviceError>> + Send;
    /// See [`NodeHandle::command`].
    fn command(
        &self,
        device: &str,
        order: CommandOrder,
    ) -> impl Future<Output = Result<CommandAnswer, DeviceError>> + Send;
    /// See [`NodeHandle::commands`].
    fn commands(
        &self,
        device: &str,
    ) -> impl Future<Output = Result<Vec<CommandStatus>, DeviceError>> + Send;
    /// See [`NodeHandle::configure_device`].
    fn configure_device(
        &self,
        device: &str,
        data: Vec<u8>,
    ) -> impl Future<Output = Result<ConfigurationAnswer, DeviceError>> + Send;
}

impl Node for NodeHandle {
    fn id(&self) -> &str {
        NodeHandle::id(self)
    }

    async fn publish(&self, origin: Origin, events: Vec<Incoming>) -> Result<(), PublishError> {
        NodeHandle::publish(self, origin, events).await
    }

    async fn status(&self) -> Result<NodeStatus, PublishError> {
        NodeHandle::status(self).await
    }

    async fn replay(&self, request: ReplayRequest) -> Result<ReplayAnswer, ReplayError> {
        NodeHandle::replay(self, request).await
    }

    async fn stop_replay(&self, sink: &str) -> Result<(), ReplayError> {
        NodeHandle::stop_replay(self, sink).await
    }

    async fn settle_dead_letters(
        &self,
        sink: &str,
        fate: DeadFate,
    ) -> Result<DeadAnswer, DeadError> {
        NodeHandle::settle_dead_letters(self, sink, fate).await
    }

    async fn reload_rules(&self) -> Result<ReloadAnswer, ReloadError> {
        NodeHandle::reload_rules(self).await
    }

    async fn tap(&self) -> Result<Option<TapReader>, PublishError> {
        NodeHandle::tap(self).await
    }

    async fn remove_sink(&self, name: &str) -> Result<(), RemoveError> {
        NodeHandle::remove_sink(self, name).await
    }

    async fn devices(&self, query: DevicesQuery) -> Result<DevicePage, DeviceError> {
        NodeHandle::devices(self, query).await
    }

    async fn device(&self, device: &str) -> Result<DeviceStatus, DeviceError> {
        NodeHandle::device(self, device).await
    }

    async fn remove_device(&self, device: &str) -> Result<(), DeviceError> {
        NodeHandle::remove_device(self, device).await
    }

    async fn command(
        &self,
        device: &str,
        order: CommandOrder,
    ) -> Result<CommandAnswer, DeviceError> {
        NodeHandle::command(self, device, order).await
    }

    async fn commands(&self, device: &str) -> Result<Vec<CommandStatus>, DeviceError> {
        NodeHandle::commands(self, device).await
    }

    async fn configure_device(
        &self,
        device: &str,
        data: Vec<u8>,
    ) -> Result<ConfigurationAnswer, DeviceError> {
        NodeHandle::configure_device(self, device, data).await
    }
}

/// What every request shares.
struct Shared<N> {
    node: N,
    config: HttpConfig,
    bodies: Bodies,
}

/// Serves until `shutdown` is ready; then accepts no more, lets the requests under way end, and returns within
/// seconds. Must run inside a tokio runtime; dropping it closes every connection.
pub async fn serve<N: Node>(
    listener: TcpListener,
    node: N,
    config: HttpConfig,
    counters: Arc<DoorCounters>,
    shutdown: impl Future<Output = ()>,
) {
    let bounds = Bounds::of(&config);
    serve_within(bounds, listener, node, config, counters, shutdown).await;
}

async fn serve_within<N: Node>(
    bounds: Bounds,
    listener: TcpListener,
    node: N,
    config: HttpConfig,
    counters: Arc<DoorCounters>,
    shutdown: impl Future<Output = ()>,
) {
    let shared = Shared {
        node,
        config,
        bodies: Bodies::default(),
    };
    connection::accept(listener, router(shared), bounds, counters, shutdown).await;
}

fn router<N: Node>(shared: Shared<N>) -> Router {
    Router::new()
        .route("/events/publish", post(publish::one::<N>))
        .route("/events/publish-batch", post(publish::batch::<N>))
        .route("/api/v1/replay", post(replay::replay::<N>))
        .route("/api/v1/replay/{sink}", delete(replay::stop::<N>))
        .route("/api/v1/rules/reload", post(rules::reload::<N>))
        .route("/api/v1/sinks/{name}", delete(sinks::remove::<N>))
        .route(
            "/api/v1/sinks/{name}/dead-letters",
            post(sinks::settle_dead_letters::<N>),
        )
        .route("/api/v1/devices", get(devices::list::<N>))
        .route(
            "/api/v1/devices/{device}",
            get(devices::show::<N>).delete(devices::remove::<N>),
        )
        .route(
            "/api/v1/devices/{device}/commands",
            get(devices::commands::<N>).post(devices::command::<N>),
        )
        .route(
            "/api/v1/devices/{device}/commands/{command}",
            get(devices::command_status::<N>),
        )
        .route(
            "/api/v1/devices/{device}/configuration",
            put(devices::configure::<N>),
        )
        .route("/api/v1/tail", get(tail::tail::<N>))
        .route("/api/v1/status", get(inspect::status::<N>))
        .route("/metrics", get(inspect::metrics::<N>))
        .route("/health", get(inspect::health::<N>))
        .fallback(async || Fault::new(StatusCode::NOT_FOUND, "there is nothing at this path"))
        .method_not_allowed_fallback(async || {
            Fault::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "this path takes another method",
            )
        })
        .with_state(Arc::new(shared))
}

#[cfg(test)]
mod tests;
