//! Answers that say what is wrong.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::node::handle::PublishError;

/// Seconds after which a client is asked to come back: room returns with the next commits, or not for long.
const RETRY_AFTER_SECONDS: u16 = 1;

/// A request that was not done, and nothing of it.
#[derive(Debug, Serialize)]
pub(super) struct Fault {
    #[serde(skip)]
    status: StatusCode,
    error: String,
    /// Which event of the request, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<usize>,
    /// Which of its attributes.
    #[serde(skip_serializing_if = "Option::is_none")]
    attribute: Option<String>,
}

impl Fault {
    pub(super) fn new(status: StatusCode, error: impl Into<String>) -> Fault {
        Fault {
            status,
            error: error.into(),
            event: None,
            attribute: None,
        }
    }

    /// The client has to mend the request.
    pub(super) fn bad(error: impl Into<String>) -> Fault {
        Fault::new(StatusCode::BAD_REQUEST, error)
    }

    /// The client may send the same again.
    pub(super) fn later(error: impl Into<String>) -> Fault {
        Fault::new(StatusCode::SERVICE_UNAVAILABLE, error)
    }

    /// The client has to mend one event.
    pub(super) fn event(index: usize, reason: impl Into<String>) -> Fault {
        Fault {
            event: Some(index),
            ..Fault::bad(reason)
        }
    }

    /// The client has to mend one attribute of one event.
    pub(super) fn attribute(index: usize, error: &filters::EventError) -> Fault {
        Fault {
            attribute: Some(error.attribute.clone()),
            ..Fault::event(index, error.to_string())
        }
    }
}

impl From<PublishError> for Fault {
    fn from(error: PublishError) -> Fault {
        match error {
            PublishError::Full { .. } | PublishError::Stopping => Fault::later(error.to_string()),
            PublishError::TooLarge => Fault::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
            PublishError::Refused { index, reason } => Fault::event(index, reason),
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let status = self.status;
        let mut response = (status, Json(self)).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let after = HeaderValue::from(RETRY_AFTER_SECONDS);
            response.headers_mut().insert(header::RETRY_AFTER, after);
        }
        response
    }
}
