//! The whole system from outside: the actors of the scenarios in `tests/system/`.
//!
//! ```text
//!  Device ──MQTT──▶ TestNode (the real program) ──HTTP──▶ TestCloud
//!                       │ kill · stop · start_again            │ go_offline · go_online · answer
//! ```
//!
//! Nothing here knows the insides of the node: it is started as a process, spoken to over its sockets, and watched
//! through its status, its log and its exit code. Ports are 0, data is in temporary folders, and every wait ends
//! within [`PATIENCE`].
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a broken expectation is a failed test, and that is a panic"
)]

use std::{
    future::Future,
    time::{Duration, Instant},
};

mod binary;
#[cfg(feature = "boards")]
mod board;
mod cloud;
mod device;
mod http;
mod node;

pub use binary::{edge_node, is_as_shipped};
#[cfg(feature = "boards")]
pub use board::TestBoard;
pub use cloud::{Answer, Received, TestCloud};
pub use device::{Device, Message, Reading, Refused};
pub use http::{Response, get, request};
pub use node::{Ended, NodeBuilder, TestNode};

/// How long a scenario waits for anything. Far more than a sound node needs on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks until the answer is yes; fails with `what` after [`PATIENCE`].
pub async fn wait_until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(
            Instant::now() < deadline,
            "waited {PATIENCE:?} in vain until {what}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits for `work`; fails with `what` after [`PATIENCE`].
pub async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(result) => result,
        Err(_) => panic!("waited {PATIENCE:?} in vain: {what}"),
    }
}
