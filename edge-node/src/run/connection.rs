//! One client's socket: bytes in, bytes out.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    rc::Rc,
    task::Poll,
};

use bytes::{Buf, BytesMut};
use tokio::{io::AsyncReadExt, net::TcpStream, sync::Notify, time::timeout};

use super::Shared;

/// How long a client may take to read the last bytes before its socket is closed.
const LAST_WORDS: std::time::Duration = std::time::Duration::from_secs(2);

/// How the core's effects reach a connection's task.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) peer: IpAddr,
    pub(super) wake: Notify,
    pub(super) resumed: Cell<bool>,
    pub(super) closing: Cell<bool>,
}

/// Serves one client until its stream ends.
pub(super) async fn serve(shared: Shared, stream: TcpStream, peer: SocketAddr) {
    // Acknowledgements are small and awaited: they do not wait for more.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "no delay cannot be set");
    }
    let id = shared.with(|core| core.handle_connected(peer.to_string()));
    let port = Rc::new(Port {
        peer: peer.ip(),
        wake: Notify::new(),
        resumed: Cell::new(false),
        closing: Cell::new(false),
    });
    shared.0.ports.borrow_mut().insert(id, Rc::clone(&port));
    let mut socket = Socket {
        shared: shared.clone(),
        id,
        stream,
        port,
        pending: BytesMut::new(),
    };
    if let Err(error) = socket.run().await {
        tracing::debug!(%peer, %error, "connection broke");
    }
    shared.0.ports.borrow_mut().remove(&id);
    shared.with(|core| core.handle_disconnected(id));
}

struct Socket {
    shared: Shared,
    id: usize,
    stream: TcpStream,
    port: Rc<Port>,
    /// Bytes on their way out.
    pending: BytesMut,
}

impl Socket {
    async fn run(&mut self) -> io::Result<()> {
        loop {
            self.write_what_goes()?;
            if self.port.closing.get() {
                // The client may have stopped reading; it does not hold the node up.
                return timeout(LAST_WORDS, self.write_all())
                    .await
                    .unwrap_or(Ok(()));
            }
            let reads = self.shared.0.core.borrow().wants_input(self.id);
            tokio::select! {
                () = self.port.wake.notified() => {}
                ready = self.stream.readable(), if reads => {
                    ready?;
                    if !self.read().await? {
                        return Ok(());
                    }
                }
                ready = self.stream.writable(), if !self.pending.is_empty() => ready?,
            }
            if self.port.resumed.take() {
                let id = self.id;
                self.shared.with(|core| core.handle_resumed(id));
            }
        }
    }

    /// Takes what the socket has, without waiting; false at its end.
    async fn read(&mut self) -> io::Result<bool> {
        // Given back even where there was nothing to read: an idle connection keeps no buffer.
        let mut input = BytesMut::with_capacity(self.shared.0.core.borrow().input_bytes());
        // Unlike `try_read_buf` it takes a socket that gave less than there was room for as empty, and asks no second time.
        let mut reading = pin!(self.stream.read_buf(&mut input));
        let read = poll_fn(|context| Poll::Ready(reading.as_mut().poll(context))).await;
        match read {
            Poll::Ready(Ok(0)) => Ok(false),
            Poll::Ready(Ok(_)) => {
                let id = self.id;
                self.shared.with(|core| core.handle_input(id, &mut input));
                Ok(true)
            }
            Poll::Pending => Ok(true),
            Poll::Ready(Err(error)) => Err(error),
        }
    }

    /// Writes as much as the socket takes without waiting.
    fn write_what_goes(&mut self) -> io::Result<()> {
        loop {
            if self.pending.is_empty() {
                let (id, pending) = (self.id, &mut self.pending);
                self.shared.with(|core| core.take_output(id, pending));
                if self.pending.is_empty() {
                    return Ok(());
                }
            }
            match self.stream.try_write(&self.pending) {
                Ok(written) => {
                    self.pending.advance(written);
                    if self.pending.is_empty() {
                        self.pending = BytesMut::new();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    async fn write_all(&mut self) -> io::Result<()> {
        loop {
            self.write_what_goes()?;
            if self.pending.is_empty() {
                return Ok(());
            }
            self.stream.writable().await?;
        }
    }
}
