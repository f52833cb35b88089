use super::DecodeError;
use crate::mqtt::packet::{InvalidTopic, PacketId, ReasonCode, topic};
use bytes::Bytes;

type Result<T> = std::result::Result<T, DecodeError>;

/// Reads the fields of one packet's body, in order, and says which one is wrong.
#[derive(Clone, Copy, Debug)]
pub(in crate::mqtt) struct Reader<'a> {
    packet: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(in crate::mqtt) fn new(packet: &'static str, rest: &'a [u8]) -> Self {
        Self { packet, rest }
    }

    /// The same packet, read on in `bytes`.
    pub(in crate::mqtt) fn narrow(&mut self, bytes: &'a [u8]) {
        self.rest = bytes;
    }

    pub(in crate::mqtt) fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(in crate::mqtt) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// That nothing is left behind the last field.
    pub(in crate::mqtt) fn finish(&self) -> Result<()> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(self.malformed("end", "is followed by more bytes"))
        }
    }

    pub(in crate::mqtt) fn malformed(
        &self,
        field: &'static str,
        what: &'static str,
    ) -> DecodeError {
        DecodeError::malformed(self.packet, field, what)
    }

    pub(in crate::mqtt) fn protocol(&self, field: &'static str, what: &'static str) -> DecodeError {
        DecodeError::protocol(self.packet, field, what)
    }

    pub(in crate::mqtt) fn take(&mut self, bytes: usize, field: &'static str) -> Result<&'a [u8]> {
        let Some((taken, rest)) = self.rest.split_at_checked(bytes) else {
            return Err(self.malformed(field, "is cut off by the end of the packet"));
        };
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N]> {
        let Some((taken, rest)) = self.rest.split_first_chunk() else {
            return Err(self.malformed(field, "is cut off by the end of the packet"));
        };
        self.rest = rest;
        Ok(*taken)
    }

    pub(in crate::mqtt) fn byte(&mut self, field: &'static str) -> Result<u8> {
        self.array(field).map(u8::from_be_bytes)
    }

    pub(in crate::mqtt) fn u16(&mut self, field: &'static str) -> Result<u16> {
        self.array(field).map(u16::from_be_bytes)
    }

    pub(in crate::mqtt) fn u32(&mut self, field: &'static str) -> Result<u32> {
        self.array(field).map(u32::from_be_bytes)
    }

    /// A property's byte that can only say no or yes.
    pub(in crate::mqtt) fn bool(&mut self, field: &'static str) -> Result<bool> {
        match self.byte(field)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.protocol(field, "is neither 0 nor 1")),
        }
    }

    /// A variable byte integer, in its shortest form.
    pub(in crate::mqtt) fn variable(&mut self, field: &'static str) -> Result<u32> {
        let mut value = 0;
        for at in 0..4 {
            let byte = self.byte(field)?;
            value |= u32::from(byte & 0x7F) << (7 * at);
            if byte & 0x80 == 0 {
                if at > 0 && byte == 0 {
                    return Err(self.malformed(field, "is not in the shortest form"));
                }
                return Ok(value);
            }
        }
        Err(self.malformed(field, "is longer than four bytes"))
    }

    /// UTF-8 with its length before it, without U+0000 [MQTT-1.5.4-1, -2].
    pub(in crate::mqtt) fn text(&mut self, field: &'static str) -> Result<&'a str> {
        let length = self.u16(field)?;
        let bytes = self.take(usize::from(length), field)?;
        let Ok(text) = std::str::from_utf8(bytes) else {
            return Err(self.malformed(field, "is not UTF-8"));
        };
        if bytes.contains(&0) {
            return Err(self.malformed(field, "holds U+0000"));
        }
        Ok(text)
    }

    pub(in crate::mqtt) fn string(&mut self, field: &'static str) -> Result<String> {
        self.text(field).map(str::to_owned)
    }

    /// A text that can be the topic of a PUBLISH.
    pub(in crate::mqtt) fn topic(&mut self, field: &'static str) -> Result<&'a str> {
        let name = self.text(field)?;
        self.check_topic(field, name)?;
        Ok(name)
    }

    pub(in crate::mqtt) fn check_topic(&self, field: &'static str, name: &str) -> Result<()> {
        match topic::check_name(name) {
            Ok(()) => Ok(()),
            Err(InvalidTopic::Empty) => Err(self.protocol(field, "is empty")),
            Err(InvalidTopic::Wildcard) => Err(self.malformed(field, "holds a wildcard")),
            Err(InvalidTopic::Nul | InvalidTopic::NotUtf8 | InvalidTopic::TooLong) => {
                Err(self.malformed(field, "is no topic name"))
            }
        }
    }

    /// Bytes with their length before them, copied.
    pub(in crate::mqtt) fn binary(&mut self, field: &'static str) -> Result<Bytes> {
        let length = self.u16(field)?;
        self.take(usize::from(length), field)
            .map(Bytes::copy_from_slice)
    }

    pub(in crate::mqtt) fn packet_id(&mut self) -> Result<PacketId> {
        let id = self.u16("packet identifier")?;
        PacketId::new(id).ok_or_else(|| self.protocol("packet identifier", "is 0"))
    }

    /// One of the codes this packet may carry.
    pub(in crate::mqtt) fn reason(&mut self, allowed: &[ReasonCode]) -> Result<ReasonCode> {
        let byte = self.byte("reason code")?;
        let known = allowed.iter().find(|reason| **reason as u8 == byte);
        known
            .copied()
            .ok_or_else(|| self.protocol("reason code", "is none of those this packet may carry"))
    }
}
