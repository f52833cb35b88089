//! Opening the doors.

use std::{io, net::SocketAddr};

use tokio::net::TcpListener;

/// A door that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for {door} on {address}: {}", why(door, .source))]
pub struct ListenError {
    /// `mqtt`, `http` or `grpc`.
    pub door: &'static str,
    /// Where.
    pub address: SocketAddr,
    /// What the system said.
    pub source: io::Error,
}

fn why(door: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "the port is in use; stop the other program, or choose another port with --{door} (port 0 picks a free one)"
        ),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need a privilege; choose another port".to_owned()
        }
        _ => error.to_string(),
    }
}

/// Binds without serving yet, so that a taken port is found before anything is touched.
pub(super) fn bind(
    door: &'static str,
    address: SocketAddr,
) -> Result<std::net::TcpListener, ListenError> {
    let failed = |source| ListenError {
        door,
        address,
        source,
    };
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

/// Hands a bound listener to the runtime of this thread.
pub(super) fn serve(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    TcpListener::from_std(listener)
}
