//! The outermost node of an event mesh: MQTT in, durable CloudEvents, the mesh out.
//!
//! ```text
//!  run (threads, sockets, clocks)
//!   ├─ mqtt ──▶ broker ──▶ journal ──▶ spool      what clients send and are owed
//!   ├─ http, mesh ──▶ node::handle ──▶ node::core  events and groups of other doors
//!   └─ uplinks ◀── node::source ◀── spool          what sinks are owed
//! ```
//!
//! Start reading at [`run::node::run`], then at [`broker`]. The map of the whole project is `ARCHITECTURE.md`.
//!
//! Invariants: an acknowledgement leaves only after its cause is on stable storage; durable state changes only by records
//! of the log; the cores read no clock and touch no socket or file.

pub mod bench;
pub mod broker;
pub mod cli;
pub mod config;
mod data_file;
pub mod demo;
pub mod device;
pub mod endpoints;
pub mod http;
pub mod ingest;
pub mod jq;
mod lane_names;
pub mod logging;
pub mod mesh;
pub mod mqtt;
pub mod node;
pub mod record;
pub mod rules;
pub mod run;
#[cfg(test)]
mod simulation;
