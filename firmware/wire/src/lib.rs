//! What devices and the node say to each other: one definition for both sides, `no_std`, without an allocator and,
//! but for what its features bring, without dependencies.
//!
//! It is not a transport: the messages are payloads of MQTT publishes, whose topics say which decoder applies.
//!
//! ```text
//!  device ── d/<id> ──▶ node    events: one, or a batch of one kind                     [`envelope`]
//!         ── b/<id> ──▶         birth, kinds, reports, results; the will                [`birth`]
//!         ◀── a/<id> ──         welcome, acknowledgement, refusals, question for birth  [`answer`]
//!         ◀── c/<id> ──         commands and configurations                             [`command`]
//! ```
//!
//! # The conversation
//!
//! `<id>` is the device's MQTT client id, and a prefix may stand in front of the topics ([`topic`]). The device publishes
//! at QoS 1 and retains nothing; the node speaks at QoS 0, and sends a command again at each birth until it has its result.
//! On each connection the device subscribes to `a/<id>` and `c/<id>`, sends what kinds do not fit into its birth, then its
//! birth, waits for the welcome, and sends events. The node may ask for the birth again at any time; after
//! [`answer::BirthReason`] and after a new birth the device waits for a welcome as on a fresh connection.
//!
//! An event leaves the device's outbox when an acknowledgement covers it; a PUBACK only says that the packet came. The
//! welcome says how far the node is, so what is covered there is acknowledged too, and everything later is sent (again).
//! A refused event stops its stream: the node takes nothing later of it until that event returns. A device closes the
//! connection over an answer it cannot read, such as a reason that a later node gives, and comes again after a while.
//!
//! # The bytes
//!
//! Numbers are postcard's: `varint` is LEB128, least significant group first, of the width in the table's type; `u16le`
//! and `u32le` are fixed; `text` is a varint length and UTF-8 of at most 64 bytes; `mark` is boot varint (u32) and seq
//! varint (u64), both counted from 1; a `list` is a count of one byte (0–127) and its items one after the other; `data`
//! is all that follows, at most 4096 bytes unless another bound is named. No message is longer than 65,535 bytes.
//!
//! Every message begins with one byte: the version of the format in bits 7–5 (1 here; 0 and 7 are never used), and
//! five bits that depend on the topic.
//!
//! ```text
//! event     d/  001 0 f sss  stream sss (0–7); f = 1: another incarnation than the birth's follows
//!               [ incarnation u32le ] · mark · uptime-ms varint (u64) · kind 2 bytes · data
//!
//! batch     d/  001 1 f sss  the same fields, for the first event, without data
//!               count u8 (1–255) · length varint (u32) · every varint (u64)
//!               count × { after-ms varint (u64) if every = 0 · length varint (u32) if length = 0 · bytes }
//!               length − 1 is the length of the bytes of every item; every − 1 the milliseconds from each to the next
//!               seq counts up by one from event to event; the first event's "after" is 0 and may not be more
//!
//! birth     b/  001 00000    oldest u8 · newest u8 · incarnation u32le · boot varint (u32) · uptime-ms varint (u64)
//!                            firmware text · configuration varint (u32) · kinds u8
//!               list of { incarnation u32le · stream u8 · last mark · oldest mark }
//!               list of { incarnation u32le · stream u8 · from mark · to mark · reason u8 (0–3) }   from ≤ to
//!               list of kind
//!               kind: { id 2 bytes · type text · version varint (u16) · list of field }
//!               field: { name text · scalar u8 (0–12) · shape 0, or 1 or 2 and a count varint (u16) }
//! offline   b/  001 00001    incarnation u32le · boot varint (u32)                          the device's will
//! report    b/  001 00010    uptime-ms varint (u64) · list of { stream u8 · reason u8 (0–3) · count varint (u64) }
//! result    b/  001 00011    origin u32le · seq varint (u64) · outcome u8 (0–5) · data (at most 1024 bytes)
//! config'd  b/  001 00100    version varint (u32) · outcome u8 (0–2)
//! kinds     b/  001 00101    list of kind
//!
//! welcome   a/  001 00000    version u8 · time 0, or 1 and unix-ms varint (u64) · configuration varint (u32)
//!               list of { incarnation u32le · stream u8 · mark }                            what the node has
//! ack       a/  001 00001    list of { incarnation u32le · stream u8 · mark }
//! birth?    a/  001 00010    reason u8 (0–2)                                   the device is asked for its birth
//! no        a/  001 00011    oldest u8 · newest u8                 no version in common; what the node speaks
//! refused   a/  001 00100    incarnation u32le · stream u8 · mark · reason u8 (0–4) · after-ms varint (u32)
//! not born  a/  001 00101    reason u8 (0–4) · for 1 and 2 a kind's id, 2 bytes · after-ms varint (u32)
//!
//! command   c/  001 00000    origin u32le · seq varint (u64) · name text · data
//! configure c/  001 00001    version varint (u32) · data
//! ```
//!
//! The first three bytes of a birth and of a `no` stay as they are in every version, so that two sides that share no
//! version can say so. Data is described by the table of its kind ([`value`]). `tests/vectors/` holds one message of each
//! sort with its bytes, and messages that are refused, for implementations in other languages.
//!
//! # Invariants
//!
//! - Decoding never panics, allocates nothing, and takes time in proportion to the bytes it is given.
//! - A decoded message is whole: its lists were walked, so reading them cannot fail. Bytes left over are an error.
//! - Within a stream events are ordered by (boot, seq), and no pair is used twice ([`Mark`]).
//! - An acknowledgement is cumulative: it covers every event of the stream and incarnation up to its mark.

#![no_std]

pub mod answer;
mod batch;
pub mod birth;
pub mod command;
pub mod envelope;
pub mod epoch;
mod error;
pub mod event;
mod identity;
pub mod kind;
mod list;
mod reader;
pub mod topic;
pub mod value;
mod writer;

pub use batch::item_len;
pub use error::{DecodeError, EncodeError};
pub use event::Event;
#[cfg(feature = "derive")]
pub use event_derive::Event;
pub use identity::{EventId, Mark, Stream};
pub use list::List;

use list::Item;
use reader::Reader;
use writer::Writer;

/// The version of the format this crate writes and reads.
pub const VERSION: u8 = 1;
/// The longest text, in bytes.
pub const MAX_TEXT: usize = 64;
/// The most data of one event, command or configuration, in bytes.
pub const MAX_DATA: usize = 4096;
/// The most data of a command's result, in bytes.
pub const MAX_RESULT: usize = 1024;
/// The most items of a list.
pub const MAX_ITEMS: usize = 127;
/// The longest message, in bytes.
pub const MAX_MESSAGE: usize = 65_535;
/// The furthest a sequence may jump without an announcement in the birth.
pub const MAX_JUMP: u64 = 1 << 20;

/// The oldest and the newest version of the format one side speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

    /// What a birth speaks, of whatever version it is; `None` for bytes that are no birth.
    #[must_use]
    pub fn of_birth(bytes: &[u8]) -> Option<Versions> {
        match bytes {
            [first, oldest, newest, ..] if first & 0x1f == 0 => Some(Versions {
                oldest: *oldest,
                newest: *newest,
            }),
            _ => None,
        }
    }
}

impl Item<'_> for Versions {
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Versions {
            oldest: reader.u8()?,
            newest: reader.u8()?,
        })
    }

    fn put(&self, writer: &mut Writer<'_>) {
        writer.u8(self.oldest).u8(self.newest);
    }
}

/// Begins a message: `detail` fills the low five bits of the first byte.
fn head(detail: u8, into: &mut [u8]) -> Writer<'_> {
    let mut writer = Writer::new(into);
    writer.u8((VERSION << 5) | (detail & 0x1f));
    writer
}

/// Splits the first byte off and checks its version; the low five bits and the rest.
fn take_head(bytes: &[u8]) -> Result<(u8, Reader<'_>), DecodeError> {
    if bytes.len() > MAX_MESSAGE {
        return Err(DecodeError::Bound);
    }
    let mut reader = Reader::new(bytes);
    let first = reader.u8()?;
    match first >> 5 {
        VERSION => Ok((first & 0x1f, reader)),
        other => Err(DecodeError::Version(other)),
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
        assert_eq!(
            take_head(&[0b0100_0000]).unwrap_err(),
            DecodeError::Version(2)
        );
        assert_eq!(take_head(&[]).unwrap_err(), DecodeError::Short);
    }

    #[test]
    fn a_birth_of_a_later_version_still_says_which_versions_it_speaks() {
        let later = [0b0110_0000, 2, 3, 99, 99];
        assert_eq!(
            Versions::of_birth(&later),
            Some(Versions {
                oldest: 2,
                newest: 3
            })
        );
        assert_eq!(Versions::of_birth(&[0b0010_0001, 1, 1]), None);
        assert_eq!(Versions::of_birth(&[0b0010_0000, 1]), None);
    }

    #[test]
    fn a_message_above_the_bound_is_refused_unread() {
        static LONG: [u8; MAX_MESSAGE + 1] = [0x20; MAX_MESSAGE + 1];
        assert_eq!(take_head(&LONG).unwrap_err(), DecodeError::Bound);
    }
}
