//! Session expiry: how long a session outlives its connection, and its end.

use spool::{Full, LossReason, NodeTime};

use super::{Broker, deadline::Timer, fault::PeerError, journal::Journal, session::SessionId};
use crate::{
    mqtt::packet::{Connect, Version},
    record::Change,
};

impl Broker {
    pub(super) fn session_expiry(&self, connect: &Connect) -> u32 {
        let wanted = match connect.version {
            Version::V311 if connect.clean_start => 0,
            Version::V311 => u32::MAX,
            Version::V5 => connect.session_expiry_interval.unwrap_or(0),
        };
        wanted.min(self.limits.session_expiry_seconds)
    }

    pub(super) fn expire_later(
        &mut self,
        journal: &mut Journal<'_>,
        id: SessionId,
        from: NodeTime,
        expiry_seconds: u32,
    ) {
        if expiry_seconds == 0 {
            if self.remove_session(journal, id, true).is_err() {
                self.expire_again(journal, id);
            }
        } else if expiry_seconds != u32::MAX {
            let Some(session) = self.sessions.get(id) else {
                return;
            };
            let due = NodeTime(from.0 + u64::from(expiry_seconds) * 1000);
            let timer = Timer::SessionEnd(session.client.to_string());
            self.timers.set(timer, due);
        }
    }

    pub(super) fn session_is_due(&mut self, journal: &mut Journal<'_>, client: &str) {
        let Some(id) = self.clients.get(client).copied() else {
            return;
        };
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        let expiry = u64::from(session.kept.expiry_seconds) * 1000;
        let due = NodeTime(session.kept.disconnected_at.0 + expiry);
        if session.connection.is_some()
            || session.kept.expiry_seconds == u32::MAX
            || due > journal.now
        {
            return;
        }
        if self.remove_session(journal, id, true).is_err() {
            self.expire_again(journal, id);
        }
    }

    /// The log had no room for the end of a session.
    fn expire_again(&mut self, journal: &Journal<'_>, id: SessionId) {
        let again = NodeTime(journal.now.0 + 1000);
        let client = self.client_of(id);
        self.timers.set(Timer::SessionEnd(client), again);
    }

    /// Ends a session; what it was owed enters the ledger, and so does a will that is due and finds no room, unless it may wait
    /// for room beside what is being committed: then the session waits with it.
    pub(crate) fn remove_session(
        &mut self,
        journal: &mut Journal<'_>,
        id: SessionId,
        will_may_wait: bool,
    ) -> Result<(), PeerError> {
        let Some(session) = self.sessions.get(id) else {
            return Ok(());
        };
        let client = session.client.to_string();
        let cursor = session.kept.cursor;
        // A will that waits is published when the session ends, at the latest.
        let will = session.kept.will.clone();
        let due = will.filter(|_| session.kept.will_due.is_some());
        let mut unpublished = None;
        if let Some(will) = due
            && let Err(full) = self.publish_will(journal, &client, &will, will_may_wait)
        {
            if will_may_wait && matches!(full, Full::Waiting | Full::TooLarge) {
                return Err(full.into());
            }
            unpublished = Some(will);
        }
        let scope = client.clone();
        self.record_of(journal, id, Change::SessionRemoved { client })?;
        self.timers.cancel(&Timer::SessionEnd(scope.clone()));
        self.timers.cancel(&Timer::Will(scope.clone()));
        if let Some(will) = unpublished {
            self.lose_will(scope, &will, journal.now);
        }
        if let Some(cursor) = cursor {
            journal.remove_cursor(cursor, Some(LossReason::SessionEnded));
        }
        self.remove_empty_groups(journal);
        Ok(())
    }
}
