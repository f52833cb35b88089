//! `DELETE /api/v1/sinks/NAME` and `POST /api/v1/sinks/NAME/dead-letters`.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Path, Request, State},
    http::StatusCode,
};

use super::{Fault, Node, Shared, peer::Peer};
use crate::node::{
    dead::{DeadAnswer, DeadError, DeadRequest},
    handle::RemoveError,
};

pub(super) async fn remove<N: Node>(
    State(shared): State<Arc<Shared<N>>>,
    Extension(peer): Extension<Peer>,
    Path(name): Path<String>,
) -> Result<StatusCode, Fault> {
    peer.is_operator()?;
    match shared.node.remove_sink(&name).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error) => {
            let text = error.to_string();
            Err(match error {
                RemoveError::Unknown { .. } => Fault::new(StatusCode::NOT_FOUND, text),
                RemoveError::Configured { .. } => Fault::new(StatusCode::CONFLICT, text),
                RemoveError::Unavailable { .. } => Fault::later(text),
            })
        }
    }
}

pub(super) async fn settle_dead_letters<N: Node>(
    State(shared): State<Arc<Shared<N>>>,
    Extension(peer): Extension<Peer>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Json<DeadAnswer>, Fault> {
    peer.is_operator()?;
    let DeadRequest { fate } = shared.json(request).await?;
    match shared.node.settle_dead_letters(&name, fate).await {
        Ok(answer) => Ok(Json(answer)),
        Err(error) => {
            let text = error.to_string();
            Err(match error {
                DeadError::UnknownSink { .. } => Fault::new(StatusCode::NOT_FOUND, text),
                DeadError::Unavailable { .. } => Fault::later(text),
            })
        }
    }
}
