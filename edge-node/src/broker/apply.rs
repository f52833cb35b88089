//! The fold: the only place where durable state changes.

use std::sync::Arc;

use spool::{CursorId, Entry, Full, NodeTime, Seq};
use wire::Mark;

use super::{
    Broker,
    journal::Journal,
    retained::Retention,
    session::{Session, SessionId},
};
use crate::record::{Change, Record, SubscriptionOptions};

impl Broker {
    /// Folds one state record of the log, at recovery.
    pub fn apply(&mut self, entry: &Entry) {
        match Record::decode(&entry.body) {
            Some(Record::Publish(record)) => {
                self.judge.recover_publish(&record, entry.seq, entry.time);
                self.apply_publish(entry.seq, entry.time, &record);
            }
            Some(Record::Change(Change::Judged { settled })) => {
                self.judge.recover(&settled, entry.seq, entry.time);
            }
            Some(Record::Change(change)) => self.apply_change(change, entry.seq),
            Some(Record::Dead(_)) => {}
            None => tracing::error!(position = entry.seq.0, "a state record cannot be read"),
        }
        // Recovery pins once, at its end.
        self.actions.clear();
        self.retentions.clear();
    }

    /// Writes a change of the node and folds it.
    pub(crate) fn change(
        &mut self,
        journal: &mut Journal<'_>,
        change: Change,
    ) -> Result<Seq, Full> {
        let seq = journal.change(&change)?;
        self.appended = self.appended.max(seq);
        self.apply_change(change, seq);
        Ok(seq)
    }

    /// Writes and folds the changes that name a new cursor, and creates it, or does nothing. Gives the cursor and the last
    /// position.
    pub(crate) fn open_cursor(
        &mut self,
        journal: &mut Journal<'_>,
        name: &str,
        changes: impl FnOnce(CursorId) -> Vec<Change>,
    ) -> Result<(CursorId, Seq), Full> {
        let (cursor, appended) = journal.open_cursor(name, self.limits.session_bytes, changes)?;
        for (change, seq) in appended {
            self.appended = self.appended.max(seq);
            self.apply_change(change, seq);
        }
        Ok((cursor, self.appended))
    }

    /// Writes a change of a session where the session is durable, and folds it either way.
    pub(crate) fn record_of(
        &mut self,
        journal: &mut Journal<'_>,
        id: SessionId,
        change: Change,
    ) -> Result<Seq, Full> {
        if self.sessions.get(id).is_some_and(Session::is_durable) {
            return self.change(journal, change);
        }
        self.apply_change(change, Seq::ZERO);
        Ok(Seq::ZERO)
    }

    pub(super) fn apply_change(&mut self, change: Change, seq: Seq) {
        match change {
            Change::Named { node } => {
                self.identity.node = node;
                self.name_rules();
            }
            Change::Started { boot, clock } => {
                self.identity.boot = boot;
                self.clock = Some(clock);
            }
            Change::SessionOpened { client, cursor } => {
                self.forget_session(&client);
                self.add_session(Session::new(Arc::from(client), Some(cursor), seq));
            }
            Change::SessionRemoved { client } => {
                self.removed = self.removed.max(seq);
                self.forget_session(&client);
            }
            Change::GroupOpened {
                name,
                cursor,
                filters,
            } => self.open_group(name, cursor, filters, seq),
            Change::GroupRemoved { name } => self.forget_group(&name),
            Change::GroupRests { name, at } => drop(self.resting.insert(name, at)),
            Change::RetainedExpired { topic } => {
                let replaced = self.retained.set(&topic, None);
                self.retentions.extend(replaced.map(Retention::Release));
            }
            Change::StagesNamed { stages } => self.judge.apply_named(stages),
            Change::StagesClosed { numbers } => self.judge.apply_closed(&numbers),
            // Gates moved when it was judged, and stages were told.
            Change::Judged { .. } => {}
            Change::StageOpened {
                number,
                definition,
                at,
            } => self.judge.apply_opened(number, &definition, seq, at),
            Change::KeyClosed { stage, key } => self.judge.apply_key_closed(stage, &key),
            Change::Downtime { milliseconds } => self.judge.apply_downtime(milliseconds),
            Change::DerivedLost { rule } => self.judge.apply_derived_lost(&rule),
            Change::JobAnswered {
                stage,
                position,
                answer,
            } => self.judge.apply_answer(stage, position, &answer),
            Change::SinkLeft { name, at } => match at {
                Some(at) => drop(self.sinks.insert(name, at)),
                None => drop(self.sinks.remove(&name)),
            },
            Change::Subscribed {
                client,
                filter,
                options,
            } => self.subscribed(&client, filter, options),
            Change::Unsubscribed { client, filter } => self.unsubscribed(&client, &filter),
            Change::DeviceBorn { device, born } => {
                self.devices.registry.apply_birth(&device, *born)
            }
            Change::DeviceLost { device, report } => {
                self.devices.registry.apply_report(&device, &report)
            }
            Change::DeviceRefused {
                device,
                stream,
                boot,
                seq,
                count,
            } => {
                let last = Mark { boot, seq };
                let registry = &mut self.devices.registry;
                registry.apply_refused(&device, stream, last, count);
            }
            Change::DeviceRemoved { device } => self.devices.registry.remove(&device),
            Change::CommandMoved { command, step } => {
                self.devices.registry.commands.apply(command, step)
            }
            Change::CommandsForgotten { commands } => {
                self.devices.registry.commands.drop_all(&commands)
            }
            Change::DeviceConfigured { device, step } => {
                self.devices.registry.apply_configuration(&device, step)
            }
            Change::GapTold {
                reason,
                scope,
                count,
            } => self.apply_gap_told(reason, scope, count),
            Change::RetainedAsked { client, filter } => {
                self.with_session(&client, |session| session.ask(seq, filter));
            }
            Change::WillRefused { ref client }
            | Change::RetainedGiven { ref client }
            | Change::SentFound { ref client, .. }
            | Change::SessionConnected { ref client, .. }
            | Change::SessionDisconnected { ref client, .. }
            | Change::Released { ref client, .. }
            | Change::Sent { ref client, .. }
            | Change::SentRetained { ref client, .. }
            | Change::Received { ref client, .. }
            | Change::Completed { ref client, .. } => {
                let id = self.clients.get(client.as_str()).copied();
                if let Some(session) = id.and_then(|id| self.sessions.get_mut(id)) {
                    session.kept.apply(change);
                }
            }
        }
    }

    fn with_session<T>(&mut self, client: &str, change: impl FnOnce(&mut Session) -> T) {
        if let Some(session) = self
            .clients
            .get(client)
            .and_then(|id| self.sessions.get_mut(*id))
        {
            change(session);
        }
    }

    /// A session has a subscription, or has it on other terms.
    pub(super) fn subscribed(
        &mut self,
        client: &str,
        filter: String,
        options: SubscriptionOptions,
    ) {
        let Some(id) = self.clients.get(client).copied() else {
            return;
        };
        self.link(id, &filter, options);
        self.with_session(client, |session| session.subscribe(filter, options));
    }

    fn unsubscribed(&mut self, client: &str, filter: &str) {
        if let Some(id) = self.clients.get(client).copied() {
            self.unlink(id, filter);
            self.with_session(client, |session| session.unsubscribe(filter));
        }
    }

    /// The time since which a sink is missing from the configuration.
    pub(crate) fn sink_left(&self, name: &str) -> Option<NodeTime> {
        self.sinks.get(name).copied()
    }
}
