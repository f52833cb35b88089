//! The control packets of MQTT 3.1.1 and 5.0, as one model for both.
//!
//! A field that only MQTT 5 has stands at its absent value in a 3.1.1 packet, and is left out when one is encoded.

mod connect;
mod reason;
pub(in crate::mqtt) mod topic;

pub use connect::{ConnAck, Connect, Will};
pub use reason::ReasonCode;
pub use topic::{InvalidTopic, Topic};

use bytes::{Bytes, BytesMut};
use std::num::NonZeroU16;

/// The protocol level a connection speaks, from its CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// Protocol level 4.
    V311,
    /// Protocol level 5.
    V5,
}

/// How often a PUBLISH may arrive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum QoS {
    /// Not acknowledged.
    #[default]
    AtMostOnce = 0,
    /// Acknowledged by PUBACK.
    AtLeastOnce = 1,
    /// Acknowledged by PUBREC, PUBREL and PUBCOMP.
    ExactlyOnce = 2,
}

impl QoS {
    /// `None` for anything but 0, 1 and 2.
    pub fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }
}

/// Never zero: `PacketId::new` refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketId(pub NonZeroU16);

impl PacketId {
    /// `None` for 0.
    pub fn new(id: u16) -> Option<Self> {
        NonZeroU16::new(id).map(Self)
    }

    /// As it stands in the packet.
    pub fn get(self) -> u16 {
        self.0.get()
    }
}

/// Any control packet of either version.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in the specification")]
pub enum Packet {
    Connect(Box<Connect>),
    ConnAck(Box<ConnAck>),
    Publish(Publish),
    PubAck(Ack),
    PubRec(Ack),
    PubRel(Ack),
    PubComp(Ack),
    Subscribe(Subscribe),
    SubAck(SubAck),
    Unsubscribe(Unsubscribe),
    UnsubAck(SubAck),
    PingReq,
    PingResp,
    Disconnect(Disconnect),
    Auth(Auth),
}

impl Packet {
    /// The name the specification gives this packet: `PUBLISH`, `CONNACK`, ….
    pub fn name(&self) -> &'static str {
        match self {
            Self::Connect(_) => "CONNECT",
            Self::ConnAck(_) => "CONNACK",
            Self::Publish(_) => "PUBLISH",
            Self::PubAck(_) => "PUBACK",
            Self::PubRec(_) => "PUBREC",
            Self::PubRel(_) => "PUBREL",
            Self::PubComp(_) => "PUBCOMP",
            Self::Subscribe(_) => "SUBSCRIBE",
            Self::SubAck(_) => "SUBACK",
            Self::Unsubscribe(_) => "UNSUBSCRIBE",
            Self::UnsubAck(_) => "UNSUBACK",
            Self::PingReq => "PINGREQ",
            Self::PingResp => "PINGRESP",
            Self::Disconnect(_) => "DISCONNECT",
            Self::Auth(_) => "AUTH",
        }
    }
}

/// Name and value, in order, repeats allowed.
pub type UserProperties = Vec<(String, String)>;

/// PUBLISH.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are named as in the specification")]
pub struct Publish {
    pub dup: bool,
    pub qos: QoS,
    pub retain: bool,
    /// Empty only with a topic alias (version 5).
    pub topic: Topic,
    /// Present exactly when `qos` is above 0.
    pub packet_id: Option<PacketId>,
    pub properties: PublishProperties,
    pub payload: Bytes,
}

impl Publish {
    /// Copies topic and payload out of the buffer they were received in.
    ///
    /// A decoded PUBLISH holds slices of that buffer, and one slice keeps the whole buffer alive: 100 bytes may pin
    /// 64 KiB. Whoever keeps a publish longer than until the next commit keeps it detached.
    pub fn detach(&mut self) {
        let mut own = BytesMut::with_capacity(self.topic.0.len() + self.payload.len());
        own.extend_from_slice(&self.topic.0);
        let topic = own.split().freeze();
        own.extend_from_slice(&self.payload);
        self.topic = Topic(topic);
        self.payload = own.freeze();
    }
}

/// The properties of a PUBLISH; boxed as a whole when there is any, so that a plain PUBLISH stays small.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishProperties(pub Option<Box<PublishPropertySet>>);

impl PublishProperties {
    /// The set, if any property is there.
    pub fn set(&self) -> Option<&PublishPropertySet> {
        self.0.as_deref()
    }
}

impl From<PublishPropertySet> for PublishProperties {
    /// Empty sets become `None`, as the decoder gives them.
    fn from(set: PublishPropertySet) -> Self {
        Self((set != PublishPropertySet::default()).then(|| Box::new(set)))
    }
}

/// All that a PUBLISH or a will may carry beside topic and payload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are named as in the specification")]
pub struct PublishPropertySet {
    /// True: the payload is UTF-8 text.
    pub payload_format_indicator: Option<bool>,
    /// Seconds.
    pub message_expiry_interval: Option<u32>,
    pub topic_alias: Option<NonZeroU16>,
    pub response_topic: Option<String>,
    pub correlation_data: Option<Bytes>,
    pub user_properties: UserProperties,
    pub subscription_identifiers: Vec<u32>,
    pub content_type: Option<String>,
}

/// PUBACK, PUBREC, PUBREL, PUBCOMP.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are named as in the specification")]
pub struct Ack {
    pub packet_id: PacketId,
    pub reason: ReasonCode,
    pub properties: ReasonProperties,
}

impl Ack {
    /// Success, without properties.
    pub fn success(packet_id: PacketId) -> Self {
        Self::with_reason(packet_id, ReasonCode::Success)
    }

    /// A reason code without properties.
    pub fn with_reason(packet_id: PacketId, reason: ReasonCode) -> Self {
        Self {
            packet_id,
            reason,
            properties: None,
        }
    }
}

/// Reason string and user properties, boxed since they are nearly always absent.
pub type ReasonProperties = Option<Box<ReasonPropertySet>>;

/// What may explain a reason code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are named as in the specification")]
pub struct ReasonPropertySet {
    pub reason_string: Option<String>,
    pub user_properties: UserProperties,
}

/// SUBSCRIBE.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are named as in the specification")]
pub struct Subscribe {
    pub packet_id: PacketId,
    /// 1 to 268,435,455.
    pub subscription_identifier: Option<u32>,
    pub user_properties: UserProperties,
    pub requests: Vec<SubscriptionRequest>,
}

/// One topic filter of a SUBSCRIBE, with its options.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are named as in the specification")]
pub struct SubscriptionRequest {
    /// As sent; the broker parses it and answers 0x8F where it is no topic filter.
    pub filter: String,
    pub qos: QoS,
    pub no_local: bool,
    pub retain_as_published: bool,
    pub retain_handling: RetainHandling,
}

/// What a SUBSCRIBE wants of the retained messages that match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum RetainHandling {
    /// Send them at each SUBSCRIBE.
    #[default]
    Send = 0,
    /// Send them only if the subscription did not exist.
    SendIfNew = 1,
    /// Never send them at SUBSCRIBE.
    DoNotSend = 2,
}

impl RetainHandling {
    /// `None` for anything but 0, 1 and 2.
    pub fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::Send),
            1 => Some(Self::SendIfNew),
            2 => Some(Self::DoNotSend),
            _ => None,
        }
    }
}

/// SUBACK and UNSUBACK (which has no codes in 3.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are named as in the specification")]
pub struct SubAck {
    pub packet_id: PacketId,
    pub reasons: Vec<ReasonCode>,
    pub properties: ReasonProperties,
}

/// UNSUBSCRIBE.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are named as in the specification")]
pub struct Unsubscribe {
    pub packet_id: PacketId,
    pub user_properties: UserProperties,
    pub filters: Vec<String>,
}

/// DISCONNECT; the default is the normal one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are named as in the specification")]
pub struct Disconnect {
    pub reason: ReasonCode,
    pub session_expiry_interval: Option<u32>,
    pub reason_string: Option<String>,
    pub user_properties: UserProperties,
    pub server_reference: Option<String>,
}

impl Disconnect {
    /// A reason code without properties.
    pub fn new(reason: ReasonCode) -> Self {
        Self {
            reason,
            ..Self::default()
        }
    }
}

/// AUTH (MQTT 5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are named as in the specification")]
pub struct Auth {
    pub reason: ReasonCode,
    pub authentication_method: Option<String>,
    pub authentication_data: Option<Bytes>,
    pub reason_string: Option<String>,
    pub user_properties: UserProperties,
}
