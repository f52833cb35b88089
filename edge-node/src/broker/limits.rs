//! The bounds of the broker.

/// The bounds of the broker.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Publishes above QoS 0 a client may have in flight to the node.
    pub receive_maximum: usize,
    /// Largest packet in bytes.
    pub packet_bytes: usize,
    /// Highest topic alias a client may use.
    pub topic_alias_maximum: u16,
    /// Longest session expiry interval granted, in seconds.
    pub session_expiry_seconds: u32,
    /// Longest keep-alive granted to a client of version 5, in seconds; 0: any.
    pub keep_alive_seconds: u16,
    /// Sessions, connected or not.
    pub sessions: usize,
    /// Topics with a retained message.
    pub retained: usize,
    /// Bytes of memory for these topics.
    pub retained_bytes: usize,
    /// Subscriptions of one session.
    pub subscriptions: usize,
    /// Bytes of memory for the subscriptions of all sessions; one session has a sixteenth of it at most.
    pub subscription_bytes: usize,
    /// Bytes an offline session may be owed before it loses its oldest.
    pub session_bytes: u64,
    /// Bytes of publishes that wait for room, over all connections, and of those in flight whose publisher has left. Above it
    /// a connection with one is not read, and one more is delivered only when it has found room.
    pub withheld_bytes: usize,
    /// Milliseconds from the opening of a connection to its CONNECT.
    pub connect_timeout_ms: u64,
}
