//! embassy's executor, asleep by WFI. The ready-made one sleeps by WFE, which QEMU does not: it would spin.

use core::sync::atomic::{AtomicBool, Ordering};

use embassy_executor::{Spawner, raw::Executor};
use static_cell::StaticCell;

/// Some task was woken since the last poll.
static WOKEN: AtomicBool = AtomicBool::new(false);

/// Called by embassy-executor, by name, whenever a task is woken.
// SAFETY: no other crate of this image defines the pender: embassy-executor is built without a platform.
#[unsafe(export_name = "__pender")]
fn pender(_context: *mut ()) {
    WOKEN.store(true, Ordering::Release);
}

/// Runs the tasks that `init` spawns, and theirs. Called once; never returns.
pub(crate) fn run(init: impl FnOnce(Spawner)) -> ! {
    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    let executor: &'static Executor = EXECUTOR.init(Executor::new(core::ptr::null_mut()));
    init(executor.spawner());
    loop {
        WOKEN.store(false, Ordering::Release);
        // SAFETY: only here, so it is never polled from within itself.
        unsafe { executor.poll() };
        // With interrupts off, one that comes behind the look at WOKEN ends the sleep and is handled after it.
        cortex_m::interrupt::free(|_| {
            if !WOKEN.load(Ordering::Acquire) {
                cortex_m::asm::wfi();
            }
        });
    }
}
