//! Packets to bytes.

mod connect;
mod publish;
mod server;
mod session;
mod within;
pub(in crate::mqtt) mod writer;

pub use publish::PublishParts;
pub(in crate::mqtt) use publish::message_properties;
pub use within::{Limits, encode_within};

use super::packet::{Ack, Packet, PacketId, ReasonCode, Version};
use bytes::{BufMut, BytesMut};
use writer::{Count, Sink, variable_bytes};

/// The largest remaining length there can be, in bytes.
const MAX_REMAINING: usize = 268_435_455;

/// Why a packet cannot be encoded. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// 3.1.1 has no way to say it: AUTH, a DISCONNECT with a reason, a CONNACK whose reason is near no return code.
    /// Where the packet announces the end of the connection, close it without a word.
    #[error("{packet}: MQTT 3.1.1 cannot say this")]
    NotInVersion {
        /// The packet's name in the specification.
        packet: &'static str,
    },
    /// A part of the packet is what no packet may hold.
    #[error("{field} {what}")]
    Invalid {
        /// The part of the packet.
        field: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Over the limit of the receiver, or of MQTT.
    #[error("{size} bytes, the limit is {limit}")]
    TooLarge {
        /// Bytes.
        size: usize,
        /// Bytes.
        limit: usize,
    },
}

type Result<T> = std::result::Result<T, EncodeError>;

/// Appends `packet` to `out`.
///
/// What only MQTT 5 has is left out for a 3.1.1 connection; its CONNACK and SUBACK carry the nearest return code.
///
/// # Errors
/// See [`EncodeError`]; `out` is then as it was.
pub fn encode(version: Version, packet: &Packet, out: &mut BytesMut) -> Result<()> {
    if let Packet::Publish(publish) = packet {
        return publish::encode(version, publish, out);
    }
    let first = first_byte(version, packet)?;
    let mut count = Count(0);
    body(version, packet, &mut count)?;
    check_remaining(count.0)?;
    out.reserve(5 + count.0);
    out.put_u8(first);
    variable_bytes(out, count.0);
    body(version, packet, out)
}

/// Appends the acknowledgement of success, the same four bytes in both versions: 0x40 PUBACK, 0x50 PUBREC, 0x62 PUBREL,
/// 0x70 PUBCOMP.
pub fn encode_success(ack: AckKind, packet_id: PacketId, out: &mut BytesMut) {
    let [high, low] = packet_id.get().to_be_bytes();
    out.extend_from_slice(&[ack as u8, 2, high, low]);
}

/// The first byte of an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "named as in the specification")]
pub enum AckKind {
    PubAck = 0x40,
    PubRec = 0x50,
    PubRel = 0x62,
    PubComp = 0x70,
}

/// The bytes `encode` writes for it.
pub fn encoded_len(version: Version, packet: &Packet) -> Result<usize> {
    if let Packet::Publish(publish) = packet {
        return publish::encoded_len(version, publish);
    }
    first_byte(version, packet)?;
    let mut count = Count(0);
    body(version, packet, &mut count)?;
    check_remaining(count.0)?;
    Ok(1 + writer::variable_len(count.0) + count.0)
}

fn check_remaining(remaining: usize) -> Result<()> {
    if remaining > MAX_REMAINING {
        return Err(EncodeError::TooLarge {
            size: remaining,
            limit: MAX_REMAINING,
        });
    }
    Ok(())
}

fn first_byte(version: Version, packet: &Packet) -> Result<u8> {
    Ok(match packet {
        Packet::Connect(_) => 0x10,
        Packet::ConnAck(_) => 0x20,
        Packet::Publish(publish) => publish::first_byte(publish.dup, publish.qos, publish.retain),
        Packet::PubAck(_) => 0x40,
        Packet::PubRec(_) => 0x50,
        Packet::PubRel(_) => 0x62,
        Packet::PubComp(_) => 0x70,
        Packet::Subscribe(_) => 0x82,
        Packet::SubAck(_) => 0x90,
        Packet::Unsubscribe(_) => 0xA2,
        Packet::UnsubAck(_) => 0xB0,
        Packet::PingReq => 0xC0,
        Packet::PingResp => 0xD0,
        Packet::Disconnect(disconnect)
            if version == Version::V311 && disconnect.reason != ReasonCode::Success =>
        {
            return Err(EncodeError::NotInVersion {
                packet: "DISCONNECT",
            });
        }
        Packet::Disconnect(_) => 0xE0,
        Packet::Auth(_) if version == Version::V311 => {
            return Err(EncodeError::NotInVersion { packet: "AUTH" });
        }
        Packet::Auth(_) => 0xF0,
    })
}

fn body(version: Version, packet: &Packet, out: &mut dyn Sink) -> Result<()> {
    match packet {
        Packet::Connect(connect) => connect::connect(version, connect, out),
        Packet::ConnAck(connack) => server::connack(version, connack, out),
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            acknowledgement(version, ack, out)
        }
        Packet::Subscribe(subscribe) => session::subscribe(version, subscribe, out),
        Packet::SubAck(suback) => server::suback(version, suback, out),
        Packet::Unsubscribe(unsubscribe) => session::unsubscribe(version, unsubscribe, out),
        Packet::UnsubAck(unsuback) => server::unsuback(version, unsuback, out),
        Packet::Disconnect(disconnect) => session::disconnect(version, disconnect, out),
        Packet::Auth(auth) => session::auth(auth, out),
        Packet::PingReq | Packet::PingResp | Packet::Publish(_) => Ok(()),
    }
}

fn acknowledgement(version: Version, ack: &Ack, out: &mut dyn Sink) -> Result<()> {
    out.u16(ack.packet_id.get());
    if version == Version::V311 || (ack.reason == ReasonCode::Success && ack.properties.is_none()) {
        return Ok(());
    }
    out.byte(ack.reason as u8);
    match &ack.properties {
        None => Ok(()),
        some => writer::reason_properties(some, out),
    }
}
