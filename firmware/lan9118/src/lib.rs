//! A driver of the LAN9118 Ethernet controller (SMSC, now Microchip) and its kin for embassy-net, `no_std`.
//!
//! It is not a network stack, and it touches no memory: the board gives it [`Registers`].
//!
//! ```text
//!  embassy-net ◀── frames ──▶ Lan9118 ── Registers ──▶ chip
//!       ▲                                               │ interrupt line
//!       └────────── waker ◀── Interrupt::handle ◀───────┘
//! ```
//!
//! The interrupt line of the chip is active low out of reset, which a board with an active-high input sees as an
//! interrupt that never ends: unmask it only after [`Lan9118::start`] has returned.
//!
//! # Invariants
//!
//! - Every wait for the chip is bounded; one that does not answer is a [`StartError`] or a link that is down.
//! - A frame that the chip marks as damaged, or that is longer than [`FRAME_BYTES`], is taken off and dropped; TCP
//!   sends it again.
//! - Interrupts are on only while somebody waits: the handler turns them off, the next wait turns them on.

#![no_std]

mod driver;
mod interrupt;
mod link;
mod registers;
mod start;

pub use driver::{Frames, Lan9118, Receive, Transmit};
pub use interrupt::Interrupt;
pub use registers::Registers;
pub use start::StartError;

/// The longest frame, without its check sequence.
pub const FRAME_BYTES: usize = 1514;
