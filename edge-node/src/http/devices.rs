//! `/api/v1/devices` and what is below: devices, their commands, their configuration.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Json,
    extract::{Path, Query, Request, State, rejection::QueryRejection},
    http::StatusCode,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::Value;

use super::{Fault, Node, Shared, connection::Peer};
use crate::{
    config::units::Span,
    node::devices::{
        CommandAnswer, CommandOrder, CommandStatus, ConfigurationAnswer, DeviceError, DevicePage,
        DeviceStatus, DevicesQuery, MOST_OF_PAGE,
    },
};

/// How long a command waits for its device where nobody says: a device that is switched on within it still does as it was told.
const EXPIRES: Span = Span::seconds(600);
/// The longest a command waits: what was meant a month ago is not meant any more.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

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

/// What goes to a device: JSON, or any bytes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    data: Option<Value>,
    data_base64: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CommandBody {
    name: String,
    expires: Option<Span>,
    data: Option<Value>,
    data_base64: Option<String>,
}

pub(super) async fn command<N: Node>(
    State(shared): State<Arc<Shared<N>>>,
    Extension(peer): Extension<Peer>,
    Path(device): Path<String>,
    request: Request,
) -> Result<(StatusCode, Json<CommandAnswer>), Fault> {
    peer.is_operator()?;
    let body: CommandBody = shared.json(request).await?;
    let expires = body.expires.unwrap_or(EXPIRES).0;
    if expires.is_zero() || expires > LONGEST {
        return Err(Fault::bad("`expires` is 1ms to 30d"));
    }
    let data = Data {
        data: body.data,
        data_base64: body.data_base64,
    };
    let order = CommandOrder {
        name: body.name,
        data: data.bytes()?,
        expires_ms: u64::try_from(expires.as_millis())
            .unwrap_or(u64::MAX)
            .max(1),
    };
    let answer = shared.node.command(&device, order).await?;
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

pub(super) async fn commands<N: Node>(
    State(shared): State<Arc<Shared<N>>>,
    Path(device): Path<String>,
) -> Result<Json<Vec<CommandStatus>>, Fault> {
    Ok(Json(shared.node.commands(&device).await?))
}

pub(super) async fn command_status<N: Node>(
    State(shared): State<Arc<Shared<N>>>,
    Path((device, command)): Path<(String, String)>,
) -> Result<Json<CommandStatus>, Fault> {
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
    let data = shared.json::<Data>(request).await?.bytes()?;
    let answer = shared.node.configure_device(&device, data).await?;
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

impl Data {
    fn bytes(self) -> Result<Vec<u8>, Fault> {
        match (self.data, self.data_base64) {
            (None, None) => Ok(Vec::new()),
            (Some(json), None) => Ok(json.to_string().into_bytes()),
            (None, Some(text)) => STANDARD
                .decode(text)
                .map_err(|error| Fault::bad(format!("`data_base64`: {error}"))),
            (Some(_), Some(_)) => Err(Fault::bad("send `data` or `data_base64`, not both")),
        }
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
