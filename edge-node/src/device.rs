//! The device link: what the node knows of microcontrollers that speak the compact format of the crate `wire`, and what it
//! makes of their messages. Pure: no IO, no clock; `broker::device` joins it to connections and the log.
//!
//! ```text
//!  b/<id> ──▶ Registry::receive_birth ─▶ Reception: what the log is told, what was lost, the welcome
//!  commands ─▶ Commands ─▶ Link::send_down ──▶ c/<id>; what became of them ──▶ b/<id> ─▶ Commands
//!  d/<id> ──▶ Link::judge ─▶ Verdict ─▶ an event a record, each with its Place ─▶ commit ─▶ Link::take_acks ──▶ a/<id>
//! ```
//!
//! - **A mark moves with its event.** How far the node is in a stream of a device is part of the record of the last event,
//!   so that the one is never durable without the other. Repeats are told by it and dropped.
//! - **A device forgets an event on the node's acknowledgement,** not on PUBACK, which only says that the packet came.
//! - **What is missing is known.** A birth says which events never come; a jump without it is counted, and one above
//!   [`wire::MAX_JUMP`] is refused and the device asked for its birth.
//! - **After a refusal nothing later of that stream is taken** until the refused event returns, or is refused for good.

mod askers;
mod clock;
mod commands;
mod configuration;
mod link;
#[cfg(test)]
mod lives;
mod losses;
mod place;
mod registry;
mod wanted;

pub use askers::{Asker, Askers};
pub(crate) use clock::{BootClock, happened};
pub(crate) use commands::MOST_OPEN;
pub use commands::{Command, CommandOutcome, CommandState, CommandStep, Commands};
pub use configuration::{Configuration, ConfigurationState, ConfigurationStep};
pub(crate) use link::{Down, Link, Stopped, Verdict};
pub use losses::{LossCause, LossReport};
pub use place::{Place, StreamId};
pub use registry::{About, Born, Device, Reception, Registry};
pub(crate) use wanted::Wanted;
