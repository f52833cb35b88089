//! The first serial port, for `log` and for last words.

use core::fmt;

use lan9118::Registers as _;

use crate::mmio::UART0;

const DATA: u32 = 0x0;
const STATE: u32 = 0x4;
const CONTROL: u32 = 0x8;
const DIVISOR: u32 = 0x10;

const FULL: u32 = 1;
const SEND: u32 = 1;
/// The least it takes; QEMU sends at once whatever it says.
const FASTEST: u32 = 16;

/// Writes to the serial port, waiting while it is full.
pub struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            while UART0.read(STATE) & FULL != 0 {}
            UART0.write(DATA, u32::from(byte));
        }
        Ok(())
    }
}

/// Writes one line; without `log` none, and nothing is formatted.
pub fn print(line: fmt::Arguments<'_>) {
    if cfg!(feature = "log") {
        use fmt::Write as _;
        let _ = writeln!(Console, "{line}"); // the console does not fail
    }
}

pub(crate) fn start() {
    UART0.write(DIVISOR, FASTEST);
    UART0.write(CONTROL, SEND);
    #[cfg(feature = "log")]
    {
        // Nobody else sets a logger; if somebody did, theirs is as good.
        let _ = log::set_logger(&Console);
        log::set_max_level(log::LevelFilter::Info);
    }
}

#[cfg(feature = "log")]
impl log::Log for Console {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let millis = embassy_time::Instant::now().as_millis();
        print(format_args!("{millis:>8} ms  {}", record.args()));
    }

    fn flush(&self) {}
}
