//! Faults of a peer, which cost its own connection, and what it asks for beyond its bounds, which it is not given.

use spool::Full;

use super::{
    Broker,
    action::Action,
    connection::{ConnectionId, Phase},
    journal::Journal,
};
use crate::mqtt::{
    self,
    packet::{Packet, ReasonCode},
};

/// Why a connection ends.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum PeerError {
    /// The peer broke the protocol; it gets the reason and is closed.
    #[error("{1} (reason code 0x{code:02x})", code = *.0 as u8)]
    Protocol(ReasonCode, &'static str),
    /// CONNECT is answered with this reason.
    #[error("connection refused: {1} (reason code 0x{code:02x})", code = *.0 as u8)]
    Refused(ReasonCode, &'static str),
    /// Its bytes are no packet; the reason code and what is wrong.
    #[error("{1} (reason code 0x{code:02x})", code = *.0 as u8)]
    Malformed(ReasonCode, String),
    /// The log has no room for what the peer asks; it may come back later.
    #[error("the log has no room: {0}")]
    Full(#[from] Full),
}

impl PeerError {
    /// The kind of fault, without its details.
    pub fn kind(&self) -> &'static str {
        match self {
            PeerError::Protocol(_, why) | PeerError::Refused(_, why) => why,
            PeerError::Malformed(..) => "what it sent is no valid packet",
            PeerError::Full(_) => "the log has no room for what it asks",
        }
    }

    pub(super) fn reason(&self) -> ReasonCode {
        match self {
            PeerError::Protocol(reason, _)
            | PeerError::Refused(reason, _)
            | PeerError::Malformed(reason, _) => *reason,
            PeerError::Full(_) => ReasonCode::QuotaExceeded,
        }
    }
}

/// What a peer is not given, since it is beyond a bound. Its connection goes on.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Excess {
    /// Further subscriptions are refused.
    #[error(
        "further ones are refused; `max-subscriptions` and `subscription-bound` of [mqtt] say how many there may be"
    )]
    Subscriptions,
    /// Messages of further topics are delivered and not retained.
    #[error(
        "messages of further topics are not retained; `retained-bound` of [mqtt] says how many there may be"
    )]
    Retained,
    /// What it publishes is not taken, and MQTT 3.1.1 has no answer that says so.
    #[error(
        "it is answered as if they were, since MQTT 3.1.1 has no other answer; they are in the ledger"
    )]
    Untold,
    /// What is sent to it faster than it reads is lost to it, where no session keeps it.
    #[error("what does not wait for it in the log is lost to it, and in the ledger")]
    Unread,
}

impl Excess {
    /// The kind of excess, without what follows from it.
    pub fn kind(self) -> &'static str {
        match self {
            Excess::Subscriptions => "too many subscriptions",
            Excess::Retained => "too many topics with a retained message",
            Excess::Untold => "its publishes are not taken",
            Excess::Unread => "it reads too slowly",
        }
    }
}

impl Broker {
    /// A peer is not given what it asks for.
    pub(super) fn exceed(&mut self, id: ConnectionId, excess: Excess) {
        self.actions.push_back(Action::Excess(id, excess));
    }

    /// Ends a connection for a fault of its peer: it alone pays.
    pub(super) fn fail(&mut self, journal: &mut Journal<'_>, id: ConnectionId, error: &PeerError) {
        let committed = self.committed;
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        tracing::debug!(peer = %connection.peer, %error, "connection ended");
        self.actions.push_back(Action::Fault(id, error.clone()));
        connection.release(committed);
        let session = connection.session();
        match connection.phase {
            Phase::Greeting => {
                if let Some(version) = connection.decoder.version() {
                    connection.version = version;
                }
                if matches!(
                    error,
                    PeerError::Refused(..) | PeerError::Full(_) | PeerError::Protocol(..)
                ) || error.reason() == ReasonCode::UnsupportedProtocolVersion
                {
                    let refusal = mqtt::packet::ConnAck::new(error.reason());
                    connection.send(&Packet::ConnAck(Box::new(refusal)));
                }
                connection.phase = Phase::Closing;
                self.close(id);
            }
            Phase::Open(_) => self.disconnect(id, error.reason()),
            Phase::Closing => {}
        }
        if let Some(session) = session {
            self.end_session_connection(journal, id, session, true);
        }
    }
}
