//! Records in a region of NOR flash, oldest first, that a power cut at any moment leaves readable.
//!
//! ```text
//! page     { "EO" · format u8 (1) · tag u8 · number u32le · crc u32le of those 8 bytes } · record …
//! record   { length u16le · kind u8 (not 0xff) · check u8 · crc u32le · payload }
//! ```
//!
//! Both are padded to whole words. Pages are used in a ring; their numbers count up by one and tell the order, `tag` says
//! whose region it is. `check` is the xor of the three bytes before it and 0xa5. The crc of a record is over the page's
//! number, the record's first four bytes and its payload, so what an erase left of an older page is no record.
//!
//! # Invariants
//!
//! - A page is erased right before its header is written, never earlier, and its state is never taken from how it looks.
//!   Records that name its number show that a header was there, should it be lost.
//! - No word is written twice between two erases.
//! - An appended record is whole, or it is no record; others are not touched. What follows a torn record is found by
//!   trying every word.
//! - Pages are used in turn, so their erases are even within one.

use embedded_storage_async::nor_flash::NorFlash;

use crate::crc::Crc;

const MAGIC: [u8; 2] = *b"EO";
const FORMAT: u8 = 1;
const HEAD: usize = 8;
const PAGE_HEAD: usize = 12;
const CHECK: u8 = 0xa5;

/// Why a log cannot be read or written. What it holds is as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogError<E> {
    /// The flash failed.
    Flash(E),
    /// The next page is still needed.
    Full,
    /// The record does not fit into a page or into the buffer.
    Size,
    /// A later firmware wrote the region; it is left untouched.
    Format(u8),
}

impl<E> From<E> for LogError<E> {
    fn from(error: E) -> Self {
        LogError::Flash(error)
    }
}

/// Where a log is: whole pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// The address of its first page.
    pub start: u32,
    /// How many pages it has, at least two.
    pub pages: u32,
}

/// A place in a log: a page by its number, and an offset in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cursor {
    pub(crate) number: u32,
    pub(crate) offset: u32,
}

/// Goes through a log from a place on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Walk {
    pub(crate) at: Cursor,
    /// How many words were passed over because no record was in them.
    pub(crate) skipped: u32,
}

impl Walk {
    pub(crate) fn from(at: Cursor) -> Self {
        Walk { at, skipped: 0 }
    }
}

/// A record that was read.
#[derive(Debug)]
pub(crate) struct Record<'b> {
    /// Where it begins.
    pub(crate) at: Cursor,
    pub(crate) kind: u8,
    pub(crate) payload: &'b [u8],
}

#[derive(Debug)]
pub(crate) struct Log {
    region: Region,
    tag: u8,
    /// The page that is written, and where the next record goes; number 0 before the first.
    tail: Cursor,
    /// The first record that is needed: pages before it may be erased.
    pub(crate) keep: Cursor,
    /// How many bytes at the end of each page no record takes.
    pub(crate) reserve: u32,
}

impl Log {
    /// A log of which nothing is known, as if its region were empty.
    pub(crate) fn closed<S: NorFlash>(region: Region, tag: u8) -> Self {
        Log {
            region,
            tag,
            tail: start_of::<S>(0),
            keep: start_of::<S>(1),
            reserve: 0,
        }
    }

    /// Finds what the region holds; `keep` is its oldest record.
    pub(crate) async fn open<S: NorFlash>(
        &mut self,
        flash: &mut S,
        scratch: &mut [u8],
    ) -> Result<(), LogError<S::Error>> {
        let mut newest = 0;
        for index in 0..self.region.pages {
            let number = self.page_number(flash, index, scratch).await?;
            newest = newest.max(number.unwrap_or(0));
        }
        // A page whose head is lost is known by its records.
        let next = start_of::<S>(newest.saturating_add(1));
        self.tail = Self::page_after::<S>(next);
        if self
            .next(flash, &mut Walk::from(next), scratch)
            .await?
            .is_some()
        {
            newest = next.number;
        }
        let oldest = newest.saturating_add(1).saturating_sub(self.region.pages);
        self.keep = start_of::<S>(oldest.max(1));
        self.tail = start_of::<S>(newest);
        if newest > 0 {
            self.tail.offset = self.end_of_page(flash, newest, scratch).await?;
        }
        Ok(())
    }

    /// Where the next record will be, unless a page begins before it.
    pub(crate) fn tail(&self) -> Cursor {
        self.tail
    }

    /// Whether a record of so many bytes needs a page that is still needed.
    pub(crate) fn is_full_for<S: NorFlash>(&self, payload_len: usize) -> bool {
        self.tail.number > 0 && !self.has_room::<S>(payload_len) && !self.next_page_is_free()
    }

    /// The next record at or behind the place of `walk`, which then stands behind it.
    pub(crate) async fn next<'b, S: NorFlash>(
        &self,
        flash: &mut S,
        walk: &mut Walk,
        scratch: &'b mut [u8],
    ) -> Result<Option<Record<'b>>, LogError<S::Error>> {
        let first = start_of::<S>(0).offset;
        while walk.at < self.tail {
            let at = walk.at;
            let end = if at.number == self.tail.number {
                self.tail.offset
            } else {
                page_len::<S>()
            };
            let is_another = at.offset == first
                && self
                    .page_number(flash, self.index(at.number), scratch)
                    .await?
                    .is_some_and(|number| number != at.number);
            if is_another || at.offset >= end {
                walk.at = self.tail.min(start_of::<S>(at.number.saturating_add(1)));
            } else if let Some((kind, len)) = self.read(flash, at, end, scratch).await? {
                walk.at.offset = at.offset.saturating_add(stored_len::<S>(len));
                let payload = scratch
                    .get(HEAD..HEAD.saturating_add(len))
                    .unwrap_or_default();
                return Ok(Some(Record { at, kind, payload }));
            } else {
                walk.at.offset = at.offset.saturating_add(word::<S>());
                walk.skipped = walk.skipped.saturating_add(1);
            }
        }
        Ok(None)
    }

    /// Whether the page after the newest looks like one whose header was lost.
    pub(crate) async fn is_next_page_strange<S: NorFlash>(
        &self,
        flash: &mut S,
        scratch: &mut [u8],
    ) -> Result<bool, LogError<S::Error>> {
        let number = self.tail.number.saturating_add(1);
        let index = self.index(number);
        if self.page_number(flash, index, scratch).await?.is_some() {
            return Ok(false);
        }
        let header = scratch.get(..PAGE_HEAD).unwrap_or_default();
        Ok(header.iter().any(|byte| *byte != 0xff))
    }

    /// Writes a record. When this returns, it is in flash.
    pub(crate) async fn append<S: NorFlash>(
        &mut self,
        flash: &mut S,
        kind: u8,
        payload: &[u8],
        scratch: &mut [u8],
    ) -> Result<(), LogError<S::Error>> {
        let stored = stored_len::<S>(payload.len());
        let most = most_stored::<S>();
        let Ok(len) = u16::try_from(payload.len()) else {
            return Err(LogError::Size);
        };
        if stored > most || stored as usize > scratch.len() {
            return Err(LogError::Size);
        }
        if !self.has_room::<S>(payload.len()) {
            self.begin_page(flash, scratch).await?;
        }
        let [low, high] = len.to_le_bytes();
        let head = [low, high, kind, low ^ high ^ kind ^ CHECK];
        let crc = record_crc(self.tail.number, head, payload);
        let bytes = scratch.get_mut(..stored as usize).ok_or(LogError::Size)?;
        fill(bytes, &[&head, &crc.to_le_bytes(), payload]);
        // A write that fails or is abandoned has touched the words, so the next record goes behind them.
        let at = self.tail;
        self.tail.offset = self.tail.offset.saturating_add(stored);
        flash.write(self.address::<S>(at), bytes).await?;
        Ok(())
    }

    /// Erases the next page and begins it.
    pub(crate) async fn begin_page<S: NorFlash>(
        &mut self,
        flash: &mut S,
        scratch: &mut [u8],
    ) -> Result<(), LogError<S::Error>> {
        if self.tail.number > 0 && !self.next_page_is_free() {
            return Err(LogError::Full);
        }
        let number = self.tail.number.saturating_add(1);
        let from = self.address::<S>(Cursor { number, offset: 0 });
        let first = start_of::<S>(number);
        let bytes = scratch
            .get_mut(..first.offset as usize)
            .ok_or(LogError::Size)?;
        flash
            .erase(from, from.saturating_add(page_len::<S>()))
            .await?;
        let [a, b] = MAGIC;
        let [n0, n1, n2, n3] = number.to_le_bytes();
        let head = [a, b, FORMAT, self.tag, n0, n1, n2, n3];
        let crc = Crc::new().with(&head).value();
        fill(bytes, &[&head, &crc.to_le_bytes()]);
        flash.write(from, bytes).await?;
        self.tail = first;
        Ok(())
    }

    /// The first place of the page behind the one of `cursor`.
    pub(crate) fn page_after<S: NorFlash>(cursor: Cursor) -> Cursor {
        start_of::<S>(cursor.number.saturating_add(1))
    }

    fn has_room<S: NorFlash>(&self, payload_len: usize) -> bool {
        self.tail.number > 0
            && self
                .tail
                .offset
                .saturating_add(stored_len::<S>(payload_len))
                .saturating_add(self.reserve)
                <= page_len::<S>()
    }

    /// Whether the page in whose place the next one goes is before `keep`.
    fn next_page_is_free(&self) -> bool {
        let replaced = self
            .tail
            .number
            .saturating_add(1)
            .saturating_sub(self.region.pages);
        replaced < self.keep.number
    }

    fn index(&self, number: u32) -> u32 {
        number.checked_rem(self.region.pages).unwrap_or(0)
    }

    fn address<S: NorFlash>(&self, cursor: Cursor) -> u32 {
        let page = self.index(cursor.number).saturating_mul(page_len::<S>());
        self.region
            .start
            .saturating_add(page)
            .saturating_add(cursor.offset)
    }

    /// The number of the page at `index`, if its header is whole.
    async fn page_number<S: NorFlash>(
        &self,
        flash: &mut S,
        index: u32,
        scratch: &mut [u8],
    ) -> Result<Option<u32>, LogError<S::Error>> {
        let at = self.address::<S>(Cursor {
            number: index,
            offset: 0,
        });
        let bytes = scratch
            .get_mut(..start_of::<S>(0).offset as usize)
            .ok_or(LogError::Size)?;
        flash.read(at, bytes).await?;
        let Some((head, [c0, c1, c2, c3])) = bytes
            .get(..PAGE_HEAD)
            .and_then(|head| head.split_first_chunk::<8>())
        else {
            return Ok(None);
        };
        let [a, b, format, tag, n0, n1, n2, n3] = *head;
        let number = u32::from_le_bytes([n0, n1, n2, n3]);
        let crc = u32::from_le_bytes([*c0, *c1, *c2, *c3]);
        if [a, b] != MAGIC || tag != self.tag || Crc::new().with(head).value() != crc {
            return Ok(None);
        }
        if format != FORMAT {
            return Err(LogError::Format(format));
        }
        Ok(Some(number).filter(|number| *number > 0 && self.index(*number) == index))
    }

    /// Kind and length of the record at `cursor`, whose bytes are then in `scratch`; `None` if there is none.
    async fn read<S: NorFlash>(
        &self,
        flash: &mut S,
        cursor: Cursor,
        end: u32,
        scratch: &mut [u8],
    ) -> Result<Option<(u8, usize)>, LogError<S::Error>> {
        let least = stored_len::<S>(0);
        if cursor.offset.saturating_add(least) > end {
            return Ok(None);
        }
        let bytes = scratch.get_mut(..least as usize).ok_or(LogError::Size)?;
        flash.read(self.address::<S>(cursor), bytes).await?;
        let Some((head, rest)) = bytes.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let (head, [low, high, kind, check]) = (*head, *head);
        let Some(crc) = rest.first_chunk::<4>().map(|crc| u32::from_le_bytes(*crc)) else {
            return Ok(None);
        };
        let len = usize::from(u16::from_le_bytes([low, high]));
        let stored = stored_len::<S>(len);
        let fits = cursor.offset.saturating_add(stored) <= end && stored as usize <= scratch.len();
        if kind == 0xff || check != low ^ high ^ kind ^ CHECK || !fits {
            return Ok(None);
        }
        let bytes = scratch.get_mut(..stored as usize).ok_or(LogError::Size)?;
        flash.read(self.address::<S>(cursor), bytes).await?;
        let payload = bytes
            .get(HEAD..HEAD.saturating_add(len))
            .unwrap_or_default();
        let is_whole = record_crc(cursor.number, head, payload) == crc;
        Ok(is_whole.then_some((kind, len)))
    }

    /// Where the next record of the page goes: behind the last one, and behind all that a torn one may have touched.
    async fn end_of_page<S: NorFlash>(
        &self,
        flash: &mut S,
        number: u32,
        scratch: &mut [u8],
    ) -> Result<u32, LogError<S::Error>> {
        let page = page_len::<S>();
        let touched = self.end_of_touched(flash, number, scratch).await?;
        let mut at = start_of::<S>(number);
        let mut end = at.offset;
        while at.offset < touched {
            if let Some((_, len)) = self.read(flash, at, page, scratch).await? {
                at.offset = at.offset.saturating_add(stored_len::<S>(len));
                end = at.offset;
                continue;
            }
            // A torn record reaches as far as its head says; a torn head touched the word that was being written.
            let [low, high, kind, check] = head_of(scratch);
            let claimed = stored_len::<S>(u16::from_le_bytes([low, high]).into());
            let is_head = check == low ^ high ^ kind ^ CHECK;
            at.offset = at.offset.saturating_add(word::<S>());
            let torn = at
                .offset
                .saturating_add(if is_head { claimed } else { word::<S>() });
            end = end.max(torn.min(page));
        }
        Ok(end.max(touched))
    }

    /// Where in the page only erased words follow.
    async fn end_of_touched<S: NorFlash>(
        &self,
        flash: &mut S,
        number: u32,
        scratch: &mut [u8],
    ) -> Result<u32, LogError<S::Error>> {
        let mut end = page_len::<S>();
        let bytes = scratch
            .get_mut(..word::<S>() as usize)
            .ok_or(LogError::Size)?;
        while end > start_of::<S>(0).offset {
            let offset = end.saturating_sub(word::<S>());
            flash
                .read(self.address::<S>(Cursor { number, offset }), bytes)
                .await?;
            if bytes.iter().any(|byte| *byte != 0xff) {
                break;
            }
            end = offset;
        }
        Ok(end)
    }
}

/// Writes these one behind the other, and zeros to the end.
fn fill(bytes: &mut [u8], parts: &[&[u8]]) {
    bytes.fill(0);
    let parts = parts.iter().copied().flatten();
    for (place, byte) in bytes.iter_mut().zip(parts) {
        *place = *byte;
    }
}

fn head_of(scratch: &[u8]) -> [u8; 4] {
    scratch.first_chunk().copied().unwrap_or([0xff; 4])
}

/// The longest payload of a record.
pub(crate) fn most_payload<S: NorFlash>() -> usize {
    (most_stored::<S>() as usize).saturating_sub(HEAD)
}

/// How much of a page is for records.
pub(crate) fn most_stored<S: NorFlash>() -> u32 {
    page_len::<S>().saturating_sub(start_of::<S>(0).offset)
}

fn record_crc(number: u32, head: [u8; 4], payload: &[u8]) -> u32 {
    Crc::new()
        .with(&number.to_le_bytes())
        .with(&head)
        .with(payload)
        .value()
}

fn start_of<S: NorFlash>(number: u32) -> Cursor {
    Cursor {
        number,
        offset: rounded::<S>(PAGE_HEAD),
    }
}

/// How much of a page a record with so much payload takes.
pub(crate) fn stored_len<S: NorFlash>(payload_len: usize) -> u32 {
    rounded::<S>(HEAD.saturating_add(payload_len))
}

fn rounded<S: NorFlash>(len: usize) -> u32 {
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    len.div_ceil(word::<S>()).saturating_mul(word::<S>())
}

fn page_len<S: NorFlash>() -> u32 {
    u32::try_from(S::ERASE_SIZE).unwrap_or(u32::MAX)
}

/// The least that can be both read and written.
fn word<S: NorFlash>() -> u32 {
    u32::try_from(S::WRITE_SIZE.max(S::READ_SIZE))
        .unwrap_or(u32::MAX)
        .max(1)
}
