//! The whole system from outside: the actors of the scenarios in `tests/system/`.
//!
//! ```text
//!  Device ──MQTT──▶ TestNode (the real program) ──HTTP──▶ TestCloud
//!                       │ kill · stop · start_again            │ go_offline · go_online · answer
//! ```
//!
//! Nothing here knows the insides of the node: it is started as a process, spoken to over its sockets, and watched
//! through its status, its log and its exit code. Ports are 0, at an address of its own for each server; data is in
//! temporary folders; and every wait ends within [`PATIENCE`].
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a broken expectation is a failed test, and that is a panic"
)]

use std::{
    fmt::Debug,
    future::Future,
    ops::ControlFlow,
    time::{Duration, Instant},
};

mod binary;
mod birth;
#[cfg(feature = "boards")]
mod board;
mod cloud;
mod device;
mod http;
mod loopback;
mod node;

pub use binary::{edge_node, is_as_shipped};
pub use birth::birth_with;
#[cfg(feature = "boards")]
pub use board::{Boot, Detour, ImageSize, TestBoard, board_settings};
pub use cloud::{Answer, Received, TestCloud};
pub use device::{Device, Message, Reading, Refused};
pub use http::{Response, get, request};
pub use loopback::own_address;
pub use node::{Ended, NodeBuilder, TestNode};

/// How long a scenario waits for anything. It only bounds a hang: far more than a sound node needs on a slow machine that
/// does other things besides.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Asks until the answer is yes; fails with `what` after [`PATIENCE`].
pub async fn wait_until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    wait_for_progress(what, async || match condition().await {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    })
    .await;
}

/// Asks until there is no need to go on; fails with `what` once the answer has been the same for [`PATIENCE`].
pub async fn wait_for_progress<T: PartialEq + Debug>(
    what: &str,
    mut ask: impl AsyncFnMut() -> ControlFlow<(), T>,
) {
    let mut last = None;
    let mut deadline = Instant::now() + PATIENCE;
    while let ControlFlow::Continue(answer) = ask().await {
        let answer = Some(answer);
        if answer != last {
            (last, deadline) = (answer, Instant::now() + PATIENCE);
        }
        assert!(
            Instant::now() < deadline,
            "waited {PATIENCE:?} in vain until {what}: {last:?}"
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
