//! The format against its test vectors, which other implementations use too, against postcard, and against broken bytes.
#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "these are tests"
)]

mod bytes;
mod c;
mod generated;
mod samples;
mod sizes;
mod vectors;
