//! A slow look at what is sealed, so that damage is found while there may still be another copy somewhere.

use std::io;

use crate::{
    frame::{Found, HEADER, Header, PAGE, salted},
    index::{Place, Row},
    lists::Version,
    log::{Inner, State},
    read::{Located, located},
};

/// Bytes read at most in one step, unless a frame is larger.
const STEP_BYTES: u64 = 256 << 10;
const STEP_MS: u64 = 1_000;
/// Between the end of one round over the log and the begin of the next.
const ROUND_MS: u64 = 24 * 60 * 60 * 1_000;

/// How far the scrub has come.
#[derive(Debug, Default)]
pub(crate) struct Scrub {
    segment: u64,
    offset: u64,
    not_before: u64,
    commits: u64,
}

impl State {
    pub(crate) fn next_scrub(&self, now: u64) -> Option<std::time::Duration> {
        let any = self.segments.iter().any(crate::segment::Segment::is_sealed);
        let wait = self.scrub.not_before.saturating_sub(now).max(1);
        any.then(|| std::time::Duration::from_millis(wait))
    }
}

impl Inner {
    /// Verifies the next frames, unless the log is being written.
    pub(crate) fn scrub(&self, now: u64) -> io::Result<()> {
        let (version, salt, end, mut offset) = {
            let mut state = self.lock();
            if now < state.scrub.not_before {
                return Ok(());
            }
            state.scrub.not_before = now + STEP_MS;
            let commits = state.commits.count;
            if commits != state.scrub.commits {
                state.scrub.commits = commits;
                return Ok(());
            }
            let from = state.scrub.segment;
            let Some(segment) = state
                .segments
                .iter()
                .find(|segment| segment.id >= from && segment.is_sealed())
            else {
                state.scrub = Scrub {
                    not_before: now + ROUND_MS,
                    commits,
                    ..Scrub::default()
                };
                return Ok(());
            };
            let offset = if segment.id == from {
                state.scrub.offset.max(PAGE)
            } else {
                PAGE
            };
            (
                (segment.id, segment.generation),
                segment.salt,
                segment.end,
                offset,
            )
        };
        let stop = offset + STEP_BYTES;
        while offset < end && offset < stop {
            offset = match self.check_frame(version, salt, offset)? {
                Some(span) => offset + span,
                None => {
                    if self.has_changed(version) {
                        return Ok(());
                    }
                    self.check_records(version, offset)?;
                    end
                }
            };
        }
        let mut state = self.lock();
        (state.scrub.segment, state.scrub.offset) = if offset >= end {
            (version.0 + 1, 0)
        } else {
            (version.0, offset)
        };
        Ok(())
    }

    /// The bytes the frame takes; `None` if it is damaged.
    fn check_frame(&self, version: Version, salt: u64, offset: u64) -> io::Result<Option<u64>> {
        let file = self.files.open(&*self.storage, version)?;
        let mut bytes = [0; HEADER];
        file.read_at(&mut bytes, offset)?;
        let Found::Header(header) = Header::decode(&bytes, salt, offset) else {
            return Ok(None);
        };
        let mut content = vec![0; header.content_len as usize];
        file.read_at(&mut content, offset + HEADER as u64)?;
        Ok((salted(salt, &content) == header.content_crc).then(|| header.span()))
    }

    /// Reads every record from `offset` on by itself, which enters those that are damaged.
    fn check_records(&self, version: Version, offset: u64) -> io::Result<()> {
        let found: Vec<Located> = self
            .looked(&mut |state, extra| {
                let Some(segment) = state
                    .segment_by_id(version.0)
                    .filter(|it| it.generation == version.1)
                else {
                    return Ok(Vec::new());
                };
                let row = &mut |_: &Row| true;
                let place = &mut |place: &Place| u64::from(place.offset) >= offset;
                let places = state.gather(segment, 0, row, place, usize::MAX, extra)?;
                Ok(places
                    .into_iter()
                    .map(|place| located(segment, place, false))
                    .collect())
            })
            .map_err(io::Error::other)?;
        self.read_located(&found, &mut |_, _| {})
            .map(drop)
            .map_err(io::Error::other)
    }
}
