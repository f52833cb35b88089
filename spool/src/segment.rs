//! One file of the log: its header page, its trailer page, and what is known of it in memory.

use std::sync::Arc;

use crate::{
    frame::{Link, PAGE, salted},
    index::{self, Row, Slots},
    lists::Version,
    page::{Page, check_page, finish_page, start_page},
    record::Base,
    storage::File,
};

const HEADER_MAGIC: u64 = u64::from_le_bytes(*b"SPOOLSEG");
const TRAILER_MAGIC: u64 = u64::from_le_bytes(*b"SPOOLEND");
/// The header stands twice in its page, so that damage to one sector leaves the salt known.
const HEADER_COPY: usize = 2048;
const HEADER_LEN: usize = 64;
/// Keys whose summary stays in memory for each sealed segment; a segment with more keeps its summary on disk.
const MOST_ROWS: usize = 64;
const TRAILER_FIXED: usize = 192;

pub(crate) fn file_name(id: u64) -> String {
    format!("{id:016x}.segment")
}

pub(crate) fn rewrite_name(id: u64) -> String {
    format!("{id:016x}.rewrite")
}

/// The id in a name with this ending.
pub(crate) fn parse_name(name: &str, ending: &str) -> Option<u64> {
    let digits = name.strip_suffix(ending)?;
    (digits.len() == 16)
        .then(|| u64::from_str_radix(digits, 16).ok())
        .flatten()
}

/// The first page of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) id: u64,
    pub(crate) salt: u64,
    /// Zero unless the segment was rewritten: then where its frames end, and the positions it stands for.
    pub(crate) end: u64,
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl SegmentHeader {
    /// Of a segment that was not rewritten.
    pub(crate) fn of_open(id: u64, salt: u64) -> SegmentHeader {
        SegmentHeader {
            id,
            salt,
            end: 0,
            first: 0,
            last: 0,
        }
    }

    /// Whether there are zeros where both copies stand.
    pub(crate) fn is_blank(page: &[u8]) -> bool {
        let copies = [0, HEADER_COPY].map(|start| page.get(start..start + HEADER_LEN));
        let mut bytes = copies.into_iter().flatten().flatten();
        bytes.all(|&byte| byte == 0)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut copy = start_page(HEADER_MAGIC);
        for word in [self.id, self.salt, self.end, self.first, self.last] {
            copy.extend_from_slice(&word.to_le_bytes());
        }
        finish_page(&mut copy, HEADER_LEN);
        copy.resize(HEADER_COPY, 0);
        let mut page = copy.clone();
        page.append(&mut copy);
        page
    }

    pub(crate) fn decode(page: &[u8]) -> Page<SegmentHeader> {
        let mut result = Page::Invalid;
        for start in [0, HEADER_COPY] {
            let copy = page.get(start..start + HEADER_LEN).unwrap_or_default();
            result = match check_page(copy, HEADER_MAGIC) {
                Page::Valid(mut words) => Page::Valid(SegmentHeader {
                    id: words.take(),
                    salt: words.take(),
                    end: words.take(),
                    first: words.take(),
                    last: words.take(),
                }),
                Page::Newer(version) => Page::Newer(version),
                Page::Invalid => continue,
            };
            break;
        }
        result
    }
}

/// The last page of a sealed segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trailer {
    pub(crate) id: u64,
    pub(crate) salt: u64,
    pub(crate) end: u64,
    pub(crate) base: Base,
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) last_time: u64,
    pub(crate) records: u64,
    pub(crate) link: Link,
    pub(crate) sealed: Sealed,
}

/// Where the index of a sealed segment is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    pub(crate) index_offset: u64,
    pub(crate) table_len: u32,
    table_crc: u32,
    row_count: u32,
    /// `None`: too many to keep; they are read when needed.
    pub(crate) rows: Option<Arc<[Row]>>,
}

impl Sealed {
    pub(crate) fn new(index_offset: u64, built: &index::Built, salt: u64) -> Sealed {
        Sealed {
            index_offset,
            table_len: built.table.len() as u32,
            table_crc: salted(salt, &built.table),
            row_count: built.rows.len() as u32,
            rows: (built.rows.len() <= MOST_ROWS).then(|| built.rows.as_slice().into()),
        }
    }

    /// Reads the table from its bytes; `None` if they are damaged.
    pub(crate) fn decode_table(&self, bytes: &[u8], salt: u64, base_seq: u64) -> Option<Vec<Row>> {
        let intact =
            bytes.len() == self.table_len as usize && salted(salt, bytes) == self.table_crc;
        intact.then(|| index::decode_table(bytes, self.row_count, base_seq))?
    }

    pub(crate) fn lists_offset(&self) -> u64 {
        self.index_offset.saturating_add(u64::from(self.table_len))
    }
}

impl Trailer {
    /// `table`: the bytes of the index's table; repeated in the page where memory will hold it.
    pub(crate) fn encode(&self, table: &[u8]) -> Vec<u8> {
        let mut page = start_page(TRAILER_MAGIC);
        let sealed = &self.sealed;
        for word in [
            self.id,
            self.salt,
            self.end,
            self.base.seq,
            self.base.time,
            self.first,
            self.last,
            self.last_time,
            self.records,
            self.link.segment,
            self.link.salt,
            self.link.end,
            self.link.last_seq,
            sealed.index_offset,
            u64::from(sealed.table_len),
            u64::from(sealed.table_crc),
            u64::from(sealed.row_count),
        ] {
            page.extend_from_slice(&word.to_le_bytes());
        }
        page.resize(TRAILER_FIXED, 0);
        if sealed.rows.is_some() {
            page.extend_from_slice(table);
        }
        finish_page(&mut page, PAGE as usize);
        page
    }

    pub(crate) fn decode(page: &[u8]) -> Page<Trailer> {
        let mut words = match check_page(page, TRAILER_MAGIC) {
            Page::Valid(words) => words,
            Page::Newer(version) => return Page::Newer(version),
            Page::Invalid => return Page::Invalid,
        };
        let mut trailer = Trailer {
            id: words.take(),
            salt: words.take(),
            end: words.take(),
            base: Base {
                seq: words.take(),
                time: words.take(),
            },
            first: words.take(),
            last: words.take(),
            last_time: words.take(),
            records: words.take(),
            link: Link {
                segment: words.take(),
                salt: words.take(),
                end: words.take(),
                last_seq: words.take(),
            },
            sealed: Sealed {
                index_offset: words.take(),
                table_len: words.take() as u32,
                table_crc: words.take() as u32,
                row_count: words.take() as u32,
                rows: None,
            },
        };
        if trailer.sealed.row_count as usize <= MOST_ROWS {
            let table = page.get(TRAILER_FIXED..TRAILER_FIXED + trailer.sealed.table_len as usize);
            let rows = table.and_then(|table| {
                trailer
                    .sealed
                    .decode_table(table, trailer.salt, trailer.base.seq)
            });
            let Some(rows) = rows else {
                return Page::Invalid;
            };
            trailer.sealed.rows = Some(rows.into());
        }
        Page::Valid(trailer)
    }
}

/// The index of a segment: in memory until it is sealed, on disk from then on.
#[derive(Debug)]
pub(crate) enum Index {
    Open(Arc<Slots>),
    Sealed(Sealed),
}

/// What is known of a segment that holds committed frames.
pub(crate) struct Segment {
    pub(crate) id: u64,
    /// Grows when the file is replaced by a rewritten one.
    pub(crate) generation: u32,
    pub(crate) salt: u64,
    /// Bytes of the file.
    pub(crate) size: u64,
    /// The positions it stands for; a rewritten one has gaps.
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) base: Base,
    pub(crate) last_time: u64,
    /// Where its frames end.
    pub(crate) end: u64,
    pub(crate) records: u64,
    pub(crate) link: Link,
    pub(crate) index: Index,
    /// Kept open until sealed.
    pub(crate) file: Option<Arc<dyn File>>,
    /// Why its file is read, but never written again.
    pub(crate) fault: Option<Fault>,
}

/// Why a segment's file is not written any more, but written anew under its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A write or sync failed.
    Failed,
    /// The medium did not give back all of it, and may one day: it is kept, if there is room.
    Unreadable,
}

impl Segment {
    pub(crate) fn version(&self) -> Version {
        (self.id, self.generation)
    }

    pub(crate) fn is_sealed(&self) -> bool {
        matches!(self.index, Index::Sealed(_))
    }

    /// How the segment behind it names it.
    pub(crate) fn link_from_next(&self) -> Link {
        Link {
            segment: self.id,
            salt: self.salt,
            end: self.end,
            last_seq: self.last,
        }
    }

    pub(crate) fn trailer(&self, sealed: Sealed) -> Trailer {
        Trailer {
            id: self.id,
            salt: self.salt,
            end: self.end,
            base: self.base,
            first: self.first,
            last: self.last,
            last_time: self.last_time,
            records: self.records,
            link: self.link,
            sealed,
        }
    }

    pub(crate) fn from_trailer(trailer: Trailer, size: u64) -> Segment {
        Segment {
            id: trailer.id,
            generation: 0,
            salt: trailer.salt,
            size,
            first: trailer.first,
            last: trailer.last,
            base: trailer.base,
            last_time: trailer.last_time,
            end: trailer.end,
            records: trailer.records,
            link: trailer.link,
            index: Index::Sealed(trailer.sealed),
            file: None,
            fault: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{index::Place, record::Tag};

    #[test]
    fn a_header_survives_damage_to_one_of_its_copies() {
        let header = SegmentHeader {
            id: 3,
            salt: 99,
            end: 0,
            first: 0,
            last: 0,
        };
        let mut page = header.encode();
        assert_eq!(page.len() as u64, PAGE);
        page[20] ^= 1;
        assert_eq!(SegmentHeader::decode(&page), Page::Valid(header));
        page[2068] ^= 1;
        assert_eq!(SegmentHeader::decode(&page), Page::Invalid);
    }

    #[test]
    fn a_newer_version_is_told_from_damage() {
        let header = SegmentHeader {
            id: 3,
            salt: 99,
            end: 0,
            first: 0,
            last: 0,
        };
        let mut page = header.encode();
        page[12] = 2;
        let crc = crc32c::crc32c(&page[12..64]);
        page[8..12].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(SegmentHeader::decode(&page), Page::Newer(2));
    }

    #[test]
    fn a_trailer_comes_back_with_its_rows_or_not_at_all() {
        let mut slots = Slots::new(Base { seq: 10, time: 5 });
        for seq in 10..200 {
            slots.push_place(&Place {
                seq,
                time: 6,
                offset: seq as u32 * 100,
                len: 90,
                tag: Tag(0),
                route: seq as u32 % 7,
            });
        }
        let built = index::build(&slots, 44);
        let segment = Segment {
            id: 6,
            generation: 0,
            salt: 44,
            size: 1 << 20,
            first: 10,
            last: 199,
            base: slots.base,
            last_time: 6,
            end: 40_960,
            records: 190,
            link: Link {
                segment: 5,
                salt: 43,
                end: 8192,
                last_seq: 9,
            },
            index: Index::Open(Arc::new(slots)),
            file: None,
            fault: None,
        };
        let trailer = segment.trailer(Sealed::new(40_960, &built, 44));
        let page = trailer.encode(&built.table);
        assert_eq!(page.len() as u64, PAGE);
        assert_eq!(Trailer::decode(&page), Page::Valid(trailer));
        let mut damaged = page;
        damaged[1_000] ^= 0x10;
        assert_eq!(Trailer::decode(&damaged), Page::Invalid);
    }
}
