//! `[devices]`.

use std::{collections::BTreeMap, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use wire::{Stream, topic::Prefix};

use super::{
    defaults, mqtt,
    spool::LaneName,
    units::{self, ByteSize},
};

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
    /// Whether an event on the topic `command/<id>`, behind the prefix, orders a command, by whatever door it comes; whoever may
    /// publish there then has devices do something. The reply is an event on `reply/<id>`.
    pub command_events: bool,
    /// In which form the data of their events goes on.
    pub data: DeviceDataForm,
    /// The lanes of those streams of a device that are not to go where `[[ingest]]` or `default-lane` says, by number:
    /// `lanes = { 0 = "alarm" }`.
    pub lanes: BTreeMap<StreamNumber, LaneName>,
}

/// The form of the data of a device's event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceDataForm {
    /// JSON, by the table that the device announced.
    #[default]
    Json,
    /// As it came; `dataschema` names the table.
    Postcard,
}

/// A stream of a device, 0 to 7; a key in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamNumber(pub u8);

impl FromStr for StreamNumber {
    type Err = String;

    fn from_str(text: &str) -> Result<StreamNumber, String> {
        let number = text.parse().ok().and_then(Stream::new);
        match number {
            Some(stream) => Ok(StreamNumber(stream.number())),
            None => Err(format!("`{text}` is no stream; accepted: 0 to 7")),
        }
    }
}

impl<'de> Deserialize<'de> for StreamNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<StreamNumber, D::Error> {
        units::text(deserializer, "the number of a stream")
    }
}

impl Serialize for StreamNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl Default for DevicesConfig {
    fn default() -> DevicesConfig {
        DevicesConfig {
            prefix: String::new(),
            max_devices: defaults::MAX_DEVICES,
            command_bound: defaults::COMMAND_BOUND,
            command_events: false,
            data: DeviceDataForm::default(),
            lanes: BTreeMap::new(),
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
