//! `[node]`.

use std::{fmt, path::PathBuf, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::{defaults, units};

/// Who this node is and where it keeps its data.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct NodeConfig {
    /// The name of this node in the mesh: part of the source of events that bring none. Absent: the node mints one at
    /// its first start and keeps it in the data directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<NodeId>,
    /// The data directory: the spool and all that belongs to it. Relative to where the node is started. Created with
    /// mode 0700; one process at a time.
    pub data: PathBuf,
    /// The topic on which each new loss in the ledger is told by an event of type `edge-node.gap`, within 10 s or so, to the
    /// uplinks that take it and to live subscribers. Not below `$`. Absent: losses are shown by status and metrics alone.
    #[serde(
        default,
        deserialize_with = "topic",
        skip_serializing_if = "Option::is_none"
    )]
    pub gap_topic: Option<String>,
}

impl Default for NodeConfig {
    fn default() -> NodeConfig {
        NodeConfig {
            id: None,
            data: PathBuf::from(defaults::DATA),
            gap_topic: None,
        }
    }
}

fn topic<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = |why: &dyn fmt::Display| {
        D::Error::custom(format_args!(
            "`{text}` is no topic to publish on: {why}; accepted: a topic such as \"edge/gaps\""
        ))
    };
    match filters::check_topic_name(&text) {
        Err(error) => Err(wrong(&error)),
        Ok(_) if text.starts_with('$') => {
            Err(wrong(&"no uplink takes what begins with `$` by default"))
        }
        Ok(_) => Ok(Some(text)),
    }
}

/// 1 to 64 ASCII letters, digits, `-`, `_` or `.`: fits into URIs, topics and file names as it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(String);

impl NodeId {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot be a name; accepted: 1 to 64 of ASCII letters, digits, `-`, `_` and `.`")]
pub struct NameError(String);

/// What a name of the configuration may hold, as it stands in file names, URIs and metrics.
pub(super) fn check_name(text: &str) -> Result<(), NameError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match (1..=64).contains(&text.len()) && text.chars().all(allowed) {
        true => Ok(()),
        false => Err(NameError(text.to_owned())),
    }
}

impl FromStr for NodeId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<NodeId, NameError> {
        check_name(text).map(|()| NodeId(text.to_owned()))
    }
}

impl Serialize for NodeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<NodeId, D::Error> {
        units::text(deserializer, "a name such as \"pump-house-7\"")
    }
}
