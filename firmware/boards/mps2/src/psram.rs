//! What QEMU's loader puts into PSRAM, which keeps it over a reset (`system_reset`), as flash would.
//!
//! ```text
//! 0x2100_0000  32 bytes of seed: this board's generator of random numbers
//! 0x2100_0100  4 bytes: how often the board was started since QEMU was; the loader leaves them alone
//! 0x2100_0110  the books of an image that is tested (`Books`), for a reader of PSRAM: four words
//! 0x2100_1000  configuration block, first copy
//! 0x2100_2000  configuration block, second copy
//! 0x2110_0000  1 MiB for a flash: see `flash`
//! ```

use core::sync::atomic::{AtomicBool, Ordering};

use configuration::COPY_BYTES;

const SEED: usize = 0x2100_0000;
const BOOTS: usize = 0x2100_0100;
const BOOKS: usize = 0x2100_0110;
const FIRST_COPY: usize = 0x2100_1000;
const SECOND_COPY: usize = 0x2100_2000;
const FLASH: usize = 0x2110_0000;

const FLASH_BYTES: usize = 1024 * 1024;

/// The seed. All zero if the loader was not asked for one, which is no seed at all.
#[must_use]
pub fn seed() -> &'static [u8; 32] {
    // SAFETY: PSRAM is there from the start, no linker places anything in it, and nothing writes to this part.
    unsafe { &*(SEED as *const [u8; 32]) }
}

/// Counts this start of the board, from 1; called once per start.
pub fn count_boot() -> u32 {
    let counter = BOOTS as *mut u32;
    // SAFETY: as in `seed`, but for this word, which only this function touches, through a pointer.
    unsafe {
        let boot = counter.read_volatile().wrapping_add(1);
        counter.write_volatile(boot);
        boot
    }
}

/// What an image says of its outbox to a reader of PSRAM, behind each change: incarnation and boot, how many events of this
/// boot are in flash, and how often one was refused because there was no room.
pub struct Books(());

impl Books {
    /// Those of this boot, of which nothing is in flash.
    #[must_use]
    pub fn open(incarnation: u32, boot: u32) -> Books {
        let mut books = Books(());
        // Whoever reads between these knows by incarnation and boot of whom the counts are, so they go first.
        books.write(2, 0);
        books.write(3, 0);
        books.write(0, incarnation);
        books.write(1, boot);
        books
    }

    /// One more event is in flash.
    pub fn note_committed(&mut self) {
        self.count(2);
    }

    /// An event was refused.
    pub fn note_refused(&mut self) {
        self.count(3);
    }

    fn count(&mut self, index: usize) {
        let word = (BOOKS as *mut u32).wrapping_add(index);
        // SAFETY: as in `write`.
        let count = unsafe { word.read_volatile() };
        self.write(index, count.wrapping_add(1));
    }

    fn write(&mut self, index: usize, value: u32) {
        let word = (BOOKS as *mut u32).wrapping_add(index);
        // SAFETY: as in `seed`, but for these four words, which only this type touches, through pointers.
        unsafe { word.write_volatile(value) };
    }
}

/// Eight bytes that differ from seed to seed and from boot to boot: FNV-1a over both.
#[must_use]
pub fn random(boot: u32) -> u64 {
    let bytes = seed().iter().copied().chain(boot.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The two copies of the configuration block, as the loader brings them at each start and reset.
#[must_use]
pub fn configuration() -> [&'static [u8; COPY_BYTES]; 2] {
    // SAFETY: as in `seed`.
    [FIRST_COPY, SECOND_COPY].map(|at| unsafe { &*(at as *const [u8; COPY_BYTES]) })
}

/// The region for a flash; `None` for all but the first caller.
pub(crate) fn flash() -> Option<&'static mut [u8; FLASH_BYTES]> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) {
        return None;
    }
    // SAFETY: as in `seed`; and `TAKEN` hands it out once.
    Some(unsafe { &mut *(FLASH as *mut [u8; FLASH_BYTES]) })
}
