use std::{fs, path::Path};

use anyhow::{Context, Result, anyhow, ensure};
use configuration::{Credentials, Settings, Wifi};
use serde::Deserialize;

use crate::Board;

/// The settings of one device as its operator writes them. Unknown keys are refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SettingsFile {
    /// The device's id: its MQTT client id and the last part of its topics. 1 to 64 letters, digits, `.`, `_`, `-`.
    pub id: String,
    /// The node, as `host:port`; the host is a name or an IPv4 address.
    pub node: String,
    /// The network to join: needed by a board with Wi-Fi, refused by one with a cable.
    pub wifi: Option<WifiFile>,
    /// User and password at the node; without them the device connects as nobody.
    pub credentials: Option<CredentialsFile>,
}

/// `[wifi]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WifiFile {
    /// The name of the network, 1 to 32 bytes.
    pub ssid: String,
    /// Its WPA passphrase, 8 to 63 printable ASCII characters; left out for an open network.
    pub passphrase: Option<String>,
}

/// `[credentials]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CredentialsFile {
    /// The user, 1 to 64 bytes.
    pub user: String,
    /// The password, 1 to 64 bytes.
    pub password: String,
}

impl SettingsFile {
    /// Reads a TOML file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is not TOML of this form: with the line.
    pub fn read(path: &Path) -> Result<SettingsFile> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("cannot read the settings {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("in the settings {}", path.display()))
    }

    /// What goes into the block of `board`.
    ///
    /// # Errors
    ///
    /// `node` is not `host:port`, or the board needs or cannot use a network.
    pub fn for_board(&self, board: Board) -> Result<Settings<'_>> {
        let (host, port) = self
            .node
            .rsplit_once(':')
            .and_then(|(host, port)| Some((host, port.parse().ok()?)))
            .ok_or_else(|| {
                let node = &self.node;
                anyhow!("node = {node:?} is not host:port, for instance \"192.168.1.10:1883\"")
            })?;
        let name = board_name(board);
        ensure!(
            self.wifi.is_some() || !board.wireless(),
            "{name} joins a Wi-Fi: add [wifi] with ssid and passphrase"
        );
        ensure!(
            self.wifi.is_none() || board.wireless(),
            "{name} has a cable and no Wi-Fi: remove [wifi]"
        );
        Ok(Settings {
            id: &self.id,
            host,
            port,
            wifi: self.wifi.as_ref().map(|wifi| Wifi {
                ssid: &wifi.ssid,
                passphrase: wifi.passphrase.as_deref(),
            }),
            credentials: self.credentials.as_ref().map(|given| Credentials {
                user: &given.user,
                password: given.password.as_bytes(),
            }),
        })
    }
}

fn board_name(board: Board) -> String {
    use clap::ValueEnum;
    board
        .to_possible_value()
        .map_or_else(String::new, |value| value.get_name().to_owned())
}
