//! Scenarios: whole processes, seen from outside. Each name is a promise.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "these are tests"
)]

mod eventmesh;
#[cfg(feature = "peers")]
mod eventmesh_java;
mod refusals;
