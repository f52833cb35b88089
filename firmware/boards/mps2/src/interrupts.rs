use cortex_m::{interrupt::InterruptNumber, peripheral::NVIC};

use crate::{network, time};

/// The interrupts this board uses, by their number.
#[derive(Clone, Copy)]
#[repr(u16)]
pub(crate) enum Interrupt {
    Timer0 = 8,
    Timer1 = 9,
    Ethernet = 13,
}

// SAFETY: the numbers are below the length of the table, and each is of one line.
unsafe impl InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        self as u16
    }
}

/// Lets an interrupt through to its handler. The peripheral must be quiet by then.
pub(crate) fn unmask(interrupt: Interrupt) {
    // SAFETY: no critical section of ours is made by masking one interrupt.
    unsafe { NVIC::unmask(interrupt) }
}

type Handler = extern "C" fn();

/// The part of the vector table behind the exceptions, which cortex-m-rt links by its name.
// SAFETY: cortex-m-rt places this section right behind its own table of exceptions and asks for the name.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
static __INTERRUPTS: [Handler; 14] = {
    let mut table: [Handler; 14] = [unexpected; 14];
    table[Interrupt::Timer0 as usize] = time::handle_overflow;
    table[Interrupt::Timer1 as usize] = time::handle_alarm;
    table[Interrupt::Ethernet as usize] = network::handle_interrupt;
    table
};

extern "C" fn unexpected() {
    panic!("an interrupt that nobody unmasked");
}
