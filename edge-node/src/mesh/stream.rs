//! The way of events to one subscriber.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use cloud_uplink::eventmesh::proto::CloudEvent;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::Stream;
use tonic::Status;

use super::{
    core::MemberId,
    hub::{Hub, Input},
};

/// What a stream gives its client next.
pub(super) enum Out {
    Event(Box<CloudEvent>),
    Answer {
        message: Box<CloudEvent>,
        answered: Option<oneshot::Sender<()>>,
    },
    /// The end, with what went wrong if anything did.
    End(Option<Status>),
}

/// Where the hub puts what a stream gives. Without a bound of its own: the core gives a stream no more than its bound.
#[derive(Clone)]
pub(super) struct Outbox(mpsc::UnboundedSender<Out>);

impl Outbox {
    pub(super) fn put(&self, out: Out) {
        let _ = self.0.send(out); // the stream is gone, and says so itself
    }

    /// Resolves when the stream is gone.
    pub(super) async fn closed(&self) {
        self.0.closed().await;
    }
}

/// The events of one subscriber, as gRPC polls them: no faster than the client takes them. One counts as taken when the next
/// is asked for: a large one waits between gRPC and HTTP/2 until the window has room, for as long as a slow link takes.
pub(super) struct Deliveries {
    id: MemberId,
    hub: Hub,
    out: mpsc::UnboundedReceiver<Out>,
    /// Whether gRPC holds an event of which the hub is not told yet.
    holds_event: bool,
    ended: bool,
}

impl Deliveries {
    pub(super) fn new(id: MemberId, hub: Hub) -> (Outbox, Deliveries) {
        let (outbox, out) = mpsc::unbounded_channel();
        let deliveries = Deliveries {
            id,
            hub,
            out,
            holds_event: false,
            ended: false,
        };
        (Outbox(outbox), deliveries)
    }
}

impl Stream for Deliveries {
    type Item = Result<CloudEvent, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if std::mem::take(&mut self.holds_event) {
            self.hub.tell(Input::Taken(self.id));
        }
        let out = std::task::ready!(self.out.poll_recv(cx));
        Poll::Ready(match out {
            Some(Out::Event(message)) => {
                self.holds_event = true;
                Some(Ok(*message))
            }
            Some(Out::Answer { message, answered }) => {
                if let Some(answered) = answered {
                    let _ = answered.send(()); // nobody reads this stream's requests any more
                }
                Some(Ok(*message))
            }
            Some(Out::End(status)) => {
                self.ended = true;
                status.map(Err)
            }
            None => None,
        })
    }
}

impl Drop for Deliveries {
    fn drop(&mut self) {
        self.hub.tell(Input::Ended(self.id));
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn an_event_is_taken_when_the_next_is_asked_for() {
        let (hub, mut inputs) = Hub::new();
        let (outbox, mut deliveries) = Deliveries::new(MemberId(1), hub);
        outbox.put(Out::Event(Box::default()));
        let mut context = Context::from_waker(Waker::noop());
        let mut poll = || Pin::new(&mut deliveries).poll_next(&mut context);
        assert!(matches!(poll(), Poll::Ready(Some(Ok(_)))));
        assert!(inputs.try_recv().is_err(), "gRPC may hold it still");
        assert!(poll().is_pending());
        assert!(matches!(inputs.try_recv(), Ok(Input::Taken(MemberId(1)))));
        assert!(poll().is_pending());
        assert!(inputs.try_recv().is_err(), "it is taken once");
    }
}
