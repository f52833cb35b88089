//! Keep-alive: the silence that is granted to a client, and what follows a longer one.

use spool::NodeTime;

use super::{
    Broker,
    action::Action,
    connection::{ConnectionId, Intake, Phase},
    deadline::Timer,
    fault::PeerError,
    journal::Journal,
};
use crate::mqtt::packet::{Connect, ReasonCode, Version};

impl Broker {
    pub(super) fn keep_alive(&self, connect: &Connect) -> u16 {
        match (connect.version, self.limits.keep_alive_seconds) {
            (Version::V311, _) | (Version::V5, 0) => connect.keep_alive,
            (Version::V5, most) if connect.keep_alive == 0 || connect.keep_alive > most => most,
            (Version::V5, _) => connect.keep_alive,
        }
    }

    pub(super) fn check_silence(&mut self, journal: &mut Journal<'_>, id: ConnectionId) {
        let now = journal.now;
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        match (connection.phase, connection.silence_ms) {
            (Phase::Greeting, _) => {
                connection.phase = Phase::Closing;
                // It may not speak MQTT at all, and gets no answer in it.
                let fault = PeerError::Protocol(ReasonCode::ProtocolError, "no CONNECT in time");
                self.actions.push_back(Action::Fault(id, fault));
                self.close(id);
            }
            (Phase::Open(session), Some(silence)) => {
                if connection.intake != Intake::Open {
                    // It was not read, so its silence says nothing.
                    connection.last_seen = now;
                }
                let due = NodeTime(connection.last_seen.0 + silence);
                if due > now {
                    self.timers.set(Timer::KeepAlive(id), due);
                } else {
                    self.disconnect(id, ReasonCode::KeepAliveTimeout);
                    self.end_session_connection(journal, id, session, true);
                }
            }
            _ => {}
        }
    }
}
