//! The one application all boards run: a sensor is read on time, and its readings are published to the node.
//! `no_std`, without an allocator. A board brings pins, memory and a network stack; nothing here knows which board it is.
//!
//! ```text
//!  Sensor ──▶ measure ──▶ Publisher (Outbox, in flash) ──▶ Link::run ──▶ TCP over embassy-net ──▶ node
//!   Sht31       ▲                                          │
//!   Simulated   └──────────── Pace ◀───────── Orders ◀─────┘  commands, configuration
//! ```
//!
//! # What it promises
//!
//! A reading is in flash before the next one is taken, and stays there until the node has acknowledged it: a reset, a
//! lost link and a node that is away cost none. When the flash is full the oldest page of readings makes room, and the
//! node is told which ones.
//!
//! A command that sets something is done exactly once; any other one at most once, and the node is told when a reset kept the
//! board from saying how it ended. A configuration under which the node does not welcome the board within [`TRIAL`] of its
//! start is undone, and so is one in whose trial the board is reset.

#![no_std]

#[macro_use]
mod say;

mod blocking;
mod link;
mod measure;
mod orders;
mod outbox;
mod pace;
mod reading;
mod sensor;
mod sht31;
mod simulated;
mod socket;

pub use blocking::Blocking;
pub use firmware::{Region, outbox::OpenError};
pub use link::{Link, TRIAL};
pub use measure::{Publisher, measure};
pub use outbox::{LEAST_PAGES, Outbox, open};
pub use pace::Pace;
pub use reading::Reading;
pub use sensor::Sensor;
pub use sht31::{ADDRESS, Sht31, Sht31Error};
pub use simulated::Simulated;
pub use socket::LinkBuffers;
