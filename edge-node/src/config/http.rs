//! `[http]`.

use std::net::SocketAddr;

use serde::{Deserialize, Deserializer, Serialize};

use super::{
    defaults, mqtt,
    units::{self, ByteSize, Span},
};

/// The door for events over HTTP, for status, metrics and replay.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Address and port; port 0 picks a free one, which is printed.
    #[serde(deserialize_with = "mqtt::address")]
    pub listen: SocketAddr,
    /// Whether anyone who reaches the listener may use it. Must be true for a `listen` off the loopback.
    pub allow_anonymous: bool,
    /// Connections at one time; a further one waits to be accepted.
    #[serde(deserialize_with = "mqtt::count")]
    pub max_connections: u32,
    /// The largest body of a request, 1 KiB to 64 MiB; a larger one is answered 413.
    #[serde(deserialize_with = "body")]
    pub max_body: ByteSize,
    /// Time for the head of a request, from the connection or the end of the request before; then the connection is
    /// closed.
    #[serde(deserialize_with = "mqtt::wait")]
    pub head_timeout: Span,
    /// Time for the body of a request, and for the peer to take an answer; then the connection is closed.
    #[serde(deserialize_with = "mqtt::wait")]
    pub body_timeout: Span,
    /// The topic of events that come without `?topic=` and without a subject. Absent: such a request is answered 400.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
}

impl Default for HttpConfig {
    fn default() -> HttpConfig {
        HttpConfig {
            listen: defaults::HTTP_LISTEN,
            allow_anonymous: false,
            max_connections: defaults::HTTP_MAX_CONNECTIONS,
            max_body: defaults::HTTP_MAX_BODY,
            head_timeout: defaults::HTTP_HEAD_TIMEOUT,
            body_timeout: defaults::HTTP_BODY_TIMEOUT,
            topic: None,
        }
    }
}

fn body<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ByteSize, D::Error> {
    units::within(deserializer, ByteSize(1 << 10), ByteSize(64 << 20))
}
