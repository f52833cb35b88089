use crate::mqtt::packet::ReasonCode;

/// Why bytes are no packet. The connection they came on is to be closed; nothing of the packet has taken effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Against the specification. `reason` is mostly `MalformedPacket` (cannot be parsed) or `ProtocolError` (can be
    /// parsed, but is not allowed).
    #[error("{packet}: {field} {what}")]
    Invalid {
        /// What a DISCONNECT (or, for a CONNECT, the CONNACK) of MQTT 5 says.
        reason: ReasonCode,
        /// The packet's name in the specification.
        packet: &'static str,
        /// The part of the packet.
        field: &'static str,
        /// What is wrong with that part.
        what: &'static str,
    },
    /// Over the limit of this end; found before the body is read.
    #[error("{packet}: {size} bytes, the limit is {limit}")]
    TooLarge {
        /// The packet's name in the specification.
        packet: &'static str,
        /// Bytes, with the fixed header.
        size: usize,
        /// Bytes.
        limit: usize,
    },
    /// A CONNECT for a protocol that is neither 3.1.1 nor 5.0. Answer a `level` below 5 with the 3.1.1 CONNACK (return
    /// code 1), others with the MQTT 5 one (0x84), and close.
    #[error(
        "CONNECT: protocol level {level} is not supported, only 4 (MQTT 3.1.1) and 5 (MQTT 5.0) are"
    )]
    UnsupportedVersion {
        /// As sent.
        level: u8,
    },
    /// A CONNECT whose protocol name is not `MQTT`: whoever sent it may not speak MQTT. Close without an answer.
    #[error("CONNECT: the protocol name is not MQTT")]
    UnknownProtocol,
}

impl DecodeError {
    /// What a DISCONNECT (or CONNACK) of MQTT 5 says about it.
    pub fn reason(&self) -> ReasonCode {
        match self {
            Self::Invalid { reason, .. } => *reason,
            Self::TooLarge { .. } => ReasonCode::PacketTooLarge,
            Self::UnsupportedVersion { .. } | Self::UnknownProtocol => {
                ReasonCode::UnsupportedProtocolVersion
            }
        }
    }

    pub(super) fn malformed(packet: &'static str, field: &'static str, what: &'static str) -> Self {
        Self::Invalid {
            reason: ReasonCode::MalformedPacket,
            packet,
            field,
            what,
        }
    }

    pub(super) fn protocol(packet: &'static str, field: &'static str, what: &'static str) -> Self {
        Self::Invalid {
            reason: ReasonCode::ProtocolError,
            packet,
            field,
            what,
        }
    }
}
