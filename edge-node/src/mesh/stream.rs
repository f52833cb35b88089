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
    Event {
        bytes: usize,
        message: Box<CloudEvent>,
    },
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

/// The events of one subscriber, as gRPC polls them: no faster than the client takes them.
pub(super) struct Deliveries {
    id: MemberId,
    hub: Hub,
    out: mpsc::UnboundedReceiver<Out>,
    ended: bool,
}

impl Deliveries {
    pub(super) fn new(id: MemberId, hub: Hub) -> (Outbox, Deliveries) {
        let (outbox, out) = mpsc::unbounded_channel();
        let deliveries = Deliveries {
            id,
            hub,
            out,
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
        let out = std::task::ready!(self.out.poll_recv(cx));
        Poll::Ready(match out {
            Some(Out::Event { bytes, message }) => {
                self.hub.tell(Input::Taken(self.id, bytes));
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
