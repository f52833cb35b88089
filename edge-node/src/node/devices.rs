//! What may be asked about devices, and what the answers look like in `GET /api/v1/devices` and below.

use serde::{Deserialize, Serialize};
use spool::Seq;
use tokio::sync::oneshot;

use super::handle::{NodeHandle, PublishError, Request};
use crate::device::{Asker, CommandOutcome, ConfigurationState, MOST_OPEN};

/// The most devices of one page.
pub const MOST_OF_PAGE: usize = 1_000;
/// The devices of a page, where nobody says how many.
const PAGE: usize = 100;

/// Which devices to tell of, by name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DevicesQuery {
    /// Those behind this name.
    pub after: String,
    /// At most so many, 1 to [`MOST_OF_PAGE`].
    pub limit: usize,
}

impl Default for DevicesQuery {
    fn default() -> DevicesQuery {
        DevicesQuery {
            after: String::new(),
            limit: PAGE,
        }
    }
}

/// Some devices, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct DevicePage {
    /// Which.
    pub devices: Vec<DeviceSummary>,
    /// What to ask for next as `after`; `None`: these were the last.
    pub next: Option<String>,
}

/// One device in a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct DeviceSummary {
    /// Its name, which is its MQTT client identifier.
    pub id: String,
    /// Whether it has a connection on which it was born.
    pub connected: bool,
    /// How long ago it last said something; `None`: not since the node started.
    pub seen_ms: Option<u64>,
    /// The version of its firmware.
    pub firmware: String,
    /// Which outbox it has, eight hexadecimal digits: a formatted one is another.
    pub incarnation: String,
    /// How often it booted with this outbox.
    pub boot: u32,
    /// The configuration it works with; 0 for its own.
    pub configuration: u32,
    /// Events that never come, as far as it announced them or their sequence shows it.
    pub lost: u64,
}

/// All that is known of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct DeviceStatus {
    /// As in the list.
    #[serde(flatten)]
    pub summary: DeviceSummary,
    /// What it sends.
    pub kinds: Vec<KindStatus>,
    /// How far the node is in each of its streams.
    pub streams: Vec<StreamStatus>,
    /// What it says it lost, in all its boots. Part of `lost`, as soon as the gap shows.
    pub reported: Vec<ReportedStatus>,
    /// The configuration the node has for it.
    pub wanted: Option<ConfigurationStatus>,
}

/// A kind of events.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct KindStatus {
    /// The type of its events.
    pub r#type: String,
    /// The version of its fields.
    pub version: u16,
}

/// How far the node is in a stream.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct StreamStatus {
    /// Of which outbox.
    pub incarnation: String,
    /// 0 to 7.
    pub stream: u8,
    /// The boot of the latest event stored; 0 for none.
    pub boot: u32,
    /// Its sequence in that boot.
    pub seq: u64,
}

/// What a device says it lost.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct ReportedStatus {
    /// 0 to 7.
    pub stream: u8,
    /// `ring`, `outbox`, `unreadable` or `refused`.
    pub cause: String,
    /// How many.
    pub count: u64,
}

/// The configuration the node has for a device.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct ConfigurationStatus {
    /// Counts up from 1 with every change.
    pub version: u32,
    /// What the device said to it.
    pub state: ConfigurationState,
    /// What it is, in base64.
    pub data_base64: String,
}

/// Something a device is to do once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandOrder {
    /// What, 1 to 64 bytes.
    pub name: String,
    /// With what, at most 4096 bytes; the command says in which encoding.
    pub data: Vec<u8>,
    /// How long it may wait for the device to say how it ended.
    pub expires_ms: u64,
    /// Who asks; for whoever asked a device before and is kept, the command of then is the answer.
    pub asker: Option<Asker>,
}

/// A command to a device.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct CommandStatus {
    /// What it is called.
    pub id: String,
    /// What to do.
    pub name: String,
    /// How far it is.
    pub state: CommandStage,
    /// How it ended.
    pub outcome: Option<CommandOutcome>,
    /// What the device said to it, in base64.
    pub data_base64: Option<String>,
    /// How long ago it was ordered.
    pub age_ms: u64,
    /// How long it may still wait; `None`: it is over.
    pub expires_in_ms: Option<u64>,
}

/// How far a command is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommandStage {
    /// It was not sent.
    Waiting,
    /// It was sent: it may have run.
    Sent,
    /// Its time was over before it was sent: it does not run.
    Expired,
    /// It was sent, and its time was over before the device said how it ended: it may have run.
    Unknown,
    /// The device said how it ended.
    Ended,
}

impl CommandStage {
    /// As JSON and tables call it.
    pub fn name(self) -> &'static str {
        match self {
            CommandStage::Waiting => "waiting",
            CommandStage::Sent => "sent",
            CommandStage::Expired => "expired",
            CommandStage::Unknown => "unknown",
            CommandStage::Ended => "ended",
        }
    }
}

/// What was promised of a command.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct CommandAnswer {
    /// What it is called.
    pub id: String,
}

/// What was promised of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct ConfigurationAnswer {
    /// What it is called.
    pub version: u32,
}

/// Why something about devices was not done.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum DeviceError {
    /// No device of this name was ever born here.
    #[error("no device `{device}` is known; GET /api/v1/devices lists them")]
    Unknown {
        /// As asked for.
        device: String,
    },
    /// It would be born again at once.
    #[error("`{device}` is connected; switch it off first")]
    Connected {
        /// As asked for.
        device: String,
    },
    /// Nothing of this name is kept for it.
    #[error("no command `{command}` is kept for `{device}`")]
    UnknownCommand {
        /// As asked for.
        device: String,
        /// As asked for.
        command: String,
    },
    /// It takes its commands one after the other.
    #[error("{MOST_OPEN} commands wait for `{device}`; a further one finds room when one is over")]
    TooMany {
        /// As asked for.
        device: String,
    },
    /// Others wait for devices that do not answer; try again later.
    #[error("commands and configurations fill the {bound} bytes of `command-bound` in [devices]")]
    Full {
        /// The bound.
        bound: usize,
    },
    /// It is too short or too long.
    #[error("`{what}` has {is} bytes; accepted: {least} to {most}")]
    Length {
        /// Which part.
        what: &'static str,
        /// Its bytes.
        is: usize,
        /// The fewest.
        least: usize,
        /// The most.
        most: usize,
    },
    /// The log does not take it; try again later.
    #[error("the node cannot take it at the moment: {what}")]
    Unavailable {
        /// What the log said.
        what: String,
    },
}

/// What a door asks of the core about devices.
pub enum DeviceRequest {
    /// Tell of some.
    List {
        /// Of which.
        query: DevicesQuery,
        /// These.
        reply: oneshot::Sender<DevicePage>,
    },
    /// Tell of one.
    Show {
        /// Its name.
        device: String,
        /// All of it.
        reply: oneshot::Sender<Result<DeviceStatus, DeviceError>>,
    },
    /// Forget one.
    Remove {
        /// Its name.
        device: String,
        /// The position that must be committed before it is gone.
        reply: oneshot::Sender<Result<Seq, DeviceError>>,
    },
    /// Have one do something.
    Command {
        /// Its name.
        device: String,
        /// What.
        order: CommandOrder,
        /// What it is called, and the position that must be committed before it is promised.
        reply: oneshot::Sender<Result<(String, Seq), DeviceError>>,
    },
    /// Tell of the commands of one.
    Commands {
        /// Its name.
        device: String,
        /// By number.
        reply: oneshot::Sender<Result<Vec<CommandStatus>, DeviceError>>,
    },
    /// Give one another configuration.
    Configure {
        /// Its name.
        device: String,
        /// What it is to work with.
        data: Vec<u8>,
        /// Its version, and the position that must be committed before it is promised.
        reply: oneshot::Sender<Result<(u32, Seq), DeviceError>>,
    },
}

impl NodeHandle {
    /// Some devices, by name.
    pub async fn devices(&self, query: DevicesQuery) -> Result<DevicePage, DeviceError> {
        self.ask_devices(|reply| DeviceRequest::List { query, reply })
            .await
    }

    /// All that is known of a device.
    pub async fn device(&self, device: &str) -> Result<DeviceStatus, DeviceError> {
        let device = device.to_owned();
        self.ask_devices(|reply| DeviceRequest::Show { device, reply })
            .await?
    }

    /// Forgets a device that is away, and with it how far the node is in its streams. Returns once that is durable.
    pub async fn remove_device(&self, device: &str) -> Result<(), DeviceError> {
        let device = device.to_owned();
        let seq = self
            .ask_devices(|reply| DeviceRequest::Remove { device, reply })
            .await??;
        self.committed(seq)
            .await
            .map_err(|error| unavailable(&error))
    }

    /// Has a device do something once. Returns once that is durable, before the device knows of it.
    pub async fn command(
        &self,
        device: &str,
        order: CommandOrder,
    ) -> Result<CommandAnswer, DeviceError> {
        let device = device.to_owned();
        let asked = self.ask_devices(|reply| DeviceRequest::Command {
            device,
            order,
            reply,
        });
        let (id, seq) = asked.await??;
        self.committed(seq)
            .await
            .map_err(|error| unavailable(&error))?;
        Ok(CommandAnswer { id })
    }

    /// The commands that are kept for a device, in their order.
    pub async fn commands(&self, device: &str) -> Result<Vec<CommandStatus>, DeviceError> {
        let device = device.to_owned();
        self.ask_devices(|reply| DeviceRequest::Commands { device, reply })
            .await?
    }

    /// Gives a device another configuration. Returns once that is durable, before the device knows of it.
    pub async fn configure_device(
        &self,
        device: &str,
        data: Vec<u8>,
    ) -> Result<ConfigurationAnswer, DeviceError> {
        let device = device.to_owned();
        let asked = self.ask_devices(|reply| DeviceRequest::Configure {
            device,
            data,
            reply,
        });
        let (version, seq) = asked.await??;
        self.committed(seq)
            .await
            .map_err(|error| unavailable(&error))?;
        Ok(ConfigurationAnswer { version })
    }

    async fn ask_devices<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> DeviceRequest,
    ) -> Result<T, DeviceError> {
        let asked = self.ask(|reply| Request::Devices(request(reply))).await;
        asked.map_err(|error| unavailable(&error))
    }
}

fn unavailable(error: &PublishError) -> DeviceError {
    DeviceError::Unavailable {
        what: error.to_string(),
    }
}
