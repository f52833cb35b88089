use super::header::Length;
use super::reader::Reader;
use super::{DecodeError, Sender};
use crate::mqtt::packet::Version;
use crate::mqtt::packet::{
    Packet, PacketId, Publish, PublishProperties, PublishPropertySet, QoS, ReasonCode, Topic,
};
use crate::mqtt::property;
use bytes::{Buf, Bytes, BytesMut};
use std::num::NonZeroU16;

type Result<T> = std::result::Result<T, DecodeError>;

/// Takes one whole PUBLISH off `buffer`, or leaves it as it was.
pub(super) fn decode(
    sender: Sender,
    version: Option<Version>,
    first: u8,
    length: Length,
    buffer: &mut BytesMut,
) -> Result<Packet> {
    let size = length.header_bytes + length.remaining;
    let body = Reader::new(
        "PUBLISH",
        buffer.get(length.header_bytes..size).unwrap_or_default(),
    );
    let head = Head::read(sender, version.unwrap_or(Version::V5), first, body)?;

    buffer.advance(length.header_bytes + 2);
    let topic = take(buffer, head.topic_bytes);
    buffer.advance(length.remaining - 2 - head.topic_bytes - head.payload_bytes);
    let payload = take(buffer, head.payload_bytes);
    Ok(Packet::Publish(Publish {
        dup: first & 0b1000 != 0,
        qos: head.qos,
        retain: first & 1 != 0,
        topic: Topic(topic),
        packet_id: head.packet_id,
        properties: head.properties,
        payload,
    }))
}

fn take(buffer: &mut BytesMut, bytes: usize) -> Bytes {
    if bytes == 0 {
        Bytes::new()
    } else {
        buffer.split_to(bytes).freeze()
    }
}

/// All of a PUBLISH that is not a slice of the buffer.
struct Head {
    qos: QoS,
    topic_bytes: usize,
    packet_id: Option<PacketId>,
    properties: PublishProperties,
    payload_bytes: usize,
}

impl Head {
    fn read(sender: Sender, version: Version, first: u8, mut body: Reader<'_>) -> Result<Self> {
        let Some(qos) = QoS::from_bits((first >> 1) & 0b11) else {
            return Err(body.malformed("QoS", "is 3"));
        };
        if qos == QoS::AtMostOnce && first & 0b1000 != 0 {
            return Err(body.malformed("DUP", "is set at QoS 0"));
        }
        let topic = body.text("topic")?;
        let packet_id = if qos == QoS::AtMostOnce {
            None
        } else {
            Some(body.packet_id()?)
        };
        let properties = match version {
            Version::V311 => PublishProperties(None),
            Version::V5 => properties(sender, &mut body)?,
        };
        let aliased = properties
            .set()
            .is_some_and(|set| set.topic_alias.is_some());
        if !(topic.is_empty() && aliased) {
            body.check_topic("topic", topic)?;
        }
        Ok(Self {
            qos,
            topic_bytes: topic.len(),
            packet_id,
            properties,
            payload_bytes: body.remaining(),
        })
    }
}

fn properties(sender: Sender, body: &mut Reader<'_>) -> Result<PublishProperties> {
    if body.skip_no_properties() {
        return Ok(PublishProperties(None));
    }
    let mut set = PublishPropertySet::default();
    body.properties(|identifier, block| match identifier {
        property::TOPIC_ALIAS => block.once(&mut set.topic_alias, "topic alias", |block, field| {
            let reason = ReasonCode::TopicAliasInvalid;
            let zero = DecodeError::Invalid {
                reason,
                packet: "PUBLISH",
                field,
                what: "is 0",
            };
            NonZeroU16::new(block.u16(field)?).ok_or(zero)
        }),
        property::SUBSCRIPTION_IDENTIFIER if sender == Sender::Client => {
            Err(block.protocol("subscription identifier", "is not sent by clients"))
        }
        property::SUBSCRIPTION_IDENTIFIER => {
            set.subscription_identifiers
                .push(block.subscription_identifier()?);
            Ok(())
        }
        _ => block.message_property(identifier, &mut set),
    })?;
    Ok(PublishProperties::from(set))
}
