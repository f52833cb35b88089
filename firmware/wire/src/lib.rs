//! What devices and the node say to each other: one definition for both sides, `no_std` and without an allocator.
//!
//! It is not a transport: the messages are payloads of MQTT publishes, whose topics say which decoder applies.
//!
//! ```text
//!  device ── d/<id> ──▶ node    events: one, or a batch of one kind      [`envelope`]
//!         ── b/<id> ──▶         birth, before any event of a connection  [`birth`]
//!         ◀── a/<id> ──         welcome, acknowledgement, questions      [`answer`]
//! ```
//!
//! # The bytes
//!
//! Numbers are postcard's: `varint` is LEB128, least significant group first; `str` is a varint length and UTF-8;
//! `u16le` and `u32le` are fixed; a `list` is a count of one byte (0–127) and its items one after the other.
//!
//! Every message begins with one byte: the version of the format in bits 7–5 (1 here; 0 and 7 are never used), and
//! five bits that depend on the topic.
//!
//! ```text
//! event     d/  001 0 ssss   stream ssss (0–15)
//!               incarnation u32le · boot varint · seq varint · uptime-ms varint · kind u16le
//!               data: all that follows
//!
//! batch     d/  001 1 ssss   the same fields, for the first event
//!               count u8 (1–255) · count × { uptime-ms after the one before, varint · length varint · data }
//!               the first event's "after" is 0; its seq counts up by one from event to event
//!
//! birth     b/  001 00000    oldest u8 · newest u8                     versions the device speaks
//!               incarnation u32le · boot varint · uptime-ms varint · firmware str (≤ 64 bytes)
//!               list of { stream u8 · last { boot varint · seq varint } · oldest { boot varint · seq varint } }
//!               list of { stream u8 · from { boot · seq } · to { boot · seq } }          ranges dropped, both included
//!               list of { kind u16le · type str · version varint · fields u8 }
//!               list of { name str · scalar u8 · bound varint }        fields of all kinds, in the order of the kinds
//! offline   b/  001 00001    incarnation u32le · boot varint           the device's will
//!
//! welcome   a/  001 00000    version u8 · time { 0 } or { 1 · unix-ms varint } · configuration varint
//!               list of { incarnation u32le · stream u8 · boot varint · seq varint }     what the node has
//! ack       a/  001 00001    list of { incarnation u32le · stream u8 · boot varint · seq varint }
//! birth?    a/  001 00010    reason u8                                 the device is asked for its birth
//! no        a/  001 00011    oldest u8 · newest u8                     no version in common; what the node speaks
//! ```
//!
//! The first three bytes of a birth and of a `no` stay as they are in every version, so that two sides that share no
//! version can say so. `tests/vectors/` holds one message of each sort with its bytes.
//!
//! # Invariants
//!
//! - Decoding never panics, allocates nothing, and takes time in proportion to the bytes it is given.
//! - A decoded message is whole: its lists were walked, so reading them cannot fail. Bytes left over are an error.
//! - Within a stream events are ordered by (boot, seq), and no pair is used twice ([`Mark`]).
//! - An acknowledgement is cumulative: it covers every event of the stream and incarnation up to its mark.

#![no_std]

pub mod answer;
pub mod birth;
pub mod envelope;
mod error;
mod identity;
mod list;

pub use error::{DecodeError, EncodeError};
pub use identity::{EventId, Mark, Stream};
pub use list::List;

/// The version of the format this crate writes and reads.
pub const VERSION: u8 = 1;

/// The oldest and the newest version of the format one side speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Versions {
    /// The oldest, at least 1.
    pub oldest: u8,
    /// The newest, at least `oldest`.
    pub newest: u8,
}

impl Versions {
    /// What this crate speaks.
    pub const OURS: Versions = Versions {
        oldest: VERSION,
        newest: VERSION,
    };

    /// The newest version both sides speak.
    #[must_use]
    pub fn agree(self, other: Versions) -> Option<u8> {
        let newest = self.newest.min(other.newest);
        (newest >= self.oldest.max(other.oldest) && newest > 0).then_some(newest)
    }
}

/// The first byte of a message: `detail` fills its low five bits.
fn head(detail: u8) -> u8 {
    (VERSION << 5) | (detail & 0x1f)
}

/// Splits the first byte off and checks its version; the low five bits and the rest.
fn take_head(bytes: &[u8]) -> Result<(u8, &[u8]), DecodeError> {
    let (first, rest) = bytes.split_first().ok_or(DecodeError::Short)?;
    match first >> 5 {
        VERSION => Ok((first & 0x1f, rest)),
        other => Err(DecodeError::Version(other)),
    }
}

/// Takes one value off the front.
fn take<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> Result<(T, &'a [u8]), DecodeError> {
    postcard::take_from_bytes(bytes).map_err(DecodeError::from)
}

/// Refuses what follows the end of a message.
fn end(rest: &[u8]) -> Result<(), DecodeError> {
    if rest.is_empty() {
        Ok(())
    } else {
        Err(DecodeError::Trailing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_both_speak_is_agreed() {
        let versions = |oldest, newest| Versions { oldest, newest };
        assert_eq!(versions(1, 3).agree(versions(2, 5)), Some(3));
        assert_eq!(versions(2, 5).agree(versions(1, 3)), Some(3));
        assert_eq!(versions(1, 1).agree(versions(2, 3)), None);
        assert_eq!(versions(0, 0).agree(versions(0, 0)), None);
    }

    #[test]
    fn another_version_is_refused_by_number() {
        assert_eq!(take_head(&[0b0100_0000]), Err(DecodeError::Version(2)));
        assert_eq!(take_head(&[]), Err(DecodeError::Short));
    }
}
