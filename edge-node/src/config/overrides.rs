//! Flags that win over the file.

use std::{net::SocketAddr, path::PathBuf};

use super::{Config, Place};

/// What the command line says; `None` leaves the file's value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--data`
    pub data: Option<PathBuf>,
    /// `--mqtt`
    pub mqtt: Option<SocketAddr>,
    /// `--http`
    pub http: Option<SocketAddr>,
    /// `--grpc`
    pub grpc: Option<SocketAddr>,
}

impl Overrides {
    pub(super) fn apply(&self, config: &mut Config) {
        if let Some(data) = &self.data {
            config.node.data.clone_from(data);
        }
        config.mqtt.listen = self.mqtt.unwrap_or(config.mqtt.listen);
        config.http.listen = self.http.unwrap_or(config.http.listen);
        config.grpc.listen = self.grpc.unwrap_or(config.grpc.listen);
    }

    /// The flag that set the listener of a section.
    pub(super) fn listener(&self, section: &str) -> Option<Place> {
        match section {
            "mqtt" => self.mqtt.map(|_| Place::Flag("--mqtt")),
            "http" => self.http.map(|_| Place::Flag("--http")),
            "grpc" => self.grpc.map(|_| Place::Flag("--grpc")),
            _ => None,
        }
    }
}
