//! Where a running node listens, for commands on the same machine: `endpoints.json` in its data directory.
//!
//! The node writes it (mode 0600) once its doors are open and removes it when it stops. After a kill it is stale: who
//! reads it finds nobody at its addresses.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::data_file;

const FILE: &str = "endpoints.json";

/// The addresses the doors have, with the ports the system picked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Endpoints {
    /// MQTT.
    pub mqtt: SocketAddr,
    /// HTTP: events, status, replay.
    pub http: SocketAddr,
    /// EventMesh over gRPC.
    pub grpc: SocketAddr,
    /// The process.
    pub pid: u32,
}

/// Why a running node was not found or could not make itself known.
#[derive(Debug, thiserror::Error)]
pub enum EndpointsError {
    /// No node has its doors open on this directory.
    #[error("no node runs on {}; start one with `edge-node run --data {}`", data.display(), data.display())]
    NotRunning {
        /// The data directory.
        data: PathBuf,
    },
    /// The file cannot be read, written or understood.
    #[error("{}: {source}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        source: io::Error,
    },
}

impl Endpoints {
    /// Makes the node known. A reader sees the old file or the new one, never half of one.
    ///
    /// # Errors
    /// The directory is not writable; nothing is left of the new file under its name.
    pub fn write(&self, data: &Path) -> Result<(), EndpointsError> {
        let text = serde_json::to_vec(self).expect("addresses and a number are JSON");
        data_file::replace(data, FILE, &text).map_err(|source| EndpointsError::File {
            file: data.join(FILE),
            source,
        })
    }

    /// The node that runs on this data directory.
    ///
    /// # Errors
    /// None has its doors open, or the file is not what a node writes.
    pub fn read(data: &Path) -> Result<Endpoints, EndpointsError> {
        let file = data.join(FILE);
        match fs::read(&file) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| EndpointsError::File {
                file,
                source: error.into(),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(EndpointsError::NotRunning {
                    data: data.to_owned(),
                })
            }
            Err(source) => Err(EndpointsError::File { file, source }),
        }
    }

    /// Withdraws what `write` made known.
    pub fn remove(data: &Path) {
        let _ = fs::remove_file(data.join(FILE)); // stale at worst, which readers bear
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_running_node_is_found_by_its_data_directory_and_only_by_its_owner() {
        let data = tempfile::tempdir().unwrap();
        let endpoints = Endpoints {
            mqtt: "127.0.0.1:1".parse().unwrap(),
            http: "127.0.0.1:2".parse().unwrap(),
            grpc: "127.0.0.1:3".parse().unwrap(),
            pid: 4,
        };
        endpoints.write(data.path()).unwrap();
        assert_eq!(Endpoints::read(data.path()).unwrap(), endpoints);
        let file = fs::metadata(data.path().join(FILE)).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600);

        Endpoints::remove(data.path());
        let path = data.path().display();
        assert_eq!(
            Endpoints::read(data.path()).unwrap_err().to_string(),
            format!("no node runs on {path}; start one with `edge-node run --data {path}`")
        );
    }
}
