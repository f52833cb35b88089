//! What an uplink says of itself.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::Uplink;

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
    /// Until nothing is pending at that rate; `None` unless the link is connected, and so drains.
    pub catch_up_ms: Option<u64>,
    /// Events per second the receiver is taken to allow; `None`: it never asked for less, or that is long ago.
    pub rate_limit: Option<f64>,
    /// Events that became dead letters since the start; of a range that is sent again, those refused for good.
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

impl Uplink {
    /// The state of the link; `pending` as the spool counts it.
    pub fn status(&self, now: Instant, pending: u64) -> UplinkStatus {
        let ago = |at: Instant| duration_ms(now.saturating_duration_since(at));
        let drain = self.drain.per_second(now);
        let retry = self.backoff.resting(now).or_else(|| self.blocked_until());
        let state = self.state(now, pending);
        let catch_up = drain
            .filter(|rate| *rate > 0.0 && state == LinkState::Connected)
            .map(|rate| (pending as f64 / rate * 1000.0) as u64);
        UplinkStatus {
            state,
            pending,
            acknowledged: self.seen.acknowledged,
            repeated: self.seen.repeated,
            in_flight: self.in_flight_events as u64,
            held_bytes: self.held_bytes as u64,
            last_error: self
                .seen
                .last_error
                .as_ref()
                .map(|(_, error)| error.clone()),
            last_error_ms: self.seen.last_error.as_ref().map(|(at, _)| ago(*at)),
            last_ack_ms: self.seen.last_ack.map(ago),
            next_retry_ms: retry.map(|until| duration_ms(until.saturating_duration_since(now))),
            drain_per_second: drain,
            catch_up_ms: if pending == 0 { Some(0) } else { catch_up },
            rate_limit: self.pace.events_per_second(),
            dead_letters: self.seen.dead_letters,
            dead_letters_lost: self.seen.dead_letters_lost,
            not_sent_back: self.seen.not_sent_back,
            expired: self.seen.expired,
        }
    }

    pub(crate) fn state(&self, now: Instant, pending: u64) -> LinkState {
        if self.backoff.resting(now).is_some() || self.blocked_until().is_some() {
            let error = self
                .seen
                .last_error
                .as_ref()
                .map(|(_, error)| error.clone());
            return LinkState::BackingOff {
                error: error.unwrap_or_default(),
            };
        }
        if let Some(reason) = &self.stalled {
            return LinkState::Stalled {
                reason: reason.clone(),
            };
        }
        let lately = |at: Instant| now.saturating_duration_since(at) <= self.limits.connected_for;
        if self.seen.last_ack.is_some_and(lately) {
            return LinkState::Connected;
        }
        if pending > 0 || self.ahead.len() > 0 {
            LinkState::Connecting
        } else {
            LinkState::Idle
        }
    }

    /// When something is tried again, if all there is to send was refused and rests.
    fn blocked_until(&self) -> Option<Instant> {
        let blocked = self.queue.len() > 0 && !self.queue.is_ready() && self.flights.is_empty();
        self.queue.next_wake().filter(|_| blocked)
    }
}

fn duration_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
