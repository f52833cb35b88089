//! Packets as a scenario says them.

use std::num::{NonZeroU16, NonZeroU32};

use bytes::Bytes;

use crate::mqtt::packet::{
    Ack, Connect, Disconnect, Packet, PacketId, Publish, PublishPropertySet, QoS, ReasonCode,
    RetainHandling, Subscribe, SubscriptionRequest, Topic, Unsubscribe, Version, Will,
};

pub(crate) fn id(id: u16) -> PacketId {
    PacketId::new(id).unwrap()
}

pub(crate) fn v5(client: &str) -> Connect {
    let mut connect = Connect::new(Version::V5, client);
    connect.clean_start = true;
    connect
}

/// A client of version 5 whose session stays.
pub(crate) fn durable(client: &str) -> Connect {
    let mut connect = Connect::new(Version::V5, client);
    connect.clean_start = false;
    connect.session_expiry_interval = Some(3600);
    connect
}

pub(crate) fn with_will(mut connect: Connect, topic: &str, delay_seconds: u32) -> Connect {
    connect.will = Some(Will {
        topic: topic.into(),
        payload: Bytes::from_static(b"gone"),
        qos: QoS::AtLeastOnce,
        retain: false,
        delay_interval: delay_seconds,
        properties: PublishPropertySet::default().into(),
    });
    connect
}

pub(crate) fn with_receive_maximum(mut connect: Connect, maximum: u16) -> Connect {
    connect.receive_maximum = NonZeroU16::new(maximum);
    connect
}

pub(crate) fn with_maximum_packet(mut connect: Connect, bytes: u32) -> Connect {
    connect.maximum_packet_size = NonZeroU32::new(bytes);
    connect
}

pub(crate) fn publish(topic: &str, payload: &str, qos: QoS, packet_id: u16) -> Packet {
    Packet::Publish(Publish {
        dup: false,
        qos,
        retain: false,
        topic: Topic::parse(topic.to_owned()).unwrap(),
        packet_id: (qos != QoS::AtMostOnce).then(|| id(packet_id)),
        properties: PublishPropertySet::default().into(),
        payload: Bytes::from(payload.to_owned()),
    })
}

pub(crate) fn change_publish(packet: Packet, change: impl FnOnce(&mut Publish)) -> Packet {
    match packet {
        Packet::Publish(mut publish) => {
            change(&mut publish);
            Packet::Publish(publish)
        }
        other => other,
    }
}

pub(crate) fn request(filter: &str, qos: QoS) -> SubscriptionRequest {
    SubscriptionRequest {
        filter: filter.into(),
        qos,
        no_local: false,
        retain_as_published: false,
        retain_handling: RetainHandling::Send,
    }
}

pub(crate) fn subscribe(filter: &str, qos: QoS) -> Packet {
    subscribe_with(request(filter, qos), None)
}

pub(crate) fn subscribe_with(request: SubscriptionRequest, identifier: Option<u32>) -> Packet {
    subscribe_all(vec![request], identifier)
}

pub(crate) fn subscribe_to(requests: Vec<SubscriptionRequest>) -> Packet {
    subscribe_all(requests, None)
}

fn subscribe_all(requests: Vec<SubscriptionRequest>, identifier: Option<u32>) -> Packet {
    Packet::Subscribe(Subscribe {
        packet_id: id(1),
        subscription_identifier: identifier,
        user_properties: Vec::new(),
        requests,
    })
}

pub(crate) fn unsubscribe(filter: &str) -> Packet {
    Packet::Unsubscribe(Unsubscribe {
        packet_id: id(2),
        user_properties: Vec::new(),
        filters: vec![filter.into()],
    })
}

pub(crate) fn puback(of: &Publish) -> Packet {
    Packet::PubAck(Ack::success(of.packet_id.unwrap()))
}

pub(crate) fn pubrec(of: &Publish) -> Packet {
    Packet::PubRec(Ack::success(of.packet_id.unwrap()))
}

pub(crate) fn goodbye() -> Packet {
    Packet::Disconnect(Disconnect::new(ReasonCode::Success))
}

pub(crate) fn goodbye_with_expiry(seconds: u32) -> Packet {
    let mut goodbye = Disconnect::new(ReasonCode::Success);
    goodbye.session_expiry_interval = Some(seconds);
    Packet::Disconnect(goodbye)
}

/// A PUBLISH that is of use for that long.
pub(crate) fn expiring(publish: Packet, seconds: u32) -> Packet {
    change_publish(publish, |publish| {
        publish.properties = PublishPropertySet {
            message_expiry_interval: Some(seconds),
            ..PublishPropertySet::default()
        }
        .into();
    })
}

/// The message expiry interval of a PUBLISH, in seconds.
pub(crate) fn expiry_of(publish: &Publish) -> Option<u32> {
    publish.properties.set()?.message_expiry_interval
}
