//! Packets made of a seed: every field of every packet takes values at its edges and between.

use crate::mqtt::packet::*;
use bytes::Bytes;
use fastrand::Rng;
use std::num::{NonZeroU16, NonZeroU32};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    Client,
    Server,
}

/// A packet that `sender` may send in `version`.
pub(super) fn packet(rng: &mut Rng, sender: Sender, version: Version) -> Packet {
    let v5 = version == Version::V5;
    match (sender, rng.u8(0..9)) {
        (Sender::Client, 0) => Packet::Connect(Box::new(connect(rng, version))),
        (Sender::Server, 0) => Packet::ConnAck(Box::new(connack(rng, v5))),
        (Sender::Client, 1) => Packet::Subscribe(subscribe(rng, v5)),
        (Sender::Server, 1) => Packet::SubAck(suback(rng, v5)),
        (Sender::Client, 2) => Packet::Unsubscribe(unsubscribe(rng, v5)),
        (Sender::Server, 2) => Packet::UnsubAck(unsuback(rng, v5)),
        (Sender::Client, 3) => Packet::PingReq,
        (Sender::Server, 3) => Packet::PingResp,
        (_, 4) if v5 || sender == Sender::Client => Packet::Disconnect(disconnect(rng, sender, v5)),
        (_, 5) if v5 => Packet::Auth(auth(rng, sender)),
        (_, 6) => ack(rng, v5),
        _ => Packet::Publish(publish(rng, sender, v5)),
    }
}

fn connect(rng: &mut Rng, version: Version) -> Connect {
    let v5 = version == Version::V5;
    let mut connect = Connect::new(version, text(rng));
    connect.clean_start = rng.bool();
    connect.keep_alive = edge_u16(rng);
    connect.will = rng.bool().then(|| Will {
        topic: topic(rng),
        payload: binary(rng),
        qos: qos(rng),
        retain: rng.bool(),
        delay_interval: if v5 { edge_u32(rng) } else { 0 },
        properties: if v5 {
            message_properties(rng)
        } else {
            PublishProperties(None)
        },
    });
    connect.user_name = rng.bool().then(|| text(rng));
    connect.password = (rng.bool() && (v5 || connect.user_name.is_some())).then(|| binary(rng));
    if v5 {
        connect.session_expiry_interval = maybe(rng, edge_u32);
        connect.receive_maximum = maybe(rng, non_zero_u16);
        connect.maximum_packet_size = maybe(rng, |rng| {
            NonZeroU32::new(edge_u32(rng)).unwrap_or(NonZeroU32::MIN)
        });
        connect.topic_alias_maximum = edge_u16(rng);
        connect.request_response_information = rng.bool();
        connect.request_problem_information = rng.bool();
        connect.user_properties = user_properties(rng);
        connect.authentication_method = maybe(rng, text);
        connect.authentication_data = connect.authentication_method.is_some().then(|| binary(rng));
    }
    connect
}

fn connack(rng: &mut Rng, v5: bool) -> ConnAck {
    use ReasonCode::*;
    if !v5 {
        let codes = [
            Success,
            UnsupportedProtocolVersion,
            ClientIdentifierNotValid,
            ServerUnavailable,
        ];
        let mut connack = ConnAck::new(pick(
            rng,
            &[&codes[..], &[BadUserNameOrPassword, NotAuthorized]].concat(),
        ));
        connack.session_present = connack.reason == Success && rng.bool();
        return connack;
    }
    let reason = pick(
        rng,
        &[
            Success,
            Success,
            NotAuthorized,
            ServerMoved,
            ConnectionRateExceeded,
            Banned,
        ],
    );
    ConnAck {
        session_present: reason == Success && rng.bool(),
        reason,
        session_expiry_interval: maybe(rng, edge_u32),
        receive_maximum: maybe(rng, |rng| non_zero_u16(rng).get()),
        maximum_qos: maybe(rng, |rng| pick(rng, &[QoS::AtMostOnce, QoS::AtLeastOnce])),
        retain_available: maybe(rng, Rng::bool),
        maximum_packet_size: maybe(rng, |rng| edge_u32(rng).max(1)),
        assigned_client_identifier: maybe(rng, text),
        topic_alias_maximum: maybe(rng, edge_u16),
        reason_string: maybe(rng, text),
        user_properties: user_properties(rng),
        wildcard_subscription_available: maybe(rng, Rng::bool),
        subscription_identifiers_available: maybe(rng, Rng::bool),
        shared_subscription_available: maybe(rng, Rng::bool),
        server_keep_alive: maybe(rng, edge_u16),
        response_information: maybe(rng, text),
        server_reference: maybe(rng, text),
        authentication_method: maybe(rng, text),
        authentication_data: maybe(rng, binary),
    }
}

fn publish(rng: &mut Rng, sender: Sender, v5: bool) -> Publish {
    let qos = qos(rng);
    let mut properties = if v5 {
        message_properties(rng)
    } else {
        PublishProperties(None)
    };
    let mut name = topic(rng);
    if v5 && rng.bool() {
        let mut set = properties.0.map(|set| *set).unwrap_or_default();
        set.topic_alias = maybe(rng, non_zero_u16);
        if set.topic_alias.is_some() && rng.bool() {
            name.clear();
        }
        if sender == Sender::Server {
            set.subscription_identifiers = many(rng, subscription_identifier);
        }
        properties = PublishProperties::from(set);
    }
    let topic = if name.is_empty() {
        Topic::default()
    } else {
        Topic::parse(name).unwrap()
    };
    Publish {
        dup: qos > QoS::AtMostOnce && rng.bool(),
        qos,
        retain: rng.bool(),
        topic,
        packet_id: (qos > QoS::AtMostOnce).then(|| packet_id(rng)),
        properties,
        payload: payload(rng),
    }
}

fn ack(rng: &mut Rng, v5: bool) -> Packet {
    use ReasonCode::*;
    let received = [
        Success,
        NoMatchingSubscribers,
        QuotaExceeded,
        PayloadFormatInvalid,
        PacketIdentifierInUse,
    ];
    let released = [Success, PacketIdentifierNotFound];
    let kind = rng.u8(0..4);
    let mut ack = Ack::success(packet_id(rng));
    if v5 {
        ack.reason = if kind < 2 {
            pick(rng, &received)
        } else {
            pick(rng, &released)
        };
        ack.properties = reason_properties(rng);
    }
    match kind {
        0 => Packet::PubAck(ack),
        1 => Packet::PubRec(ack),
        2 => Packet::PubRel(ack),
        _ => Packet::PubComp(ack),
    }
}

fn subscribe(rng: &mut Rng, v5: bool) -> Subscribe {
    let mut requests = vec![request(rng, v5)];
    requests.extend(many(rng, |rng| request(rng, v5)));
    Subscribe {
        packet_id: packet_id(rng),
        subscription_identifier: if v5 {
            maybe(rng, subscription_identifier)
        } else {
            None
        },
        user_properties: if v5 { user_properties(rng) } else { Vec::new() },
        requests,
    }
}

fn request(rng: &mut Rng, v5: bool) -> SubscriptionRequest {
    let handling = [
        RetainHandling::Send,
        RetainHandling::SendIfNew,
        RetainHandling::DoNotSend,
    ];
    SubscriptionRequest {
        filter: pick(rng, &["#", "a/+/b", "", "$SYS/#", "ä", "a#b"]).to_owned(),
        qos: qos(rng),
        no_local: v5 && rng.bool(),
        retain_as_published: v5 && rng.bool(),
        retain_handling: if v5 {
            pick(rng, &handling)
        } else {
            RetainHandling::Send
        },
    }
}

fn suback(rng: &mut Rng, v5: bool) -> SubAck {
    use ReasonCode::*;
    let codes = [
        Success,
        GrantedQos1,
        GrantedQos2,
        UnspecifiedError,
        TopicFilterInvalid,
        QuotaExceeded,
    ];
    let codes = if v5 { &codes[..] } else { &codes[..4] };
    let mut reasons = vec![pick(rng, codes)];
    reasons.extend(many(rng, |rng| pick(rng, codes)));
    SubAck {
        packet_id: packet_id(rng),
        reasons,
        properties: if v5 { reason_properties(rng) } else { None },
    }
}

fn unsubscribe(rng: &mut Rng, v5: bool) -> Unsubscribe {
    let mut filters = vec![text(rng)];
    filters.extend(many(rng, text));
    let user_properties = if v5 { user_properties(rng) } else { Vec::new() };
    Unsubscribe {
        packet_id: packet_id(rng),
        user_properties,
        filters,
    }
}

fn unsuback(rng: &mut Rng, v5: bool) -> SubAck {
    if !v5 {
        return SubAck {
            packet_id: packet_id(rng),
            reasons: Vec::new(),
            properties: None,
        };
    }
    let codes = [
        ReasonCode::Success,
        ReasonCode::NoSubscriptionExisted,
        ReasonCode::NotAuthorized,
    ];
    let mut reasons = vec![pick(rng, &codes)];
    reasons.extend(many(rng, |rng| pick(rng, &codes)));
    SubAck {
        packet_id: packet_id(rng),
        reasons,
        properties: reason_properties(rng),
    }
}

fn disconnect(rng: &mut Rng, sender: Sender, v5: bool) -> Disconnect {
    use ReasonCode::*;
    if !v5 {
        return Disconnect::default();
    }
    let by_client = sender == Sender::Client;
    let reason = if by_client {
        DisconnectWithWill
    } else {
        ServerShuttingDown
    };
    Disconnect {
        reason: pick(rng, &[Success, reason, ProtocolError]),
        session_expiry_interval: if by_client {
            maybe(rng, edge_u32)
        } else {
            None
        },
        reason_string: maybe(rng, text),
        user_properties: user_properties(rng),
        server_reference: if by_client { None } else { maybe(rng, text) },
    }
}

fn auth(rng: &mut Rng, sender: Sender) -> Auth {
    use ReasonCode::*;
    if sender == Sender::Server && rng.bool() {
        return Auth::default();
    }
    let reason = if sender == Sender::Client {
        ReAuthenticate
    } else {
        Success
    };
    Auth {
        reason: pick(rng, &[reason, ContinueAuthentication]),
        authentication_method: Some(text(rng)),
        authentication_data: maybe(rng, binary),
        reason_string: maybe(rng, text),
        user_properties: user_properties(rng),
    }
}

/// Without alias and subscription identifiers.
pub(super) fn message_properties(rng: &mut Rng) -> PublishProperties {
    if rng.bool() {
        return PublishProperties(None);
    }
    PublishProperties::from(PublishPropertySet {
        payload_format_indicator: maybe(rng, Rng::bool),
        message_expiry_interval: maybe(rng, edge_u32),
        topic_alias: None,
        response_topic: maybe(rng, topic),
        correlation_data: maybe(rng, binary),
        user_properties: user_properties(rng),
        subscription_identifiers: Vec::new(),
        content_type: maybe(rng, text),
    })
}

fn reason_properties(rng: &mut Rng) -> ReasonProperties {
    let set = ReasonPropertySet {
        reason_string: maybe(rng, text),
        user_properties: user_properties(rng),
    };
    (set != ReasonPropertySet::default()).then(|| Box::new(set))
}

fn user_properties(rng: &mut Rng) -> UserProperties {
    many(rng, |rng| (text(rng), text(rng)))
}

fn maybe<T>(rng: &mut Rng, make: impl FnOnce(&mut Rng) -> T) -> Option<T> {
    rng.bool().then(|| make(rng))
}

fn many<T>(rng: &mut Rng, mut make: impl FnMut(&mut Rng) -> T) -> Vec<T> {
    let count = pick(rng, &[0, 0, 0, 1, 2, 5]);
    (0..count).map(|_| make(rng)).collect()
}

fn pick<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.usize(..of.len())]
}

fn qos(rng: &mut Rng) -> QoS {
    pick(rng, &[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce])
}

fn packet_id(rng: &mut Rng) -> PacketId {
    PacketId(non_zero_u16(rng))
}

fn non_zero_u16(rng: &mut Rng) -> NonZeroU16 {
    NonZeroU16::new(edge_u16(rng)).unwrap_or(NonZeroU16::MIN)
}

fn edge_u16(rng: &mut Rng) -> u16 {
    let any = rng.u16(..);
    pick(rng, &[0, 1, 255, 256, u16::MAX, any])
}

fn edge_u32(rng: &mut Rng) -> u32 {
    let any = rng.u32(..);
    pick(rng, &[0, 1, 65_536, u32::MAX, any])
}

fn subscription_identifier(rng: &mut Rng) -> u32 {
    pick(
        rng,
        &[
            1,
            127,
            128,
            16_383,
            16_384,
            2_097_151,
            2_097_152,
            268_435_455,
        ],
    )
}

fn text(rng: &mut Rng) -> String {
    let long = pick(rng, &[0, 1, 126, 127, 128, 300]);
    match rng.u8(0..5) {
        0 => "x".repeat(long),
        1 => String::new(),
        _ => pick(rng, &["a", "urn:ä€𝄞", "\u{1}\u{FFFF}", "a+b#c", "pump-7"]).to_owned(),
    }
}

fn topic(rng: &mut Rng) -> String {
    pick(
        rng,
        &[
            "a",
            "/",
            "a//b",
            "$SYS/x",
            "ä/€/𝄞",
            "plant/line/4/pump-7/temperature",
        ],
    )
    .to_owned()
}

fn binary(rng: &mut Rng) -> Bytes {
    let length = pick(rng, &[0, 1, 127, 128, 400]);
    (0..length).map(|_| rng.u8(..)).collect()
}

/// Now and then large enough for each length of the remaining length, except the longest.
fn payload(rng: &mut Rng) -> Bytes {
    let length = match rng.u16(..) {
        0..100 => 20_000,
        100 => 2_100_000,
        _ => pick(rng, &[0, 1, 100, 130]),
    };
    (0..length).map(|_| rng.u8(..)).collect()
}
