//! `[[uplink]]`.

use std::{collections::BTreeMap, path::PathBuf, str::FromStr};

use cloud_uplink::http::HttpMode;
use filters::TopicFilter;
use serde::{Deserialize, Deserializer, Serialize};

use super::{
    defaults,
    node::{NameError, check_name},
    spool::LaneName,
    units::{self, ByteSize, Span},
};

mod endpoint;
mod headers;
mod pieces;

pub use endpoint::Endpoint;
pub use pieces::UplinkReceiver;

/// One place events go to. Keys that only some kinds know say which; with another kind they are refused.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct UplinkConfig {
    /// What status, metrics and `replay --sink` call it. Its place in the log is kept under this name.
    pub name: UplinkName,
    /// Which protocol it speaks.
    pub kind: UplinkKind,
    /// Its URLs, at least one; the next one is used when one fails, and kept until it fails. Kind `http`: the whole URL
    /// events are posted to, `{topic}` in it stands for the MQTT topic. Kind `eventmesh-http`: what stands before
    /// `/events/publish`. Kind `eventmesh-grpc`: `http://host:port`.
    #[serde(deserialize_with = "endpoints")]
    pub endpoints: Vec<Endpoint>,
    /// Kinds `eventmesh-…`: the topic there. `{topic}` stands for the MQTT topic, with `-` for each `/`. Absent: `{topic}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Topic filters of the events it is owed. Absent: all but topics that begin with `$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Vec<TopicFilter>>,
    /// Lanes it drains, of `[spool] lanes`. Absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lanes: Option<Vec<LaneName>>,
    /// Where it starts when it is new.
    #[serde(default)]
    pub start: UplinkStart,
    /// Kinds `http` and `eventmesh-http`: how events are put into requests; `eventmesh-http` has no `binary`. Absent:
    /// `batch`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<HttpMode>,
    /// Kinds `http` and `eventmesh-http`: headers sent with every request. `check` shows them, so a secret belongs in
    /// `token-file`.
    #[serde(default, with = "headers", skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Kinds `http` and `eventmesh-http`: a file with the certificates (PEM) to trust. Absent: those of the system. Read
    /// again when it changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Kinds `http` and `eventmesh-http`: a file with a bearer token. Read again when it changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// Time for a connection to stand, for kinds `http` and `eventmesh-http`.
    #[serde(
        default,
        deserialize_with = "wait",
        skip_serializing_if = "Option::is_none"
    )]
    pub connect_timeout: Option<Span>,
    /// Time for a whole request; then it is sent again. Absent: 30 s, for `eventmesh-grpc` what EventMesh needs at most.
    #[serde(
        default,
        deserialize_with = "wait",
        skip_serializing_if = "Option::is_none"
    )]
    pub answer_timeout: Option<Span>,
    /// Events of one request, 1 to 10,000, for kinds `http` and `eventmesh-http` in mode `batch`.
    #[serde(
        default,
        deserialize_with = "batch_events",
        skip_serializing_if = "Option::is_none"
    )]
    pub batch_events: Option<u32>,
    /// Encoded bytes of one request, 1 KiB to 16 MiB; an event that is larger goes alone. Kinds `http` and
    /// `eventmesh-http` in mode `batch`. Must not be over what the receiver takes; EventMesh v2 takes 1 MiB.
    #[serde(
        default,
        deserialize_with = "batch_size",
        skip_serializing_if = "Option::is_none"
    )]
    pub batch_size: Option<ByteSize>,
    /// Requests without an answer, 1 to 1024. Absent: 4; where requests are single events 64 (modes `structured` and
    /// `binary`) or 256 (`eventmesh-grpc`).
    #[serde(
        default,
        deserialize_with = "in_flight",
        skip_serializing_if = "Option::is_none"
    )]
    pub in_flight: Option<u32>,
    /// Doubtful refusals of one event before it becomes a dead letter, 1 to 100; they count only while other events
    /// are accepted.
    #[serde(default = "refused_tries_default", deserialize_with = "refused_tries")]
    pub refused_tries: u32,
    /// Bytes of dead letters kept; above it a dead letter is lost, in the ledger.
    #[serde(default = "dead_letters_default")]
    pub dead_letters: ByteSize,
    /// How long after an acknowledgement it counts as connected.
    #[serde(default = "connected_for_default")]
    pub connected_for: Span,
    /// How often an idle uplink sends an event of the node's own (type `edge-node.canary`, MQTT topic `edge-node/canary`), to
    /// know whether it is connected. Absent: never. Should be shorter than `connected-for`.
    #[serde(
        default,
        deserialize_with = "wait",
        skip_serializing_if = "Option::is_none"
    )]
    pub canary_every: Option<Span>,
    /// Whether events whose MQTT message expiry has passed are left out, each with an entry in the ledger.
    #[serde(default)]
    pub drop_expired: bool,
    /// Kind `eventmesh-grpc`: what the node says of itself with every event. EventMesh shows it to every subscriber.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<SenderConfig>,
}

/// What a node says of itself to EventMesh 1.x. Absent keys: as an unconfigured node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct SenderConfig {
    /// Deployment environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// Data centre.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idc: Option<String>,
    /// The system it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sys: Option<String>,
    /// Its name. There is no password: subscribers would see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The group of publishers it is one of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub producer_group: Option<String>,
}

/// Which protocol an uplink speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UplinkKind {
    /// CloudEvents over HTTP.
    Http,
    /// EventMesh v2 over HTTP.
    EventmeshHttp,
    /// EventMesh 1.x over gRPC.
    EventmeshGrpc,
}

/// Where a new uplink starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UplinkStart {
    /// At the oldest event kept.
    #[default]
    Oldest,
    /// With the next event.
    Now,
}

/// The name of an uplink: 1 to 64 ASCII letters, digits, `-`, `_` or `.`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct UplinkName(String);

impl UplinkName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UplinkName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<UplinkName, NameError> {
        check_name(text).map(|()| UplinkName(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for UplinkName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<UplinkName, D::Error> {
        units::text(deserializer, "the name of an uplink")
    }
}

fn endpoints<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Endpoint>, D::Error> {
    let endpoints = Vec::<Endpoint>::deserialize(deserializer)?;
    match endpoints.len() {
        1..=16 => Ok(endpoints),
        count => Err(serde::de::Error::custom(format_args!(
            "{count} endpoints; accepted: 1 to 16"
        ))),
    }
}

fn wait<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Span>, D::Error> {
    units::within(deserializer, Span::seconds(1), Span::seconds(3600)).map(Some)
}

fn batch_events<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    units::whole(deserializer, 1, 10_000).map(Some)
}

fn batch_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ByteSize>, D::Error> {
    units::within(deserializer, ByteSize(1 << 10), ByteSize(16 << 20)).map(Some)
}

fn in_flight<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    units::whole(deserializer, 1, 1024).map(Some)
}

fn refused_tries<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    units::whole(deserializer, 1, 100)
}

fn refused_tries_default() -> u32 {
    defaults::UPLINK_REFUSED_TRIES
}

fn dead_letters_default() -> ByteSize {
    defaults::UPLINK_DEAD_LETTERS
}

fn connected_for_default() -> Span {
    defaults::UPLINK_CONNECTED_FOR
}
