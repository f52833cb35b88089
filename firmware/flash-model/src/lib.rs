//! A NOR flash in memory, for tests on a host and under an emulator alike (`no_std`, any memory that survives a reset).
//!
//! It behaves as flash does and real programs forget: a write clears bits and never sets one, an erase sets those of
//! whole pages, words are written whole, aligned, and at most [`Geometry::WRITES`] times between two erases. A violation
//! panics. What it does is noted in the memory itself before it is done, so a power cut at any moment leaves a word that
//! is partly written or a page that is partly erased, chosen by a seed when the power returns ([`Flash::power_on`]).
//!
//! ```text
//! memory   data: pages × page bytes · erases of each page: u32le · writes of each word since its erase: u8
//!          journal: operation u8 (0 none, 1 write, 2 erase) · writes before u8 · padding 2 · address u32le ·
//!                   word to be written · word before
//! ```
//!
//! An operation takes no time, unless somebody takes it ([`Flash::take_time`]): on a board, the time in which a reset meets it.
//!
//! On a host the cut is chosen ([`Flash::cut_at`]). An emulated board is reset between any two of its instructions: the
//! note is in memory before the first byte changes, and gone after the last.
//!
//! Memory that holds anything else than a flash is [`Flash::format`]ted first.

#![no_std]
#![expect(
    clippy::arithmetic_side_effects,
    reason = "in a model for tests an overflow may panic like any other violation"
)]

mod random;

use core::{
    convert::Infallible,
    sync::atomic::{Ordering, compiler_fence},
};

use embedded_storage_async::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
pub use random::Random;

/// What a flash is made of: `PAGE` bytes are erased at once, `WORD` bytes written at once.
#[derive(Debug)]
pub struct Geometry<const PAGE: usize, const WORD: usize>(Infallible);

impl<const PAGE: usize, const WORD: usize> Geometry<PAGE, WORD> {
    /// How often a word may be written between two erases: once, and once more to clear what was written.
    pub const WRITES: u8 = 2;

    /// How much memory a flash of so many pages needs.
    #[must_use]
    pub const fn memory_len(pages: usize) -> usize {
        let words = pages * PAGE / WORD;
        pages * (PAGE + 4) + words + JOURNAL_HEAD + 2 * WORD
    }

    /// How many pages fit into so much memory.
    const fn pages(memory_len: usize) -> usize {
        let each = PAGE + 4 + PAGE / WORD;
        memory_len.saturating_sub(JOURNAL_HEAD + 2 * WORD) / each
    }
}

const JOURNAL_HEAD: usize = 8;
const NONE: u8 = 0;
const WRITE: u8 = 1;
const ERASE: u8 = 2;

/// The power is gone: nothing more happens until [`Flash::power_on`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerCut;

impl NorFlashError for PowerCut {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

/// What a flash does to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Writes a word.
    Write,
    /// Erases a page.
    Erase,
}

/// A flash of `PAGE`-byte pages and `WORD`-byte words over the memory `M`.
#[derive(Debug)]
pub struct Flash<M, const PAGE: usize, const WORD: usize> {
    memory: M,
    pages: usize,
    operations: u64,
    cut_at: Option<u64>,
    take_time: fn(Operation),
}

impl<M: AsRef<[u8]> + AsMut<[u8]>, const PAGE: usize, const WORD: usize> Flash<M, PAGE, WORD> {
    /// An erased flash that never wore, of as many pages as the memory holds.
    ///
    /// # Panics
    ///
    /// The memory does not hold a page.
    #[must_use]
    pub fn format(memory: M) -> Self {
        let mut flash = Self::over(memory);
        let data = flash.data_len();
        let (data, rest) = flash.memory.as_mut().split_at_mut(data);
        data.fill(0xff);
        rest.fill(0);
        flash
    }

    /// What the power finds: the operation that was in flight has been done in part, as `seed` says.
    ///
    /// # Panics
    ///
    /// The memory does not hold a page.
    #[must_use]
    pub fn power_on(memory: M, seed: u64) -> Self {
        let mut flash = Self::over(memory);
        let mut random = Random::new(seed);
        let address = flash.u32_at(flash.journal() + 4);
        match flash.byte(flash.journal()) {
            WRITE => flash.write_in_part(address, &mut random),
            ERASE => flash.erase_in_part(address, &mut random),
            _ => {}
        }
        flash.set_byte(flash.journal(), NONE);
        flash
    }

    /// Cuts the power in place of the `operation`th word written or page erased from here on, counted from 0.
    pub fn cut_at(&mut self, operation: u64) {
        self.cut_at = Some(self.operations + operation);
    }

    /// Has `take_time` called in the middle of each operation, which takes as long as that does.
    pub fn take_time(&mut self, take_time: fn(Operation)) {
        self.take_time = take_time;
    }

    /// How many words were written and pages erased since the power came.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.operations
    }

    /// How often each page was erased.
    pub fn erases(&self) -> impl Iterator<Item = u32> {
        (0..self.pages).map(|page| self.u32_at(self.erases_at(page)))
    }

    /// The memory, for the next [`Flash::power_on`].
    #[must_use]
    pub fn into_memory(self) -> M {
        self.memory
    }

    fn over(memory: M) -> Self {
        let pages = Geometry::<PAGE, WORD>::pages(memory.as_ref().len());
        assert!(pages > 0, "the memory does not hold a page");
        Flash {
            memory,
            pages,
            operations: 0,
            cut_at: None,
            take_time: |_| {},
        }
    }

    fn data_len(&self) -> usize {
        self.pages * PAGE
    }

    fn erases_at(&self, page: usize) -> usize {
        self.data_len() + page * 4
    }

    fn writes_at(&self, address: usize) -> usize {
        self.erases_at(self.pages) + address / WORD
    }

    fn journal(&self) -> usize {
        self.writes_at(self.data_len())
    }

    fn byte(&self, at: usize) -> u8 {
        self.memory
            .as_ref()
            .get(at)
            .copied()
            .expect("the memory holds the whole model")
    }

    fn set_byte(&mut self, at: usize, byte: u8) {
        *self
            .memory
            .as_mut()
            .get_mut(at)
            .expect("the memory holds the whole model") = byte;
    }

    fn u32_at(&self, at: usize) -> u32 {
        let bytes = [0, 1, 2, 3].map(|offset| self.byte(at + offset));
        u32::from_le_bytes(bytes)
    }

    fn set_u32(&mut self, at: usize, value: u32) {
        for (offset, byte) in value.to_le_bytes().into_iter().enumerate() {
            self.set_byte(at + offset, byte);
        }
    }

    /// Notes what is about to happen, or cuts the power there.
    fn begin(&mut self, operation: u8, address: usize) -> Result<(), PowerCut> {
        let journal = self.journal();
        if self.cut_at.is_some_and(|cut_at| self.operations > cut_at) {
            return Err(PowerCut);
        }
        self.set_u32(
            journal + 4,
            u32::try_from(address).expect("a flash is below 4 GiB"),
        );
        // A reset may come between any two stores, and must not find the second of these without the first, or what
        // follows without both.
        compiler_fence(Ordering::SeqCst);
        self.set_byte(journal, operation);
        compiler_fence(Ordering::SeqCst);
        let is_cut = self.cut_at == Some(self.operations);
        self.operations += 1;
        if is_cut { Err(PowerCut) } else { Ok(()) }
    }

    fn done(&mut self) {
        compiler_fence(Ordering::SeqCst);
        self.set_byte(self.journal(), NONE);
        compiler_fence(Ordering::SeqCst);
    }

    fn write_word(&mut self, address: usize, word: &[u8]) -> Result<(), PowerCut> {
        let writes = self.byte(self.writes_at(address)) + 1;
        assert!(
            writes <= Geometry::<PAGE, WORD>::WRITES,
            "the word at {address:#x} is written once too often"
        );
        let noted = self.journal() + JOURNAL_HEAD;
        for (offset, byte) in word.iter().enumerate() {
            self.set_byte(noted + offset, *byte);
            self.set_byte(noted + WORD + offset, self.byte(address + offset));
        }
        self.set_byte(self.journal() + 1, writes - 1);
        self.begin(WRITE, address)?;
        (self.take_time)(Operation::Write);
        self.set_byte(self.writes_at(address), writes);
        for (offset, byte) in word.iter().enumerate() {
            let at = address + offset;
            self.set_byte(at, self.byte(at) & byte);
        }
        self.done();
        Ok(())
    }

    fn erase_page(&mut self, address: usize) -> Result<(), PowerCut> {
        self.begin(ERASE, address)?;
        (self.take_time)(Operation::Erase);
        let page = address / PAGE;
        for at in address..address + PAGE {
            self.set_byte(at, 0xff);
        }
        for at in (address..address + PAGE).step_by(WORD) {
            self.set_byte(self.writes_at(at), 0);
        }
        self.set_u32(self.erases_at(page), self.u32_at(self.erases_at(page)) + 1);
        self.done();
        Ok(())
    }

    /// Of the bits that were to be cleared, some are, however far the writing had come. A word that none was cleared in
    /// counts as not written: nobody could tell.
    fn write_in_part(&mut self, address: u32, random: &mut Random) {
        let address = usize::try_from(address).expect("an address fits");
        let noted = self.journal() + JOURNAL_HEAD;
        let mut is_changed = false;
        for offset in 0..WORD {
            let at = address + offset;
            let before = self.byte(noted + WORD + offset);
            let left = before & (self.byte(noted + offset) | random.byte());
            is_changed |= left != before;
            self.set_byte(at, left);
        }
        let writes = self.byte(self.journal() + 1) + u8::from(is_changed);
        self.set_byte(self.writes_at(address), writes);
    }

    /// Of the bits that were to be set, some are: word by word none, some, or all. The page needs another erase before
    /// it is written, but whoever finds it cannot know: its words may be written as if it were erased.
    fn erase_in_part(&mut self, address: u32, random: &mut Random) {
        let address = usize::try_from(address).expect("an address fits");
        for word in (address..address + PAGE).step_by(WORD) {
            let how = random.byte() % 3;
            for at in word..word + WORD {
                let set = match how {
                    0 => 0,
                    1 => random.byte(),
                    _ => 0xff,
                };
                self.set_byte(at, self.byte(at) | set);
            }
            self.set_byte(self.writes_at(word), 0);
        }
    }
}

impl<M, const PAGE: usize, const WORD: usize> ErrorType for Flash<M, PAGE, WORD> {
    type Error = PowerCut;
}

impl<M: AsRef<[u8]> + AsMut<[u8]>, const PAGE: usize, const WORD: usize> ReadNorFlash
    for Flash<M, PAGE, WORD>
{
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), PowerCut> {
        if self.cut_at.is_some_and(|cut_at| self.operations > cut_at) {
            return Err(PowerCut);
        }
        let start = usize::try_from(offset).expect("an address fits");
        let end = start + bytes.len();
        assert!(
            end <= self.data_len(),
            "a read from {start:#x} to {end:#x} leaves the flash"
        );
        bytes.copy_from_slice(
            self.memory
                .as_ref()
                .get(start..end)
                .expect("it was checked"),
        );
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.data_len()
    }
}

impl<M: AsRef<[u8]> + AsMut<[u8]>, const PAGE: usize, const WORD: usize> NorFlash
    for Flash<M, PAGE, WORD>
{
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), PowerCut> {
        let (from, to) = (usize::try_from(from), usize::try_from(to));
        let (Ok(from), Ok(to)) = (from, to) else {
            panic!("an address fits")
        };
        assert!(
            from.is_multiple_of(PAGE) && to.is_multiple_of(PAGE),
            "an erase of parts of pages: {from:#x} to {to:#x}"
        );
        assert!(
            from <= to && to <= self.data_len(),
            "an erase from {from:#x} to {to:#x} leaves the flash"
        );
        for page in (from..to).step_by(PAGE) {
            self.erase_page(page)?;
        }
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), PowerCut> {
        let start = usize::try_from(offset).expect("an address fits");
        let end = start + bytes.len();
        let aligned = start.is_multiple_of(WORD) && bytes.len().is_multiple_of(WORD);
        assert!(
            aligned,
            "a misaligned write of {} bytes at {start:#x}",
            bytes.len()
        );
        assert!(
            end <= self.data_len(),
            "a write from {start:#x} to {end:#x} leaves the flash"
        );
        for (index, word) in bytes.chunks(WORD).enumerate() {
            self.write_word(start + index * WORD, word)?;
        }
        Ok(())
    }
}

impl<M: AsRef<[u8]> + AsMut<[u8]>, const PAGE: usize, const WORD: usize> MultiwriteNorFlash
    for Flash<M, PAGE, WORD>
{
}
