//! filters
#![allow(missing_docs)]
mod event;
pub use event::{Data, Event, Value};
