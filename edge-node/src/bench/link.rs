use crate::mqtt::decode::Decoder;
use crate::mqtt::encode::encode;
use crate::mqtt::packet::{
    Connect, Packet, PacketId, QoS, ReasonCode, RetainHandling, Subscribe, SubscriptionRequest,
    Version,
};
use bytes::{Buf, BytesMut};
use std::io::{self, ErrorKind};
use std::num::NonZeroU16;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

const MAX_PACKET_SIZE: usize = 2 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection to a broker, with what is to be written and what was read.
pub(crate) struct Link {
    stream: TcpStream,
    version: Version,
    decoder: Decoder,
    input: BytesMut,
    pub(crate) out: BytesMut,
    read_bytes: usize,
}

impl Link {
    /// A clean 3.1.1 session, accepted by the broker within ten seconds.
    pub(super) async fn open(addr: &str, client_id: String, read_bytes: usize) -> io::Result<Self> {
        Self::connect(addr, Connect::new(Version::V311, client_id), read_bytes).await
    }

    /// The session `connect` asks for, accepted by the broker within ten seconds.
    pub(crate) async fn connect(
        addr: &str,
        connect: Connect,
        read_bytes: usize,
    ) -> io::Result<Self> {
        let stream = patiently(TcpStream::connect(addr)).await?;
        stream.set_nodelay(true)?;
        let mut link = Self {
            stream,
            version: connect.version,
            decoder: Decoder::from_server(connect.version, MAX_PACKET_SIZE),
            input: BytesMut::new(),
            out: BytesMut::new(),
            read_bytes,
        };
        link.send(&Packet::Connect(Box::new(connect)))?;
        match link.answer().await? {
            Packet::ConnAck(connack) if connack.reason == ReasonCode::Success => Ok(link),
            Packet::ConnAck(connack) => {
                Err(io::Error::other(format!("refused: {:?}", connack.reason)))
            }
            other => Err(io::Error::other(format!(
                "{} in place of CONNACK",
                other.name()
            ))),
        }
    }

    /// Subscribes at QoS 1; granted by the broker within ten seconds.
    pub(crate) async fn subscribe(&mut self, filter: String) -> io::Result<()> {
        let request = SubscriptionRequest {
            filter,
            qos: QoS::AtLeastOnce,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::Send,
        };
        self.send(&Packet::Subscribe(Subscribe {
            packet_id: PacketId(NonZeroU16::MIN),
            subscription_identifier: None,
            user_properties: Vec::new(),
            requests: vec![request],
        }))?;
        match self.answer().await? {
            Packet::SubAck(suback) if suback.reasons.iter().all(|reason| !reason.is_error()) => {
                Ok(())
            }
            other => Err(io::Error::other(format!(
                "the subscription was answered with {other:?}"
            ))),
        }
    }

    pub(crate) fn send(&mut self, packet: &Packet) -> io::Result<()> {
        encode(self.version, packet, &mut self.out).map_err(io::Error::other)
    }

    /// The next packet, while the load has not begun.
    pub(crate) async fn answer(&mut self) -> io::Result<Packet> {
        patiently(async {
            loop {
                if let Some(packet) = self.next()? {
                    return Ok(packet);
                }
                self.exchange().await?;
            }
        })
        .await
    }

    /// The next packet among those read.
    pub(crate) fn next(&mut self) -> io::Result<Option<Packet>> {
        self.decoder
            .decode(&mut self.input)
            .map_err(io::Error::other)
    }

    /// Writes all of `out` that the socket takes, then waits until something is read. May be cancelled.
    pub(crate) async fn exchange(&mut self) -> io::Result<()> {
        loop {
            self.write()?;
            self.input.reserve(self.read_bytes);
            let read = if self.out.is_empty() {
                self.stream.read_buf(&mut self.input).await?
            } else {
                let (mut reader, writer) = self.stream.split();
                tokio::select! {
                    read = reader.read_buf(&mut self.input) => read?,
                    writable = writer.writable() => {
                        writable?;
                        continue;
                    }
                }
            };
            return if read == 0 {
                Err(ErrorKind::ConnectionReset.into())
            } else {
                Ok(())
            };
        }
    }

    /// Writes all of `out`. May be cancelled.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        while !self.out.is_empty() {
            self.stream.writable().await?;
            self.write()?;
        }
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        while !self.out.is_empty() {
            match self.stream.try_write(&self.out) {
                Ok(written) => self.out.advance(written),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

async fn patiently<T>(answer: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(io::Error::new(ErrorKind::TimedOut, "no answer within 10 s")),
    }
}
