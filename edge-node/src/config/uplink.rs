//! `[[uplink]]`.

use std::str::FromStr;

use filters::TopicFilter;
use serde::{Deserialize, Deserializer, Serialize};

use super::{
    node::{NameError, check_name},
    spool::LaneName,
    units,
};

/// One place events go to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct UplinkConfig {
    /// What status, metrics and `replay --sink` call it. Its place in the log is kept under this name.
    pub name: UplinkName,
    /// Which protocol it speaks.
    pub kind: UplinkKind,
    /// Its URLs; the next one is tried when one fails.
    pub endpoints: Vec<String>,
    /// The topic there. `{topic}` stands for the MQTT topic. Absent: the MQTT topic.
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
