//! `GET /api/v1/status`, `GET /metrics` and `GET /health`: one status, three forms.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use tokio::time::timeout;

use super::{Fault, Node, Shared, metrics};
use crate::node::status::{NodeHealth, NodeStatus};

/// A node that takes longer to say how it is does not serve.
const STATUS_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn status<N: Node>(
    State(shared): State<Arc<Shared<N>>>,
) -> Result<Json<NodeStatus>, Fault> {
    shared.status().await.map(Json)
}

pub(super) async fn metrics<N: Node>(
    State(shared): State<Arc<Shared<N>>>,
) -> Result<impl IntoResponse, Fault> {
    let status = shared.status().await?;
    Ok((
        [(header::CONTENT_TYPE, metrics::CONTENT_TYPE)],
        metrics::text(&status),
    ))
}

pub(super) async fn health<N: Node>(
    State(shared): State<Arc<Shared<N>>>,
) -> Result<(StatusCode, Json<NodeHealth>), Fault> {
    let health = shared.status().await?.health;
    let code = match health {
        NodeHealth::Ok | NodeHealth::Degraded { .. } => StatusCode::OK,
        NodeHealth::Failing { .. } | NodeHealth::Stopped => StatusCode::SERVICE_UNAVAILABLE,
    };
    Ok((code, Json(health)))
}

impl<N: Node> Shared<N> {
    async fn status(&self) -> Result<NodeStatus, Fault> {
        match timeout(STATUS_TIMEOUT, self.node.status()).await {
            Ok(status) => Ok(status?),
            Err(_) => Err(Fault::later("the node does not answer")),
        }
    }
}
