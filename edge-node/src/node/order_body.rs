//! Commands and configurations as JSON says them, in requests and events alike.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::Value;

use super::devices::CommandOrder;
use crate::{config::units::Span, device::Asker};

/// How long a command waits for its device where nobody says: a device that is switched on within it still does as it was told.
const EXPIRES: Span = Span::seconds(600);
/// The longest a command waits: what was meant a month ago is not meant any more.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

/// What goes to a device: JSON, or any bytes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataBody {
    data: Option<Value>,
    data_base64: Option<String>,
}

/// Something a device is to do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderBody {
    name: String,
    expires: Option<Span>,
    data: Option<Value>,
    data_base64: Option<String>,
}

impl DataBody {
    /// The bytes that go to the device.
    ///
    /// # Errors
    ///
    /// What is wrong, in words for who wrote it.
    pub fn bytes(self) -> Result<Vec<u8>, String> {
        match (self.data, self.data_base64) {
            (None, None) => Ok(Vec::new()),
            (Some(json), None) => Ok(json.to_string().into_bytes()),
            (None, Some(text)) => STANDARD
                .decode(text)
                .map_err(|error| format!("`data_base64`: {error}")),
            (Some(_), Some(_)) => Err("send `data` or `data_base64`, not both".to_owned()),
        }
    }
}

impl OrderBody {
    /// The order of somebody.
    ///
    /// # Errors
    ///
    /// What is wrong, in words for who wrote it.
    pub fn order(self, asker: Option<Asker>) -> Result<CommandOrder, String> {
        let expires = self.expires.unwrap_or(EXPIRES).0;
        if expires.is_zero() || expires > LONGEST {
            return Err("`expires` is 1ms to 30d".to_owned());
        }
        let data = DataBody {
            data: self.data,
            data_base64: self.data_base64,
        };
        Ok(CommandOrder {
            name: self.name,
            data: data.bytes()?,
            expires_ms: u64::try_from(expires.as_millis())
                .unwrap_or(u64::MAX)
                .max(1),
            asker,
        })
    }
}
