//! What an uplink says of itself.

use serde::Serialize;

/// One uplink at one moment. Times are relative, in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UplinkStatus {
    /// Whether events get through.
    #[serde(flatten)]
    pub state: LinkState,
    /// Records owed and not acknowledged, as the spool counts them.
    pub pending: u64,
    /// Events the receiver acknowledged since the start.
    pub acknowledged: u64,
    /// Events sent more than once since the start.
    pub repeated: u64,
    /// Events in batches without an answer.
    pub in_flight: u64,
    /// Encoded bytes held in memory.
    pub held_bytes: u64,
    /// The last thing that went wrong, kept after it is over.
    pub last_error: Option<String>,
    /// How long ago that was.
    pub last_error_ms: Option<u64>,
    /// How long ago an event or a canary was last acknowledged.
    pub last_ack_ms: Option<u64>,
    /// Until the next try, while backing off.
    pub next_retry_ms: Option<u64>,
    /// Acknowledged events per second, a moving average.
    pub drain_per_second: Option<f64>,
    /// Until nothing is pending at that rate; `None` when nothing drains.
    pub catch_up_ms: Option<u64>,
    /// Events per second the receiver is taken to allow; `None`: it never asked for less, or that is long ago.
    pub rate_limit: Option<f64>,
    /// Dead letters since the start.
    pub dead_letters: u64,
    /// Of them, lost because the dead-letter lane was at its bound.
    pub dead_letters_lost: u64,
    /// Events not sent because they came from the sink's peer.
    pub not_sent_back: u64,
    /// Events not sent because they had expired.
    pub expired: u64,
}

/// Whether events get through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum LinkState {
    /// Nothing to send, and nothing was acknowledged lately: whether the receiver is there is unknown.
    Idle,
    /// There is something to send, and nothing was acknowledged lately.
    Connecting,
    /// The receiver acknowledged an event or a canary within `connected-for`.
    Connected,
    /// The receiver failed or refused; nothing is sent before the next retry.
    BackingOff {
        /// What it said.
        error: String,
    },
    /// The node itself is in the way: records cannot be read, or dead letters not be kept.
    Stalled {
        /// What is wrong.
        reason: String,
    },
}
