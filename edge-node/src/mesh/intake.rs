//! What all calls together may hold of messages that come in: a connection may have hundreds of calls open, each with a
//! message of megabytes on its way.
//!
//! A message says its size in its first five bytes. A call waits there until that much is free, and gives it back with its
//! answer, so that a call which may go on is never held up by one that waits.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderValue;
use hyper::body::{Body as HttpBody, Frame};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tonic::{Code, Status, body::Body, codegen::Service, server::NamedService};

/// Bytes of messages on their way in, unless one alone may be larger.
const BUDGET_BYTES: usize = 64 << 20;
/// An empty event is two bytes in a batch and a hundred times that in memory.
const BATCH_WEIGHT: u32 = 16;
/// A flag and four bytes of length come before a message.
const HEAD_BYTES: usize = 5;

/// The bytes that are free, of those all calls may hold.
#[derive(Clone)]
pub(super) struct Intake {
    free: Arc<Semaphore>,
    most: u32,
}

impl Intake {
    /// For messages of at most this size.
    pub(super) fn new(message_bytes: usize) -> Intake {
        let most = u32::try_from(BUDGET_BYTES.max(message_bytes)).unwrap_or(u32::MAX);
        Intake {
            free: Arc::new(Semaphore::new(usize::try_from(most).unwrap_or(usize::MAX))),
            most,
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
        let weight = if request.uri().path().contains("/batchPublish") {
            BATCH_WEIGHT
        } else {
            1
        };
        let held = Held::default();
        let (intake, of_call) = (self.intake.clone(), Arc::clone(&held));
        let request = request.map(|body| {
            Body::new(Metered {
                body,
                head: Vec::with_capacity(HEAD_BYTES),
                weight,
                intake,
                held: of_call,
                waiting: None,
            })
        });
        let answer = self.service.call(request);
        Box::pin(async move {
            let answer = answer.await;
            drop(held.lock().unwrap_or_else(PoisonError::into_inner).take());
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

/// What a call holds of the bytes, from the head of its message to its answer.
type Held = Arc<Mutex<Option<OwnedSemaphorePermit>>>;

type Reservation = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;

/// The body of a call, which stops at the head of its message until the message may come.
struct Metered {
    body: Body,
    head: Vec<u8>,
    weight: u32,
    intake: Intake,
    held: Held,
    waiting: Option<(Reservation, Frame<Bytes>)>,
}

impl Metered {
    /// What has to be reserved, when this frame completes the head of the message.
    fn size(&mut self, frame: &Frame<Bytes>) -> Option<u32> {
        let missing = HEAD_BYTES
            .checked_sub(self.head.len())
            .filter(|it| *it > 0)?;
        let data = frame.data_ref()?;
        self.head.extend(data.iter().take(missing));
        let length = self.head.get(1..HEAD_BYTES)?.try_into().ok()?;
        let size = u32::from_be_bytes(length).saturating_mul(self.weight);
        Some(size.min(self.intake.most))
    }
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
            let frame = match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                other => return Poll::Ready(other),
            };
            let Some(size) = this.size(&frame) else {
                return Poll::Ready(Some(Ok(frame)));
            };
            let reservation = Arc::clone(&this.intake.free).acquire_many_owned(size);
            this.waiting = Some((Box::pin(reservation), frame));
        }
        let Some((reservation, _)) = &mut this.waiting else {
            return Poll::Ready(None);
        };
        let permit = ready!(reservation.as_mut().poll(cx));
        // The semaphore is never closed.
        *this.held.lock().unwrap_or_else(PoisonError::into_inner) = permit.ok();
        let frame = this.waiting.take().map(|(_, frame)| Ok(frame));
        Poll::Ready(frame)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_message_waits_at_its_head_until_others_have_left_it_room() {
        let intake = Intake::new(0);
        let most = intake.most;
        let first = Held::default();
        let mut one = metered(&intake, &first, most, &[]);
        assert!(one.frame().await.unwrap().is_ok());

        let second = Held::default();
        let mut two = metered(&intake, &second, 1, &[]);
        assert!(is_pending(&mut two).await);
        drop(first.lock().unwrap().take());
        assert!(two.frame().await.unwrap().is_ok());
        assert_eq!(intake.free.available_permits(), most as usize - 1);
    }

    #[tokio::test]
    async fn the_size_is_found_however_the_head_is_cut() {
        for cut in 1..HEAD_BYTES {
            let intake = Intake::new(0);
            let held = Held::default();
            let mut body = metered(&intake, &held, 1000, &[cut]);
            while body.frame().await.is_some() {}
            let taken = intake.most as usize - intake.free.available_permits();
            assert_eq!(taken, 1000, "cut at {cut}");
        }
    }

    #[tokio::test]
    async fn a_message_that_claims_more_than_there_is_waits_for_all_of_it_and_not_for_ever() {
        let intake = Intake::new(0);
        let held = Held::default();
        let mut body = metered(&intake, &held, u32::MAX, &[]);
        assert!(body.frame().await.unwrap().is_ok());
        assert_eq!(intake.free.available_permits(), 0);
    }

    #[tokio::test]
    async fn a_call_holds_its_bytes_until_its_answer_and_a_batch_more_of_them() {
        for (path, expected) in [("/p/publish", 1000), ("/p/batchPublish", 16_000)] {
            let intake = Intake::new(0);
            let mut service = intake.guard(Taking(intake.clone()));
            let body = Body::new(Parts(VecDeque::from([message(1000)])));
            let request = http::Request::builder().uri(path).body(body).unwrap();
            let answer = service.call(request).await.unwrap();
            assert_eq!(answer.into_body(), expected);
            assert_eq!(intake.free.available_permits(), intake.most as usize);
        }
    }

    /// Reads its request, then answers how much of the intake is held.
    #[derive(Clone)]
    struct Taking(Intake);

    impl Service<http::Request<Body>> for Taking {
        type Response = http::Response<usize>;
        type Error = std::convert::Infallible;
        type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: http::Request<Body>) -> Self::Future {
            let intake = self.0.clone();
            Box::pin(async move {
                let mut body = request.into_body();
                while body.frame().await.is_some() {}
                let held = intake.most as usize - intake.free.available_permits();
                Ok(http::Response::new(held))
            })
        }
    }

    async fn is_pending(body: &mut Metered) -> bool {
        tokio::select! {
            biased;
            _ = body.frame() => false,
            () = std::future::ready(()) => true,
        }
    }

    /// A body whose message claims a length; its head is cut where told.
    fn metered(intake: &Intake, held: &Held, length: u32, cuts: &[usize]) -> Metered {
        let mut rest = message(length);
        let mut parts = VecDeque::new();
        for cut in cuts {
            parts.push_back(rest.split_to(*cut));
        }
        parts.push_back(rest);
        Metered {
            body: Body::new(Parts(parts)),
            head: Vec::new(),
            weight: 1,
            intake: intake.clone(),
            held: Arc::clone(held),
            waiting: None,
        }
    }

    fn message(claimed: u32) -> Bytes {
        Bytes::from([&[0], &claimed.to_be_bytes()[..], b"x"].concat())
    }

    struct Parts(VecDeque<Bytes>);

    impl HttpBody for Parts {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            Poll::Ready(self.0.pop_front().map(|it| Ok(Frame::data(it))))
        }
    }
}
