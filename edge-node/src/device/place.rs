//! Where an event of a device stands.

use serde::{Deserialize, Serialize};
use wire::{EventId, Mark, Stream};

/// A stream of one outbox of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamId {
    /// Of the outbox.
    pub incarnation: u32,
    /// 0 to 7.
    pub number: u8,
}

/// Where an event stands in its stream, as its record keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its stream.
    pub stream: StreamId,
    /// The device's boot counter when the event was taken.
    pub boot: u32,
    /// Its sequence within that boot and stream.
    pub seq: u64,
    /// The event's time, milliseconds since 1970.
    pub time_ms: u64,
}

impl Place {
    /// Bytes of an encoded one.
    pub const LEN: usize = 25;

    /// Of the event of this id, at this time.
    pub fn of(id: EventId, time_ms: u64) -> Place {
        Place {
            stream: StreamId {
                incarnation: id.incarnation,
                number: id.stream.number(),
            },
            boot: id.boot,
            seq: id.seq,
            time_ms,
        }
    }

    /// Its mark in the stream.
    pub fn mark(&self) -> Mark {
        Mark {
            boot: self.boot,
            seq: self.seq,
        }
    }

    /// incarnation u32 · stream u8 · boot u32 · seq u64 · time u64, little endian.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.stream.incarnation.to_le_bytes());
        out.push(self.stream.number);
        out.extend_from_slice(&self.boot.to_le_bytes());
        out.extend_from_slice(&self.seq.to_le_bytes());
        out.extend_from_slice(&self.time_ms.to_le_bytes());
    }

    /// What `encode` wrote.
    pub fn decode(bytes: [u8; Place::LEN]) -> Place {
        let [i0, i1, i2, i3, number, b0, b1, b2, b3, rest @ ..] = bytes;
        let [s0, s1, s2, s3, s4, s5, s6, s7, time @ ..] = rest;
        Place {
            stream: StreamId {
                incarnation: u32::from_le_bytes([i0, i1, i2, i3]),
                number,
            },
            boot: u32::from_le_bytes([b0, b1, b2, b3]),
            seq: u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]),
            time_ms: u64::from_le_bytes(time),
        }
    }
}

impl StreamId {
    pub(super) fn of(incarnation: u32, stream: Stream) -> StreamId {
        StreamId {
            incarnation,
            number: stream.number(),
        }
    }

    /// As the format has it.
    pub(crate) fn stored(self, mark: Mark) -> Option<wire::answer::Stored> {
        Some(wire::answer::Stored {
            incarnation: self.incarnation,
            stream: Stream::new(self.number)?,
            mark,
        })
    }
}
