//! The flash of this board: [`flash_model`] in PSRAM, which keeps it over a reset, and the operation that a reset cut
//! with it. It behaves as flash of 256 KiB does, and panics where a driver asks for what flash does not do.
//!
//! ```text
//! 0x2110_0000  16 bytes  what tells a flash from the memory QEMU starts with
//! 0x2110_0010            the model's memory, as flash-model describes it
//! ```

use core::sync::atomic::{Ordering, compiler_fence};

use flash_model::{Flash, Geometry};

use crate::psram;

/// Bytes that are erased at once.
pub const PAGE: usize = 4096;
/// Bytes that are written at once.
pub const WORD: usize = 4;
/// How many pages there are.
pub const PAGES: usize = 64;

/// A flash for whatever takes `NorFlash` or `MultiwriteNorFlash`.
pub type BoardFlash = Flash<&'static mut [u8], PAGE, WORD>;

const MARK: [u8; 16] = *b"flash 64x4096x4\n";
const MEMORY: usize = Geometry::<PAGE, WORD>::memory_len(PAGES);

/// The flash as the power finds it: erased in a QEMU that was just started; after a reset with what was in it, and what
/// was in flight done in part, as `seed` says. `None` for all but the first caller.
#[must_use]
pub fn power_on(seed: u64) -> Option<BoardFlash> {
    let (mark, rest) = psram::flash()?.split_at_mut(MARK.len());
    let memory = &mut rest[..MEMORY];
    if *mark == MARK {
        return Some(Flash::power_on(memory, seed));
    }
    let flash = Flash::format(memory);
    // A reset during the format must not leave the mark on half of one.
    compiler_fence(Ordering::SeqCst);
    mark.copy_from_slice(&MARK);
    Some(flash)
}
