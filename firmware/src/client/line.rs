use embassy_futures::select::{Either, Either3, select, select3};
use embassy_sync::{blocking_mutex::raw::RawMutex, signal::Signal};
use embedded_io_async::{Read, Write};

use super::{Clock, Network, inbox::Inbox};

/// A connection that can be had, lost and had again, and the time that passes over it.
pub(crate) struct Line<N: Network, C> {
    network: N,
    clock: C,
    connection: Option<N::Connection>,
}

/// The connection broke, or the other side takes too long.
pub(crate) struct Broken;

/// What ended a wait.
pub(crate) enum Woken {
    /// Bytes came into the inbox.
    Bytes,
    /// There may be something new to send.
    Signal,
    /// The time is over.
    Time,
}

impl<N: Network, C: Clock> Line<N, C> {
    pub(crate) fn new(network: N, clock: C) -> Self {
        Line {
            network,
            clock,
            connection: None,
        }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.uptime_ms()
    }

    /// Tries to have a connection until `until_ms`: whether there is one.
    pub(crate) async fn dial(&mut self, until_ms: u64) -> bool {
        let connected = select(self.network.connect(), self.clock.wait_until(until_ms)).await;
        self.connection = match connected {
            Either::First(connection) => connection,
            Either::Second(()) => None,
        };
        self.connection.is_some()
    }

    pub(crate) fn hang_up(&mut self) {
        self.connection = None;
    }

    /// Sends a packet that is taken within `patience_ms`.
    pub(crate) async fn write(&mut self, packet: &[u8], patience_ms: u64) -> Result<(), Broken> {
        let until_ms = self.now_ms().saturating_add(patience_ms);
        let connection = self.connection.as_mut().ok_or(Broken)?;
        let written = async {
            connection.write_all(packet).await?;
            connection.flush().await
        };
        match select(written, self.clock.wait_until(until_ms)).await {
            Either::First(Ok(())) => Ok(()),
            Either::First(Err(_)) | Either::Second(()) => Err(Broken),
        }
    }

    /// Waits for bytes, for `wake`, or until `until_ms`.
    pub(crate) async fn wait<M: RawMutex>(
        &mut self,
        inbox: &mut Inbox,
        wake: &Signal<M, ()>,
        until_ms: u64,
    ) -> Result<Woken, Broken> {
        let connection = &mut self.connection;
        let bytes = async {
            match connection {
                Some(connection) => connection.read(inbox.room()).await.unwrap_or(0),
                None => core::future::pending().await,
            }
        };
        match select3(bytes, wake.wait(), self.clock.wait_until(until_ms)).await {
            Either3::First(0) => Err(Broken),
            Either3::First(len) => {
                inbox.fill(len);
                Ok(Woken::Bytes)
            }
            Either3::Second(()) => Ok(Woken::Signal),
            Either3::Third(()) => Ok(Woken::Time),
        }
    }
}
