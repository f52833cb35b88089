use super::DecodeError;
use super::reader::Reader;
use crate::mqtt::packet::{
    PublishPropertySet, ReasonProperties, ReasonPropertySet, UserProperties,
};
use crate::mqtt::property;
use std::num::NonZeroU16;

type Result<T> = std::result::Result<T, DecodeError>;

impl<'a> Reader<'a> {
    /// Calls `each` with every property's identifier and a reader that stands at its value.
    pub(super) fn properties(
        &mut self,
        mut each: impl FnMut(u32, &mut Reader<'a>) -> Result<()>,
    ) -> Result<()> {
        let length = self.variable("property length")?;
        let mut block = *self;
        let bytes = self.take(
            usize::try_from(length).unwrap_or(usize::MAX),
            "property block",
        )?;
        block.narrow(bytes);
        while !block.is_empty() {
            let identifier = block.variable("property identifier")?;
            each(identifier, &mut block)?;
        }
        Ok(())
    }

    /// Takes an empty property block, if the next one is.
    pub(super) fn skip_no_properties(&mut self) -> bool {
        let mut ahead = *self;
        let is_empty = ahead.byte("property length") == Ok(0);
        if is_empty {
            *self = ahead;
        }
        is_empty
    }

    /// Fills `slot`; a property that may come once and comes twice is a protocol error.
    pub(super) fn once<T>(
        &mut self,
        slot: &mut Option<T>,
        field: &'static str,
        read: impl FnOnce(&mut Self, &'static str) -> Result<T>,
    ) -> Result<()> {
        if slot.is_some() {
            return Err(self.protocol(field, "comes twice"));
        }
        *slot = Some(read(self, field)?);
        Ok(())
    }

    pub(super) fn non_zero_u16(&mut self, field: &'static str) -> Result<NonZeroU16> {
        NonZeroU16::new(self.u16(field)?).ok_or_else(|| self.protocol(field, "is 0"))
    }

    pub(super) fn user_property(&mut self, properties: &mut UserProperties) -> Result<()> {
        let name = self.string("user property name")?;
        properties.push((name, self.string("user property value")?));
        Ok(())
    }

    pub(super) fn unknown_property(&self) -> DecodeError {
        self.malformed(
            "property identifier",
            "is none of those this packet may carry",
        )
    }

    /// The properties of packets that carry a reason string and user properties alone.
    pub(super) fn reason_properties(&mut self) -> Result<ReasonProperties> {
        let mut set = ReasonPropertySet::default();
        self.properties(|identifier, block| match identifier {
            property::REASON_STRING => {
                block.once(&mut set.reason_string, "reason string", Reader::string)
            }
            property::USER_PROPERTY => block.user_property(&mut set.user_properties),
            _ => Err(block.unknown_property()),
        })?;
        Ok((set != ReasonPropertySet::default()).then(|| Box::new(set)))
    }

    /// Reads a property that both a PUBLISH and a will may carry.
    pub(in crate::mqtt) fn message_property(
        &mut self,
        identifier: u32,
        set: &mut PublishPropertySet,
    ) -> Result<()> {
        match identifier {
            property::PAYLOAD_FORMAT_INDICATOR => self.once(
                &mut set.payload_format_indicator,
                "payload format indicator",
                Reader::bool,
            ),
            property::MESSAGE_EXPIRY_INTERVAL => self.once(
                &mut set.message_expiry_interval,
                "message expiry interval",
                Reader::u32,
            ),
            property::CONTENT_TYPE => {
                self.once(&mut set.content_type, "content type", Reader::string)
            }
            property::RESPONSE_TOPIC => self.once(
                &mut set.response_topic,
                "response topic",
                |reader, field| reader.topic(field).map(str::to_owned),
            ),
            property::CORRELATION_DATA => self.once(
                &mut set.correlation_data,
                "correlation data",
                Reader::binary,
            ),
            property::USER_PROPERTY => self.user_property(&mut set.user_properties),
            _ => Err(self.unknown_property()),
        }
    }
}
