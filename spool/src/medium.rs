//! Reading a file that the medium does not give back whole.
//!
//! A sector that was being programmed when the power was cut may answer with an error for good, and one on its way to that
//! for a while. What cannot be read after some tries is damage, in one place of one file. Where no part of a file can be
//! read, the disk is away, and nothing is known of what it holds.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    io,
};

use rustix::io::Errno;

use crate::{frame::PAGE, storage::File};

/// Times a page is read before it counts as unreadable.
const TRIES: usize = 6;
/// Places of a file that are tried before the disk counts as away.
const PROBES: u64 = 8;

/// A file and what its medium has answered so far.
pub(crate) struct Medium<'a> {
    file: &'a dyn File,
    answers: Cell<bool>,
    /// Pages that cannot be read. They are not asked for again.
    lost: RefCell<BTreeSet<u64>>,
}

impl<'a> Medium<'a> {
    pub(crate) fn of(file: &'a dyn File) -> Medium<'a> {
        Medium {
            file,
            answers: Cell::new(false),
            lost: RefCell::default(),
        }
    }

    /// Whether everything that was asked for could be read.
    pub(crate) fn is_whole(&self) -> bool {
        self.lost.borrow().is_empty()
    }

    /// Pages of what was asked for that could not be read.
    pub(crate) fn lost(&self) -> Vec<u64> {
        self.lost.borrow().iter().copied().collect()
    }

    /// The first of them that holds some of this.
    pub(crate) fn lost_within(&self, from: u64, until: u64) -> Option<u64> {
        let pages = from / PAGE..until.div_ceil(PAGE);
        self.lost.borrow().range(pages).next().copied()
    }

    /// Fills `buffer`. False if some of its pages cannot be read: they are zeros. Fails where no part of the file can be
    /// read, and on every error that is not the medium's.
    pub(crate) fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<bool> {
        let until = offset.saturating_add(buffer.len() as u64);
        if self.lost_within(offset, until).is_none() && self.try_read(buffer, offset)?.is_none() {
            return Ok(true);
        }
        if !self.answers.get() {
            self.probe()?;
        }
        let lost = self.read_pages(buffer, offset)?;
        let is_read = lost.is_empty();
        self.lost.borrow_mut().extend(lost);
        Ok(is_read)
    }

    /// Fills `buffer` if that can be read at the first try. Fails as `read` does.
    pub(crate) fn read_once(&self, buffer: &mut [u8], offset: u64) -> io::Result<bool> {
        let is_read = self.try_read(buffer, offset)?.is_none();
        if !is_read && !self.answers.get() {
            self.probe()?;
        }
        Ok(is_read)
    }

    /// Reads page by page; those that cannot be read.
    fn read_pages(&self, buffer: &mut [u8], offset: u64) -> io::Result<Vec<u64>> {
        let (mut rest, mut at, mut lost) = (buffer, offset, Vec::new());
        while !rest.is_empty() {
            let len = (PAGE - at % PAGE).min(rest.len() as u64);
            let (page, behind) = rest
                .split_at_mut_checked(len as usize)
                .expect("a page ends within what is left");
            let is_lost = self.lost_within(at, at + len).is_some();
            if is_lost || self.try_again(page, at)?.is_some() {
                page.fill(0);
                lost.push(at / PAGE);
            }
            (rest, at) = (behind, at + len);
        }
        Ok(lost)
    }

    /// The medium's error, if there is one.
    fn try_read(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<io::Error>> {
        match self.file.read_at(buffer, offset) {
            Ok(()) => {
                self.answers.set(true);
                Ok(None)
            }
            Err(error) if is_of_medium(&error) => Ok(Some(error)),
            Err(error) => Err(error),
        }
    }

    fn try_again(&self, page: &mut [u8], offset: u64) -> io::Result<Option<io::Error>> {
        let mut failed = None;
        for _ in 1..TRIES {
            failed = self.try_read(page, offset)?;
            if failed.is_none() {
                break;
            }
        }
        Ok(failed)
    }

    /// Reads here and there, from the first page to the last, until something answers; fails where nothing does.
    fn probe(&self) -> io::Result<()> {
        let len = self.file.len()?;
        let last = len.saturating_sub(1) / PAGE;
        let mut failed = None;
        for probe in 0..PROBES {
            let offset = last * probe / (PROBES - 1) * PAGE;
            let mut page = vec![0; PAGE.min(len - offset) as usize];
            failed = self.try_read(&mut page, offset)?;
            if failed.is_none() {
                break;
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

/// Whether a read failed for what is stored, not for how it was asked: a sector that cannot be read, or that a file system
/// with checksums knows to be wrong.
pub(crate) fn is_of_medium(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    errno.is_some_and(|errno| {
        [Errno::IO, Errno::NODATA, Errno::BADMSG, Errno::UCLEAN].contains(&errno)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Storage, simulated::Simulated};

    #[test]
    fn one_page_of_a_short_file_that_can_be_read_is_found() {
        for pages in 2..=PROBES {
            for whole in 0..pages {
                let disk = Simulated::new(1);
                let file = disk.create("a", pages * PAGE).unwrap();
                for page in (0..pages).filter(|page| *page != whole) {
                    disk.spoil_sector_at("a", (page * PAGE) as usize, None);
                }
                let mut buffer = [7; PAGE as usize];
                let asked = (whole + 1) % pages;
                let read = Medium::of(&*file).read(&mut buffer, asked * PAGE);
                assert!(!read.unwrap(), "page {whole} of {pages} answers");
            }
        }
    }
}
