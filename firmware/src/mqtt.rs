//! The part of MQTT 5 a device needs: what it writes, and what it reads. No session, no state, no IO.
//!
//! ```text
//! writes   CONNECT (clean start, will) · SUBSCRIBE · PUBLISH at QoS 1 · PUBACK · PINGREQ · DISCONNECT
//! reads    CONNACK · SUBACK · PUBLISH · PUBACK · PINGRESP · DISCONNECT
//! ```
//!
//! Retransmission is the outbox's alone, so nothing is kept here.

use wire::EncodeError;

/// What a CONNECT says.
#[derive(Clone, Copy, Debug)]
pub struct Connect<'a> {
    /// The device's id.
    pub client_id: &'a str,
    /// The longest silence in seconds; 0 for any.
    pub keep_alive_s: u16,
    /// Topic and payload of what the broker says when the connection breaks, if it is to say anything.
    pub will: Option<(&'a str, &'a [u8])>,
    /// Name and password, if the node wants them.
    pub login: Option<(&'a str, &'a [u8])>,
    /// How many unacknowledged publishes the device takes.
    pub receive_maximum: u16,
    /// The largest packet the device takes.
    pub maximum_packet: u32,
}

/// A packet from the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// The connection is accepted if `reason` is 0.
    Connack {
        /// 0, or why not.
        reason: u8,
        /// How many unacknowledged publishes the node takes.
        receive_maximum: u16,
        /// The largest packet the node takes.
        maximum_packet: u32,
        /// The keep-alive the node wants, in seconds.
        keep_alive_s: Option<u16>,
    },
    /// The answer to a SUBSCRIBE.
    Suback {
        /// Of the SUBSCRIBE.
        id: u16,
        /// The first reason that refuses, if one does.
        refused: Option<u8>,
    },
    /// A message.
    Publish {
        /// Its topic.
        topic: &'a str,
        /// To be acknowledged, unless it came at QoS 0.
        id: Option<u16>,
        /// Its payload.
        payload: &'a [u8],
    },
    /// A publish arrived.
    Puback {
        /// Of the PUBLISH.
        id: u16,
        /// Below 0x80 for taken.
        reason: u8,
    },
    /// The answer to a PINGREQ.
    Pingresp,
    /// The node closes the connection.
    Disconnect {
        /// Why.
        reason: u8,
    },
}

/// Bytes that are no packet a device can get. The connection is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketError {
    /// The packet ends within a field, or a length is not one.
    Malformed,
    /// A packet that no server sends, or that answers what was not asked.
    Unexpected(u8),
    /// Larger than the buffer; its length.
    TooLarge(usize),
}

const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
const PUBACK: u8 = 0x40;
const SUBSCRIBE: u8 = 0x82;
const SUBACK: u8 = 0x90;
const PINGREQ: u8 = 0xc0;
const PINGRESP: u8 = 0xd0;
const DISCONNECT: u8 = 0xe0;

/// Room for a first byte and a remaining length of four.
const HEADROOM: usize = 5;

/// Writes one packet behind room for its head, which is put in front of it at the end.
struct Writer<'b> {
    buffer: &'b mut [u8],
    used: usize,
    is_full: bool,
}

impl<'b> Writer<'b> {
    fn new(buffer: &'b mut [u8]) -> Self {
        Writer {
            buffer,
            used: HEADROOM,
            is_full: false,
        }
    }

    fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        let end = self.used.saturating_add(bytes.len());
        match self.buffer.get_mut(self.used..end) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.used = end;
            }
            None => self.is_full = true,
        }
        self
    }

    fn u16(&mut self, value: u16) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    /// Bytes with their length in front.
    fn string(&mut self, bytes: &[u8]) -> &mut Self {
        match u16::try_from(bytes.len()) {
            Ok(len) => self.u16(len).raw(bytes),
            Err(_) => {
                self.is_full = true;
                self
            }
        }
    }

    fn finish(self, first: u8) -> Result<&'b [u8], EncodeError> {
        self.finish_before(first, 0)
    }

    /// A packet of which `more` bytes are written elsewhere.
    fn finish_before(self, first: u8, more: usize) -> Result<&'b [u8], EncodeError> {
        let Writer {
            buffer,
            used,
            is_full,
        } = self;
        let remaining = used.saturating_sub(HEADROOM).saturating_add(more);
        let (digits, digits_len) = varint(remaining).ok_or(EncodeError::Room)?;
        let start = HEADROOM.saturating_sub(1).saturating_sub(digits_len);
        if is_full {
            return Err(EncodeError::Room);
        }
        let place = buffer.get_mut(start..HEADROOM).ok_or(EncodeError::Room)?;
        for (place, byte) in place.iter_mut().zip([first].into_iter().chain(digits)) {
            *place = byte;
        }
        buffer.get(start..used).ok_or(EncodeError::Room)
    }
}

/// A variable byte integer and how many bytes it takes; `None` for what is too large for four.
fn varint(value: usize) -> Option<([u8; 4], usize)> {
    let (mut digits, mut len, mut left) = ([0; 4], 0usize, value);
    for place in &mut digits {
        let [group, ..] = (left & 0x7f).to_le_bytes();
        left >>= 7;
        *place = if left > 0 { group | 0x80 } else { group };
        len = len.saturating_add(1);
        if left == 0 {
            return Some((digits, len));
        }
    }
    None
}

impl Connect<'_> {
    /// Writes it; the part of `into` that holds it.
    ///
    /// # Errors
    ///
    /// `into` is too small.
    pub fn encode<'b>(&self, into: &'b mut [u8]) -> Result<&'b [u8], EncodeError> {
        let mut writer = Writer::new(into);
        // Clean start, will at QoS 1, and name and password where there is a login.
        let flags = 0b0000_0010
            | if self.will.is_some() { 0b0000_1100 } else { 0 }
            | if self.login.is_some() { 0b1100_0000 } else { 0 };
        writer
            .string(b"MQTT")
            .raw(&[5, flags])
            .u16(self.keep_alive_s);
        writer
            .raw(&[8, 0x21])
            .u16(self.receive_maximum)
            .raw(&[0x27])
            .raw(&self.maximum_packet.to_be_bytes());
        writer.string(self.client_id.as_bytes());
        if let Some((topic, payload)) = self.will {
            writer.raw(&[0]).string(topic.as_bytes()).string(payload);
        }
        if let Some((name, password)) = self.login {
            writer.string(name.as_bytes()).string(password);
        }
        writer.finish(CONNECT)
    }
}

/// Writes a SUBSCRIBE for topic filters with their QoS; the part of `into` that holds it.
///
/// # Errors
///
/// `into` is too small.
pub fn encode_subscribe<'b>(
    id: u16,
    filters: &[(&str, u8)],
    into: &'b mut [u8],
) -> Result<&'b [u8], EncodeError> {
    let mut writer = Writer::new(into);
    writer.u16(id).raw(&[0]);
    for (filter, qos) in filters {
        writer.string(filter.as_bytes()).raw(&[*qos]);
    }
    writer.finish(SUBSCRIBE)
}

/// Writes a PUBLISH at QoS 1; the part of `into` that holds it.
///
/// # Errors
///
/// `into` is too small.
pub fn encode_publish<'b>(
    topic: &str,
    id: u16,
    payload: &[u8],
    into: &'b mut [u8],
) -> Result<&'b [u8], EncodeError> {
    let mut writer = Writer::new(into);
    writer
        .string(topic.as_bytes())
        .u16(id)
        .raw(&[0])
        .raw(payload);
    writer.finish(PUBLISH | 0b0010)
}

/// What a PUBLISH says of its payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attributes<'a> {
    /// The media type of the payload.
    pub(crate) content_type: &'a str,
    /// Name and value of each user property.
    pub(crate) user: &'a [(&'a str, &'a str)],
}

/// Writes a PUBLISH at QoS 1 up to its payload, which has `payload_len` bytes; the part of `into` that holds it.
///
/// # Errors
///
/// `into` is too small.
pub(crate) fn encode_head<'b>(
    topic: &str,
    id: u16,
    attributes: &Attributes<'_>,
    payload_len: usize,
    into: &'b mut [u8],
) -> Result<&'b [u8], EncodeError> {
    let Attributes { content_type, user } = *attributes;
    let pair_len = |(name, value): &(&str, &str)| {
        5usize
            .saturating_add(name.len())
            .saturating_add(value.len())
    };
    let len = user
        .iter()
        .map(pair_len)
        .fold(3, usize::saturating_add)
        .saturating_add(content_type.len());
    let (digits, digits_len) = varint(len).ok_or(EncodeError::Room)?;
    let mut writer = Writer::new(into);
    writer
        .string(topic.as_bytes())
        .u16(id)
        .raw(digits.get(..digits_len).unwrap_or_default())
        .raw(&[0x03])
        .string(content_type.as_bytes());
    for (name, value) in user {
        writer
            .raw(&[0x26])
            .string(name.as_bytes())
            .string(value.as_bytes());
    }
    writer.finish_before(PUBLISH | 0b0010, payload_len)
}

/// Writes a PUBACK; the part of `into` that holds it.
///
/// # Errors
///
/// `into` is too small.
pub fn encode_puback(id: u16, into: &mut [u8]) -> Result<&[u8], EncodeError> {
    let mut writer = Writer::new(into);
    writer.u16(id);
    writer.finish(PUBACK)
}

/// A whole PINGREQ.
pub const PING: [u8; 2] = [PINGREQ, 0];
/// A whole DISCONNECT after which the broker does not publish the will.
pub const BYE: [u8; 2] = [DISCONNECT, 0];

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], PacketError> {
        let (bytes, rest) = self.0.split_at_checked(len).ok_or(PacketError::Malformed)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PacketError> {
        let (array, rest) = self.0.split_first_chunk().ok_or(PacketError::Malformed)?;
        self.0 = rest;
        Ok(*array)
    }

    fn u8(&mut self) -> Result<u8, PacketError> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    fn u16(&mut self) -> Result<u16, PacketError> {
        self.array().map(u16::from_be_bytes)
    }

    fn string(&mut self) -> Result<&'a [u8], PacketError> {
        let len = self.u16()?;
        self.take(len.into())
    }

    /// A variable byte integer; `None` if the bytes end within it.
    fn varint(&mut self) -> Result<Option<usize>, PacketError> {
        let mut value = 0usize;
        for shift in [0, 7, 14, 21] {
            let Some((byte, rest)) = self.0.split_first() else {
                return Ok(None);
            };
            self.0 = rest;
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(Some(value));
            }
        }
        Err(PacketError::Malformed)
    }

    fn properties(&mut self) -> Result<Properties<'a>, PacketError> {
        let len = self.varint()?.ok_or(PacketError::Malformed)?;
        Ok(Properties(Reader(self.take(len)?)))
    }
}

struct Properties<'a>(Reader<'a>);

impl<'a> Properties<'a> {
    /// The next property: its identifier and its bytes, without the length of a string.
    fn next(&mut self) -> Result<Option<(u8, &'a [u8])>, PacketError> {
        let reader = &mut self.0;
        if reader.0.is_empty() {
            return Ok(None);
        }
        let id = reader.u8()?;
        let value = match id {
            0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2a => reader.take(1)?,
            0x13 | 0x21 | 0x22 | 0x23 => reader.take(2)?,
            0x02 | 0x11 | 0x18 | 0x27 => reader.take(4)?,
            0x0b => {
                let before = reader.0;
                reader.varint()?.ok_or(PacketError::Malformed)?;
                before
                    .get(..before.len().saturating_sub(reader.0.len()))
                    .unwrap_or_default()
            }
            0x03 | 0x08 | 0x09 | 0x12 | 0x15 | 0x16 | 0x1a | 0x1c | 0x1f => reader.string()?,
            0x26 => {
                reader.string()?;
                reader.string()?
            }
            _ => return Err(PacketError::Malformed),
        };
        Ok(Some((id, value)))
    }
}

impl<'a> Packet<'a> {
    /// Takes a packet off the front of what came, and how many bytes it took; `None` while it is not whole. `most` is
    /// how much the buffer holds.
    ///
    /// # Errors
    ///
    /// The bytes are no packet for a device.
    pub fn take(bytes: &'a [u8], most: usize) -> Result<Option<(Self, usize)>, PacketError> {
        let mut reader = Reader(bytes);
        let Some(first) = bytes.first() else {
            return Ok(None);
        };
        reader.take(1)?;
        let Some(remaining) = reader.varint()? else {
            return Ok(None);
        };
        let head = bytes.len().saturating_sub(reader.0.len());
        let whole = head.saturating_add(remaining);
        if whole > most {
            return Err(PacketError::TooLarge(whole));
        }
        let Some(body) = bytes.get(head..whole) else {
            return Ok(None);
        };
        Ok(Some((Packet::decode(*first, body)?, whole)))
    }

    fn decode(first: u8, body: &'a [u8]) -> Result<Self, PacketError> {
        let mut reader = Reader(body);
        match first {
            CONNACK => connack(reader),
            SUBACK => {
                let id = reader.u16()?;
                reader.properties()?;
                let refused = reader.0.iter().copied().find(|reason| *reason >= 0x80);
                Ok(Packet::Suback { id, refused })
            }
            PUBACK => {
                let id = reader.u16()?;
                let reason = if reader.0.is_empty() { 0 } else { reader.u8()? };
                Ok(Packet::Puback { id, reason })
            }
            PINGRESP => Ok(Packet::Pingresp),
            DISCONNECT => {
                let reason = if reader.0.is_empty() { 0 } else { reader.u8()? };
                Ok(Packet::Disconnect { reason })
            }
            _ if first & 0xf0 == PUBLISH => publish(first, reader),
            other => Err(PacketError::Unexpected(other)),
        }
    }
}

fn publish(first: u8, mut reader: Reader<'_>) -> Result<Packet<'_>, PacketError> {
    let topic = core::str::from_utf8(reader.string()?).map_err(|_| PacketError::Malformed)?;
    let id = match (first >> 1) & 0b11 {
        0 => None,
        1 => Some(reader.u16()?),
        _ => return Err(PacketError::Unexpected(first)), // the device subscribes at QoS 1 at most
    };
    reader.properties()?;
    Ok(Packet::Publish {
        topic,
        id,
        payload: reader.0,
    })
}

fn connack(mut reader: Reader<'_>) -> Result<Packet<'_>, PacketError> {
    let [_, reason] = reader.array()?;
    let (mut receive_maximum, mut maximum_packet, mut keep_alive_s) = (u16::MAX, u32::MAX, None);
    let mut properties = reader.properties()?;
    while let Some((id, value)) = properties.next()? {
        let mut value = Reader(value);
        match id {
            0x21 => receive_maximum = value.u16()?,
            0x27 => maximum_packet = u32::from_be_bytes(value.array()?),
            0x13 => keep_alive_s = Some(value.u16()?),
            _ => {}
        }
    }
    if receive_maximum == 0 || maximum_packet == 0 {
        return Err(PacketError::Malformed);
    }
    Ok(Packet::Connack {
        reason,
        receive_maximum,
        maximum_packet,
        keep_alive_s,
    })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec;

    use super::*;

    #[test]
    fn a_connect_has_the_bytes_of_the_standard() {
        let connect = Connect {
            client_id: "p7",
            keep_alive_s: 30,
            will: Some(("b/p7", &[0x21])),
            login: Some(("u", b"pw")),
            receive_maximum: 4,
            maximum_packet: 0x400,
        };
        let mut buffer = [0; 64];
        let bytes = connect.encode(&mut buffer).unwrap();
        let expected = b"\x10\x28\x00\x04MQTT\x05\xce\x00\x1e\x08\x21\x00\x04\x27\x00\x00\x04\x00\x00\x02p7\x00\x00\x04b/p7\x00\x01\x21\x00\x01u\x00\x02pw";
        assert_eq!(bytes, expected);
        assert_eq!(connect.encode(&mut [0; 30]), Err(EncodeError::Room));
    }

    #[test]
    fn a_publish_of_a_reading_costs_21_bytes_beside_topic_and_payload() {
        let mut buffer = [0; 64];
        let bytes = encode_publish("d/pump-0000007", 0x0102, &[9; 22], &mut buffer).unwrap();
        assert_eq!(bytes.len(), 43);
        assert_eq!(&bytes[..4], [0x32, 41, 0, 14]);
        assert_eq!(&bytes[18..22], [1, 2, 0, 9]);
    }

    #[test]
    fn long_packets_have_longer_heads() {
        let mut buffer = [0; 300];
        let bytes = encode_publish("t", 1, &[0; 200], &mut buffer).unwrap();
        assert_eq!(
            (&bytes[..3], bytes.len()),
            (&[0x32, 0xce, 0x01][..], 3 + 206)
        );
    }

    #[test]
    fn a_subscribe_asks_for_each_filter() {
        let mut buffer = [0; 64];
        let bytes = encode_subscribe(7, &[("a/p", 0), ("c/p", 1)], &mut buffer).unwrap();
        assert_eq!(bytes, b"\x82\x0f\x00\x07\x00\x00\x03a/p\x00\x00\x03c/p\x01");
    }

    #[test]
    fn packets_are_taken_when_they_are_whole() {
        let bytes = b"\x20\x0b\x00\x00\x08\x21\x00\x05\x27\x00\x00\x10\x00\x30\x06\x00\x01ax";
        let connack = Packet::Connack {
            reason: 0,
            receive_maximum: 5,
            maximum_packet: 4096,
            keep_alive_s: None,
        };
        for end in 0..13 {
            assert_eq!(Packet::take(&bytes[..end], 64), Ok(None), "{end}");
        }
        assert_eq!(Packet::take(bytes, 64), Ok(Some((connack, 13))));
    }

    #[test]
    fn what_a_device_gets_is_read() {
        let read = |bytes: &'static [u8]| Packet::take(bytes, 64).unwrap().unwrap().0;
        assert_eq!(
            read(b"\x90\x05\x00\x07\x00\x00\x01"),
            Packet::Suback {
                id: 7,
                refused: None
            }
        );
        assert_eq!(
            read(b"\x90\x05\x00\x07\x00\x00\x87"),
            Packet::Suback {
                id: 7,
                refused: Some(0x87)
            }
        );
        let publish = Packet::Publish {
            topic: "c/p",
            id: Some(9),
            payload: b"xy",
        };
        assert_eq!(read(b"\x32\x0c\x00\x03c/p\x00\x09\x02\x01\x01xy"), publish);
        let quiet = Packet::Publish {
            topic: "a/p",
            id: None,
            payload: b"",
        };
        assert_eq!(read(b"\x30\x06\x00\x03a/p\x00"), quiet);
        assert_eq!(
            read(b"\x40\x02\x00\x01"),
            Packet::Puback { id: 1, reason: 0 }
        );
        assert_eq!(
            read(b"\x40\x04\x00\x01\x97\x00"),
            Packet::Puback {
                id: 1,
                reason: 0x97
            }
        );
        assert_eq!(read(b"\xd0\x00"), Packet::Pingresp);
        assert_eq!(read(b"\xe0\x01\x8b"), Packet::Disconnect { reason: 0x8b });
    }

    #[test]
    fn what_a_device_never_gets_closes_the_connection() {
        let refused = |bytes: &'static [u8]| Packet::take(bytes, 64).unwrap_err();
        assert_eq!(
            refused(b"\x34\x06\x00\x01a\x00\x01\x00"),
            PacketError::Unexpected(0x34)
        );
        assert_eq!(refused(b"\x82\x00"), PacketError::Unexpected(0x82));
        assert_eq!(refused(b"\x30\x80\x01"), PacketError::TooLarge(131));
        assert_eq!(refused(b"\x30\xff\xff\xff\xff"), PacketError::Malformed);
        assert_eq!(refused(b"\x30\x02\x00\x05"), PacketError::Malformed);
        assert_eq!(
            refused(b"\x20\x06\x00\x00\x03\x21\x00\x00"),
            PacketError::Malformed
        );
    }

    #[test]
    fn no_changed_byte_panics() {
        let good = vec![0x20, 0x0b, 0, 0, 8, 0x21, 0, 5, 0x27, 0, 0, 0x10, 0];
        for at in 0..good.len() {
            for byte in 0..=u8::MAX {
                let mut bad = good.clone();
                bad[at] = byte;
                let _ = Packet::take(&bad, 64); // any answer will do, as long as there is one
            }
        }
    }
}
