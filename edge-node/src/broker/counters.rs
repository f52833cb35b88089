//! What the broker counts.

/// Counts since start.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Counters {
    /// Connections that completed CONNECT.
    pub connects: u64,
    /// PUBLISH packets taken, by QoS.
    pub received: [u64; 3],
    /// Of these above QoS 0: acknowledged, so on stable storage or owed to nobody.
    pub acknowledged: u64,
    /// PUBLISH packets sent, by QoS, repeats included.
    pub delivered: [u64; 3],
    /// Events taken through other doors.
    pub events: u64,
    /// Events by which the node told of losses.
    pub gaps: u64,
    /// Publishes that were no valid event and were wrapped.
    pub wrapped: u64,
    /// Publishes refused.
    pub refused: u64,
    /// Packets received.
    pub packets: u64,
}
