//! `[grpc]`.

use std::net::SocketAddr;

use serde::{Deserialize, Deserializer, Serialize};

use super::{
    defaults, mqtt,
    units::{self, ByteSize, Span},
};

/// The door for EventMesh clients.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct GrpcConfig {
    /// Address and port; port 0 picks a free one, which is printed.
    #[serde(deserialize_with = "mqtt::address")]
    pub listen: SocketAddr,
    /// Whether anyone who reaches the listener may use it. Must be true for a `listen` off the loopback.
    pub allow_anonymous: bool,
    /// Connections at one time; a further one waits to be accepted.
    #[serde(deserialize_with = "mqtt::count")]
    pub max_connections: u32,
    /// Time from the connection to its first bytes, the preface of HTTP/2; then it is closed.
    #[serde(deserialize_with = "mqtt::wait")]
    pub connect_timeout: Span,
    /// The largest message accepted, 1 KiB to 64 MiB; a larger one is answered RESOURCE_EXHAUSTED.
    #[serde(deserialize_with = "message")]
    pub max_message: ByteSize,
}

impl Default for GrpcConfig {
    fn default() -> GrpcConfig {
        GrpcConfig {
            listen: defaults::GRPC_LISTEN,
            allow_anonymous: false,
            max_connections: defaults::GRPC_MAX_CONNECTIONS,
            connect_timeout: defaults::GRPC_CONNECT_TIMEOUT,
            max_message: defaults::GRPC_MAX_MESSAGE,
        }
    }
}

fn message<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ByteSize, D::Error> {
    units::within(deserializer, ByteSize(1 << 10), ByteSize(64 << 20))
}
