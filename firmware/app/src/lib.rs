//! The one application all boards run: a sensor is read on time, and its readings are published to the node.
//! `no_std`, without an allocator. A board brings pins, memory and a network stack; nothing here knows which board it is.
//!
//! ```text
//!  Sensor ──▶ measure ──▶ Publisher (Queue) ──▶ Link::run ──▶ MQTT 5 over embassy-net ──▶ node
//!   Sht31
//!   Simulated
//! ```
//!
//! # What it promises
//!
//! A reading leaves the queue when the node has acknowledged it; after a lost link it is sent again with the same id,
//! so that the node's rules can tell a repeat. The queue is in RAM and holds [`QUEUED`] readings: one more pushes the
//! oldest out, counted and reported with the next reading, and a reset empties it.

#![no_std]

#[macro_use]
mod say;

mod backoff;
mod link;
mod measure;
mod queue;
mod reading;
mod sensor;
mod sht31;
mod simulated;
mod wire;

pub use link::{Link, LinkBuffers};
pub use measure::{Publisher, measure};
pub use queue::{QUEUED, Queue};
pub use reading::Reading;
pub use sensor::Sensor;
pub use sht31::{ADDRESS, Sht31, Sht31Error};
pub use simulated::Simulated;
pub use wire::Unflushed;
