//! The broker over a simulated disk, packet by packet.

mod durability;
pub(crate) mod harness;
mod protocol;
mod sessions;
mod sinks;
mod withheld;
