//! The thread of the other doors: HTTP, gRPC, uplinks. What they do never holds up MQTT.

use std::{
    io,
    sync::Arc,
    thread::{self, JoinHandle},
};

use tokio::{
    runtime::Builder,
    sync::{mpsc, watch},
    task::{JoinSet, LocalSet},
};

use super::{
    BLOCKING_THREADS,
    listen::serve,
    node::RunError,
    recover::RecoveredSink,
    uplinks::{self, SinkReports, Uplinks},
};
use crate::{
    config::Config,
    http, mesh,
    node::{
        core::Clock,
        door::DoorCounters,
        handle::{NodeHandle, UplinkOrder},
    },
};

/// What the doors need.
pub(super) struct Doors {
    pub(super) config: Config,
    pub(super) http: std::net::TcpListener,
    pub(super) http_counters: Arc<DoorCounters>,
    pub(super) grpc: std::net::TcpListener,
    pub(super) grpc_counters: Arc<DoorCounters>,
    pub(super) node: NodeHandle,
    pub(super) sinks: Vec<RecoveredSink>,
    pub(super) orders: mpsc::Receiver<UplinkOrder>,
    pub(super) reports: SinkReports,
    pub(super) clock: Clock,
}

/// The running thread. Dropping it tells the doors to close and waits for them.
pub(super) struct OpenDoors {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Doors {
    pub(super) fn open(self) -> Result<OpenDoors, RunError> {
        let (stop, stopped) = watch::channel(false);
        let (started, outcome) = std::sync::mpsc::channel();
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS)
            .build()?;
        let thread = thread::Builder::new()
            .name("edge-doors".to_owned())
            .spawn(move || {
                LocalSet::new().block_on(&runtime, self.serve(stopped, &started));
                // What still blocks on the disk must not hold the node up.
                runtime.shutdown_background();
            })?;
        let doors = OpenDoors {
            stop,
            thread: Some(thread),
        };
        outcome
            .recv()
            .map_err(|_| io::Error::other("the thread of the doors broke"))??;
        Ok(doors)
    }

    async fn serve(
        mut self,
        stopped: watch::Receiver<bool>,
        started: &std::sync::mpsc::Sender<Result<(), RunError>>,
    ) {
        let mut doors = JoinSet::new();
        let shared = uplinks::Shared {
            node: self.node.id().to_owned(),
            spool: self.node.spool().clone(),
            clock: Arc::clone(&self.clock),
            lanes: u8::try_from(self.config.spool.lanes.len()).unwrap_or(u8::MAX),
            commits: self.node.commits(),
            stopped: stopped.clone(),
        };
        let sinks = std::mem::take(&mut self.sinks);
        // Nobody waits for what is told here only if the node is already stopping.
        let uplinks = match Uplinks::start(sinks, shared, &mut doors, &self.reports) {
            Ok(uplinks) => uplinks,
            Err(error) => {
                let _ = started.send(Err(error));
                return;
            }
        };
        let _ = started.send(Ok(()));
        doors.spawn_local(uplinks.follow_orders(self.orders));
        match serve(self.http) {
            Ok(listener) => {
                let config = self.config.http.clone();
                let node = self.node.clone();
                doors.spawn_local(http::serve(
                    listener,
                    node,
                    config,
                    self.http_counters,
                    told(stopped.clone()),
                ));
            }
            Err(error) => tracing::error!(%error, "the HTTP door stays closed"),
        }
        match serve(self.grpc) {
            Ok(listener) => {
                let config = self.config.grpc.clone();
                let (node, counters) = (self.node.clone(), self.grpc_counters);
                doors.spawn_local(async move {
                    if let Err(error) = mesh::serve(listener, node, config, counters, stopped).await
                    {
                        tracing::error!(%error, "the gRPC door broke");
                    }
                });
            }
            Err(error) => tracing::error!(%error, "the gRPC door stays closed"),
        }
        while let Some(ended) = doors.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a door broke");
            }
        }
    }
}

/// Ready when the doors are told to close.
pub(super) async fn told(mut stopped: watch::Receiver<bool>) {
    // An error means that nobody is left to tell.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

impl OpenDoors {
    /// Tells the doors to close, without waiting.
    pub(super) fn close(&self) {
        self.stop.send_replace(true);
    }
}

impl Drop for OpenDoors {
    fn drop(&mut self) {
        self.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the doors broke");
        }
    }
}
