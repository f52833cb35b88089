//! `POST /api/v1/replay` and `DELETE /api/v1/replay/NAME`.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Path, Request, State},
    http::StatusCode,
};

use super::{Fault, Node, Shared, peer::Peer};
use crate::node::replay::{ReplayAnswer, ReplayError, ReplayRequest};

pub(super) async fn replay<N: Node>(
    State(shared): State<Arc<Shared<N>>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Result<(StatusCode, Json<ReplayAnswer>), Fault> {
    peer.is_operator()?;
    let request: ReplayRequest = shared.json(request).await?;
    let answer = shared.node.replay(request).await.map_err(|it| fault(&it))?;
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

pub(super) async fn stop<N: Node>(
    State(shared): State<Arc<Shared<N>>>,
    Extension(peer): Extension<Peer>,
    Path(sink): Path<String>,
) -> Result<StatusCode, Fault> {
    peer.is_operator()?;
    let stopped = shared.node.stop_replay(&sink).await;
    stopped.map_err(|it| fault(&it))?;
    Ok(StatusCode::NO_CONTENT)
}

fn fault(error: &ReplayError) -> Fault {
    let text = error.to_string();
    match error {
        ReplayError::UnknownSink { .. } | ReplayError::Idle { .. } => {
            Fault::new(StatusCode::NOT_FOUND, text)
        }
        ReplayError::Busy { .. } => Fault::new(StatusCode::CONFLICT, text),
        ReplayError::Empty { .. } => Fault::bad(text),
        ReplayError::Unavailable { .. } => Fault::later(text),
    }
}
