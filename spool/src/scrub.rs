//! A slow look at what is sealed, so that damage is found while there may still be another copy somewhere.

use std::{io, time::Duration};

use crate::{
    frame::{Found, HEADER, Header, PAGE, salted},
    index::Place,
    lists::Version,
    log::{Inner, State},
    segment::Segment,
};

/// Bytes read in one step, unless a frame is larger: then the next step waits longer.
const STEP_BYTES: u64 = 256 << 10;
const BYTES_PER_SECOND: u64 = 256 << 10;
const READ_BYTES: u64 = 64 << 10;
/// Between the end of one round over the log and the begin of the next.
const ROUND_MS: u64 = 24 * 60 * 60 * 1_000;

/// How far the scrub has come.
#[derive(Debug, Default)]
pub(crate) struct Scrub {
    segment: u64,
    offset: u64,
    not_before: u64,
}

/// The rest of a segment that is to be verified.
struct Rest {
    version: Version,
    salt: u64,
    offset: u64,
    end: u64,
}

/// What a frame was found to be.
struct Checked {
    is_whole: bool,
    /// To where the next can be.
    span: u64,
}

impl State {
    pub(crate) fn next_scrub(&self, now: u64) -> Option<Duration> {
        let any = self.segments.iter().any(Segment::is_sealed);
        let wait = self.scrub.not_before.saturating_sub(now).max(1);
        any.then(|| Duration::from_millis(wait))
    }

    /// Where the scrub goes on, if it is time; at the end of the log it rests.
    fn rest_to_scrub(&mut self, now: u64) -> Option<Rest> {
        if now < self.scrub.not_before {
            return None;
        }
        let from = self.scrub.segment;
        let next = self
            .segments
            .iter()
            .find(|segment| segment.id >= from && segment.is_sealed());
        let Some(segment) = next else {
            self.scrub = Scrub {
                not_before: now + ROUND_MS,
                ..Scrub::default()
            };
            return None;
        };
        let begun = if segment.id == from {
            self.scrub.offset
        } else {
            0
        };
        Some(Rest {
            version: (segment.id, segment.generation),
            salt: segment.salt,
            offset: begun.max(PAGE),
            end: segment.end,
        })
    }

    /// `read`: bytes of the step that ended at `rest`.
    fn scrubbed(&mut self, now: u64, rest: &Rest, read: u64) {
        let (segment, offset) = if rest.offset >= rest.end {
            (rest.version.0 + 1, 0)
        } else {
            (rest.version.0, rest.offset)
        };
        self.scrub = Scrub {
            segment,
            offset,
            not_before: now + read.max(STEP_BYTES) * 1_000 / BYTES_PER_SECOND,
        };
    }
}

impl Inner {
    /// Verifies the next frames. What is damaged is entered record by record; what cannot be read is said and passed.
    pub(crate) fn scrub(&self, now: u64) -> io::Result<()> {
        let Some(mut rest) = self.lock().rest_to_scrub(now) else {
            return Ok(());
        };
        let mut read = 0;
        while rest.offset < rest.end && read < STEP_BYTES {
            let span = match self.check(&rest) {
                Ok(span) => span,
                // It was rewritten or freed: another file to look at.
                Err(_) if self.has_changed(rest.version) => return Ok(()),
                Err(error) => {
                    let (segment, offset) = (rest.version.0, rest.offset);
                    tracing::error!(segment, offset, %error, "a part of the log cannot be read");
                    // Has what cannot be read tried again, record by record.
                    let _ = self.check_records(rest.version, offset, offset + STEP_BYTES);
                    STEP_BYTES
                }
            };
            rest.offset += span;
            read += span;
        }
        self.lock().scrubbed(now, &rest, read);
        Ok(())
    }

    /// Checks what begins here; the bytes it takes.
    fn check(&self, rest: &Rest) -> io::Result<u64> {
        let frame = self.check_frame(rest)?;
        if !frame.is_whole {
            let until = rest.offset.saturating_add(frame.span);
            self.check_records(rest.version, rest.offset, until)?;
        }
        Ok(frame.span)
    }

    fn check_frame(&self, rest: &Rest) -> io::Result<Checked> {
        let file = self.files.open(&*self.storage, rest.version)?;
        let mut bytes = [0; HEADER];
        file.read_at(&mut bytes, rest.offset)?;
        let Found::Header(header) = Header::decode(&bytes, rest.salt, rest.offset) else {
            return Ok(Checked {
                is_whole: false,
                span: STEP_BYTES,
            });
        };
        let mut content = vec![0; READ_BYTES as usize];
        let (mut at, mut left) = (rest.offset + HEADER as u64, u64::from(header.content_len));
        let mut crc = salted(rest.salt, &[]);
        while left > 0 {
            let len = left.min(READ_BYTES);
            let part = content.get_mut(..len as usize).unwrap_or_default();
            file.read_at(part, at)?;
            crc = crc32c::crc32c_append(crc, part);
            (at, left) = (at + len, left - len);
        }
        Ok(Checked {
            is_whole: crc == header.content_crc,
            span: header.span(),
        })
    }

    /// Reads every record that begins in this part by itself, which enters those that are damaged.
    fn check_records(&self, version: Version, from: u64, until: u64) -> io::Result<()> {
        let begins_here = |place: &Place| (from..until).contains(&u64::from(place.offset));
        let found = self
            .located_in(version, &begins_here)
            .map_err(io::Error::other)?;
        self.read_located(&found, &mut |_, _| {})
            .map(drop)
            .map_err(io::Error::other)
    }
}
