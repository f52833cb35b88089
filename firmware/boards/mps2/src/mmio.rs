use lan9118::Registers;

/// The registers of one peripheral.
#[derive(Clone, Copy)]
pub(crate) struct Peripheral {
    base: usize,
}

pub(crate) const TIMER0: Peripheral = Peripheral { base: 0x4000_0000 };
pub(crate) const TIMER1: Peripheral = Peripheral { base: 0x4000_1000 };
pub(crate) const UART0: Peripheral = Peripheral { base: 0x4000_4000 };
pub(crate) const ETHERNET: Peripheral = Peripheral { base: 0x4020_0000 };

/// Every peripheral here has at least this many bytes of registers.
const BYTES: u32 = 0x100;

impl Registers for Peripheral {
    fn read(&self, offset: u32) -> u32 {
        assert!(offset < BYTES && offset.is_multiple_of(4));
        // SAFETY: an aligned register of a peripheral of this board, which no Rust object overlaps.
        unsafe { ((self.base + offset as usize) as *const u32).read_volatile() }
    }

    fn write(&self, offset: u32, value: u32) {
        assert!(offset < BYTES && offset.is_multiple_of(4));
        // SAFETY: as in `read`; none of these peripherals writes memory by itself.
        unsafe { ((self.base + offset as usize) as *mut u32).write_volatile(value) }
    }
}
