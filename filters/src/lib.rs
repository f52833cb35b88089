//! CloudEvents as the edge sees them, and the topics they come on. Pure: no IO, no clock, no network.
//!
//! Start reading at [`Event`]; for topics at [`TopicFilter`] and [`TopicTrie`].
//!
//! Invariant: whatever this crate builds satisfies [`Event::check`].

mod event;
mod topic;

pub use event::{
    Data, Event, EventBuilder, EventError, EventProblem, MAX_ATTRIBUTE_NAME_BYTES,
    MAX_ATTRIBUTE_VALUE_BYTES, MAX_EXTENSIONS, Value, is_attribute_name, is_json, is_text,
    timestamp_millis, timestamp_text,
};
pub use topic::{
    MAX_FILTER_LEVELS, MAX_TOPIC_BYTES, Subscription, TopicError, TopicFilter, TopicTrie,
    check_topic_name,
};
