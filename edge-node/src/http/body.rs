//! Reading the body of a request within its bounds.

use std::sync::Arc;

use axum::{
    body::{Body, HttpBody},
    extract::Request,
    http::StatusCode,
};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{Fault, Node, Shared, publish::content_type};
use crate::config::HttpConfig;

/// Bytes of bodies in memory over all connections: a few full ones beside many small, within a gateway's memory.
const ALL_BODIES_BYTES: usize = 8 << 20;

/// The memory that bodies share.
pub(super) struct Bodies(Arc<Semaphore>);

impl Default for Bodies {
    fn default() -> Bodies {
        Bodies(Arc::new(Semaphore::new(ALL_BODIES_BYTES)))
    }
}

/// A whole body. Gives its memory back when dropped, so it is kept until the request is done.
pub(super) struct Read {
    pub(super) bytes: Vec<u8>,
    _memory: Option<OwnedSemaphorePermit>,
}

impl<N: Node> Shared<N> {
    /// The body of a request whose media type no web page can send unasked.
    pub(super) async fn json<T: DeserializeOwned>(&self, request: Request) -> Result<T, Fault> {
        let (head, body) = request.into_parts();
        let json = |text: &str| text.trim().eq_ignore_ascii_case("application/json");
        if !content_type(&head.headers).is_some_and(json) {
            return Err(Fault::bad("send application/json"));
        }
        let read = self.bodies.read(body, &self.config).await?;
        serde_json::from_slice(&read.bytes).map_err(|error| Fault::bad(error.to_string()))
    }
}

impl Bodies {
    /// The whole body, if it comes in time, is within `max-body`, and there is memory for it.
    pub(super) async fn read(&self, body: Body, config: &HttpConfig) -> Result<Read, Fault> {
        let most = config.max_body.as_usize();
        if body.size_hint().lower() > config.max_body.0 {
            return Err(too_large(config));
        }
        let reading = self.read_all(body, most);
        match timeout(config.body_timeout.0, reading).await {
            Ok(Ok(Some(read))) => Ok(read),
            Ok(Ok(None)) => Err(too_large(config)),
            Ok(Err(fault)) => Err(fault),
            Err(_) => Err(Fault::new(
                StatusCode::REQUEST_TIMEOUT,
                format!("the body did not come within {}", config.body_timeout),
            )),
        }
    }

    async fn read_all(&self, mut body: Body, most: usize) -> Result<Option<Read>, Fault> {
        let mut bytes = Vec::new();
        let mut memory: Option<OwnedSemaphorePermit> = None;
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(|error| Fault::bad(format!("the body broke off: {error}")))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if data.len() > most - bytes.len() {
                return Ok(None);
            }
            let more = self.take(data.len())?;
            match &mut memory {
                Some(memory) => memory.merge(more),
                None => memory = Some(more),
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Some(Read {
            bytes,
            _memory: memory,
        }))
    }

    fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Fault> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        Arc::clone(&self.0)
            .try_acquire_many_owned(bytes)
            .map_err(|_| Fault::later("too many bytes of other requests are in memory; try again"))
    }
}

fn too_large(config: &HttpConfig) -> Fault {
    Fault::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!(
            "the body is over {} (`max-body` of [http])",
            config.max_body
        ),
    )
}
