//! The end of a connection: goodbye, take-over or fault.

use spool::{NodeTime, Seq};

use super::{
    Broker,
    action::Action,
    answer::Answers,
    connection::{Connection, ConnectionId, Phase},
    deadline::Timer,
    fault::PeerError,
    journal::Journal,
    session::SessionId,
};
use crate::{
    mqtt::{
        self,
        packet::{Disconnect, Packet, ReasonCode, Version},
    },
    record::Change,
};

impl Broker {
    pub(super) fn handle_disconnect(
        &mut self,
        journal: &mut Journal<'_>,
        id: ConnectionId,
        session: SessionId,
        disconnect: &mqtt::packet::Disconnect,
    ) -> Result<(), PeerError> {
        if let (Some(expiry), Some(found)) = (
            disconnect.session_expiry_interval,
            self.sessions.get_mut(session),
        ) {
            if found.kept.expiry_seconds == 0 && expiry > 0 {
                return Err(PeerError::Protocol(
                    ReasonCode::ProtocolError,
                    "session expiry raised from zero",
                ));
            }
            found.kept.expiry_seconds = expiry.min(self.limits.session_expiry_seconds);
        }
        let unclean = disconnect.reason != ReasonCode::Success;
        self.end_session_connection(journal, id, session, unclean);
        self.close(id);
        Ok(())
    }

    /// Ends the connection of a session that another one takes.
    pub(super) fn take_over(&mut self, journal: &mut Journal<'_>, session: SessionId) {
        let Some(old) = self
            .sessions
            .get(session)
            .and_then(|session| session.connection)
        else {
            return;
        };
        self.disconnect(old, ReasonCode::SessionTakenOver);
        self.end_session_connection(journal, old, session, true);
    }

    /// Writes DISCONNECT where the version has it, and closes behind what waits in `out`.
    pub(crate) fn disconnect(&mut self, id: ConnectionId, reason: ReasonCode) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        if connection.version == Version::V5 && matches!(connection.phase, Phase::Open(_)) {
            connection.send(&Packet::Disconnect(Disconnect::new(reason)));
        }
        self.close(id);
    }

    pub(crate) fn close(&mut self, id: ConnectionId) {
        self.actions.push_back(Action::Close(id));
    }

    /// The stream of a connection has ended, for whatever reason; called once for each `handle_connected`.
    pub fn handle_disconnected(&mut self, journal: &mut Journal<'_>, id: ConnectionId) {
        if let Some(session) = self.connections.get(id).and_then(Connection::session) {
            self.end_session_connection(journal, id, session, true);
        }
        self.forget_put_off(id);
        self.connections.try_remove(id);
        self.timers.cancel(&Timer::KeepAlive(id));
        self.acking.remove(&id);
        self.withholding.remove(&id);
        self.flushing.remove(&id);
        self.forget_link(id);
    }

    /// The connection of `session` ended; `unclean` unless the client said a proper goodbye.
    pub(crate) fn end_session_connection(
        &mut self,
        journal: &mut Journal<'_>,
        id: ConnectionId,
        session_id: SessionId,
        unclean: bool,
    ) {
        match self.connections.get_mut(id) {
            Some(connection) => {
                connection.phase = Phase::Closing;
                connection.answers = Answers::default();
                if !connection.greeted {
                    connection.out.clear();
                }
                connection.withheld.clear();
            }
            None => return,
        }
        let Some(session) = self.sessions.get_mut(session_id) else {
            return;
        };
        session.connection = None;
        session.errands.interrupt();
        session.feed.resending = false;
        // What was withheld is forgotten, and its identifiers with it: the client sends it again.
        session.kept.inbound.retain(|_, seq| *seq != Seq(u64::MAX));
        let now = journal.now;
        let client = session.client.to_string();
        let expiry_seconds = session.kept.expiry_seconds;
        let will = session.kept.will.clone().filter(|_| unclean);
        let will_due = will
            .as_ref()
            .map(|will| NodeTime(now.0 + u64::from(will.delay_seconds.min(expiry_seconds)) * 1000));
        self.return_group_flights(session_id);
        let ended = Change::SessionDisconnected {
            client: client.clone(),
            at: now,
            expiry_seconds,
            will_due,
        };
        // Without room the log learns of it later: until then it has a client that is there, whom the next start misses.
        if self.record_of(journal, session_id, ended.clone()).is_err() {
            self.apply_change(ended, Seq::ZERO);
        }
        match (will_due, will) {
            (Some(due), Some(will)) if due <= now => {
                let published = self.publish_will(journal, &client, &will, true);
                let again = published.err().map(|_| NodeTime(now.0 + 1000));
                if let Some(again) = again {
                    self.timers.set(Timer::Will(client.clone()), again);
                }
            }
            (Some(due), Some(_)) => {
                self.timers.set(Timer::Will(client.clone()), due);
            }
            _ => {}
        }
        self.expire_later(journal, session_id, now, expiry_seconds);
    }
}
