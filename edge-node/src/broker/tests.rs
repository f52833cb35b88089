//! The broker over a simulated disk, packet by packet.

mod bounds;
mod devices;
mod doors;
mod durability;
mod failing_disk;
mod flight;
mod full_lane;
mod full_log;
mod gaps;
pub(crate) mod harness;
mod identity;
mod idle;
mod in_flight;
mod invalid;
mod protocol;
mod readings;
mod refusals;
mod retained;
mod routes;
mod rules;
mod sessions;
mod sinks;
mod subscribing;
mod timers;
mod transactions;
mod wills;
mod withheld;
