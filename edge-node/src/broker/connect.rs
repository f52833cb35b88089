//! The beginning of a connection: CONNECT is checked, its session found or opened, and CONNACK promised.

use std::{num::NonZeroU16, sync::Arc};

use spool::{NodeTime, Seq};

use super::{
    Broker,
    action::Reader,
    answer::{Answer, Gate},
    connection::{ConnectionId, Phase},
    deadline::Timer,
    fault::PeerError,
    journal::Journal,
    session::{Session, SessionId},
    will::store_will,
};
use crate::{
    mqtt::{
        encode,
        packet::{ConnAck, Connect, Packet, ReasonCode, Version},
    },
    record::Change,
};

/// Longest client identifier in bytes.
const CLIENT_ID_MAX_BYTES: usize = 1024;

impl Broker {
    pub(crate) fn handle_connect(
        &mut self,
        journal: &mut Journal<'_>,
        id: ConnectionId,
        connect: &Connect,
    ) -> Result<(), PeerError> {
        if let Some(connection) = self.connections.get_mut(id) {
            connection.version = connect.version;
        }
        self.check_connect(connect)?;
        let assigned = connect.client_id.is_empty().then(|| self.new_client_id());
        let client: Arc<str> = assigned.as_deref().unwrap_or(&connect.client_id).into();
        let expiry_seconds = self.session_expiry(connect);
        self.discard_old(journal, &client, connect.clean_start)?;
        let session_present = self.clients.contains_key(&client);
        let connected = Change::SessionConnected {
            client: client.to_string(),
            expiry_seconds,
            will: connect.will.as_ref().map(store_will),
        };
        // Durable before CONNACK: the will, where the session is, and the end of an older session, whoever ended it: this
        // CONNECT, the one it takes over, or an expiry a moment ago.
        let (session_id, connected) =
            self.open_session(journal, &client, expiry_seconds, connected)?;
        let gate = self.removed.max(connected);

        let keep_alive = self.keep_alive(connect);
        self.open_connection(journal, id, session_id, connect, keep_alive);
        let conn_ack = self.conn_ack(
            connect,
            assigned,
            session_present,
            keep_alive,
            expiry_seconds,
        );
        self.answer(
            id,
            Gate::Committed(gate),
            Answer::Whole(Box::new(Packet::ConnAck(Box::new(conn_ack)))),
        );
        self.resume_flights(session_id);
        self.hungry.insert(Reader::Session(session_id));
        self.wake_groups_of(session_id);
        self.counters.connects += 1;
        Ok(())
    }

    /// Ends the session's older connection, and with a clean start the session.
    fn discard_old(
        &mut self,
        journal: &mut Journal<'_>,
        client: &str,
        clean_start: bool,
    ) -> Result<(), PeerError> {
        if let Some(old) = self.clients.get(client).copied() {
            self.take_over(journal, old);
        }
        // Ending the connection may have ended the session as well, or have it wait with its will for room: it is over all the same.
        match self.clients.get(client).copied() {
            Some(old) if clean_start || self.is_over_with_its_connection(old) => {
                self.remove_session(journal, old, false)
            }
            Some(old) => {
                self.end_overdue_will(journal, old);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn is_over_with_its_connection(&self, id: SessionId) -> bool {
        let session = self.sessions.get(id);
        session.is_some_and(|session| session.kept.expiry_seconds == 0)
    }

    /// The client's session, opened if there is none, and the position of `connected`, which is written and folded.
    fn open_session(
        &mut self,
        journal: &mut Journal<'_>,
        client: &Arc<str>,
        expiry_seconds: u32,
        connected: Change,
    ) -> Result<(SessionId, Seq), PeerError> {
        if let Some(session) = self.clients.get(client).copied() {
            let connected = self.record_of(journal, session, connected)?;
            return Ok((session, connected));
        }
        if self.clients.len() >= self.limits.sessions {
            return Err(PeerError::Protocol(
                ReasonCode::QuotaExceeded,
                "too many sessions",
            ));
        }
        if expiry_seconds == 0 {
            let session = Session::new(Arc::clone(client), None, journal.appended());
            let session = self.add_session(session);
            let connected = self.record_of(journal, session, connected)?;
            return Ok((session, connected));
        }
        let opened = |cursor| Change::SessionOpened {
            client: client.to_string(),
            cursor,
        };
        let name = format!("session/{client}");
        let (_, connected) =
            self.open_cursor(journal, &name, |cursor| vec![opened(cursor), connected])?;
        let session = self.clients.get(client).copied().unwrap_or_default();
        Ok((session, connected))
    }

    /// Joins connection and session, on the terms of the client.
    fn open_connection(
        &mut self,
        journal: &Journal<'_>,
        id: ConnectionId,
        session_id: SessionId,
        connect: &Connect,
        keep_alive: u16,
    ) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        connection.phase = Phase::Open(session_id);
        connection.silence_ms = (keep_alive > 0).then(|| u64::from(keep_alive) * 1500);
        connection.window = usize::from(connect.receive_maximum.map_or(u16::MAX, NonZeroU16::get));
        connection.limits = encode::Limits {
            maximum_packet_size: connect
                .maximum_packet_size
                .map_or(usize::MAX, |size| size.get() as usize),
            problem_information: connect.request_problem_information,
        };
        if let Some(silence) = connection.silence_ms {
            let due = NodeTime(journal.now.0 + silence);
            self.timers.set(Timer::KeepAlive(id), due);
        }
        if let Some(session) = self.sessions.get_mut(session_id) {
            session.connection = Some(id);
            if session.is_durable() {
                session.feed.owed = session.feed.owed.max(journal.appended());
            }
            session.feed.resending = false;
            session.feed.dry_at = None;
        }
    }

    fn check_connect(&self, connect: &Connect) -> Result<(), PeerError> {
        let refuse = |reason, why| Err(PeerError::Refused(reason, why));
        if connect.authentication_method.is_some() {
            return refuse(
                ReasonCode::BadAuthenticationMethod,
                "no authentication method is supported",
            );
        }
        if connect.client_id.len() > CLIENT_ID_MAX_BYTES {
            return refuse(
                ReasonCode::ClientIdentifierNotValid,
                "client identifier over 1,024 bytes",
            );
        }
        if connect.client_id.is_empty() && connect.version == Version::V311 && !connect.clean_start
        {
            return refuse(
                ReasonCode::ClientIdentifierNotValid,
                "an empty client identifier needs a clean session",
            );
        }
        Ok(())
    }

    fn new_client_id(&mut self) -> String {
        self.assigned += 1;
        format!(
            "auto-{:016x}-{:x}-{:x}",
            self.identity.node, self.identity.boot, self.assigned
        )
    }

    fn conn_ack(
        &self,
        connect: &Connect,
        assigned: Option<String>,
        session_present: bool,
        keep_alive: u16,
        expiry_seconds: u32,
    ) -> ConnAck {
        let mut conn_ack = ConnAck::new(ReasonCode::Success);
        conn_ack.session_present = session_present;
        if connect.version == Version::V5 {
            conn_ack.assigned_client_identifier = assigned;
            conn_ack.receive_maximum = u16::try_from(self.limits.receive_maximum).ok();
            conn_ack.maximum_packet_size = u32::try_from(self.limits.packet_bytes).ok();
            conn_ack.topic_alias_maximum = Some(self.limits.topic_alias_maximum);
            conn_ack.server_keep_alive = (keep_alive != connect.keep_alive).then_some(keep_alive);
            let granted = connect.session_expiry_interval.unwrap_or(0) != expiry_seconds;
            conn_ack.session_expiry_interval = granted.then_some(expiry_seconds);
        }
        conn_ack
    }
}
