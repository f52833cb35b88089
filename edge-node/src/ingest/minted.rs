//! What a PUBLISH does not say about its event itself.

use filters::Value;
use serde::{Deserialize, Serialize};

use super::{Given, MAX_CLIENT_BYTES, Refusal, resolve, template};
use crate::config::IngestConfig;

/// What is stored beside a PUBLISH, so that its event is the same each time it is viewed. Compact in postcard: 60 to 80
/// bytes for a plain PUBLISH, 9 for one that is an event already.
///
/// This is part of the format of the log: fields stay as they are, new variants of `Form` come after the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Minted {
    pub(super) received: Received,
    pub(super) form: Form,
}

/// When the node received something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// Milliseconds since 1970.
    pub millis: u64,
    /// Whether the clock was plausible then. If not, an event whose `time` is this is marked `timequality = "unsynced"`.
    pub plausible: bool,
}

/// How the PUBLISH is an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Form {
    Plain(Attributes),
    /// No valid event; shown as opaque data.
    Invalid {
        attributes: Attributes,
        reason: String,
    },
    Binary {
        partitionkey: Option<String>,
    },
    Structured {
        partitionkey: Option<String>,
    },
    /// An event from another door, put into a PUBLISH in binary mode.
    Carried {
        typed: Vec<(String, Value)>,
        data: DataForm,
    },
    /// An event of a device, expanded by the table of its kind.
    Device(DeviceEvent),
}

/// An event of a device that speaks the compact format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceEvent {
    /// Minted by the device.
    pub id: String,
    /// The name of the device: its client identifier.
    pub device: String,
    /// Of its kind.
    pub r#type: String,
    /// Milliseconds since 1970.
    pub time_ms: u64,
    /// Whether that is by a plausible clock of the node and an uptime whose boot it saw.
    pub is_synced: bool,
    /// By the table of its kind.
    pub data: DeviceData,
}

/// The data of a device's event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceData {
    /// As JSON.
    Json(Vec<u8>),
    /// As it came: it is not what its kind says, for this reason.
    Invalid(Vec<u8>, String),
    /// As it came, with the version of its kind.
    Postcard {
        /// As they came.
        bytes: Vec<u8>,
        /// Of the table they follow.
        version: u16,
    },
}

/// The attributes of an event that brings none. `None`: the default, which follows from the PUBLISH.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Attributes {
    pub(super) id: Id,
    pub(super) source: String,
    pub(super) r#type: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) datacontenttype: Option<String>,
    pub(super) time: Option<String>,
    pub(super) partitionkey: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Id {
    Minted { run: [u8; 16], counter: u64 },
    Configured(String),
}

/// The form of carried data, which the bytes alone do not always say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum DataForm {
    Absent,
    Json,
    Text,
    Binary,
}

impl Minted {
    /// An event of a device.
    pub fn of_device(received: Received, event: DeviceEvent) -> Minted {
        Minted {
            received,
            form: Form::Device(event),
        }
    }

    /// When the node received it.
    pub fn received(&self) -> Received {
        self.received
    }
}

impl Form {
    pub(super) fn has_minted_id(&self) -> bool {
        match self {
            Form::Plain(attributes) | Form::Invalid { attributes, .. } => {
                matches!(attributes.id, Id::Minted { .. })
            }
            Form::Binary { .. }
            | Form::Structured { .. }
            | Form::Carried { .. }
            | Form::Device(_) => false,
        }
    }
}

impl Attributes {
    /// Those of an event for which nothing is configured.
    pub(super) fn minted(given: &Given<'_>, id: Id) -> Attributes {
        let client = given.publish.client;
        let client = cut(client);
        let mut source = String::with_capacity(32 + given.node.len() + client.len());
        source.push_str("urn:edge-node:");
        source.push_str(given.node);
        source.push(':');
        template::push_for_uri(&mut source, client, "");
        Attributes {
            id,
            source,
            r#type: None,
            subject: None,
            datacontenttype: None,
            time: None,
            partitionkey: None,
        }
    }

    /// Takes what the operator configured, as far as the PUBLISH has what it names.
    pub(super) fn configure(
        &mut self,
        config: &IngestConfig,
        given: &Given<'_>,
    ) -> Result<(), Refusal> {
        if let Some(source) = resolve(config.source.as_ref(), "source", given)? {
            self.source = source;
        }
        if let Some(id) = resolve(config.id.as_ref(), "id", given)? {
            self.id = Id::Configured(id);
        }
        self.r#type = resolve(config.r#type.as_ref(), "type", given)?;
        self.subject = resolve(config.subject.as_ref(), "subject", given)?;
        self.datacontenttype = resolve(config.datacontenttype.as_ref(), "datacontenttype", given)?;
        self.time = resolve(config.time.as_ref(), "time", given)?;
        self.partitionkey = resolve(config.partitionkey.as_ref(), "partitionkey", given)?;
        Ok(())
    }
}

impl Id {
    /// 32 hexadecimal digits of the run, then the counter.
    pub(super) fn text(&self) -> String {
        match self {
            Id::Minted { run, counter } => format!("{:032x}-{counter}", u128::from_be_bytes(*run)),
            Id::Configured(id) => id.clone(),
        }
    }
}

/// The longest start of at most `MAX_CLIENT_BYTES` that ends between characters.
fn cut(client: &str) -> &str {
    let longest = MAX_CLIENT_BYTES.min(client.len());
    (0..=longest)
        .rev()
        .find_map(|end| client.get(..end))
        .unwrap_or_default()
}
