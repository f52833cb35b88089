//! Ends QEMU with a status, by semihosting (`-semihosting-config enable=on,target=native`).

use cortex_m_rt::{ExceptionFrame, exception};
use cortex_m_semihosting::debug::{self, EXIT_FAILURE, EXIT_SUCCESS};

use crate::console::print;

/// Ends with status 0.
pub fn success() -> ! {
    loop {
        debug::exit(EXIT_SUCCESS);
    }
}

/// Prints why and ends with status 1.
pub fn failure(why: core::fmt::Arguments<'_>) -> ! {
    print(why);
    loop {
        debug::exit(EXIT_FAILURE);
    }
}

#[panic_handler]
fn panicked(info: &core::panic::PanicInfo<'_>) -> ! {
    failure(format_args!("{info}"))
}

/// A fault of the processor: a wild pointer, or a stack that ran over its end.
// SAFETY: the handler only prints and ends.
#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    failure(format_args!("hard fault at {:#010x}", frame.pc()))
}
