//! The beginning and the end of a connection: CONNECT, take-over, wills, expiry.

use std::{num::NonZeroU16, sync::Arc};

use spool::{LossReason, NodeTime, Seq, Start};

use super::{
    Broker,
    action::{Action, Reader},
    answer::{Answer, Gate},
    connection::{ConnectionId, Phase},
    deadline::Timer,
    errands::Errands,
    fault::PeerError,
    flight::{self, Place},
    journal::Journal,
    session::{Session, SessionId},
    subscriptions::Subscriber,
};
use crate::{
    mqtt::{
        encode,
        packet::{ConnAck, Connect, Disconnect, Packet, ReasonCode, Version, Will},
        stored,
    },
    record::{Change, StoredWill},
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
        let mut gate = Seq::ZERO;

        let mut session_id = self.clients.get(&client).copied();
        if let Some(old) = session_id {
            self.take_over(journal, old);
            // Ending the connection may have ended the session as well.
            session_id = self.clients.get(&client).copied();
        }
        if let Some(old) = session_id
            && connect.clean_start
        {
            gate = gate.max(self.remove_session(journal, old, LossReason::SessionEnded)?);
            session_id = None;
        }
        let session_present = session_id.is_some();
        let session_id = match session_id {
            Some(session_id) => session_id,
            None if self.clients.len() >= self.limits.sessions => {
                return Err(PeerError::Protocol(
                    ReasonCode::QuotaExceeded,
                    "too many sessions",
                ));
            }
            None if expiry_seconds > 0 => {
                let cursor = journal.create_cursor(
                    &format!("session/{client}"),
                    Start::Now,
                    Some(self.limits.session_bytes),
                );
                let opened = Change::SessionOpened {
                    client: client.to_string(),
                    cursor,
                };
                gate = gate.max(self.change(journal, opened)?);
                self.clients.get(&client).copied().unwrap_or_default()
            }
            None => self.add_session(Session::new(Arc::clone(&client), None, journal.appended())),
        };
        let will = connect.will.as_ref().map(store_will);
        let connected = Change::SessionConnected {
            client: client.to_string(),
            expiry_seconds,
            will,
        };
        // A will must be durable before CONNACK, where the session is.
        gate = gate.max(self.record_of(journal, session_id, connected)?);

        let keep_alive = self.keep_alive(connect);
        let Some(connection) = self.connections.get_mut(id) else {
            return Ok(());
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
            self.timers
                .insert((NodeTime(journal.now.0 + silence), Timer::KeepAlive(id)));
        }
        if let Some(session) = self.sessions.get_mut(session_id) {
            session.connection = Some(id);
            if session.is_durable() {
                session.feed.owed = session.feed.owed.max(journal.appended());
            }
            session.feed.resending = false;
            session.feed.dry_at = None;
        }
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

    pub(super) fn check_connect(&self, connect: &Connect) -> Result<(), PeerError> {
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

    pub(super) fn new_client_id(&mut self) -> String {
        self.assigned += 1;
        format!(
            "auto-{:016x}-{:x}-{:x}",
            self.identity.node, self.identity.boot, self.assigned
        )
    }

    pub(super) fn session_expiry(&self, connect: &Connect) -> u32 {
        let wanted = match connect.version {
            Version::V311 if connect.clean_start => 0,
            Version::V311 => u32::MAX,
            Version::V5 => connect.session_expiry_interval.unwrap_or(0),
        };
        wanted.min(self.limits.session_expiry_seconds)
    }

    pub(super) fn conn_ack(
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

    /// The connection of `session` ended; `unclean` unless the client said a proper goodbye.
    pub(crate) fn end_session_connection(
        &mut self,
        journal: &mut Journal<'_>,
        id: ConnectionId,
        session_id: SessionId,
        unclean: bool,
    ) {
        let withheld = match self.connections.get_mut(id) {
            Some(connection) => {
                connection.phase = Phase::Closing;
                connection.acks.clear();
                if !connection.greeted {
                    connection.out.clear();
                }
                std::mem::take(&mut connection.withheld)
            }
            None => return,
        };
        for one in &withheld {
            self.withheld_bytes = self.withheld_bytes.saturating_sub(one.weight());
        }
        let Some(session) = self.sessions.get_mut(session_id) else {
            return;
        };
        session.connection = None;
        session.errands = Errands::default();
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
        // Without room the session counts as connected until the next start, which ends it then.
        let _ = self.record_of(journal, session_id, ended);
        match (will_due, will) {
            (Some(due), Some(will)) if due <= now => {
                let published = self.publish_will(journal, &client, &will);
                let again = published.err().map(|_| NodeTime(now.0 + 1000));
                self.timers
                    .extend(again.map(|at| (at, Timer::Will(client.clone()))));
            }
            (Some(due), Some(_)) => {
                self.timers.insert((due, Timer::Will(client.clone())));
            }
            _ => {}
        }
        self.expire_later(journal, session_id, now, expiry_seconds);
    }

    pub(super) fn expire_later(
        &mut self,
        journal: &mut Journal<'_>,
        id: SessionId,
        from: NodeTime,
        expiry_seconds: u32,
    ) {
        if expiry_seconds == 0 {
            let _ = self.remove_session(journal, id, LossReason::SessionEnded); // full: tried again at the next start
        } else if expiry_seconds != u32::MAX {
            let Some(session) = self.sessions.get(id) else {
                return;
            };
            let due = NodeTime(from.0 + u64::from(expiry_seconds) * 1000);
            self.timers
                .insert((due, Timer::SessionEnd(session.client.to_string())));
        }
    }

    pub(super) fn wake_groups_of(&mut self, session: SessionId) {
        let groups = self
            .groups
            .iter()
            .filter(|(_, group)| group.members.contains_key(&session));
        let groups: Vec<_> = groups.map(|(id, _)| id).collect();
        for id in groups {
            if let Some(group) = self.groups.get_mut(id) {
                group.feed.owed = group.feed.owed.max(self.appended);
            }
            self.hungry.insert(Reader::Group(id));
        }
    }

    /// Ends a session; what it was owed enters the ledger.
    pub(crate) fn remove_session(
        &mut self,
        journal: &mut Journal<'_>,
        id: SessionId,
        reason: LossReason,
    ) -> Result<Seq, PeerError> {
        let Some(session) = self.sessions.get(id) else {
            return Ok(Seq::ZERO);
        };
        let client = session.client.to_string();
        let cursor = session.kept.cursor;
        // A will that waits is published when the session ends, at the latest.
        if let (Some(will), Some(_)) = (session.kept.will.clone(), session.kept.will_due) {
            let _ = self.publish_will(journal, &client, &will); // no room: the will is lost with its session, and counted
        }
        let gate = self.record_of(journal, id, Change::SessionRemoved { client })?;
        if let Some(cursor) = cursor {
            journal.remove_cursor(cursor, Some(reason));
        }
        self.remove_empty_groups(journal)?;
        Ok(gate)
    }

    /// A session ended: it leaves every table.
    pub(crate) fn forget_session(&mut self, client: &str) {
        let Some(id) = self.clients.remove(client) else {
            return;
        };
        let Some(session) = self.sessions.try_remove(id) else {
            return;
        };
        for filter in session.kept.subscriptions.keys() {
            self.unlink(id, filter);
        }
        // Inbound QoS 2 records need no release any more; in-flight ones of groups go back.
        for (_, flight) in session.flights.in_order() {
            if let (Some(group), Place::Stored(seq)) = (flight.group, &flight.place)
                && flight.phase == flight::Phase::Published
            {
                self.return_to_group(group, *seq);
            }
        }
        self.hungry.remove(&Reader::Session(id));
    }

    pub(crate) fn add_session(&mut self, session: Session) -> SessionId {
        let client = Arc::clone(&session.client);
        let id = self.sessions.insert(session);
        self.clients.insert(client, id);
        id
    }

    /// Removes shared groups without any subscriber.
    pub(crate) fn remove_empty_groups(
        &mut self,
        journal: &mut Journal<'_>,
    ) -> Result<(), PeerError> {
        let empty = self.groups.iter().filter(|(_, g)| {
            g.members.is_empty() && g.filters.is_empty() && g.name.starts_with("share/")
        });
        let empty: Vec<_> = empty
            .map(|(_, group)| (group.name.clone(), group.cursor))
            .collect();
        for (name, cursor) in empty {
            self.change(journal, Change::GroupRemoved { name })?;
            journal.remove_cursor(cursor, Some(LossReason::SessionEnded));
        }
        Ok(())
    }

    pub(crate) fn link(
        &mut self,
        id: SessionId,
        filter: &str,
        options: crate::record::SubscriptionOptions,
    ) {
        match filters::Subscription::parse(filter) {
            Ok(subscription) => match &subscription.group {
                None => self.subscriptions.insert(
                    &subscription.filter,
                    Subscriber::Session(id),
                    options,
                ),
                Some(group) => {
                    let name = shared_name(group, subscription.filter.as_str());
                    let Some(group) = self.group_names.get(&name).copied() else {
                        return;
                    };
                    self.subscriptions.insert(
                        &subscription.filter,
                        Subscriber::Member(group, id),
                        options,
                    );
                    if let Some(found) = self.groups.get_mut(group) {
                        found
                            .members
                            .insert(id, super::subscriptions::Grant::of(&options));
                        found.feed.owed = found.feed.owed.max(self.appended);
                        self.hungry.insert(Reader::Group(group));
                    }
                }
            },
            Err(error) => {
                tracing::error!(%error, filter, "a stored subscription is no topic filter")
            }
        }
    }

    pub(crate) fn unlink(&mut self, id: SessionId, filter: &str) {
        let Ok(subscription) = filters::Subscription::parse(filter) else {
            return;
        };
        match &subscription.group {
            None => self
                .subscriptions
                .remove(&subscription.filter, Subscriber::Session(id)),
            Some(group) => {
                let name = shared_name(group, subscription.filter.as_str());
                let Some(group) = self.group_names.get(&name).copied() else {
                    return;
                };
                self.subscriptions
                    .remove(&subscription.filter, Subscriber::Member(group, id));
                if let Some(found) = self.groups.get_mut(group) {
                    found.members.remove(&id);
                }
            }
        }
    }
}

/// The name of the group, and of its cursor, behind a shared subscription.
pub(crate) fn shared_name(group: &str, filter: &str) -> String {
    format!("share/{group}/{filter}")
}

/// A will as the log keeps it.
pub(crate) fn store_will(will: &Will) -> StoredWill {
    StoredWill {
        topic: will.topic.clone(),
        payload: will.payload.to_vec(),
        qos: will.qos as u8,
        retain: will.retain,
        delay_seconds: will.delay_interval,
        properties: stored::encode(&will.properties).unwrap_or_default(), // decoded ones can be encoded
    }
}
