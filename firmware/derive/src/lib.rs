//! `#[derive(Event)]`: a struct is the table of its kind, and is read and written by it.
//!
//! ```
//! use wire::Event;
//!
//! #[derive(Event, Debug, PartialEq)]
//! #[event(type = "pump.reading", version = 2, id = "e017")]
//! struct Reading {
//!     celsius: f32,
//!     bar: [u16; 3],
//!     note: heapless::String<16>,
//! }
//!
//! let reading = Reading { celsius: 61.5, bar: [1, 2, 300], note: "warm".try_into().unwrap() };
//! let mut buffer = [0; 32];
//! let data = reading.encode(&mut buffer).unwrap();
//! assert_eq!(data.len(), 4 + 4 + 5);
//! assert_eq!(Reading::decode(data).unwrap(), reading);
//! assert_eq!(Reading::KIND.event_type, "pump.reading");
//! ```
//!
//! `id` may be left out. Where it stands, a change of the fields does not build until it is changed too, which is the
//! moment to count `version` up:
//!
//! ```compile_fail
//! #[derive(wire::Event)]
//! #[event(type = "pump.reading", version = 2, id = "e017")]
//! struct Reading {
//!     celsius: f64,
//!     bar: [u16; 3],
//!     note: heapless::String<16>,
//! }
//! ```
//!
//! A type without a place in a table is no field:
//!
//! ```compile_fail
//! #[derive(wire::Event)]
//! #[event(type = "pump.reading", version = 1)]
//! struct Reading {
//!     at: core::time::Duration,
//! }
//! ```
//!
//! Nor is a kind without a type, or a version:
//!
//! ```compile_fail
//! #[derive(wire::Event)]
//! #[event(version = 1)]
//! struct Reading {
//!     celsius: f32,
//! }
//! ```

mod attribute;
mod expand;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Implements `wire::Event` for a struct with named fields.
#[proc_macro_derive(Event, attributes(event))]
pub fn derive_event(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand::expand(&input)
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}
