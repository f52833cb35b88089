//! The outbox on a flash whose power is cut at every operation, against a node that keeps what it was given.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "these are tests"
)]

mod broker;
mod client;
mod device;
mod flash;
mod foreign;
mod hostile;
mod node;
mod orders;
mod planted;
mod power_cut;
mod promises;
mod publisher;
mod wear;
mod world;
