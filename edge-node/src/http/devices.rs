//! `/api/v1/devices` and what is below: devices, their commands, their configuration.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Path, Query, Request, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode},
};

use super::{Fault, Node, Shared, peer::Peer};
use crate::{
    device::Asker,
    node::devices::{
        CommandAnswer, CommandStatus, ConfigurationAnswer, DeviceError, DevicePage, DeviceStatus,
        DevicesQuery, MOST_OF_PAGE,
    },
    node::order_body::{DataBody, OrderBody},
};

/// What a caller calls its request, so that it makes one command however often it is sent.
const KEY_HEADER: &str = "idempotency-key";
const MOST_KEY_BYTES: usize = 128;

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

pub(super) async fn command<N: Node>(
    State(shared): State<Arc<Shared<N>>>,
    Extension(peer): Extension<Peer>,
    Path(device): Path<String>,
    request: Request,
) -> Result<(StatusCode, Json<CommandAnswer>), Fault> {
    peer.is_operator()?;
    let asker = asker(request.headers())?;
    let body: OrderBody = shared.json(request).await?;
    let order = body.order(asker).map_err(Fault::bad)?;
    let answer = shared.node.command(&device, order).await?;
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

pub(super) async fn commands<N: Node>(
    State(shared): State<Arc<Shared<N>>>,
    Extension(peer): Extension<Peer>,
    Path(device): Path<String>,
) -> Result<Json<Vec<CommandStatus>>, Fault> {
    peer.is_operator()?;
    Ok(Json(shared.node.commands(&device).await?))
}

pub(super) async fn command_status<N: Node>(
    State(shared): State<Arc<Shared<N>>>,
    Extension(peer): Extension<Peer>,
    Path((device, command)): Path<(String, String)>,
) -> Result<Json<CommandStatus>, Fault> {
    peer.is_operator()?;
    let commands = shared.node.commands(&device).await?;
    match commands.into_iter().find(|it| it.id == command) {
        Some(found) => Ok(Json(found)),
        None => Err(DeviceError::UnknownCommand { device, command }.into()),
    }
}

pub(super) async fn configure<N: Node>(
    State(shared): State<Arc<Shared<N>>>,
    Extension(peer): Extension<Peer>,
    Path(device): Path<String>,
    request: Request,
) -> Result<(StatusCode, Json<ConfigurationAnswer>), Fault> {
    peer.is_operator()?;
    let body: DataBody = shared.json(request).await?;
    let data = body.bytes().map_err(Fault::bad)?;
    let answer = shared.node.configure_device(&device, data).await?;
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

/// Who asks, where it says what it calls the request.
fn asker(headers: &HeaderMap) -> Result<Option<Asker>, Fault> {
    let Some(key) = headers.get(KEY_HEADER) else {
        return Ok(None);
    };
    let key = key.to_str().unwrap_or_default();
    match key.len() {
        1..=MOST_KEY_BYTES => Ok(Some(Asker::Caller {
            key: key.to_owned(),
        })),
        _ => Err(Fault::bad(format!(
            "`{KEY_HEADER}` is 1 to {MOST_KEY_BYTES} printable ASCII characters"
        ))),
    }
}

impl From<DeviceError> for Fault {
    fn from(error: DeviceError) -> Fault {
        let text = error.to_string();
        match error {
            DeviceError::Unknown { .. } | DeviceError::UnknownCommand { .. } => {
                Fault::new(StatusCode::NOT_FOUND, text)
            }
            DeviceError::Connected { .. } => Fault::new(StatusCode::CONFLICT, text),
            DeviceError::Length { .. } => Fault::bad(text),
            DeviceError::TooMany { .. } | DeviceError::Full { .. } => {
                Fault::new(StatusCode::TOO_MANY_REQUESTS, text)
            }
            DeviceError::Unavailable { .. } => Fault::later(text),
        }
    }
}
