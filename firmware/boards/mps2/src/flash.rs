//! The flash of this board: [`flash_model`] in PSRAM, which keeps it over a reset, and the operation that a reset cut
//! with it. It behaves as flash of 256 KiB does, and panics where a driver asks for what flash does not do.
//!
//! ```text
//! 0x2110_0000  16 bytes  what tells a flash from the memory QEMU starts with
//! 0x2110_0010            the model's memory, as flash-model describes it: the outbox, and in the last two pages the
//!                        configuration block
//! ```

use core::sync::atomic::{Ordering, compiler_fence};

use embassy_futures::block_on;
use embedded_storage_async::nor_flash::NorFlash as _;
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

/// The pages before the configuration block.
pub const OUTBOX_PAGES: usize = PAGES - 2;
/// Where the configuration block is.
pub const BLOCK: u32 = (OUTBOX_PAGES * PAGE) as u32;

/// The flash as the power finds it: in a QEMU that was just started erased, but for the configuration block that the loader
/// brought; after a reset with what was in it, and what was in flight done in part, as `seed` says. `None` for all but
/// the first caller.
#[must_use]
pub fn power_on(seed: u64) -> Option<BoardFlash> {
    let (mark, rest) = psram::flash()?.split_at_mut(MARK.len());
    let memory = &mut rest[..MEMORY];
    if *mark == MARK {
        return Some(Flash::power_on(memory, seed));
    }
    let mut flash = Flash::format(memory);
    provision(&mut flash);
    // A reset during the format must not leave the mark on half of one.
    compiler_fence(Ordering::SeqCst);
    mark.copy_from_slice(&MARK);
    Some(flash)
}

/// Does what the tool that flashes a block does.
fn provision(flash: &mut BoardFlash) {
    for (at, copy) in (BLOCK..).step_by(PAGE).zip(psram::configuration()) {
        // It is ready at once, and nobody cuts the power of a model by order.
        let _ = block_on(flash.write(at, copy));
    }
}
