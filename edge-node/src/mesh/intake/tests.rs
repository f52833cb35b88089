use std::collections::VecDeque;

use http_body_util::BodyExt;

use super::*;

#[tokio::test]
async fn a_call_holds_what_came_of_its_message_and_not_what_that_claims() {
    let intake = Intake::new(0);
    let all = intake.free.available_permits();
    let mut body = metered(&intake, false, [message(u32::MAX, 1000), message(0, 0)]);
    let held = body.held.clone();
    assert!(body.frame().await.unwrap().is_ok());
    assert_eq!(intake.free.available_permits(), all - 1000 * WEIGHT);
    held.give_back();
    assert_eq!(intake.free.available_permits(), all);
}

#[tokio::test(start_paused = true)]
async fn a_call_without_room_waits_for_it_and_is_asked_to_come_again() {
    let intake = Intake::new(0);
    let all = u32::try_from(intake.free.available_permits()).unwrap();
    let other = Arc::clone(&intake.free)
        .acquire_many_owned(all)
        .await
        .unwrap();
    let mut body = metered(&intake, false, [message(1000, 1000)]);
    let refused = body.frame().await.unwrap().unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);

    let mut body = metered(&intake, false, [message(1000, 1000)]);
    let (frame, ()) = tokio::join!(body.frame(), async {
        tokio::time::advance(ROOM_WITHIN / 2).await;
        drop(other);
    });
    assert!(frame.unwrap().is_ok());
}

#[tokio::test]
async fn a_stream_gives_back_what_a_message_held_when_it_asks_for_the_next() {
    let intake = Intake::new(0);
    let all = intake.free.available_permits();
    let mut body = metered(&intake, true, [message(1000, 1000), message(50, 50)]);
    assert!(body.frame().await.unwrap().is_ok());
    assert_eq!(intake.free.available_permits(), all - 1000 * WEIGHT);
    assert!(body.frame().await.unwrap().is_ok());
    assert_eq!(intake.free.available_permits(), all - 50 * WEIGHT);
    assert!(body.frame().await.is_none());
    assert_eq!(intake.free.available_permits(), all);
}

#[tokio::test]
async fn a_call_holds_its_bytes_until_its_answer() {
    let intake = Intake::new(0);
    let all = intake.free.available_permits();
    let mut service = intake.guard(Taking(intake.clone()));
    let body = Body::new(Parts(VecDeque::from([message(1000, 1000)])));
    let request = http::Request::builder()
        .uri("/p/publish")
        .body(body)
        .unwrap();
    let answer = service.call(request).await.unwrap();
    assert_eq!(answer.into_body(), all - 1000 * WEIGHT);
    assert_eq!(intake.free.available_permits(), all);
}

/// Reads its request, then answers how much of the intake is free.
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
            Ok(http::Response::new(intake.free.available_permits()))
        })
    }
}

fn metered<const N: usize>(intake: &Intake, is_stream: bool, parts: [Bytes; N]) -> Metered {
    Metered {
        body: Body::new(Parts(VecDeque::from(parts))),
        framing: Framing::new(false),
        is_stream,
        intake: intake.clone(),
        held: Held::default(),
        waiting: None,
    }
}

/// The head of a message that claims a length, and what came of it.
fn message(claimed: u32, came: usize) -> Bytes {
    Bytes::from([&[0], &claimed.to_be_bytes()[..], &vec![b'x'; came]].concat())
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
