//! The MQTT codec: bytes to packets and back, for 3.1.1 and 5.0, in both directions.
//!
//! ```text
//!  bytes of a connection ──▶ decode::Decoder ──▶ packet::Packet ──▶ encode::encode ──▶ bytes
//!                                                     │                   ▲
//!                               stored::encode ◀──────┴── encode::PublishParts (no Packet in between)
//! ```
//!
//! It is strict: what the specifications call malformed or a protocol error does not become a packet. What needs the
//! state of a session (is this packet id in use, is this alias known, may this client do that) is the broker's. It
//! does no IO, reads no clock and keeps nothing but the version of the connection.

pub mod decode;
pub mod encode;
pub mod packet;
mod property;
pub mod stored;

#[cfg(test)]
mod tests;
