//! The format against its test vectors, which other implementations use too, against postcard, and against broken bytes.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod bytes;
mod c;
mod generated;
mod samples;
mod sizes;
mod vectors;
