//! `[devices]`.

use serde::{Deserialize, Deserializer, Serialize, de::Error};
use wire::topic::Prefix;

use super::{defaults, mqtt, units::ByteSize};

/// Microcontrollers that speak the compact format of the crate `wire`. Without this section their topics are like any
/// others.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct DevicesConfig {
    /// What stands in front of their topics `d/<id>`, `b/<id>`, `a/<id>` and `c/<id>`: levels of a topic, without wildcards, at
    /// most 64 bytes. Empty: nothing.
    #[serde(deserialize_with = "prefix")]
    pub prefix: String,
    /// Devices known at one time, 1 to 1,000,000; the birth of a further one is refused.
    #[serde(deserialize_with = "mqtt::count")]
    pub max_devices: u32,
    /// Memory for commands and configurations on their way to devices, and for those commands that are over; these make
    /// room, from the oldest on, and where that is not enough a further one is refused.
    pub command_bound: ByteSize,
}

impl Default for DevicesConfig {
    fn default() -> DevicesConfig {
        DevicesConfig {
            prefix: String::new(),
            max_devices: defaults::MAX_DEVICES,
            command_bound: defaults::COMMAND_BOUND,
        }
    }
}

fn prefix<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match Prefix::new(&text) {
        Some(_) => Ok(text),
        None => Err(D::Error::custom(format!(
            "`{text}` cannot stand in front of a topic; accepted: levels such as \"plant/7\", without `+`, `#`, a `$` or `/` in front or \
             a `/` behind, at most {} bytes",
            Prefix::MAX_LEN
        ))),
    }
}
