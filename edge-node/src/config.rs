//! What the operator decides: one TOML file, a few flags, and defaults for all the rest.
//!
//! ```text
//!  file ──▶ sections, each value checked by its type ──▶ flags win ──▶ checks across sections ──▶ Config
//!           (unknown keys refused, with the line)                      (names, listeners)         │ by value
//!                                                                                                 ▼
//!                                                                           broker · spool · doors · uplinks
//! ```
//!
//! A [`Config`] exists only if all of it holds: a part that takes its piece checks nothing again. Start reading at
//! [`Config`]; the defaults and their reasons stand in [`defaults`].

use std::{fs, path::Path};

use filters::stage::Moment;
use serde::{Deserialize, Serialize};

mod check;
pub mod defaults;
mod devices;
mod document;
mod error;
mod grpc;
mod http;
mod ingest;
mod mqtt;
mod node;
mod overrides;
mod rules;
mod spool;
pub mod units;
mod uplink;

pub use devices::{DeviceDataForm, DevicesConfig, StreamNumber};
pub use error::{ConfigError, Fault, Place};
pub use grpc::GrpcConfig;
pub use http::HttpConfig;
pub use ingest::{IngestConfig, IngestMode, WhenInvalid};
pub use mqtt::MqttConfig;
pub use node::{NameError, NodeConfig, NodeId};
pub use overrides::Overrides;
pub use rules::{Rules, RulesConfig};
pub use spool::{Auto, LaneConfig, LaneName, Percent, SpoolConfig};
pub use uplink::{
    Endpoint, SenderConfig, UplinkConfig, UplinkKind, UplinkName, UplinkReceiver, UplinkStart,
};

/// The whole configuration of a node, checked. Each field is one section of the file; its `Default` is a node nobody
/// has configured.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// `[node]`: who this node is and where it keeps its data.
    pub node: NodeConfig,
    /// `[mqtt]`: the door for MQTT clients, and what one client may ask for.
    pub mqtt: MqttConfig,
    /// `[http]`: the door for events over HTTP, status and metrics.
    pub http: HttpConfig,
    /// `[grpc]`: the door for EventMesh clients.
    pub grpc: GrpcConfig,
    /// `[spool]`: how much is kept on disk, and what happens when it is full.
    pub spool: SpoolConfig,
    /// `[rules]`: what becomes of events on their way to the uplinks.
    pub rules: RulesConfig,
    /// `[devices]`: microcontrollers that speak the compact format. Without it none do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub devices: Option<DevicesConfig>,
    /// `[[ingest]]`: how publishes become events. The first entry whose `topic` matches decides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ingest: Vec<IngestConfig>,
    /// `[[uplink]]`: where events go. Without one they stay in the spool.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uplink: Vec<UplinkConfig>,
}

impl Config {
    /// Reads and checks the file, if there is one, with the flags put over it.
    ///
    /// # Errors
    ///
    /// The first fault found, with its place. Nothing was touched; the operator mends the file or the flag.
    pub fn load(file: Option<&Path>, flags: &Overrides) -> Result<Config, ConfigError> {
        let Some(path) = file else {
            return Config::parse("", "", flags);
        };
        let name = path.display().to_string();
        let mut config = match fs::read_to_string(path) {
            Ok(text) => Config::parse(&name, &text, flags)?,
            Err(source) => return Err(ConfigError::Unreadable { path: name, source }),
        };
        config
            .rules
            .begin_at(path.parent().unwrap_or(Path::new("")));
        Ok(config)
    }

    /// The rules of its files, compiled.
    ///
    /// # Errors
    ///
    /// The first fault found in the files, with its place.
    pub fn load_rules(&self, now: Moment) -> Result<Rules, ConfigError> {
        Rules::load(&self.rules.files, Some(self.known_to_rules()), now)
    }

    /// What rules may name under this configuration.
    pub fn known_to_rules(&self) -> filters::rules::Known {
        filters::rules::Known {
            sinks: self
                .uplink
                .iter()
                .map(|it| it.name.as_str().to_owned())
                .collect(),
            lanes: self
                .spool
                .lanes
                .iter()
                .map(|it| it.name.as_str().to_owned())
                .collect(),
            ..filters::rules::Known::default()
        }
    }

    /// Checks `text`, which errors call `name`, with the flags put over it.
    ///
    /// # Errors
    ///
    /// The first fault found, with its place.
    pub fn parse(name: &str, text: &str, flags: &Overrides) -> Result<Config, ConfigError> {
        let document = document::Document::new(name, text);
        let mut config: Config = document.read()?;
        flags.apply(&mut config);
        check::across_sections(&config, flags, &document)?;
        Ok(config)
    }

    /// What is no fault and yet may surprise, each as a sentence.
    pub fn remarks(&self) -> Vec<String> {
        check::remarks(self)
    }

    /// The effective configuration as TOML: every key with its value. Parsing it gives the same configuration.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("sections serialize as tables of plain values")
    }
}

#[cfg(test)]
mod tests;
