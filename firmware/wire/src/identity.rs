use core::fmt;

use crate::{DecodeError, list::Item, reader::Reader, writer::Writer};

/// One of a device's outbox classes, each with a sequence of its own: 0 to 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stream(u8);

impl Stream {
    /// How many there may be.
    pub const COUNT: usize = 8;

    /// `None` above 7.
    #[must_use]
    pub const fn new(number: u8) -> Option<Stream> {
        if number < 8 {
            Some(Stream(number))
        } else {
            None
        }
    }

    /// 0 to 7.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl Item<'_> for Stream {
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Stream::new(reader.u8()?).ok_or(DecodeError::Value)
    }

    fn put(&self, writer: &mut Writer<'_>) {
        writer.u8(self.0);
    }
}

/// A place in a stream. Later events have greater marks, over all boots of one incarnation; the default, (0, 0), is
/// before every event, for both numbers count from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// The device's boot counter, from 1.
    pub boot: u32,
    /// The sequence within that boot and stream, from 1.
    pub seq: u64,
}

impl Item<'_> for Mark {
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Mark {
            boot: reader.varint32()?,
            seq: reader.varint64()?,
        })
    }

    fn put(&self, writer: &mut Writer<'_>) {
        writer.varint(self.boot).varint(self.seq);
    }
}

/// The identity of an event, minted at the device; its text is the CloudEvents `id`.
///
/// `incarnation` is random and belongs to the formatted outbox, so that an erased device mints no id twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    /// Of the outbox the event was committed to.
    pub incarnation: u32,
    /// The boot in which the event was taken.
    pub boot: u32,
    /// The outbox class.
    pub stream: Stream,
    /// The sequence within that boot and stream.
    pub seq: u64,
}

impl EventId {
    /// The longest text of an id, in bytes.
    pub const MAX_LEN: usize = 39;

    /// The place of the event in its stream.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark {
            boot: self.boot,
            seq: self.seq,
        }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:08x}{:08x}-{}-{}",
            self.incarnation, self.boot, self.stream.0, self.seq
        )
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;

    #[test]
    fn an_id_has_incarnation_and_boot_in_eight_digits_each() {
        let id = EventId {
            incarnation: 0x00c0_ffee,
            boot: 7,
            stream: Stream(3),
            seq: 41,
        };
        assert_eq!(id.to_string(), "00c0ffee00000007-3-41");
    }

    #[test]
    fn the_longest_id_fits_its_bound() {
        let id = EventId {
            incarnation: u32::MAX,
            boot: u32::MAX,
            stream: Stream(7),
            seq: u64::MAX,
        };
        assert_eq!(id.to_string().len(), EventId::MAX_LEN);
    }

    #[test]
    fn a_later_boot_is_after_every_sequence_of_an_earlier_one() {
        assert!(
            Mark { boot: 2, seq: 0 }
                > Mark {
                    boot: 1,
                    seq: u64::MAX
                }
        );
    }
}
