//! The log against a model, over a simulated disk that crashes, fails, fills up, stalls and rots as a seed says.
//!
//! `SPOOL_SEEDS=17 cargo test -p spool --test simulation` runs 17 seeds of each seeded test, `SPOOL_SEEDS=40..41` the
//! one that a failure named.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test ends where it cannot go on, and its modules are not reached from outside"
)]

mod bounds;
mod crash_points;
mod damage;
mod economy;
mod fixture;
mod flushes;
mod model;
mod random;
mod routes;
mod sectors;
mod seeds;
mod story;
mod world;
