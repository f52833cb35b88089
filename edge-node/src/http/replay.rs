//! `POST /api/v1/replay` and `DELETE /api/v1/replay/NAME`.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Path, Request, State},
    http::StatusCode,
};

use super::{Fault, Node, Shared, connection::Peer, publish::content_type};
use crate::node::replay::{ReplayAnswer, ReplayError, ReplayRequest};

pub(super) async fn replay<N: Node>(
    State(shared): State<Arc<Shared<N>>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Result<(StatusCode, Json<ReplayAnswer>), Fault> {
    peer.is_operator()?;
    let (head, body) = request.into_parts();
    let json = |text: &str| text.trim().eq_ignore_ascii_case("application/json");
    if !content_type(&head.headers).is_some_and(json) {
        return Err(Fault::bad("send application/json"));
    }
    let read = shared.bodies.read(body, &shared.config).await?;
    let request: ReplayRequest =
        serde_json::from_slice(&read.bytes).map_err(|error| Fault::bad(error.to_string()))?;
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
