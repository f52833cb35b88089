//! A slow look at what is sealed, so that damage is found while there may still be another copy somewhere.

use std::{io, time::Duration};

use crate::{
    frame::{Found, HEADER, Header, PAGE, salted},
    index::Place,
    lists::Version,
    log::{Inner, State},
    medium::Medium,
    segment::Segment,
};

/// Bytes looked at in one step, unless a frame is larger: then the next step waits longer.
const STEP_BYTES: u64 = 256 << 10;
const BYTES_PER_SECOND: u64 = 256 << 10;
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

/// How far a look has come.
enum Checked {
    /// Up to where the next frame can be.
    Until(u64),
    /// Up to this page, which cannot be read.
    Unreadable(u64),
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
    /// Verifies the next frames. What is damaged is entered record by record; what cannot be read is waited for, and ends the
    /// step, since each read that fails may take long.
    pub(crate) fn scrub(&self, now: u64) -> io::Result<()> {
        let Some(mut rest) = self.lock().rest_to_scrub(now) else {
            return Ok(());
        };
        let (begun, mut goes_on) = (rest.offset, true);
        while goes_on && rest.offset < rest.end && rest.offset - begun < STEP_BYTES {
            (rest.offset, goes_on) = match self.check(&rest) {
                Ok(Checked::Until(offset)) => (offset, true),
                Ok(Checked::Unreadable(page)) => ((page + 1) * PAGE, false),
                // It was rewritten or freed: another file to look at.
                Err(_) if self.has_changed(rest.version) => return Ok(()),
                Err(error) => {
                    let (segment, offset) = (rest.version.0, rest.offset);
                    tracing::error!(segment, offset, %error, "a part of the log cannot be read");
                    (offset + STEP_BYTES, false)
                }
            };
        }
        self.lock().scrubbed(now, &rest, rest.offset - begun);
        Ok(())
    }

    /// Checks the frame that begins here, or where none does, the records that do.
    fn check(&self, rest: &Rest) -> io::Result<Checked> {
        let (version, offset) = (rest.version, rest.offset);
        let file = self.files.open(&*self.storage, version)?;
        let medium = Medium::of(&*file);
        let mut page = [0; PAGE as usize];
        let (mut at, mut until) = (offset, offset + PAGE);
        let (mut frame, mut crc, mut left) = (None, 0, 0);
        while at < until {
            if !medium.read_once(&mut page, at)? {
                // Those in front of it are whole, or damaged; for those that it holds some of, it is read again.
                self.check_records(version, &|place| {
                    u64::from(place.offset) >= offset && place.end() <= at
                })?;
                self.wait_for_page(version, at / PAGE)?;
                return Ok(Checked::Unreadable(at / PAGE));
            }
            let mut content = page.as_slice();
            if at == offset {
                let header = content.split_off(..HEADER).and_then(<[u8]>::first_chunk);
                frame = match header.map(|it| Header::decode(it, rest.salt, offset)) {
                    Some(Found::Header(header)) => Some(header),
                    _ => None,
                };
                let span = frame.map_or(STEP_BYTES, |frame| frame.span());
                until = offset.saturating_add(span).min(rest.end);
                left = frame.map_or(0, |frame| frame.content_len as usize);
                crc = salted(rest.salt, &[]);
            }
            let part = content.get(..left.min(content.len())).unwrap_or_default();
            crc = crc32c::crc32c_append(crc, part);
            (at, left) = (at + PAGE, left - part.len());
        }
        if frame.is_none_or(|frame| crc != frame.content_crc) {
            self.check_records(version, &|place| {
                (offset..until).contains(&u64::from(place.offset))
            })?;
        }
        Ok(Checked::Until(until))
    }

    /// Reads each of these records by itself, which enters those that are damaged.
    fn check_records(&self, version: Version, wants: &dyn Fn(&Place) -> bool) -> io::Result<()> {
        let found = self.located_in(version, wants).map_err(io::Error::other)?;
        self.read_located(&found, &mut |_, _| {})
            .map(drop)
            .map_err(io::Error::other)
    }

    /// Has a page read again, if it holds some of a record.
    fn wait_for_page(&self, version: Version, page: u64) -> io::Result<()> {
        let holds_some = |place: &Place| {
            u64::from(place.offset) < (page + 1) * PAGE && place.end() > page * PAGE
        };
        let found = self.located_in(version, &holds_some);
        let mut state = self.lock();
        for located in &found.map_err(io::Error::other)? {
            state.note_withheld_record(version, page, &located.place);
        }
        Ok(())
    }
}
