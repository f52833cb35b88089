//! Reading a segment frame by frame, as recovery does where there is no index to trust.

use std::{io, ops::Range};

use crate::{
    frame::{Found, HEADER, Header, Link, PAGE, align, salt_of, salted},
    index::{Place, Slots},
    medium::Medium,
    record::{Base, Raw},
};

/// Positions that stood in a damaged part of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    /// 1 where the first frame of the segment is damaged: then it is the one after the segment before.
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) bytes: u64,
}

/// An unfinished frame behind the last good one; more than one only where the medium is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    /// Bytes at most.
    pub(crate) bytes: u64,
    /// The last position held, if that can be read.
    pub(crate) last: Option<u64>,
}

impl Tail {
    /// The last position it can have held behind `before`.
    pub(crate) fn last_after(&self, before: u64) -> u64 {
        self.last
            .unwrap_or(before.saturating_add(self.bytes / SHORTEST_RECORD))
    }
}

/// What a segment holds.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) slots: Slots,
    pub(crate) frames: u64,
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) last_time: u64,
    /// Behind the last good frame.
    pub(crate) end: u64,
    pub(crate) link: Link,
    /// Whether the last good frame is the end mark of a run.
    pub(crate) ended: bool,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) tail: Option<Tail>,
}

/// Where to read.
pub(crate) struct Extent<'a> {
    pub(crate) file: &'a Medium<'a>,
    pub(crate) salt: u64,
    pub(crate) size: u64,
    /// Where its frames end and the last position in them, if that is known from elsewhere.
    pub(crate) known_end: Option<(u64, u64)>,
}

/// The shortest a record can be.
const SHORTEST_RECORD: u64 = 11;
/// Bytes searched at once for the next frame.
const SEARCH_BYTES: u64 = 1 << 20;

impl Extent<'_> {
    /// Reads every frame. One that the medium does not give back is a bad one.
    pub(crate) fn scan(&self) -> io::Result<Scan> {
        let mut scan = Scan {
            end: PAGE,
            link: Link::UNKNOWN,
            ..Scan::default()
        };
        let limit = self
            .known_end
            .map_or(self.size, |(end, _)| end.min(self.size));
        let mut offset = PAGE;
        let mut content = Vec::new();
        while offset < limit {
            let found = self.header(offset)?;
            if let Found::Header(header) = found
                && self.read_frame(&header, offset, limit, &mut content)?
                && scan.add(&header, offset, &content)
            {
                offset += header.span();
                continue;
            }
            match self.next_frame(offset, limit)? {
                Some((at, header)) => {
                    scan.gap(header.first_seq.saturating_sub(1), at - offset);
                    offset = at;
                }
                None => {
                    if self.known_end.is_none() {
                        scan.tail = self.tail(found, offset, limit)?;
                    }
                    break;
                }
            }
        }
        if let Some((_, last)) = self.known_end.filter(|_| scan.end < limit) {
            scan.gap(last, limit.saturating_sub(scan.end));
        }
        Ok(scan)
    }

    /// What is left of frames behind the last good one, from `offset` on, where this was found.
    fn tail(&self, mut found: Found, offset: u64, limit: u64) -> io::Result<Option<Tail>> {
        let mut tail = None;
        let mut at = offset;
        loop {
            match found {
                Found::Header(header) if header.span() <= limit.saturating_sub(at) => {
                    at += header.span();
                    tail = Some(Tail {
                        bytes: at - offset,
                        last: Some(header.last_seq),
                    });
                    if at >= limit {
                        return Ok(tail);
                    }
                    found = self.header(at)?;
                }
                Found::Header(_) | Found::Broken => {
                    return Ok(Some(Tail {
                        bytes: limit.saturating_sub(offset),
                        last: None,
                    }));
                }
                Found::Nothing => return Ok(tail),
            }
        }
    }

    fn header(&self, offset: u64) -> io::Result<Found> {
        let mut bytes = [0; HEADER];
        Ok(match self.file.read(&mut bytes, offset)? {
            true => Header::decode(&bytes, self.salt, offset),
            false => Found::Broken,
        })
    }

    /// Reads a frame's records; false if they are not what was written.
    fn read_frame(
        &self,
        header: &Header,
        offset: u64,
        limit: u64,
        content: &mut Vec<u8>,
    ) -> io::Result<bool> {
        if align(
            offset
                .saturating_add(HEADER as u64)
                .saturating_add(u64::from(header.content_len)),
        ) > limit
        {
            return Ok(false);
        }
        content.resize(header.content_len as usize, 0);
        let is_read = self.file.read(content, offset + HEADER as u64)?;
        Ok(is_read && salted(self.salt, content) == header.content_crc)
    }

    /// The next whole frame behind what cannot be read at `offset`.
    fn next_frame(&self, offset: u64, limit: u64) -> io::Result<Option<(u64, Header)>> {
        let from = offset + PAGE;
        let found = find_frame(self.file, from..limit, &|salt, _| salt == self.salt)?;
        Ok(found.map(|(at, _, header)| (at, header)))
    }
}

/// Where the first whole frame is that is wanted, by its salt and header, and both of these.
pub(crate) fn find_frame(
    file: &Medium<'_>,
    within: Range<u64>,
    wants: &dyn Fn(u64, &Header) -> bool,
) -> io::Result<Option<(u64, u64, Header)>> {
    let (mut at, limit) = (within.start, within.end);
    let (mut chunk, mut content) = (Vec::new(), Vec::new());
    while at < limit {
        let len = SEARCH_BYTES.min(limit - at);
        chunk.resize(len as usize, 0);
        // No frame begins where there are zeros.
        file.read(&mut chunk, at)?;
        for (page, bytes) in chunk.chunks(PAGE as usize).enumerate() {
            let here = at + page as u64 * PAGE;
            let Some(bytes) = bytes.first_chunk::<HEADER>() else {
                continue;
            };
            let salt = salt_of(bytes);
            let Found::Header(header) = Header::decode(bytes, salt, here) else {
                continue;
            };
            let extent = Extent {
                file,
                salt,
                size: limit,
                known_end: None,
            };
            if wants(salt, &header) && extent.read_frame(&header, here, limit, &mut content)? {
                return Ok(Some((here, salt, header)));
            }
        }
        at += len;
    }
    Ok(None)
}

impl Scan {
    /// Takes a frame whose checksum holds; false if its records make no sense all the same.
    fn add(&mut self, header: &Header, offset: u64, content: &[u8]) -> bool {
        let mut rest = content;
        let before = self.slots.len();
        if self.frames == 0 {
            self.slots = Slots::new(header.base);
            self.first = header.first_seq;
        }
        for _ in 0..header.records {
            let start = content.len() - rest.len();
            let Some(raw) = Raw::take(&mut rest, header.base) else {
                return self.take_back(before);
            };
            let identity = raw.identity;
            let place = Place {
                seq: identity.seq,
                time: identity.time,
                offset: (offset as usize + HEADER + start) as u32,
                len: raw.len,
                tag: identity.tag,
                route: identity.route,
            };
            if !self.slots.push_place(&place) {
                return self.take_back(before);
            }
        }
        if let Some(link) = header.link() {
            self.link = link;
        }
        self.frames += 1;
        self.last = header.last_seq;
        self.last_time = self.last_time.max(header.last_time);
        self.end = offset + header.span();
        self.ended = header.is_end();
        true
    }

    fn take_back(&mut self, slots: usize) -> bool {
        self.slots.truncate(slots);
        false
    }

    /// Everything behind what was read, up to and with `last`, is gone.
    fn gap(&mut self, last: u64, bytes: u64) {
        if last > self.last {
            self.gaps.push(Gap {
                first: self.last + 1,
                last,
                bytes,
            });
            self.last = last;
        }
    }

    pub(crate) fn base(&self) -> Base {
        self.slots.base
    }
}
