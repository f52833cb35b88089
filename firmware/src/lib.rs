//! The device client: what a microcontroller commits to its outbox reaches the node, once in effect and in order,
//! whatever happens to power and link. `no_std`, without an allocator.
//!
//! ```text
//!  publish ──▶ outbox: memory ──▶ flash          what is owed, and its identity      [`outbox`]
//!                        └──────┴──▶ messages ──▶ the node
//!              acknowledgement ◀──────────────────┘  removes what it covers
//!
//!  link      what is said next, decided without a socket or a clock                  [`link`]
//!  mqtt      the packets of MQTT 5 a device needs                                    [`mqtt`]
//!  client    carries bytes between them and the node                                 [`client`]
//!  publisher the same to any other broker, as CloudEvents, promising less           [`publisher`]
//! ```
//!
//! # Invariants
//!
//! - When `publish` says "committed", the event is in flash, and stays there until the node acknowledges it or its class,
//!   being full, gives up its oldest, which is counted and announced.
//! - No (incarnation, boot, stream, sequence) names two events. A boot is counted in flash before its first event.
//! - A sequence is given when an event enters memory, so whatever is lost behind that shows as a gap.

#![no_std]

mod class;
pub mod client;
pub mod cloudevent;
mod crc;
pub mod link;
mod log;
pub mod mqtt;
pub mod outbox;
pub mod publisher;
mod ring;
mod store;

pub use class::{Class, Commit, Published, WhenFull};
pub use log::Region;
pub use outbox::{Layout, Outbox};
