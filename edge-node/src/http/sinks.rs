//! `DELETE /api/v1/sinks/NAME`.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Path, State},
    http::StatusCode,
};

use super::{Fault, Node, Shared, peer::Peer};
use crate::node::handle::RemoveError;

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
