//! Segment files of which neither the first nor the last page can be read.
//!
//! Such a segment can still be read from its frames, each of which says its salt. Those of a recycled file's former life
//! do too: the frames of this life are told from them by the segment before, which the first one names, by the salt that
//! the segment behind gives, or by positions that no other segment holds.
//!
//! A header is on disk before the first commit goes behind it. So a file that has zeros in its place, and no such frame,
//! holds nothing that was acknowledged: a crash came while it was made. One that has anything else there may have held
//! some, and is entered like a torn tail.

use std::io;

use super::{Mode, Opening, found::look};
use crate::{
    OpenError,
    frame::{Found, HEADER, Header, Link, PAGE, salt_of},
    medium::Medium,
    page::Page,
    scan::{Tail, find_frame},
    segment::{SegmentHeader, file_name},
};

/// How many files may have been begun since the segment before, those that failed among them.
const NEAR: u64 = 8;

impl Opening<'_> {
    /// The header, from the first frame or, if it is `known`, from how the segment behind names this one.
    pub(super) fn salvage(
        &self,
        id: u64,
        size: u64,
        known: Option<Link>,
    ) -> Result<Option<SegmentHeader>, OpenError> {
        let file = self.open_segment(id)?;
        let file = Medium::of(&*file);
        let read = OpenError::io("read a segment");
        let mut salt = salt_of_first_frame(&file, id).map_err(read)?;
        if let Some(link) = known.filter(|_| salt.is_none()) {
            let found = find_frame(&file, PAGE..size, &|salt, _| salt == link.salt);
            salt = found
                .map_err(OpenError::io("read a segment"))?
                .map(|(_, salt, _)| salt);
        }
        Ok(salt.map(|salt| SegmentHeader::of_open(id, salt)))
    }

    /// Takes in the newest segment, which could not be salvaged, as far as it holds what no other does.
    pub(super) fn take_newest_unread(&mut self, id: u64, size: u64) -> Result<(), OpenError> {
        let read = || OpenError::io("read a segment");
        // While its owner runs, it may have begun since it was looked at. What is in it then is newer than this view.
        let name = file_name(id);
        if self.mode == Mode::ReadOnly
            && let Page::Valid(_) = look(self.storage, &name, id, size).map_err(read())?
        {
            return Ok(());
        }
        let held = self.state.segments.back().map_or(0, |it| it.last);
        let file = self.open_segment(id)?;
        let file = Medium::of(&*file);
        let found = find_frame(&file, PAGE..size, &|_, header| header.first_seq > held);
        if let Some((_, salt, _)) = found.map_err(read())? {
            // What was taken for the last segment until here ends where this one begins.
            self.tails.clear();
            let header = SegmentHeader::of_open(id, salt);
            let taken = self.take_open(id, header, size, None, true)?;
            self.state.segments.extend(taken);
        } else if is_begun(&file).map_err(read())? {
            let tail = Tail {
                bytes: size - 2 * PAGE,
                last: None,
            };
            self.tails.push((id, tail));
            self.keep_unread(id);
            self.clean = Some(false);
        } else {
            self.remove(id);
            return Ok(());
        }
        // Nothing more goes behind a header that cannot be read, nor into the segment before.
        self.target = None;
        Ok(())
    }

    /// A segment before others of which nothing can be read; `later` is how the one behind it names what is before it.
    pub(super) fn lost(&mut self, id: u64, later: Link) {
        if later.segment == id || later == Link::UNKNOWN {
            self.keep_unread(id);
        } else {
            self.remove(id);
        }
    }

    fn keep_unread(&mut self, id: u64) {
        self.findings.push(format!(
            "segment {id:016x} cannot be read; it is kept as quarantine, if there is room"
        ));
        self.damaged.push(id);
    }
}

fn salt_of_first_frame(file: &Medium<'_>, id: u64) -> io::Result<Option<u64>> {
    let mut bytes = [0; HEADER];
    file.read(&mut bytes, PAGE)?;
    let salt = salt_of(&bytes);
    let Found::Header(first) = Header::decode(&bytes, salt, PAGE) else {
        return Ok(None);
    };
    // A recycled file whose new header was torn still shows a frame of its former life; that one names an older
    // predecessor than the file's name allows only by chance, so the names have to be near.
    let near = |link: Link| link.segment < id && id - link.segment <= NEAR;
    Ok(first.link().is_some_and(near).then_some(salt))
}

/// Whether anything stands where the header does, as far as that can be told.
fn is_begun(file: &Medium<'_>) -> io::Result<bool> {
    let mut page = [0; PAGE as usize];
    let is_read = file.read(&mut page, 0)?;
    Ok(!is_read || !SegmentHeader::is_blank(&page))
}
