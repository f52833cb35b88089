//! What makes a board this device and no other: its id, its node, its Wi-Fi, its credentials. `provision` writes it as
//! a file, the firmware reads it from flash; both by this crate, `no_std` and without an allocator.
//!
//! It is no store for what the firmware learns: counters and events have a region of their own.
//!
//! # The bytes
//!
//! The block is two copies of [`COPY_BYTES`] each, at addresses that are erased apart from each other: where a board
//! keeps them and how far apart is the board's matter. Everything from the end of a copy's check to its last byte is
//! 0xff, as erased flash is. Numbers are little-endian.
//!
//! ```text
//!  0  4  "EDGC"
//!  4  1  version of the format: 1
//!  5  1  0
//!  6  2  n: bytes of the fields (at most 492)
//!  8  4  generation, at least 1
//! 12  n  fields: { tag u8 · length u8 · value }
//! 12+n 4  CRC-32 (IEEE 802.3) of all bytes before it
//! ```
//!
//! ```text
//! tag  value                                                      there
//!   1  device id: 1 to 64 of A–Z a–z 0–9 . _ -                    always
//!   2  host of the node: name or IPv4 address, 1 to 63 of A–Z a–z 0–9 . -   always
//!   3  port of the node: u16, at least 1                          always
//!   4  network name of the Wi-Fi: 1 to 32 bytes of UTF-8          with Wi-Fi
//!   5  passphrase of the Wi-Fi: 8 to 63 printable ASCII           with a protected Wi-Fi, after 4
//!   6  user at the node: 1 to 64 bytes of UTF-8                   with credentials
//!   7  password at the node: 1 to 64 bytes                        with credentials, after 6
//!   8  the node's number of these settings: u32                   where the node gave them
//!   9  the number of those that were tried and undone: u32        where that is the last thing that happened
//! 128  nothing                                                    while they are to be tried
//! ```
//!
//! Fields stand in the order of their tags, each at most once. A tag below 128 that a reader does not know is passed
//! over; one from 128 on makes it refuse the copy, so that a later field can be one that must not be ignored.
//!
//! # Which copy holds
//!
//! Of the readable copies the one with the greater generation; with equal ones the first.
//!
//! # Settings that the node gives
//!
//! They are a copy as above, of the same id. The board stores them beside the copy that holds, starts anew, and has them hold
//! once the node has welcomed it. [`Kept`] does it in three writes, each to the page that does not hold, so that one whole
//! copy that is known to work is there, whatever instant the power goes:
//!
//! ```text
//!                                    page        page        a start finds
//!                                    A holds     –           A
//!  give: B beside A                  A holds     B trial     B, once: it is
//!  open: they are on trial           A           A undid B   in memory only, and A is what any further start finds
//!  confirm: the node is reached      B holds     A undid B   B
//! ```

#![no_std]

mod copy;
mod error;
mod kept;
mod settings;

pub use copy::{COPY_BYTES, Configuration, Place, Standing, encode, read};
pub use error::{CopyError, OpenError, SettingsError, Unreadable};
pub use kept::{Given, Kept};
pub use settings::{Credentials, Settings, Wifi};
