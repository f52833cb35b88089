//! `POST /api/v1/rules/reload`.

use std::sync::Arc;

use axum::{Extension, Json, extract::State, http::HeaderMap};

use super::{Fault, Node, Shared, peer::Peer, publish::content_type};
use crate::node::reload::{ReloadAnswer, ReloadError};

pub(super) async fn reload<N: Node>(
    State(shared): State<Arc<Shared<N>>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Json<ReloadAnswer>, Fault> {
    peer.is_operator()?;
    let json = |text: &str| text.trim().eq_ignore_ascii_case("application/json");
    if !content_type(&headers).is_some_and(json) {
        return Err(Fault::bad("send application/json"));
    }
    match shared.node.reload_rules().await {
        Ok(answer) => Ok(Json(answer)),
        Err(error @ ReloadError::Rules { .. }) => Err(Fault::bad(error.to_string())),
        Err(error @ ReloadError::Stopping) => Err(Fault::later(error.to_string())),
    }
}
