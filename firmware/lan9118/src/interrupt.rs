use core::task::Waker;

use embassy_sync::waitqueue::AtomicWaker;

use crate::{
    Registers,
    registers::{INT_EN, INT_STS, PHY, RX_WAITS, TX_ROOM},
};

/// Where the interrupt handler meets the driver: one per chip, in a static.
pub struct Interrupt {
    waker: AtomicWaker,
}

impl Default for Interrupt {
    fn default() -> Interrupt {
        Interrupt::new()
    }
}

impl Interrupt {
    /// One that nobody waits for.
    #[must_use]
    pub const fn new() -> Interrupt {
        Interrupt {
            waker: AtomicWaker::new(),
        }
    }

    /// To be called by the handler of the chip's interrupt line: silences the chip and wakes the driver.
    pub fn handle(&self, chip: &impl Registers) {
        chip.write(INT_EN, 0);
        self.waker.wake();
    }

    /// Has `waker` woken when a frame comes, the link changes, or, if `room` is wanted, when a frame finds room to be
    /// sent. The caller looks once more at what it waits for between [`Interrupt::register`] and this.
    pub(crate) fn enable(chip: &impl Registers, room: bool) {
        let room = if room { TX_ROOM } else { 0 };
        chip.write(INT_EN, RX_WAITS | PHY | room);
    }

    /// Makes `waker` the one that is woken, and forgets what was there before.
    pub(crate) fn register(&self, chip: &impl Registers, waker: &Waker) {
        self.waker.register(waker);
        chip.write(INT_STS, RX_WAITS | TX_ROOM);
    }
}
