//! Scenarios: whole processes, seen from outside. Each name is a promise.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "these are tests"
)]

mod bad_peers;
#[cfg(feature = "boards")]
mod boards;
mod certificates;
mod clients;
mod complaints;
mod dead_disk;
mod dead_letters;
mod demo;
mod device_client;
mod device_orders;
mod devices;
mod echo;
mod eventmesh;
#[cfg(feature = "peers")]
mod eventmesh_java;
mod full_disk;
mod gaps;
mod hub_topics;
mod keep_alive;
mod kill_storm;
mod operator;
mod outage;
mod owed;
mod owed_to_many;
#[cfg(feature = "peers")]
mod peers;
mod refusals;
mod replay;
mod rules;
mod rules_deriving;
mod stalling_disk;
mod status;
mod stopping;
mod tail;
