//! CloudEvents as the edge sees them, the topics they come on, and the rules over both. Pure: no IO, no clock, no network.
//!
//! ```text
//!  structured JSON ─┐                ┌─▶ structured JSON, batches (json)
//!  HTTP headers  ───┼─▶ Event ───────┼─▶ HTTP headers and body (http)
//!  builder  ────────┘     │          └─▶ cloudevents-sdk (feature `sdk`)
//!                         ▼
//!  payload ─ decode ─▶ EventView ─▶ index: Pattern, cesql, SubscriptionFilter ─▶ which rules match
//!  topic ─ TopicTrie ────▲                                                            │
//!                                                                                     ▼
//!                                             rules: steps in order (stage, transform) ─▶ Ruling
//! ```
//!
//! Start reading at [`Event`], then [`json`] and [`http`]; for topics at [`TopicFilter`] and [`TopicTrie`]; for rules at
//! [`rules`], below it at [`index`], [`stage`] and [`transform`].
//!
//! Invariants: whatever this crate decodes or builds satisfies [`Event::check`]; what it encodes decodes to an equal event, save what the
//! format has not (each says what); output is the same for equal events, byte for byte.

pub mod cesql;
mod condition;
pub mod decode;
mod dialect;
mod document;
mod event;
mod hash;
pub mod http;
pub mod index;
pub mod json;
mod number;
#[cfg(any(feature = "oracle", test))]
pub mod oracle;
mod paths;
mod pattern;
pub mod rules;
#[cfg(any(feature = "sdk", test))]
mod sdk;
mod span;
pub mod stage;
mod topic;
pub mod transform;
mod unit;
mod view;

pub use condition::{
    Condition, Network, NetworkError, NumberRange, Path, Scalar, Wildcard, WildcardError, fold_case,
};
pub use dialect::{FilterError, FilterProblem, MAX_FILTER_DEPTH, SubscriptionFilter};
pub use event::{
    Data, Event, EventBuilder, EventError, EventProblem, EventReader, MAX_ATTRIBUTE_NAME_BYTES,
    MAX_ATTRIBUTE_VALUE_BYTES, MAX_EXTENSIONS, Value, check_attribute, is_attribute_name,
    is_extension, is_json, is_printable, is_text, timestamp_millis, timestamp_text,
    without_control_characters,
};
pub use number::Number;
pub use pattern::{
    MAX_BRANCHES, MAX_PATTERN_BYTES, MAX_PATTERN_DEPTH, Pattern, PatternError, PatternProblem,
};
pub use topic::{
    MAX_FILTER_LEVELS, MAX_TOPIC_BYTES, Subscription, TopicError, TopicFilter, TopicTrie,
    check_topic_name,
};
pub use unit::{Conversion, UnitError, UnitProblem};
pub use view::{AttributeValue, Attributes, DataView, EventView};
