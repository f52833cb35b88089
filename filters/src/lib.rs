//! filters
#![allow(missing_docs)]
mod event;
mod topic;
pub use event::{Data, Event, Value};
pub use topic::TopicFilter;
