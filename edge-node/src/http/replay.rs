//! `POST /api/v1/replay`.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Request, State},
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
    match shared.node.replay(request).await {
        Ok(answer) => Ok((StatusCode::ACCEPTED, Json(answer))),
        Err(error @ ReplayError::UnknownSink { .. }) => {
            Err(Fault::new(StatusCode::NOT_FOUND, error.to_string()))
        }
        Err(error @ ReplayError::Busy { .. }) => {
            Err(Fault::new(StatusCode::CONFLICT, error.to_string()))
        }
        Err(error @ ReplayError::Empty { .. }) => Err(Fault::bad(error.to_string())),
        Err(error @ ReplayError::Unavailable { .. }) => Err(Fault::later(error.to_string())),
    }
}
