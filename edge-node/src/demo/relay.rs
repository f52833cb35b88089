//! The link between node and hub: a relay that can be cut.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};

use super::DemoError;

/// Connections at once; an uplink has a handful.
const CONNECTIONS: usize = 64;

/// Passes every connection on to the hub while it is up.
pub(super) struct Relay {
    pub(super) address: SocketAddr,
    up: watch::Sender<bool>,
}

impl Relay {
    /// Up, on a port the system picks, until the runtime ends.
    pub(super) async fn start(hub: SocketAddr) -> Result<Relay, DemoError> {
        let failed = DemoError::system("listen for the link");
        let listen = async {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
            Ok((listener.local_addr()?, listener))
        };
        let (address, listener) = listen.await.map_err(failed)?;
        let (up, told) = watch::channel(true);
        tokio::spawn(accept(listener, hub, told));
        Ok(Relay { address, up })
    }

    /// Breaks every connection, and resets who connects.
    pub(super) fn cut(&self) {
        self.up.send_replace(false);
    }

    /// Lets connections through again.
    pub(super) fn restore(&self) {
        self.up.send_replace(true);
    }
}

async fn accept(listener: TcpListener, hub: SocketAddr, up: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            return; // never closed
        };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await; // out of descriptors, for a moment
            continue;
        };
        let up = up.clone();
        tokio::spawn(async move {
            let _ = carry(stream, hub, up).await; // either end went: so does the other
            drop(place);
        });
    }
}

/// Ends when either end does or the link is cut; then both see a broken connection, as behind a pulled cable.
async fn carry(
    mut node: TcpStream,
    hub: SocketAddr,
    mut up: watch::Receiver<bool>,
) -> io::Result<()> {
    node.set_zero_linger()?;
    if !*up.borrow() {
        return Ok(());
    }
    let mut hub = TcpStream::connect(hub).await?;
    node.set_nodelay(true)?;
    hub.set_nodelay(true)?;
    hub.set_zero_linger()?;
    tokio::select! {
        copied = copy_bidirectional(&mut node, &mut hub) => copied.map(drop),
        _ = up.wait_for(|up| !up) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_cut_link_breaks_what_goes_through_it_and_lets_nobody_in_until_it_is_restored() {
        let hub = echo().await;
        let relay = Relay::start(hub).await.unwrap();
        let mut before = TcpStream::connect(relay.address).await.unwrap();
        assert_eq!(asked(&mut before).await.unwrap(), *b"ping");

        relay.cut();
        assert!(before.read_u8().await.is_err(), "it is broken");
        let mut during = TcpStream::connect(relay.address).await.unwrap();
        assert!(asked(&mut during).await.is_err(), "nothing gets through");

        relay.restore();
        let mut after = TcpStream::connect(relay.address).await.unwrap();
        assert_eq!(asked(&mut after).await.unwrap(), *b"ping");
    }

    async fn asked(stream: &mut TcpStream) -> io::Result<[u8; 4]> {
        stream.write_all(b"ping").await?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    }

    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut reader, mut writer) = stream.split();
                    tokio::io::copy(&mut reader, &mut writer).await
                });
            }
        });
        address
    }
}
