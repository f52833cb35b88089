use super::{EncodeError, MAX_REMAINING, Result};
use crate::mqtt::packet::{ReasonProperties, UserProperties};
use crate::mqtt::property;
use bytes::{BufMut, BytesMut};

/// Where bytes go: into a buffer, or only into the count that stands before them.
pub(in crate::mqtt) trait Sink {
    fn put(&mut self, bytes: &[u8]);

    fn byte(&mut self, value: u8) {
        self.put(&[value]);
    }

    fn u16(&mut self, value: u16) {
        self.put(&value.to_be_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.put(&value.to_be_bytes());
    }
}

impl Sink for BytesMut {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Counts bytes.
pub(in crate::mqtt) struct Count(pub(in crate::mqtt) usize);

impl Sink for Count {
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

/// Bytes of a variable byte integer.
pub(super) fn variable_len(value: usize) -> usize {
    match value {
        0..=0x7F => 1,
        0x80..=0x3FFF => 2,
        0x4000..=0x1F_FFFF => 3,
        _ => 4,
    }
}

/// A variable byte integer; its low 28 bits.
pub(super) fn variable_bytes(out: &mut BytesMut, value: usize) {
    let (bytes, length) = variable_array(value);
    out.put_slice(bytes.get(..length).unwrap_or_default());
}

/// A variable byte integer; its low 28 bits.
pub(super) fn variable(value: usize, out: &mut dyn Sink) {
    let (bytes, length) = variable_array(value);
    out.put(bytes.get(..length).unwrap_or_default());
}

fn variable_array(mut value: usize) -> ([u8; 4], usize) {
    let mut bytes = [0; 4];
    let length = variable_len(value);
    for (at, byte) in bytes.iter_mut().enumerate().take(length) {
        *byte = (value & 0x7F) as u8 | if at + 1 < length { 0x80 } else { 0 };
        value >>= 7;
    }
    (bytes, length)
}

/// Text with its length before it.
pub(super) fn text(field: &'static str, text: &str, out: &mut dyn Sink) -> Result<()> {
    if text.as_bytes().contains(&0) {
        return Err(EncodeError::Invalid {
            field,
            what: "holds U+0000",
        });
    }
    binary(field, text.as_bytes(), out)
}

/// Bytes with their length before them.
pub(super) fn binary(field: &'static str, bytes: &[u8], out: &mut dyn Sink) -> Result<()> {
    let Ok(length) = u16::try_from(bytes.len()) else {
        return Err(EncodeError::Invalid {
            field,
            what: "is longer than 65,535 bytes",
        });
    };
    out.u16(length);
    out.put(bytes);
    Ok(())
}

/// What `write` writes, with its length before it.
pub(super) fn properties(
    out: &mut dyn Sink,
    write: impl Fn(&mut dyn Sink) -> Result<()>,
) -> Result<()> {
    let mut count = Count(0);
    write(&mut count)?;
    if count.0 > MAX_REMAINING {
        return Err(EncodeError::TooLarge {
            size: count.0,
            limit: MAX_REMAINING,
        });
    }
    variable(count.0, out);
    write(out)
}

fn identifier(identifier: u32, out: &mut dyn Sink) {
    variable(identifier as usize, out);
}

pub(super) fn bool_property(id: u32, value: Option<bool>, out: &mut dyn Sink) {
    if let Some(value) = value {
        identifier(id, out);
        out.byte(u8::from(value));
    }
}

pub(super) fn u16_property(id: u32, value: Option<u16>, out: &mut dyn Sink) {
    if let Some(value) = value {
        identifier(id, out);
        out.u16(value);
    }
}

pub(super) fn u32_property(id: u32, value: Option<u32>, out: &mut dyn Sink) {
    if let Some(value) = value {
        identifier(id, out);
        out.u32(value);
    }
}

pub(super) fn variable_property(id: u32, value: Option<u32>, out: &mut dyn Sink) {
    if let Some(value) = value {
        identifier(id, out);
        variable(value as usize, out);
    }
}

pub(super) fn text_property(
    id: u32,
    field: &'static str,
    value: Option<&str>,
    out: &mut dyn Sink,
) -> Result<()> {
    let Some(value) = value else { return Ok(()) };
    identifier(id, out);
    text(field, value, out)
}

pub(super) fn binary_property(
    id: u32,
    field: &'static str,
    value: Option<&[u8]>,
    out: &mut dyn Sink,
) -> Result<()> {
    let Some(value) = value else { return Ok(()) };
    identifier(id, out);
    binary(field, value, out)
}

pub(super) fn user_properties(properties: &UserProperties, out: &mut dyn Sink) -> Result<()> {
    for (name, value) in properties {
        identifier(property::USER_PROPERTY, out);
        text("user property name", name, out)?;
        text("user property value", value, out)?;
    }
    Ok(())
}

/// The property block of packets that carry a reason string and user properties alone.
pub(super) fn reason_properties(set: &ReasonProperties, out: &mut dyn Sink) -> Result<()> {
    properties(out, |out| {
        let Some(set) = set else { return Ok(()) };
        text_property(
            property::REASON_STRING,
            "reason string",
            set.reason_string.as_deref(),
            out,
        )?;
        user_properties(&set.user_properties, out)
    })
}
