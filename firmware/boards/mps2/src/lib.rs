//! The board that QEMU plays: `qemu-system-arm -M mps2-an385`, a Cortex-M3 with a LAN9118 on Ethernet.
//!
//! It brings what the application needs of a board, and nothing of what the application does:
//!
//! ```text
//!  interrupts ──▶ time        CMSDK timer 0 counts, timer 1 wakes           embassy-time
//!             ──▶ network     LAN9118, DHCP                                 embassy-net
//!                 executor    sleeps by WFI                                 embassy-executor
//!                 psram       seed, configuration block                     what QEMU's loader put there
//!                 flash       pages and words in PSRAM, kept over a reset   embedded-storage-async
//!                 console     the first serial port                         log
//!                 client      what the images around the client share
//!                 exit        ends QEMU with a status, by semihosting
//! ```
//!
//! All `unsafe` of the firmware is in the boards, where registers and raw memory are.

#![no_std]

pub mod client;
pub mod console;
pub mod executor;
pub mod exit;
pub mod flash;
mod interrupts;
mod mmio;
pub mod network;
pub mod psram;
mod time;

use embassy_executor::Spawner;

/// Starts clock, console and executor, and has `init` spawn the first tasks. Never returns.
pub fn start(init: impl FnOnce(Spawner)) -> ! {
    console::start();
    time::start();
    executor::run(init)
}
