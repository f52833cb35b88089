//! Accepting connections and closing them in time.

use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    response::{IntoResponse, Response},
};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
use tower::ServiceExt;

use super::{peer::Peer, timed::Timed};
use crate::{config::HttpConfig, logging::LogLimit, node::door::DoorCounters};

/// Bytes for the head of a request; a longer one is answered 431.
const HEAD_BYTES: usize = 64 << 10;
/// After an accept that failed for want of files or memory: until some connection has ended.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a connection may take.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    connections: usize,
    head_timeout: Duration,
    write_timeout: Duration,
    /// Requests under way at shutdown have this long to end.
    pub(super) last_requests: Duration,
}

impl Bounds {
    pub(super) fn of(config: &HttpConfig) -> Bounds {
        Bounds {
            connections: usize::try_from(config.max_connections).unwrap_or(usize::MAX),
            head_timeout: config.head_timeout.0,
            write_timeout: config.body_timeout.0,
            last_requests: Duration::from_secs(5),
        }
    }
}

pub(super) async fn accept(
    listener: TcpListener,
    router: Router,
    bounds: Bounds,
    counters: Arc<DoorCounters>,
    shutdown: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(bounds.connections));
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    let limit = Arc::<LogLimit>::default();
    let mut shutdown = pin!(shutdown);
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            () = &mut shutdown => break,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, peer)) => {
                let open = counters.accept();
                let requests = Arc::<AtomicU64>::default();
                let (router, stopping) = (router.clone(), stopping.clone());
                let served = serve(
                    stream,
                    peer,
                    router,
                    bounds,
                    Arc::clone(&requests),
                    stopping,
                );
                let (counters, limit) = (Arc::clone(&counters), Arc::clone(&limit));
                connections.spawn(async move {
                    if let Err(error) = served.await
                        && let Some(reason) = fault(&error, requests.load(Relaxed))
                    {
                        counters.fault();
                        limit.warn(reason, peer.ip(), &error);
                    }
                    drop((open, place));
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept an HTTP connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let _ = stop.send(true); // no receiver: no connection is open
    let last = async { while connections.join_next().await.is_some() {} };
    if timeout(bounds.last_requests, last).await.is_err() {
        tracing::warn!("HTTP requests were under way at shutdown and are cut off");
    }
}

async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    bounds: Bounds,
    requests: Arc<AtomicU64>,
    mut stopping: watch::Receiver<bool>,
) -> hyper::Result<()> {
    let _ = stream.set_nodelay(true); // only a matter of speed
    let peer = Peer::new(peer, stream.local_addr().ok());
    let service = service_fn(move |request: Request<Incoming>| {
        requests.fetch_add(1, Relaxed);
        answer(router.clone(), peer, request)
    });
    let io = TokioIo::new(Timed::new(stream, bounds.write_timeout));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head_timeout)
        .max_header_size(HEAD_BYTES)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(io, service);
    let mut connection = pin!(connection);
    tokio::select! {
        ended = &mut connection => return ended,
        _ = stopping.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

/// What the peer did wrong, after so many requests; `None` if nothing, as when a connection was idle.
fn fault(error: &hyper::Error, requests: u64) -> Option<&'static str> {
    if error.is_timeout() {
        (requests == 0).then_some("an HTTP peer sent no request in time")
    } else if error.is_parse() {
        Some("an HTTP peer sent no valid request")
    } else {
        Some("an HTTP connection broke")
    }
}

async fn answer(
    router: Router,
    peer: Peer,
    mut request: Request<Incoming>,
) -> Result<Response, Infallible> {
    if let Err(fault) = peer.may_ask(request.uri(), request.headers()) {
        return Ok(fault.into_response());
    }
    request.extensions_mut().insert(peer);
    router.oneshot(request.map(Body::new)).await
}
