use core::fmt;

use crate::SettingsError;

/// What a copy says, borrowed from its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings<'a> {
    /// Who the device is: its MQTT client id and the last part of its topics.
    pub id: &'a str,
    /// The node's name or IPv4 address.
    pub host: &'a str,
    /// The node's MQTT port.
    pub port: u16,
    /// The network to join; boards with a cable have none.
    pub wifi: Option<Wifi<'a>>,
    /// How the device shows the node who it is.
    pub credentials: Option<Credentials<'a>>,
}

/// A wireless network.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Wifi<'a> {
    /// Its name.
    pub ssid: &'a str,
    /// Its WPA passphrase; `None` for an open network.
    pub passphrase: Option<&'a str>,
}

/// User and password for the node.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// The user.
    pub user: &'a str,
    /// The password.
    pub password: &'a [u8],
}

impl fmt::Debug for Wifi<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wifi({:?}, passphrase not shown)", self.ssid)
    }
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({:?}, password not shown)", self.user)
    }
}

impl Settings<'_> {
    /// Whether every value is within its bounds.
    ///
    /// # Errors
    ///
    /// The first value that is not.
    pub fn check(&self) -> Result<(), SettingsError> {
        let id = |c: u8| c.is_ascii_alphanumeric() || b"._-".contains(&c);
        let host = |c: u8| c.is_ascii_alphanumeric() || b".-".contains(&c);
        if !(1..=64).contains(&self.id.len()) || !self.id.bytes().all(id) {
            return Err(SettingsError::Id);
        }
        if !(1..=63).contains(&self.host.len()) || !self.host.bytes().all(host) {
            return Err(SettingsError::Host);
        }
        if self.port == 0 {
            return Err(SettingsError::Port);
        }
        if let Some(wifi) = &self.wifi {
            wifi.check()?;
        }
        self.credentials.as_ref().map_or(Ok(()), Credentials::check)
    }
}

impl Wifi<'_> {
    fn check(&self) -> Result<(), SettingsError> {
        if !(1..=32).contains(&self.ssid.len()) {
            return Err(SettingsError::Ssid);
        }
        let printable = |c: u8| c.is_ascii_graphic() || c == b' ';
        match self.passphrase {
            Some(text) if !(8..=63).contains(&text.len()) || !text.bytes().all(printable) => {
                Err(SettingsError::Passphrase)
            }
            _ => Ok(()),
        }
    }
}

impl Credentials<'_> {
    fn check(&self) -> Result<(), SettingsError> {
        if !(1..=64).contains(&self.user.len()) {
            return Err(SettingsError::User);
        }
        if !(1..=64).contains(&self.password.len()) {
            return Err(SettingsError::Password);
        }
        Ok(())
    }
}
