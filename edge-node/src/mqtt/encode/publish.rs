use super::writer::{
    Count, Sink, binary_property, bool_property, text_property, u32_property, user_properties,
};
use super::writer::{variable_bytes, variable_len};
use super::{EncodeError, Result, check_remaining};
use crate::mqtt::packet::{PacketId, Publish, PublishPropertySet, QoS, Version};
use crate::mqtt::{property, stored};
use bytes::{BufMut, BytesMut};
use std::num::NonZeroU16;

/// A PUBLISH made of parts that are already bytes, as they stand in a record: encoded straight into a connection's
/// output buffer.
#[derive(Clone, Copy, Debug, Default)]
pub struct PublishParts<'a> {
    /// Must be false at QoS 0.
    pub dup: bool,
    /// As granted to the receiver.
    pub qos: QoS,
    /// As the receiver is to see it.
    pub retain: bool,
    /// The bytes of a [`Topic`](crate::mqtt::packet::Topic); empty only with an alias.
    pub topic: &'a [u8],
    /// Present exactly when `qos` is above 0.
    pub packet_id: Option<PacketId>,
    /// What [`stored::encode`] gave. Left out in 3.1.1, like all that follows up to the payload.
    pub properties: &'a [u8],
    /// What is left of it, in seconds, in the place of the stored one; `None`: as stored.
    pub message_expiry_interval: Option<u32>,
    /// The alias of this connection for the topic.
    pub topic_alias: Option<NonZeroU16>,
    /// Those of the subscriptions that matched, each 1 to 268,435,455.
    pub subscription_identifiers: &'a [u32],
    /// Up to the limit of the packet.
    pub payload: &'a [u8],
}

impl PublishParts<'_> {
    /// The bytes `encode` appends, with the fixed header.
    pub fn encoded_len(&self, version: Version) -> usize {
        let remaining = self.remaining(version, self.property_bytes());
        1 + variable_len(remaining) + remaining
    }

    /// Appends the packet to `out`.
    ///
    /// # Errors
    /// For parts that make no packet, see the fields; `out` is then as it was. The bytes of the topic and of the
    /// properties are not looked at.
    pub fn encode(&self, version: Version, out: &mut BytesMut) -> Result<()> {
        self.check(version)?;
        let property_bytes = self.property_bytes();
        let remaining = self.remaining(version, property_bytes);
        check_remaining(remaining)?;
        out.reserve(5 + remaining);
        out.put_u8(first_byte(self.dup, self.qos, self.retain));
        variable_bytes(out, remaining);
        out.put_u16(u16::try_from(self.topic.len()).unwrap_or(u16::MAX));
        out.put_slice(self.topic);
        if let Some(packet_id) = self.packet_id {
            out.put_u16(packet_id.get());
        }
        if version == Version::V5 {
            variable_bytes(out, property_bytes);
            self.put_properties(out);
        }
        out.put_slice(self.payload);
        Ok(())
    }

    fn check(&self, version: Version) -> Result<()> {
        let has_alias = version == Version::V5 && self.topic_alias.is_some();
        if self.topic.is_empty() && !has_alias {
            return Err(EncodeError::Invalid {
                field: "topic",
                what: "is empty",
            });
        }
        if self.topic.len() > usize::from(u16::MAX) {
            return Err(EncodeError::Invalid {
                field: "topic",
                what: "is longer than 65,535 bytes",
            });
        }
        if self.packet_id.is_some() != (self.qos > QoS::AtMostOnce) {
            return Err(EncodeError::Invalid {
                field: "packet identifier",
                what: "goes with QoS 1 and 2 alone",
            });
        }
        if self.dup && self.qos == QoS::AtMostOnce {
            return Err(EncodeError::Invalid {
                field: "DUP",
                what: "is set at QoS 0",
            });
        }
        Ok(())
    }

    fn remaining(&self, version: Version, property_bytes: usize) -> usize {
        let properties = if version == Version::V5 {
            variable_len(property_bytes) + property_bytes
        } else {
            0
        };
        let packet_id = if self.packet_id.is_some() { 2 } else { 0 };
        2 + self.topic.len() + packet_id + properties + self.payload.len()
    }

    fn property_bytes(&self) -> usize {
        let mut count = Count(self.stored_properties().len());
        self.put_own_properties(&mut count);
        count.0
    }

    fn put_properties(&self, out: &mut BytesMut) {
        self.put_own_properties(out);
        out.put_slice(self.stored_properties());
    }

    fn stored_properties(&self) -> &[u8] {
        match self.message_expiry_interval {
            None => self.properties,
            Some(_) => stored::without_expiry(self.properties),
        }
    }

    fn put_own_properties(&self, out: &mut impl Sink) {
        if self.message_expiry_interval.is_none()
            && self.topic_alias.is_none()
            && self.subscription_identifiers.is_empty()
        {
            return;
        }
        super::writer::u32_property(
            property::MESSAGE_EXPIRY_INTERVAL,
            self.message_expiry_interval,
            out,
        );
        super::writer::u16_property(property::TOPIC_ALIAS, self.topic_alias.map(u16::from), out);
        for identifier in self.subscription_identifiers {
            super::writer::variable_property(
                property::SUBSCRIPTION_IDENTIFIER,
                Some(*identifier),
                out,
            );
        }
    }
}

pub(super) fn first_byte(dup: bool, qos: QoS, retain: bool) -> u8 {
    0x30 | u8::from(dup) << 3 | (qos as u8) << 1 | u8::from(retain)
}

pub(super) fn encode(version: Version, publish: &Publish, out: &mut BytesMut) -> Result<()> {
    let properties = stored::encode(&publish.properties)?;
    parts(publish, &properties).encode(version, out)
}

pub(super) fn encoded_len(version: Version, publish: &Publish) -> Result<usize> {
    let properties = stored::encode(&publish.properties)?;
    let parts = parts(publish, &properties);
    parts.check(version)?;
    Ok(parts.encoded_len(version))
}

fn parts<'a>(publish: &'a Publish, properties: &'a [u8]) -> PublishParts<'a> {
    let set = publish.properties.set();
    PublishParts {
        dup: publish.dup,
        qos: publish.qos,
        retain: publish.retain,
        topic: publish.topic.as_bytes(),
        packet_id: publish.packet_id,
        properties,
        message_expiry_interval: None,
        topic_alias: set.and_then(|set| set.topic_alias),
        subscription_identifiers: set.map_or(&[], |set| &set.subscription_identifiers),
        payload: &publish.payload,
    }
}

/// The properties a PUBLISH and a will have in common, the message expiry interval first.
pub(in crate::mqtt) fn message_properties(
    set: &PublishPropertySet,
    out: &mut dyn Sink,
) -> Result<()> {
    u32_property(
        property::MESSAGE_EXPIRY_INTERVAL,
        set.message_expiry_interval,
        out,
    );
    bool_property(
        property::PAYLOAD_FORMAT_INDICATOR,
        set.payload_format_indicator,
        out,
    );
    text_property(
        property::CONTENT_TYPE,
        "content type",
        set.content_type.as_deref(),
        out,
    )?;
    text_property(
        property::RESPONSE_TOPIC,
        "response topic",
        set.response_topic.as_deref(),
        out,
    )?;
    binary_property(
        property::CORRELATION_DATA,
        "correlation data",
        set.correlation_data.as_deref(),
        out,
    )?;
    user_properties(&set.user_properties, out)
}
