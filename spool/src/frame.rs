//! One commit on disk: a header, then records.

use crate::record::Base;

/// Frames, the segment's data and its index start at multiples of this.
pub(crate) const PAGE: u64 = 4096;
/// Bytes of a frame's header.
pub(crate) const HEADER: usize = 128;
const MAGIC: u32 = u32::from_le_bytes(*b"FRAM");

/// Set on the last frame of a run that ended with `close`.
pub(crate) const FLAG_END: u16 = 1;
/// Set on the first frame of a segment: `link` counts.
pub(crate) const FLAG_LINK: u16 = 2;

/// How far the segment before holds valid frames. Zero id: there is none before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) segment: u64,
    pub(crate) salt: u64,
    pub(crate) end: u64,
    pub(crate) last_seq: u64,
}

impl Link {
    /// The frame that would tell is damaged.
    pub(crate) const UNKNOWN: Link = Link {
        segment: u64::MAX,
        salt: 0,
        end: 0,
        last_seq: 0,
    };
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) content_len: u32,
    pub(crate) content_crc: u32,
    pub(crate) flags: u16,
    pub(crate) records: u32,
    pub(crate) base: Base,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    pub(crate) last_time: u64,
    pub(crate) link: Link,
}

/// What stands where a frame may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A header of this segment's present life.
    Header(Header),
    /// Belongs to this life of the segment, but is damaged or torn.
    Broken,
    /// Nothing of this life: zeros, or what a recycled file held before.
    Nothing,
}

/// The first offset at or after `offset` where a frame may start.
pub(crate) fn align(offset: u64) -> u64 {
    offset.div_ceil(PAGE).saturating_mul(PAGE)
}

/// The salt that a header says is its own.
pub(crate) fn salt_of(header: &[u8; HEADER]) -> u64 {
    header
        .get(8..)
        .and_then(|bytes| bytes.first_chunk())
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Checksum over the salt, then `bytes`.
pub(crate) fn salted(salt: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&salt.to_le_bytes()), bytes)
}

impl Header {
    /// Bytes from the start of this frame to where the next may start.
    pub(crate) fn span(&self) -> u64 {
        align(HEADER as u64 + u64::from(self.content_len))
    }

    pub(crate) fn is_end(&self) -> bool {
        self.flags & FLAG_END != 0
    }

    pub(crate) fn link(&self) -> Option<Link> {
        (self.flags & FLAG_LINK != 0).then_some(self.link)
    }

    /// The header of the frame at `offset` of the segment with this salt.
    pub(crate) fn encode(&self, salt: u64, offset: u64) -> [u8; HEADER] {
        let mut bytes = Vec::with_capacity(HEADER);
        bytes.extend_from_slice(&MAGIC.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&salt.to_le_bytes());
        bytes.extend_from_slice(&self.content_crc.to_le_bytes());
        bytes.extend_from_slice(&self.content_len.to_le_bytes());
        bytes.extend_from_slice(&((offset / PAGE) as u32).to_le_bytes());
        bytes.extend_from_slice(&self.flags.to_le_bytes());
        bytes.extend_from_slice(&[0; 2]);
        bytes.extend_from_slice(&self.records.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        let words = [
            self.base.seq,
            self.first_seq,
            self.last_seq,
            self.base.time,
            self.last_time,
            self.link.segment,
            self.link.salt,
            self.link.end,
            self.link.last_seq,
        ];
        for word in words {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        let mut header = [0; HEADER];
        for (to, from) in header.iter_mut().zip(&bytes) {
            *to = *from;
        }
        let crc = header_crc(salt, &header);
        for (to, from) in header.iter_mut().skip(4).zip(crc.to_le_bytes()) {
            *to = from;
        }
        header
    }

    /// Reads what stands at `offset` of the segment with this salt.
    pub(crate) fn decode(bytes: &[u8; HEADER], salt: u64, offset: u64) -> Found {
        let u32_at = |at: usize| {
            bytes
                .get(at..)
                .and_then(|b| b.first_chunk::<4>())
                .map_or(0, |b| u32::from_le_bytes(*b))
        };
        let u64_at = |at: usize| {
            bytes
                .get(at..)
                .and_then(|b| b.first_chunk::<8>())
                .map_or(0, |b| u64::from_le_bytes(*b))
        };
        let intact = u32_at(4) == header_crc(salt, bytes);
        let ours = u64_at(8) == salt;
        if !(intact && ours && u32_at(0) == MAGIC) {
            // The checksum leaves out magic and the copy of the salt, so any one flipped bit leaves one of the two true.
            return if intact || ours {
                Found::Broken
            } else {
                Found::Nothing
            };
        }
        if u64::from(u32_at(24)) != offset / PAGE {
            return Found::Broken;
        }
        Found::Header(Header {
            content_crc: u32_at(16),
            content_len: u32_at(20),
            flags: (u32_at(28) & 0xffff) as u16,
            records: u32_at(32),
            base: Base {
                seq: u64_at(40),
                time: u64_at(64),
            },
            first_seq: u64_at(48),
            last_seq: u64_at(56),
            last_time: u64_at(72),
            link: Link {
                segment: u64_at(80),
                salt: u64_at(88),
                end: u64_at(96),
                last_seq: u64_at(104),
            },
        })
    }
}

/// Covers everything behind the salt copy.
fn header_crc(salt: u64, header: &[u8; HEADER]) -> u32 {
    salted(salt, header.get(16..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            content_len: 5_000,
            content_crc: 0xdead_beef,
            flags: FLAG_LINK,
            records: 3,
            base: Base { seq: 10, time: 20 },
            first_seq: 11,
            last_seq: 13,
            last_time: 25,
            link: Link {
                segment: 4,
                salt: 5,
                end: 8192,
                last_seq: 9,
            },
        }
    }

    #[test]
    fn a_header_comes_back_only_with_its_salt_and_at_its_place() {
        let bytes = header().encode(77, 8192);
        assert_eq!(Header::decode(&bytes, 77, 8192), Found::Header(header()));
        assert_eq!(Header::decode(&bytes, 78, 8192), Found::Nothing);
        assert_eq!(Header::decode(&bytes, 77, 4096), Found::Broken);
        assert_eq!(header().span(), 8192);
    }

    #[test]
    fn a_flipped_bit_makes_a_header_broken_and_never_nothing() {
        let bytes = header().encode(77, 8192);
        for bit in 0..HEADER * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                Header::decode(&flipped, 77, 8192),
                Found::Broken,
                "bit {bit}"
            );
        }
    }
}
