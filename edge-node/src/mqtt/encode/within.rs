use super::{EncodeError, Result, encode, encoded_len};
use crate::mqtt::packet::{Packet, ReasonProperties, Version};
use bytes::BytesMut;

/// What the receiver said in its CONNECT (or CONNACK) about packets sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a whole packet.
    pub maximum_packet_size: usize,
    /// False: acknowledgements carry no reason string and no user properties [MQTT-3.1.2-29].
    pub problem_information: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            maximum_packet_size: usize::MAX,
            problem_information: true,
        }
    }
}

/// Appends `packet` to `out`, made to fit the receiver.
///
/// User properties, then the reason string, are left out of CONNACK, acknowledgements, DISCONNECT and AUTH where they
/// would make the packet too large or are not wanted.
///
/// # Errors
/// `TooLarge` where that is not enough; a PUBLISH is then treated as if it had been delivered [MQTT-3.1.2-25]. Else as
/// [`encode`].
pub fn encode_within(
    version: Version,
    packet: &Packet,
    limits: Limits,
    out: &mut BytesMut,
) -> Result<()> {
    if limits == Limits::default() {
        return encode(version, packet, out);
    }
    let fits = |packet: &Packet| {
        encoded_len(version, packet).map(|size| size <= limits.maximum_packet_size)
    };
    let mut packet = std::borrow::Cow::Borrowed(packet);
    if !limits.problem_information && !may_always_explain(&packet) {
        strip(packet.to_mut(), Part::UserProperties);
        strip(packet.to_mut(), Part::ReasonString);
    }
    for part in [Part::UserProperties, Part::ReasonString] {
        if fits(&packet)? {
            return encode(version, &packet, out);
        }
        strip(packet.to_mut(), part);
    }
    let size = encoded_len(version, &packet)?;
    if size > limits.maximum_packet_size {
        return Err(EncodeError::TooLarge {
            size,
            limit: limits.maximum_packet_size,
        });
    }
    encode(version, &packet, out)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    UserProperties,
    ReasonString,
}

/// The packets that Request Problem Information = 0 does not touch.
fn may_always_explain(packet: &Packet) -> bool {
    matches!(
        packet,
        Packet::Publish(_) | Packet::ConnAck(_) | Packet::Disconnect(_)
    )
}

fn reason_properties(packet: &mut Packet) -> Option<&mut ReasonProperties> {
    match packet {
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            Some(&mut ack.properties)
        }
        Packet::SubAck(ack) | Packet::UnsubAck(ack) => Some(&mut ack.properties),
        _ => None,
    }
}

fn strip(packet: &mut Packet, part: Part) {
    let (user_properties, reason_string) = match packet {
        Packet::ConnAck(connack) => (&mut connack.user_properties, &mut connack.reason_string),
        Packet::Disconnect(disconnect) => (
            &mut disconnect.user_properties,
            &mut disconnect.reason_string,
        ),
        Packet::Auth(auth) => (&mut auth.user_properties, &mut auth.reason_string),
        _ => {
            let Some(properties) = reason_properties(packet) else {
                return;
            };
            let Some(set) = properties else { return };
            match part {
                Part::UserProperties => set.user_properties.clear(),
                Part::ReasonString => set.reason_string = None,
            }
            if **set == Default::default() {
                *properties = None;
            }
            return;
        }
    };
    match part {
        Part::UserProperties => user_properties.clear(),
        Part::ReasonString => *reason_string = None,
    }
}
