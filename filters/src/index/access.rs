//! How the entries that may match are found: by the condition of each that is expected to hold least often.

mod affixes;
mod exact;
mod intervals;
mod runs;
mod sink;
mod tables;

pub(super) use sink::Sink;
pub(super) use tables::{Tables, TablesBuilder, address, integer};
