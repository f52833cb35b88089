//! What happened, step by step, for who looks into a seed: with `NODE_TRACE=1` every step is printed.

use std::sync::LazyLock;

use crate::mqtt::packet::Packet;

static IS_TOLD: LazyLock<bool> = LazyLock::new(|| std::env::var_os("NODE_TRACE").is_some());

/// Prints a line, if anybody listens.
pub(super) fn tell(line: impl FnOnce() -> String) {
    if *IS_TOLD {
        eprintln!("  {}", line());
    }
}

/// A packet in a few words.
pub(super) fn brief(packet: &Packet) -> String {
    match packet {
        Packet::Publish(publish) => {
            let payload = String::from_utf8_lossy(&publish.payload);
            let id = publish.packet_id.map_or(0, |id| id.0.get());
            format!(
                "PUBLISH {} #{} id {id} qos {} dup {} retain {}",
                publish.topic.as_str(),
                payload.trim_end(),
                publish.qos as u8,
                publish.dup,
                publish.retain
            )
        }
        Packet::Subscribe(subscribe) => format!("SUBSCRIBE {:?}", subscribe.requests),
        Packet::Unsubscribe(unsubscribe) => format!("UNSUBSCRIBE {:?}", unsubscribe.filters),
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            format!("{} {} {:?}", packet.name(), ack.packet_id.0, ack.reason)
        }
        Packet::ConnAck(ack) => format!("CONNACK {:?} present {}", ack.reason, ack.session_present),
        Packet::Disconnect(disconnect) => format!("DISCONNECT {:?}", disconnect.reason),
        other => other.name().to_owned(),
    }
}
