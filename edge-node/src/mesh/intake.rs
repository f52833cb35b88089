//! What all calls together may hold of messages that come in: a connection may have hundreds of calls open, each with a
//! message of megabytes on its way.
//!
//! A call holds what has come of its message, not what its message claims, and gives it back with its answer; a stream
//! gives back what a message held when it asks for the next. Where there is no room for more a call waits for a few
//! seconds and is then asked to come again, so that nobody who holds bytes and sends no more of them holds up the others
//! for longer than that.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::HeaderValue;
use hyper::body::{Body as HttpBody, Frame};
use tokio::{
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore},
    time::{error::Elapsed, timeout},
};
use tonic::{Code, Status, body::Body, codegen::Service, server::NamedService};

use framing::Framing;

mod framing;

/// What messages on their way in may take in memory, unless one alone may take more.
const BUDGET_BYTES: usize = 64 << 20;
/// What a byte of a message takes in memory: it lies there as it came, and as it was understood.
const WEIGHT: usize = 4;
/// How long a call waits for others to give back what they hold.
const ROOM_WITHIN: Duration = Duration::from_secs(5);

/// The bytes that are free, of those all calls may hold.
#[derive(Clone)]
pub(super) struct Intake {
    free: Arc<Semaphore>,
}

impl Intake {
    /// For messages of at most this size.
    pub(super) fn new(message_bytes: usize) -> Intake {
        let most = BUDGET_BYTES.max(message_bytes.saturating_mul(WEIGHT));
        Intake {
            free: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
        }
    }

    /// A service whose calls share these bytes.
    pub(super) fn guard<S>(&self, service: S) -> Guarded<S> {
        Guarded {
            service,
            intake: self.clone(),
        }
    }
}

/// A service that takes no more at one time than an [`Intake`] has room for, and refuses a message that is too large as
/// an EventMesh runtime does: with RESOURCE_EXHAUSTED, where the gRPC library says OUT_OF_RANGE.
#[derive(Clone)]
pub(super) struct Guarded<S> {
    service: S,
    intake: Intake,
}

impl<S: NamedService> NamedService for Guarded<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, P> Service<http::Request<Body>> for Guarded<S>
where
    S: Service<http::Request<Body>, Response = http::Response<P>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let path = request.uri().path();
        let metered = Metered {
            body: Body::empty(),
            framing: Framing::new(path.contains("/batchPublish")),
            is_stream: path.ends_with("/subscribeStream"),
            intake: self.intake.clone(),
            held: Held::default(),
            waiting: None,
        };
        let held = metered.held.clone();
        let request = request.map(|body| Body::new(Metered { body, ..metered }));
        let answer = self.service.call(request);
        Box::pin(async move {
            let answer = answer.await;
            held.give_back();
            answer.map(said_as_eventmesh_does)
        })
    }
}

fn said_as_eventmesh_does<P>(mut answer: http::Response<P>) -> http::Response<P> {
    // No service of the mesh says OUT_OF_RANGE itself.
    if let Some(status) = answer.headers_mut().get_mut("grpc-status")
        && *status == (Code::OutOfRange as i32).to_string()
    {
        *status = HeaderValue::from(Code::ResourceExhausted as i32);
    }
    answer
}

/// What a call holds of the bytes.
#[derive(Clone, Default)]
struct Held(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl Held {
    fn add(&self, permit: OwnedSemaphorePermit) {
        let mut held = self.lock();
        match held.as_mut() {
            Some(held) => held.merge(permit),
            None => *held = Some(permit),
        }
    }

    fn give_back(&self) {
        drop(self.lock().take());
    }

    fn lock(&self) -> MutexGuard<'_, Option<OwnedSemaphorePermit>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Reservation = Pin<
    Box<dyn Future<Output = Result<Result<OwnedSemaphorePermit, AcquireError>, Elapsed>> + Send>,
>;

/// The body of a call, which stops where there is no room for more of it.
struct Metered {
    body: Body,
    framing: Framing,
    is_stream: bool,
    intake: Intake,
    held: Held,
    waiting: Option<(Reservation, Frame<Bytes>)>,
}

impl HttpBody for Metered {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if this.waiting.is_none() {
            if this.is_stream && this.framing.is_between_messages() {
                this.held.give_back();
            }
            let frame = match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                other => return Poll::Ready(other),
            };
            let bytes = match this.framing.follow(frame.data_ref().map_or(&[], |it| it)) {
                Ok(0) => return Poll::Ready(Some(Ok(frame))),
                Ok(bytes) => u32::try_from(bytes * WEIGHT).unwrap_or(u32::MAX),
                Err(status) => return Poll::Ready(Some(Err(status))),
            };
            let reservation = Arc::clone(&this.intake.free).acquire_many_owned(bytes);
            this.waiting = Some((Box::pin(timeout(ROOM_WITHIN, reservation)), frame));
        }
        let Some((reservation, _)) = &mut this.waiting else {
            return Poll::Ready(None);
        };
        let permit = ready!(reservation.as_mut().poll(cx));
        let frame = this.waiting.take().map(|(_, frame)| frame);
        match permit {
            Ok(Ok(permit)) => {
                this.held.add(permit);
                Poll::Ready(frame.map(Ok))
            }
            Ok(Err(_)) | Err(_) => Poll::Ready(Some(Err(Status::resource_exhausted(
                "other calls hold all the memory there is for messages; try again",
            )))),
        }
    }
}

#[cfg(test)]
mod tests;
