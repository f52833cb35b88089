//! The uplinks of the configuration: each a sink, a cursor, and what carries one to the other.

use std::sync::{Arc, OnceLock};

use cloud_uplink::{
    Drain, DrainHandle, LinkState, Sink, UplinkStatus, eventmesh::sink::GrpcSink, http::HttpSink,
};
use spool::{CursorId, Lane, Seq, Spool};
use tokio::{sync::watch, task::JoinSet};

use super::{doors::told, node::RunError, recover::RecoveredSink};
use crate::{
    config::{Endpoint, UplinkKind, UplinkReceiver},
    node::{
        core::Clock,
        source::Source,
        status::{NodeStatus, SinkError, SinkState, SinkStatus, age_ms},
    },
};

/// What every uplink of a node shares.
pub(super) struct Shared {
    pub(super) spool: Spool,
    pub(super) clock: Clock,
    pub(super) lanes: u8,
    pub(super) commits: watch::Receiver<Seq>,
    pub(super) stopped: watch::Receiver<bool>,
}

/// The state of the sinks, for status.
#[derive(Clone)]
pub(super) struct SinkReports {
    running: Arc<OnceLock<Vec<Report>>>,
    /// Sinks that left the configuration.
    missing: Arc<[(String, CursorId)]>,
}

struct Report {
    name: String,
    kind: UplinkKind,
    cursor: CursorId,
    drain: DrainHandle,
}

/// Starts every uplink on this runtime.
pub(super) fn start(
    sinks: Vec<RecoveredSink>,
    shared: &Shared,
    tasks: &mut JoinSet<()>,
    reports: &SinkReports,
) -> Result<(), RunError> {
    let mut started = Vec::with_capacity(sinks.len());
    for sink in sinks {
        let (name, kind) = (sink.config.name.as_str().to_owned(), sink.config.kind);
        let cursor = sink.cursors.debt;
        let failed = |error: String| RunError::Uplink {
            name: name.clone(),
            error,
        };
        let drain = match sink.config.receiver() {
            UplinkReceiver::Http(settings) => {
                let receiver =
                    HttpSink::new(settings).map_err(|error| failed(error.to_string()))?;
                drain(&sink, receiver, shared, tasks)
            }
            UplinkReceiver::Grpc(settings) => {
                let receiver =
                    GrpcSink::new(settings).map_err(|error| failed(error.to_string()))?;
                drain(&sink, receiver, shared, tasks)
            }
        };
        started.push(Report {
            name,
            kind,
            cursor,
            drain,
        });
    }
    // Set once: a node starts its uplinks once.
    let _ = reports.running.set(started);
    Ok(())
}

fn drain<S: Sink>(
    sink: &RecoveredSink,
    receiver: S,
    shared: &Shared,
    tasks: &mut JoinSet<()>,
) -> DrainHandle {
    let source = Source::new(
        shared.spool.clone(),
        Arc::clone(&shared.clock),
        sink.from.clone(),
        sink.lanes,
        peers(&sink.config.endpoints),
        sink.cursors.dead,
    );
    let lanes = (0..shared.lanes)
        .map(Lane)
        .filter(|lane| sink.lanes & (1 << lane.0) != 0)
        .collect();
    let drain = Drain {
        name: sink.config.name.as_str().to_owned(),
        spool: shared.spool.clone(),
        cursor: sink.cursors.debt,
        lanes,
        limits: sink.config.limits(),
        drop_expired: sink.config.drop_expired,
        dead_letters_max: sink.config.dead_letters_max(),
        source,
        sink: Arc::new(receiver),
        commits: shared.commits.clone(),
    };
    let (handle, running) = drain.start(told(shared.stopped.clone()));
    tasks.spawn_local(running);
    handle
}

/// The addresses of the endpoints, as far as they are written or can be found now.
fn peers(endpoints: &[Endpoint]) -> Vec<std::net::IpAddr> {
    let uris = endpoints
        .iter()
        .filter_map(|endpoint| endpoint.as_str().parse::<http::Uri>().ok());
    let hosts = uris.filter_map(|uri| {
        uri.host()
            .map(|host| host.trim_matches(['[', ']']).to_owned())
    });
    // Names are not looked up: a gateway without a link would wait for its resolver at every start.
    hosts
        .filter_map(|host| host.parse::<std::net::IpAddr>().ok())
        .collect()
}

impl SinkReports {
    pub(super) fn new(missing: Vec<(String, CursorId)>) -> SinkReports {
        SinkReports {
            running: Arc::default(),
            missing: missing.into(),
        }
    }

    /// Adds the sinks to a status.
    pub(super) fn add_to(&self, status: &mut NodeStatus, spool: &Spool, clock: &Clock) {
        let now = clock().node;
        for report in self.running.get().into_iter().flatten() {
            let cursor = spool.cursor_status(report.cursor);
            let seen = report.drain.status();
            let (state, error) = state_of(&seen);
            if state == SinkState::BackingOff {
                let reason = error.as_ref().map_or("", |error| &error.error);
                status
                    .health
                    .degrade(format!("sink {} is backing off: {reason}", report.name));
            }
            status.sinks.push(SinkStatus {
                name: report.name.clone(),
                kind: kind_name(report.kind).to_owned(),
                state,
                pending_records: seen.pending,
                pending_bytes: cursor.as_ref().map_or(0, |cursor| cursor.pending_bytes),
                oldest_age_ms: cursor
                    .and_then(|cursor| cursor.oldest_pending)
                    .map(|oldest| age_ms(oldest, now)),
                acknowledged: seen.acknowledged,
                retried: seen.repeated,
                dead_letters: seen.dead_letters,
                last_error: error,
                next_retry_ms: seen.next_retry_ms,
                catch_up_ms: seen.catch_up_ms,
            });
        }
        for (name, cursor) in self.missing.iter() {
            let Some(cursor) = spool.cursor_status(*cursor) else {
                continue;
            };
            status.sinks.push(SinkStatus {
                name: name.clone(),
                state: SinkState::Removed,
                pending_records: cursor.pending_records,
                pending_bytes: cursor.pending_bytes,
                oldest_age_ms: cursor.oldest_pending.map(|oldest| age_ms(oldest, now)),
                ..SinkStatus::default()
            });
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

fn state_of(seen: &UplinkStatus) -> (SinkState, Option<SinkError>) {
    let state = match &seen.state {
        LinkState::Connected => SinkState::Connected,
        LinkState::Idle | LinkState::Connecting => SinkState::Unknown,
        LinkState::BackingOff { .. } | LinkState::Stalled { .. } => SinkState::BackingOff,
    };
    let error = seen.last_error.clone();
    let error = error.map(|error| SinkError {
        error,
        age_ms: seen.last_error_ms.unwrap_or(0),
    });
    (state, error)
}
