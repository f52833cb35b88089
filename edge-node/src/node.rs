//! The node's core and the ways to it: what joins broker, ingest and log, and what the doors and uplinks see of them.

pub mod canary;
pub mod core;
pub mod dead;
pub mod devices;
pub mod door;
pub mod gap;
pub mod groups;
pub mod handle;
pub mod order_body;
pub mod reload;
pub mod replay;
pub mod source;
pub mod status;
pub mod tap;
pub mod view;
