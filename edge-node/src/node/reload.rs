//! Asking a running node to read its rules again: `edge-node rules reload` and `POST /api/v1/rules/reload`.

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

/// The rules that are in use from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct ReloadAnswer {
    /// How many.
    pub rules: usize,
}

/// Why the rules stay what they were.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReloadError {
    /// A file cannot be used.
    #[error("{what}")]
    Rules {
        /// Where, and what is wrong.
        what: String,
    },
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
}

/// A request on its way, to be answered once the rules are in use.
pub type ReloadOrder = oneshot::Sender<Result<ReloadAnswer, ReloadError>>;
