use configuration::Settings;
use embassy_net::{
    IpAddress, Stack,
    tcp::{Error, TcpSocket},
};
use embassy_sync::{blocking_mutex::raw::NoopRawMutex, mutex::Mutex};
use embassy_time::Duration;
use embedded_io_async::{ErrorType, Read, Write};
use firmware::client::Network;

/// How long the node may leave bytes unacknowledged before the connection counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// The memory of a link, given once for its whole life.
pub struct LinkBuffers {
    received: [u8; 512],
    sent: [u8; 768],
}

impl Default for LinkBuffers {
    fn default() -> LinkBuffers {
        LinkBuffers::new()
    }
}

impl LinkBuffers {
    /// 1280 bytes.
    #[must_use]
    pub const fn new() -> LinkBuffers {
        LinkBuffers {
            received: [0; 512],
            sent: [0; 768],
        }
    }
}

/// The one socket to the node, for one connection after the other. Nobody ever waits for the lock: whoever has the
/// connection has the socket.
pub(crate) struct Socket<'a>(Mutex<NoopRawMutex, TcpSocket<'a>>);

impl<'a> Socket<'a> {
    pub(crate) fn new(stack: Stack<'a>, buffers: &'a mut LinkBuffers) -> Socket<'a> {
        let mut socket = TcpSocket::new(stack, &mut buffers.received, &mut buffers.sent);
        socket.set_timeout(Some(PATIENCE));
        socket.set_nagle_enabled(false);
        Socket(Mutex::new(socket))
    }
}

/// Opens connections to the node of the configuration.
pub(crate) struct Dialer<'s, 'a> {
    pub(crate) stack: Stack<'a>,
    pub(crate) settings: Settings<'a>,
    pub(crate) socket: &'s Socket<'a>,
}

impl<'s, 'a> Network for Dialer<'s, 'a> {
    type Connection = Connection<'s, 'a>;

    async fn connect(&mut self) -> Option<Connection<'s, 'a>> {
        match self.dial().await {
            Ok(connection) => {
                say!("connected to the node as {}", self.settings.id);
                Some(connection)
            }
            Err(why) => {
                say!("no link to the node: {}", why);
                None
            }
        }
    }
}

impl<'s, 'a> Dialer<'s, 'a> {
    /// A connection, or why there is none, in words for the log.
    async fn dial(&self) -> Result<Connection<'s, 'a>, &'static str> {
        self.stack.wait_config_up().await;
        let address = self.address().await?;
        // Made before the attempt, so that one that is given up frees the socket, too.
        let mut connection = Connection {
            socket: self.socket,
            is_open: false,
        };
        let mut socket = self.socket.0.lock().await;
        let connected = socket.connect((address, self.settings.port)).await;
        connected.map_err(|_| "nobody answers at its address and port")?;
        connection.is_open = true;
        Ok(connection)
    }

    async fn address(&self) -> Result<IpAddress, &'static str> {
        #[cfg(feature = "dns")]
        {
            use embassy_net::dns::DnsQueryType;
            let found = self.stack.dns_query(self.settings.host, DnsQueryType::A);
            let found = found.await.map_err(|_| "its name cannot be resolved")?;
            found.first().copied().ok_or("its name has no address")
        }
        #[cfg(not(feature = "dns"))]
        {
            let address: core::net::Ipv4Addr = self
                .settings
                .host
                .parse()
                .map_err(|_| "this board needs its IPv4 address, not a name")?;
            Ok(IpAddress::Ipv4(address))
        }
    }
}

/// The connection that the socket has; dropping it resets it, so that the socket is free for the next.
///
/// Its flush does nothing: `TcpSocket::flush` waits until the other side has acknowledged every byte, and the client
/// flushes behind every packet, so that one packet at a time would be in flight. The stack sends what was written by
/// itself.
pub(crate) struct Connection<'s, 'a> {
    socket: &'s Socket<'a>,
    is_open: bool,
}

impl Drop for Connection<'_, '_> {
    fn drop(&mut self) {
        if self.is_open {
            say!("the link to the node is lost");
        }
        if let Ok(mut socket) = self.socket.0.try_lock() {
            socket.abort();
        }
    }
}

impl ErrorType for Connection<'_, '_> {
    type Error = Error;
}

impl Read for Connection<'_, '_> {
    async fn read(&mut self, into: &mut [u8]) -> Result<usize, Error> {
        let socket = self.socket.0.try_lock();
        socket.map_err(|_| Error::ConnectionReset)?.read(into).await
    }
}

impl Write for Connection<'_, '_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let socket = self.socket.0.try_lock();
        socket
            .map_err(|_| Error::ConnectionReset)?
            .write(bytes)
            .await
    }

    async fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
