//! `[mqtt]`.

use std::net::SocketAddr;

use serde::{Deserialize, Deserializer, Serialize};

use super::{
    defaults,
    spool::Auto,
    units::{self, ByteSize, Span},
};

/// The door for MQTT clients, and what one client may ask for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct MqttConfig {
    /// Address and port; port 0 picks a free one, which is printed.
    #[serde(deserialize_with = "address")]
    pub listen: SocketAddr,
    /// Whether anyone who reaches the listener may use it. Must be true for a `listen` off the loopback.
    pub allow_anonymous: bool,
    /// Connections at one time; a further one is closed at once.
    #[serde(deserialize_with = "count")]
    pub max_connections: u32,
    /// Time from the connection to its whole CONNECT; then it is closed.
    #[serde(deserialize_with = "wait")]
    pub connect_timeout: Span,
    /// The longest keep-alive, in whole seconds. A client of MQTT 5 that asks for more, or for none, is told this one; one of
    /// 3.1.1 cannot be told and keeps its own. The protocol allows 65,535 s at most.
    #[serde(deserialize_with = "keep_alive")]
    pub max_keep_alive: Span,
    /// QoS 1 and 2 messages one client may have unacknowledged, 1 to 65,535; clients of 3.1.1 are held to it by not
    /// reading on.
    #[serde(deserialize_with = "receive_maximum")]
    pub receive_maximum: u16,
    /// The largest packet accepted, 1 KiB to 256 MiB; a larger one closes its connection. Must be smaller than
    /// `waiting-bytes` in `[spool]`, or a packet of that size could never be taken.
    #[serde(deserialize_with = "packet_size")]
    pub max_packet_size: ByteSize,
    /// How long a session may outlive its connection; a client that asks for longer gets this.
    pub max_session_expiry: Span,
    /// Sessions at one time, connected or not; a further one is refused (quota exceeded).
    #[serde(deserialize_with = "count")]
    pub max_sessions: u32,
    /// Subscriptions of one session; a further one is refused (quota exceeded).
    #[serde(deserialize_with = "count")]
    pub max_subscriptions: u32,
    /// Bytes of memory for the subscriptions of all sessions, 64 KiB or more; a further one is refused (quota exceeded),
    /// and so is what exceeds a sixteenth of it in one session.
    #[serde(deserialize_with = "memory")]
    pub subscription_bound: ByteSize,
    /// Bytes of memory for the topics with a retained message, 64 KiB or more; above it a message of a further topic is
    /// delivered and not retained, in the ledger.
    #[serde(deserialize_with = "memory")]
    pub retained_bound: ByteSize,
    /// Bytes owed to one offline session; above it the session loses its oldest, in the ledger. `"auto"`: a quarter
    /// of the spool's bound.
    pub session_bound: Auto<ByteSize>,
}

impl Default for MqttConfig {
    fn default() -> MqttConfig {
        MqttConfig {
            listen: defaults::MQTT_LISTEN,
            allow_anonymous: false,
            max_connections: defaults::MQTT_MAX_CONNECTIONS,
            connect_timeout: defaults::MQTT_CONNECT_TIMEOUT,
            max_keep_alive: defaults::MQTT_MAX_KEEP_ALIVE,
            receive_maximum: defaults::MQTT_RECEIVE_MAXIMUM,
            max_packet_size: defaults::MQTT_MAX_PACKET_SIZE,
            max_session_expiry: defaults::MQTT_MAX_SESSION_EXPIRY,
            max_sessions: defaults::MQTT_MAX_SESSIONS,
            max_subscriptions: defaults::MQTT_MAX_SUBSCRIPTIONS,
            subscription_bound: defaults::MQTT_SUBSCRIPTION_BOUND,
            retained_bound: defaults::MQTT_RETAINED_BOUND,
            session_bound: Auto::Auto,
        }
    }
}

pub(super) fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    #[derive(Clone, Copy)]
    struct Address(SocketAddr);
    impl std::str::FromStr for Address {
        type Err = String;
        fn from_str(text: &str) -> Result<Address, String> {
            let wrong = |_| {
                format!(
                    "`{text}` is no address; accepted: IP address and port, such as \"127.0.0.1:1883\""
                )
            };
            text.parse().map(Address).map_err(wrong)
        }
    }
    units::text(deserializer, "an address such as \"127.0.0.1:1883\"")
        .map(|Address(address)| address)
}

pub(super) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    units::whole(deserializer, 1, 1_000_000)
}

pub(super) fn wait<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
    units::within(deserializer, Span::seconds(1), Span::seconds(3600))
}

fn keep_alive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
    units::within(deserializer, Span::seconds(5), Span::seconds(65_535))
}

fn receive_maximum<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    units::whole(deserializer, 1, u16::MAX)
}

fn memory<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ByteSize, D::Error> {
    units::within(deserializer, ByteSize(64 << 10), ByteSize(64 << 30))
}

fn packet_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ByteSize, D::Error> {
    units::within(deserializer, ByteSize(1 << 10), ByteSize(256 << 20))
}
