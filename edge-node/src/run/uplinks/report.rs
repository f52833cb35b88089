//! The state of the sinks, for status.

use std::sync::{Arc, OnceLock};

use cloud_uplink::{DrainHandle, LinkState, UplinkStatus};
use spool::{CursorId, NodeTime, Spool};

use super::replay::ReplaySlot;
use crate::{
    broker::KnownSink,
    config::UplinkKind,
    node::{
        core::Clock,
        status::{NodeStatus, SinkError, SinkState, SinkStatus, age_ms},
    },
};

/// The state of the sinks, for status.
#[derive(Clone)]
pub(in crate::run) struct SinkReports {
    running: Arc<OnceLock<Vec<Report>>>,
    /// Sinks that left the configuration.
    missing: Arc<[(String, KnownSink)]>,
}

/// What is asked about one running sink.
pub(super) struct Report {
    pub(super) name: String,
    pub(super) kind: UplinkKind,
    pub(super) cursor: CursorId,
    pub(super) graveyard: CursorId,
    pub(super) drain: DrainHandle,
    pub(super) replay: ReplaySlot,
}

impl SinkReports {
    pub(in crate::run) fn new(missing: Vec<(String, KnownSink)>) -> SinkReports {
        SinkReports {
            running: Arc::default(),
            missing: missing.into(),
        }
    }

    /// The sinks run. A node starts its uplinks once; a second call changes nothing.
    pub(super) fn set_running(&self, reports: Vec<Report>) {
        let _ = self.running.set(reports);
    }

    /// Adds the sinks to a status.
    pub(in crate::run) fn add_to(&self, status: &mut NodeStatus, spool: &Spool, clock: &Clock) {
        let now = clock().node;
        for report in self.running.get().into_iter().flatten() {
            let sink = report.status(spool, now);
            if let SinkState::BackingOff | SinkState::Stalled = sink.state {
                let reason = sink.last_error.as_ref().map_or("", |error| &error.error);
                let (name, state) = (&sink.name, sink.state.name());
                status
                    .health
                    .degrade(format!("sink {name} is {state}: {reason}"));
            }
            status.sinks.push(sink);
        }
        let missing = self.missing.iter();
        status
            .sinks
            .extend(missing.filter_map(|(name, known)| removed(name, *known, spool, now)));
    }
}

/// A sink that left the configuration, as long as anything is kept for it.
fn removed(name: &str, known: KnownSink, spool: &Spool, now: NodeTime) -> Option<SinkStatus> {
    let status = |cursor: Option<CursorId>| cursor.and_then(|cursor| spool.cursor_status(cursor));
    let (debt, dead) = (status(known.debt), status(known.dead));
    if debt.is_none() && dead.is_none() {
        return None;
    }
    let mut sink = SinkStatus {
        name: name.to_owned(),
        state: SinkState::Removed,
        dead_letters: dead.as_ref().map_or(0, |dead| dead.pending_records),
        dead_letter_bytes: dead.map_or(0, |dead| dead.pending_bytes),
        ..SinkStatus::default()
    };
    if let Some(debt) = debt {
        sink.pending_records = debt.pending_records;
        sink.pending_bytes = debt.pending_bytes;
        sink.oldest_age_ms = debt.oldest_pending.map(|oldest| age_ms(oldest, now));
    }
    Some(sink)
}

impl Report {
    fn status(&self, spool: &Spool, now: NodeTime) -> SinkStatus {
        let cursor = spool.cursor_status(self.cursor);
        let dead = spool.cursor_status(self.graveyard);
        let seen = self.drain.status();
        SinkStatus {
            name: self.name.clone(),
            kind: kind_name(self.kind).to_owned(),
            state: state_of(&seen.state),
            pending_records: seen.pending,
            pending_bytes: cursor.as_ref().map_or(0, |cursor| cursor.pending_bytes),
            oldest_age_ms: cursor
                .and_then(|cursor| cursor.oldest_pending)
                .map(|oldest| age_ms(oldest, now)),
            acknowledged: seen.acknowledged,
            retried: seen.repeated,
            dead_letters: dead.as_ref().map_or(0, |dead| dead.pending_records),
            dead_letter_bytes: dead.map_or(0, |dead| dead.pending_bytes),
            dead_lettered: seen.dead_letters,
            not_sent_back: seen.not_sent_back,
            last_error: error_of(&seen),
            next_retry_ms: seen.next_retry_ms,
            catch_up_ms: seen.catch_up_ms,
            replay: self.replay.status(spool),
        }
    }
}

fn kind_name(kind: UplinkKind) -> &'static str {
    match kind {
        UplinkKind::Http => "http",
        UplinkKind::EventmeshHttp => "eventmesh-http",
        UplinkKind::EventmeshGrpc => "eventmesh-grpc",
    }
}

fn state_of(state: &LinkState) -> SinkState {
    match state {
        LinkState::Connected => SinkState::Connected,
        LinkState::Idle => SinkState::Idle,
        LinkState::Connecting => SinkState::Connecting,
        LinkState::BackingOff { .. } => SinkState::BackingOff,
        LinkState::Stalled { .. } => SinkState::Stalled,
    }
}

fn error_of(seen: &UplinkStatus) -> Option<SinkError> {
    Some(SinkError {
        error: seen.last_error.clone()?,
        age_ms: seen.last_error_ms.unwrap_or(0),
    })
}
