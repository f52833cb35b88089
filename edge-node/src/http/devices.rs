//! `GET /api/v1/devices`, `GET` and `DELETE /api/v1/devices/ID`.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
};

use super::{Fault, Node, Shared, connection::Peer};
use crate::node::devices::{DeviceError, DevicePage, DeviceStatus, DevicesQuery, MOST_OF_PAGE};

pub(super) async fn list<N: Node>(
    State(shared): State<Arc<Shared<N>>>,
    query: Result<Query<DevicesQuery>, QueryRejection>,
) -> Result<Json<DevicePage>, Fault> {
    let Query(query) = query.map_err(|error| Fault::bad(error.body_text()))?;
    if !(1..=MOST_OF_PAGE).contains(&query.limit) {
        return Err(Fault::bad(format!("`limit` is 1 to {MOST_OF_PAGE}")));
    }
    Ok(Json(shared.node.devices(query).await?))
}

pub(super) async fn show<N: Node>(
    State(shared): State<Arc<Shared<N>>>,
    Path(device): Path<String>,
) -> Result<Json<DeviceStatus>, Fault> {
    Ok(Json(shared.node.device(&device).await?))
}

pub(super) async fn remove<N: Node>(
    State(shared): State<Arc<Shared<N>>>,
    Extension(peer): Extension<Peer>,
    Path(device): Path<String>,
) -> Result<StatusCode, Fault> {
    peer.is_operator()?;
    shared.node.remove_device(&device).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<DeviceError> for Fault {
    fn from(error: DeviceError) -> Fault {
        let text = error.to_string();
        match error {
            DeviceError::Unknown { .. } => Fault::new(StatusCode::NOT_FOUND, text),
            DeviceError::Connected { .. } => Fault::new(StatusCode::CONFLICT, text),
            DeviceError::Unavailable { .. } => Fault::later(text),
        }
    }
}
