//! The uplinks of the configuration: each a sink, a cursor, and what carries one to the other.

use std::{pin::Pin, sync::Arc};

use cloud_uplink::{
    Drain, DrainHandle, End, Limits, Peers, Sink, eventmesh::sink::GrpcSink, http::HttpSink,
};
use spool::{CursorId, Lane, Seq, Spool};
use tokio::{sync::watch, task::JoinSet};

use super::{doors::told, node::RunError, recover::RecoveredSink};
use crate::{
    config::{Endpoint, UplinkReceiver},
    node::{core::Clock, source::Source},
};

mod dead;
mod replay;
mod report;

use replay::ReplaySlot;
use report::Report;
pub(super) use report::SinkReports;

/// What every uplink of a node shares.
pub(super) struct Shared {
    pub(super) node: String,
    pub(super) spool: Spool,
    pub(super) clock: Clock,
    pub(super) lanes: u8,
    pub(super) commits: watch::Receiver<Seq>,
    pub(super) stopped: watch::Receiver<bool>,
}

/// The uplinks of a node, running.
pub(super) struct Uplinks {
    uplinks: Vec<Uplink>,
    shared: Shared,
}

/// One of them.
struct Uplink {
    sink: RecoveredSink,
    source: Arc<Source>,
    receiver: Receiver,
    replay: ReplaySlot,
}

/// Who takes its events; shared by all that drains into it.
enum Receiver {
    Http(Arc<HttpSink>),
    Grpc(Arc<GrpcSink>),
}

type Running = Pin<Box<dyn Future<Output = End> + Send>>;

impl Uplinks {
    /// Starts every uplink on this runtime.
    pub(super) fn start(
        sinks: Vec<RecoveredSink>,
        shared: Shared,
        tasks: &mut JoinSet<()>,
        reports: &SinkReports,
    ) -> Result<Uplinks, RunError> {
        let uplinks = sinks.into_iter().map(|sink| Uplink::new(sink, &shared));
        let uplinks = uplinks.collect::<Result<Vec<_>, _>>()?;
        let mut started = Vec::with_capacity(uplinks.len());
        for uplink in &uplinks {
            uplink.count_dead_letters(&shared);
            let (cursor, limits) = (uplink.sink.cursors.debt, uplink.sink.config.limits());
            let stopped = told(shared.stopped.clone());
            let (drain, running) = uplink.drain(cursor, limits, None, &shared, stopped);
            tasks.spawn_local(async move {
                let (End::Told | End::Drained) = running.await; // a debt has no end
            });
            started.push(Report {
                name: uplink.name().to_owned(),
                kind: uplink.sink.config.kind,
                cursor,
                drain,
                graveyard: uplink.sink.cursors.dead,
                replay: uplink.replay.clone(),
            });
        }
        reports.set_running(started);
        Ok(Uplinks { uplinks, shared })
    }
}

impl Uplink {
    fn new(sink: RecoveredSink, shared: &Shared) -> Result<Uplink, RunError> {
        let failed = |error: String| RunError::Uplink {
            name: sink.config.name.as_str().to_owned(),
            error,
        };
        let peers = Arc::new(Peers::new(shared.node.as_str()));
        let receiver = match sink.config.receiver() {
            UplinkReceiver::Http(settings) => {
                let sink = HttpSink::new(settings).map_err(|error| failed(error.to_string()))?;
                Receiver::Http(Arc::new(sink.with_peers(Arc::clone(&peers))))
            }
            UplinkReceiver::Grpc(settings) => {
                let sink = GrpcSink::new(settings).map_err(|error| failed(error.to_string()))?;
                Receiver::Grpc(Arc::new(sink.with_peers(Arc::clone(&peers))))
            }
        };
        let source = Source::new(
            sink.config.name.as_str(),
            shared.spool.clone(),
            Arc::clone(&shared.clock),
            sink.from.clone(),
            sink.lanes,
            peers,
            addresses(&sink.config.endpoints),
            sink.cursors.dead,
        );
        Ok(Uplink {
            sink,
            source,
            receiver,
            replay: ReplaySlot::default(),
        })
    }

    fn name(&self) -> &str {
        self.sink.config.name.as_str()
    }

    /// Something that drains `cursor` into the sink until it is told to stop.
    fn drain(
        &self,
        cursor: CursorId,
        limits: Limits,
        until: Option<Seq>,
        shared: &Shared,
        stopped: impl Future<Output = ()> + Send + 'static,
    ) -> (DrainHandle, Running) {
        match &self.receiver {
            Receiver::Http(receiver) => {
                let drain = self.drain_into(receiver, cursor, limits, until, shared);
                start(drain, stopped)
            }
            Receiver::Grpc(receiver) => {
                let drain = self.drain_into(receiver, cursor, limits, until, shared);
                start(drain, stopped)
            }
        }
    }

    fn drain_into<S: Sink>(
        &self,
        receiver: &Arc<S>,
        cursor: CursorId,
        limits: Limits,
        until: Option<Seq>,
        shared: &Shared,
    ) -> Drain<Source, S> {
        let config = &self.sink.config;
        // A rule may name the sink for an event of any lane.
        let lanes = (0..shared.lanes).map(Lane).collect();
        Drain {
            name: self.name().to_owned(),
            spool: shared.spool.clone(),
            cursor,
            lanes,
            limits,
            drop_expired: config.drop_expired,
            dead_letters_max: config.dead_letters_max(),
            source: Arc::clone(&self.source),
            sink: Arc::clone(receiver),
            commits: shared.commits.clone(),
            until,
        }
    }
}

fn start<S: Sink>(
    drain: Drain<Source, S>,
    stopped: impl Future<Output = ()> + Send + 'static,
) -> (DrainHandle, Running) {
    let (handle, running) = drain.start(stopped);
    (handle, Box::pin(running))
}

/// The addresses of the endpoints, as far as they are written.
fn addresses(endpoints: &[Endpoint]) -> Vec<std::net::IpAddr> {
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
