//! What the core says of itself.

use super::Core;
use crate::{
    config::units::ByteSize,
    node::status::{
        LossStatus, MessagesStatus, NodeHealth, NodeStatus, SessionsStatus, SpoolStatus,
    },
};

/// How the names of the cursors over what sessions are owed begin.
const SESSION_CURSORS: &str = "session/";

impl Core {
    pub(super) fn status(&self) -> NodeStatus {
        let now = (self.clock)().node;
        let log = self.spool.status();
        let counters = self.broker.counters();
        NodeStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_ms: now.0.saturating_sub(self.started.0),
            health: health(&log),
            sessions: self.sessions_status(&log),
            devices: self.broker.devices_status(),
            messages: MessagesStatus {
                received: counters.received,
                acknowledged: counters.acknowledged,
                delivered: counters.delivered,
                events: counters.events,
                gaps: counters.gaps,
                wrapped: counters.wrapped,
                refused: counters.refused,
            },
            spool: SpoolStatus::of(&log, now),
            rules: self.broker.rules().status(),
            derived_waiting: self.broker.rules().waiting() as u64,
            decoders: self.broker.rules().decoders_status(),
            ledger: log
                .ledger
                .iter()
                .map(|loss| LossStatus::of(loss, now))
                .collect(),
            ..NodeStatus::default()
        }
    }

    fn sessions_status(&self, log: &spool::Status) -> SessionsStatus {
        let cursors = log.cursors.iter();
        let owed: Vec<_> = cursors
            .filter(|cursor| cursor.name.starts_with(SESSION_CURSORS))
            .collect();
        SessionsStatus {
            pending_records: owed.iter().map(|cursor| cursor.pending_records).sum(),
            pending_bytes: owed.iter().map(|cursor| cursor.pending_bytes).sum(),
            ..self.broker.sessions_status()
        }
    }
}

fn health(log: &spool::Status) -> NodeHealth {
    let full = log.lanes.iter().filter(|lane| lane.full);
    let mut reasons: Vec<String> = full
        .map(|lane| format!("lane {} is full", lane.name))
        .collect();
    let (free, kept) = (log.free_bytes, log.min_free_bytes);
    if free < kept {
        reasons.push(format!(
            "the disk has {} free and `min-free` of [spool] keeps {}: the log gets no new file",
            ByteSize(free),
            ByteSize(kept)
        ));
    }
    if let spool::Health::Failing { error, .. } = &log.health {
        reasons.insert(
            0,
            format!("the disk does not take what it is given: {error}"),
        );
        return NodeHealth::Failing { reasons };
    }
    if reasons.is_empty() {
        NodeHealth::Ok
    } else {
        NodeHealth::Degraded { reasons }
    }
}
