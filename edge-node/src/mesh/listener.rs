//! Connections of gRPC clients, of which no more than a number are open; a further one waits to be accepted. One that does not
//! begin to speak HTTP/2 in time is closed; from there on pings tell whether its peer is there.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Sleep, sleep},
};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::transport::server::{Connected, TcpConnectInfo};

use crate::{
    config::GrpcConfig,
    logging::LogLimit,
    node::door::{DoorCounters, OpenConnection},
};

/// After a failed accept (no file descriptor left) the next is tried so much later.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// What every connection of HTTP/2 begins with (RFC 9113, 3.4).
const PREFACE_BYTES: usize = 24;

/// The connections as they come; ends the accepting when it is dropped.
pub(super) fn connections(
    listener: TcpListener,
    config: &GrpcConfig,
    counters: Arc<DoorCounters>,
) -> impl Stream<Item = io::Result<Connection>> {
    let (accepted, connections) = mpsc::channel(1);
    let places = Arc::new(Semaphore::new(config.max_connections as usize));
    let within = config.connect_timeout.0;
    tokio::spawn(accept(listener, places, within, counters, accepted));
    ReceiverStream::new(connections)
}

async fn accept(
    listener: TcpListener,
    places: Arc<Semaphore>,
    within: Duration,
    counters: Arc<DoorCounters>,
    accepted: mpsc::Sender<io::Result<Connection>>,
) {
    let limit = Arc::<LogLimit>::default();
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await.ok()?;
            Some((place, listener.accept().await))
        };
        let (place, stream) = tokio::select! {
            next = next => match next {
                Some(next) => next,
                None => return,
            },
            () = accepted.closed() => return,
        };
        match stream {
            Ok((stream, peer)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a connection of a gRPC client is slower than it could be");
                }
                let preface = Preface {
                    missing_bytes: PREFACE_BYTES,
                    deadline: Box::pin(sleep(within)),
                    peer,
                    counters: Arc::clone(&counters),
                    limit: Arc::clone(&limit),
                };
                let connection = Connection {
                    stream,
                    preface: Some(preface),
                    _place: place,
                    _open: counters.accept(),
                };
                if accepted.send(Ok(connection)).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a connection of a gRPC client cannot be accepted");
                sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

/// One connection, and its place among those that may be open.
pub(super) struct Connection {
    stream: TcpStream,
    /// What is to come first; `None` once it came.
    preface: Option<Preface>,
    _place: OwnedSemaphorePermit,
    _open: OpenConnection,
}

/// The first bytes of a connection, which come in time or never.
struct Preface {
    missing_bytes: usize,
    deadline: Pin<Box<Sleep>>,
    peer: SocketAddr,
    counters: Arc<DoorCounters>,
    limit: Arc<LogLimit>,
}

impl Preface {
    /// Ready when it is too late.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        ready!(self.deadline.as_mut().poll(cx));
        let error = io::Error::new(io::ErrorKind::TimedOut, "it began no HTTP/2 in time");
        self.counters.fault();
        let reason = "a gRPC peer said nothing in time";
        self.limit.warn(reason, self.peer.ip(), &error);
        Poll::Ready(error)
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let Some(preface) = &mut self.preface else {
            return read;
        };
        if read.is_pending() {
            return preface.poll_late(cx).map(Err);
        }
        let came = buffer.filled().len() - before;
        preface.missing_bytes = preface.missing_bytes.saturating_sub(came);
        if preface.missing_bytes == 0 {
            self.preface = None;
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::{advance, pause, timeout},
    };
    use tokio_stream::StreamExt;

    use super::*;
    use crate::{config::units::Span, node::status::Door};

    const WITHIN: Duration = Duration::from_secs(3600);

    /// The one connection of a door, from both ends.
    async fn connection() -> (TcpStream, Connection, Arc<DoorCounters>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap());
        let counters = Arc::<DoorCounters>::default();
        let config = GrpcConfig {
            connect_timeout: Span(WITHIN),
            ..GrpcConfig::default()
        };
        let mut accepted = Box::pin(connections(listener, &config, Arc::clone(&counters)));
        let (peer, accepted) = tokio::join!(peer, accepted.next());
        (peer.unwrap(), accepted.unwrap().unwrap(), counters)
    }

    fn faulted(counters: &Arc<DoorCounters>) -> u64 {
        let nowhere = SocketAddr::from(([0; 4], 0));
        counters.status(Door::Grpc, nowhere).faulted
    }

    #[tokio::test]
    async fn a_peer_that_does_not_begin_in_time_is_closed_and_blamed() {
        let (mut peer, mut connection, counters) = connection().await;
        peer.write_all(&[b'P'; PREFACE_BYTES - 1]).await.unwrap();
        let mut bytes = [0; PREFACE_BYTES];
        let came = connection.read_exact(&mut bytes[1..]).await;
        assert_eq!(came.unwrap(), PREFACE_BYTES - 1);
        pause();
        let late = timeout(2 * WITHIN, connection.read(&mut bytes)).await;
        let late = late.expect("it is closed in time").unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
        assert_eq!(faulted(&counters), 1);
    }

    #[tokio::test]
    async fn a_peer_that_began_may_be_idle() {
        let (mut peer, mut connection, counters) = connection().await;
        peer.write_all(&[b'P'; PREFACE_BYTES]).await.unwrap();
        let mut bytes = [0; PREFACE_BYTES];
        connection.read_exact(&mut bytes).await.unwrap();
        pause();
        advance(2 * WITHIN).await;
        let mut context = Context::from_waker(std::task::Waker::noop());
        let mut buffer = ReadBuf::new(&mut bytes);
        let read = Pin::new(&mut connection).poll_read(&mut context, &mut buffer);
        assert!(read.is_pending());
        assert_eq!(faulted(&counters), 0);
    }
}
