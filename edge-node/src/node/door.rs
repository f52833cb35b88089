//! What each listener counts.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::status::{Door, ListenerStatus};

/// The counters of one listener. Shared by its connections and status.
#[derive(Debug, Default)]
pub struct DoorCounters {
    connections: AtomicU64,
    accepted: AtomicU64,
    turned_away: AtomicU64,
    faulted: AtomicU64,
}

impl DoorCounters {
    /// Counts a connection, until the guard is dropped as open.
    pub fn accept(self: &Arc<Self>) -> OpenConnection {
        self.accepted.fetch_add(1, Relaxed);
        self.connections.fetch_add(1, Relaxed);
        OpenConnection(Arc::clone(self))
    }

    /// Counts a connection turned away because there were too many.
    pub fn turn_away(&self) {
        self.turned_away.fetch_add(1, Relaxed);
    }

    /// Counts a connection closed because the peer broke the protocol or a bound.
    pub fn fault(&self) {
        self.faulted.fetch_add(1, Relaxed);
    }

    /// Connections open.
    pub fn connections(&self) -> u64 {
        self.connections.load(Relaxed)
    }

    /// As status shows it.
    pub fn status(&self, door: Door, address: SocketAddr) -> ListenerStatus {
        ListenerStatus {
            door,
            address,
            connections: self.connections(),
            accepted: self.accepted.load(Relaxed),
            turned_away: self.turned_away.load(Relaxed),
            faulted: self.faulted.load(Relaxed),
        }
    }
}

/// Counts as an open connection while it lives.
#[derive(Debug)]
pub struct OpenConnection(Arc<DoorCounters>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Relaxed);
    }
}
