//! What a device is to work with.

use serde::{Deserialize, Serialize};
use wire::command::Configured;

/// The configuration the node has for a device. It goes to the device at every birth that names another version, until the
/// device has said that it does not work with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// Counts up from 1 with every change.
    pub version: u32,
    /// The application says in which encoding; at most 4096 bytes.
    pub data: Vec<u8>,
    /// What the device said to it.
    pub state: ConfigurationState,
}

/// What a device said to its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConfigurationState {
    /// Nothing yet.
    Waiting,
    /// It works with it.
    Applied,
    /// It cannot read it, and works with the one before.
    Malformed,
    /// It could not reach the node under it, and went back to the one before.
    Undone,
    /// It is larger than what the device takes; it was not sent.
    TooLarge,
}

impl From<Configured> for ConfigurationState {
    fn from(outcome: Configured) -> ConfigurationState {
        match outcome {
            Configured::Applied => ConfigurationState::Applied,
            Configured::Malformed => ConfigurationState::Malformed,
            Configured::Undone => ConfigurationState::Undone,
        }
    }
}

/// One step of the configuration of a device, as the log keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConfigurationStep {
    /// The node has another one for it.
    Changed {
        /// Above all before.
        version: u32,
        /// What it is.
        data: Vec<u8>,
    },
    /// The device said this to one, which may be another node's, or it cannot be sent.
    Said {
        /// To which.
        version: u32,
        /// What.
        state: ConfigurationState,
    },
}

impl Configuration {
    /// Whether it goes to a device that works with this version.
    pub(crate) fn is_for(&self, version: u32) -> bool {
        let waits = matches!(
            self.state,
            ConfigurationState::Waiting | ConfigurationState::Applied
        );
        waits && self.version != version
    }
}
