use super::{DecodeError, Sender};
use crate::mqtt::packet::Version;

/// The packet types, by their number in the fixed header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Connect,
    ConnAck,
    Publish,
    PubAck,
    PubRec,
    PubRel,
    PubComp,
    Subscribe,
    SubAck,
    Unsubscribe,
    UnsubAck,
    PingReq,
    PingResp,
    Disconnect,
    Auth,
}

impl Kind {
    /// Checks the type and the flags, which are fixed for all but PUBLISH [MQTT-2.1.3-1].
    pub(super) fn parse(first: u8, version: Option<Version>) -> Result<Self, DecodeError> {
        let kind = match first >> 4 {
            1 => Self::Connect,
            2 => Self::ConnAck,
            3 => Self::Publish,
            4 => Self::PubAck,
            5 => Self::PubRec,
            6 => Self::PubRel,
            7 => Self::PubComp,
            8 => Self::Subscribe,
            9 => Self::SubAck,
            10 => Self::Unsubscribe,
            11 => Self::UnsubAck,
            12 => Self::PingReq,
            13 => Self::PingResp,
            14 => Self::Disconnect,
            15 if version != Some(Version::V311) => Self::Auth,
            _ => return Err(DecodeError::malformed("packet", "type", "is reserved")),
        };
        let flags = first & 0x0F;
        let fixed = match kind {
            Self::Publish => flags,
            Self::PubRel | Self::Subscribe | Self::Unsubscribe => 0b0010,
            _ => 0,
        };
        if flags != fixed {
            return Err(DecodeError::malformed(
                kind.name(),
                "flags",
                "of the fixed header are not the reserved ones",
            ));
        }
        Ok(kind)
    }

    pub(super) fn is_sent_by(self, sender: Sender, version: Option<Version>) -> bool {
        match self {
            Self::Connect | Self::Subscribe | Self::Unsubscribe | Self::PingReq => {
                sender == Sender::Client
            }
            Self::ConnAck | Self::SubAck | Self::UnsubAck | Self::PingResp => {
                sender == Sender::Server
            }
            Self::Disconnect => sender == Sender::Client || version != Some(Version::V311),
            _ => true,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Connect => "CONNECT",
            Self::ConnAck => "CONNACK",
            Self::Publish => "PUBLISH",
            Self::PubAck => "PUBACK",
            Self::PubRec => "PUBREC",
            Self::PubRel => "PUBREL",
            Self::PubComp => "PUBCOMP",
            Self::Subscribe => "SUBSCRIBE",
            Self::SubAck => "SUBACK",
            Self::Unsubscribe => "UNSUBSCRIBE",
            Self::UnsubAck => "UNSUBACK",
            Self::PingReq => "PINGREQ",
            Self::PingResp => "PINGRESP",
            Self::Disconnect => "DISCONNECT",
            Self::Auth => "AUTH",
        }
    }
}

/// The remaining length, decoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Length {
    /// Bytes of the fixed header: the first byte and those of the remaining length.
    pub(super) header_bytes: usize,
    /// Bytes behind it.
    pub(super) remaining: usize,
    /// Not in its shortest form: allowed in 3.1.1, which does not speak of it, and malformed in 5.0 [MQTT-1.5.5-1].
    pub(super) overlong: bool,
}

/// `None` while more bytes are needed.
pub(super) fn remaining_length(
    buffer: &[u8],
    kind: Kind,
    version: Option<Version>,
) -> Result<Option<Length>, DecodeError> {
    let mut remaining = 0usize;
    for (at, &byte) in buffer.iter().skip(1).take(4).enumerate() {
        remaining |= usize::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            let overlong = at > 0 && byte == 0;
            if overlong && version == Some(Version::V5) {
                return Err(DecodeError::malformed(
                    kind.name(),
                    "remaining length",
                    "is not in the shortest form",
                ));
            }
            return Ok(Some(Length {
                header_bytes: at + 2,
                remaining,
                overlong,
            }));
        }
        if at == 3 {
            return Err(DecodeError::malformed(
                kind.name(),
                "remaining length",
                "is longer than four bytes",
            ));
        }
    }
    Ok(None)
}
