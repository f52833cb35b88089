//! Faults of a peer: they cost its own connection.

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

impl Broker {
    /// Ends a connection for a fault of its peer: it alone pays.
    pub(super) fn fail(&mut self, journal: &mut Journal<'_>, id: ConnectionId, error: &PeerError) {
        self.counters.peer_faults += 1;
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
