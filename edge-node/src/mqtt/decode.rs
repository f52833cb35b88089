//! Bytes to packets.

mod acks;
mod connack;
mod connect;
mod error;
mod header;
pub(in crate::mqtt) mod properties;
mod publish;
pub(in crate::mqtt) mod reader;
mod reasons;
mod session;
mod subscribe;

pub use error::DecodeError;

use super::packet::{Packet, Version};
use bytes::{Buf, BytesMut};
use header::Kind;
use reader::Reader;

/// Which end of the connection sent the bytes: some packets, properties and reason codes belong to one end only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    Client,
    Server,
}

/// Cuts the byte stream of one connection, in one direction, into packets.
///
/// ```
/// # use bytes::BytesMut;
/// # use edge_node::mqtt::{decode::{DecodeError, Decoder}, packet::Packet};
/// fn received(decoder: &mut Decoder, buffer: &mut BytesMut) -> Result<Vec<Packet>, DecodeError> {
///     std::iter::from_fn(|| decoder.decode(buffer).transpose()).collect()
/// }
/// # let mut buffer = BytesMut::from(&b"\xC0\x00\xC0"[..]);
/// # let mut decoder = Decoder::from_client(100);
/// # assert!(received(&mut decoder, &mut buffer).is_err());
/// ```
#[derive(Clone, Debug)]
pub struct Decoder {
    sender: Sender,
    version: Option<Version>,
    connected: bool,
    max_packet_size: usize,
}

impl Decoder {
    /// Decodes what a client sends. The first packet must be a CONNECT, which sets the version.
    ///
    /// `max_packet_size` is in bytes and counts the whole packet with its fixed header.
    pub fn from_client(max_packet_size: usize) -> Self {
        Self {
            sender: Sender::Client,
            version: None,
            connected: false,
            max_packet_size,
        }
    }

    /// Decodes what a server sends to a client that said `version` in its CONNECT.
    pub fn from_server(version: Version, max_packet_size: usize) -> Self {
        Self {
            sender: Sender::Server,
            version: Some(version),
            connected: true,
            max_packet_size,
        }
    }

    /// Known as soon as a CONNECT named a supported protocol level, even if the rest of it was in error: the CONNACK
    /// that refuses it is encoded in this version.
    pub fn version(&self) -> Option<Version> {
        self.version
    }

    /// Bytes; holds for the packets decoded from here on.
    pub fn set_max_packet_size(&mut self, max_packet_size: usize) {
        self.max_packet_size = max_packet_size;
    }

    /// Takes the first packet off `buffer`; `None` when more bytes are needed.
    ///
    /// Topic and payload of a PUBLISH are slices of `buffer`'s memory ([`Publish::detach`]); everything else is
    /// copied. Nothing is reserved for a packet that is still to come, so a peer that only announces a large packet
    /// costs nothing.
    ///
    /// # Errors
    /// At the first byte that shows it: a wrong fixed header and a packet over the limit before their body has come.
    /// `buffer` is left as it was; the stream cannot be read on from there, and the connection is to be closed.
    ///
    /// [`Publish::detach`]: super::packet::Publish::detach
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Packet>, DecodeError> {
        let Some(&first) = buffer.first() else {
            return Ok(None);
        };
        let kind = self.kind(first)?;
        let Some(length) = header::remaining_length(buffer, kind, self.version)? else {
            return Ok(None);
        };
        let size = length.header_bytes + length.remaining;
        if size > self.max_packet_size {
            return Err(DecodeError::TooLarge {
                packet: kind.name(),
                size,
                limit: self.max_packet_size,
            });
        }
        if buffer.len() < size {
            return Ok(None);
        }
        if kind == Kind::Publish {
            return publish::decode(self.sender, self.version, first, length, buffer).map(Some);
        }
        let body = buffer.get(length.header_bytes..size).unwrap_or_default();
        let packet = self.body(kind, length, Reader::new(kind.name(), body))?;
        buffer.advance(size);
        Ok(Some(packet))
    }

    /// Bytes of the first packet of `buffer`, which need not be whole; `None` while its header says no valid length.
    pub fn size_of_next(&self, buffer: &[u8]) -> Option<usize> {
        let kind = self.kind(*buffer.first()?).ok()?;
        let length = header::remaining_length(buffer, kind, self.version).ok()??;
        Some(length.header_bytes + length.remaining)
    }

    fn kind(&self, first: u8) -> Result<Kind, DecodeError> {
        let kind = Kind::parse(first, self.version)?;
        if !kind.is_sent_by(self.sender, self.version) {
            return Err(DecodeError::protocol(
                kind.name(),
                "packet",
                "is not sent by this end of a connection",
            ));
        }
        match (kind, self.connected) {
            (Kind::Connect, true) => Err(DecodeError::protocol(
                "CONNECT",
                "packet",
                "came twice on one connection",
            )),
            (Kind::Connect, false) | (_, true) => Ok(kind),
            (_, false) => Err(DecodeError::protocol(
                kind.name(),
                "packet",
                "came before CONNECT",
            )),
        }
    }

    fn body(
        &mut self,
        kind: Kind,
        length: header::Length,
        mut body: Reader<'_>,
    ) -> Result<Packet, DecodeError> {
        if kind == Kind::Connect {
            return self.connect(length, body);
        }
        let version = self.version.unwrap_or(Version::V5);
        let reader = &mut body;
        let packet = match kind {
            Kind::ConnAck => Packet::ConnAck(Box::new(connack::decode(version, reader)?)),
            Kind::PubAck => Packet::PubAck(acks::decode(version, reasons::PUBACK, reader)?),
            Kind::PubRec => Packet::PubRec(acks::decode(version, reasons::PUBACK, reader)?),
            Kind::PubRel => Packet::PubRel(acks::decode(version, reasons::PUBREL, reader)?),
            Kind::PubComp => Packet::PubComp(acks::decode(version, reasons::PUBREL, reader)?),
            Kind::Subscribe => Packet::Subscribe(subscribe::subscribe(version, reader)?),
            Kind::SubAck => Packet::SubAck(subscribe::suback(version, reader)?),
            Kind::Unsubscribe => Packet::Unsubscribe(subscribe::unsubscribe(version, reader)?),
            Kind::UnsubAck => Packet::UnsubAck(subscribe::unsuback(version, reader)?),
            Kind::PingReq => Packet::PingReq,
            Kind::PingResp => Packet::PingResp,
            Kind::Disconnect => {
                Packet::Disconnect(session::disconnect(version, self.sender, reader)?)
            }
            Kind::Auth => Packet::Auth(session::auth(self.sender, reader)?),
            Kind::Connect | Kind::Publish => {
                return Err(body.malformed("packet", "is decoded elsewhere"));
            }
        };
        body.finish()?;
        Ok(packet)
    }

    fn connect(
        &mut self,
        length: header::Length,
        mut body: Reader<'_>,
    ) -> Result<Packet, DecodeError> {
        let version = connect::version(&mut body)?;
        self.version = Some(version);
        if version == Version::V5 && length.overlong {
            return Err(body.malformed("remaining length", "is not in the shortest form"));
        }
        let connect = connect::decode(version, &mut body)?;
        body.finish()?;
        self.connected = true;
        Ok(Packet::Connect(Box::new(connect)))
    }
}
