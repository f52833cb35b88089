//! The broker over a simulated disk, packet by packet.

mod durability;
mod harness;
mod protocol;
mod sessions;
