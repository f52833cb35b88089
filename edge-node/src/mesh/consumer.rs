use std::{
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use cloud_uplink::eventmesh::{
    attribute::{CLIENT_TYPE, SUB_MESSAGE_TYPE},
    check_header,
    proto::{
        CloudEvent, cloud_event::cloud_event_attribute_value::Attr,
        consumer_service_server::ConsumerService, heartbeat_service_server::HeartbeatService,
    },
    status,
};
use tokio::{sync::oneshot, time::timeout};
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

use super::{
    answer::{Fault, Outcome, echo, fresh},
    core::MemberId,
    hub::{Hub, Input},
    request,
    stream::{Deliveries, Out, Outbox},
};

/// How long a stream may take to say what it wants.
const FIRST_WITHIN: Duration = Duration::from_secs(10);

/// EventMesh's ConsumerService and HeartbeatService.
pub(super) struct Consumers {
    hub: Hub,
    streams: AtomicU64,
}

impl Consumers {
    pub(super) fn new(hub: Hub) -> Consumers {
        Consumers {
            hub,
            streams: AtomicU64::new(1),
        }
    }
}

#[tonic::async_trait]
impl ConsumerService for Consumers {
    async fn subscribe(
        &self,
        request: Request<CloudEvent>,
    ) -> Result<Response<CloudEvent>, Status> {
        let outcome = match check_header(request.get_ref()) {
            Ok(()) => Err(Fault::new(
                status::SUBSCRIBE,
                "webhooks are not served; subscribe with subscribeStream",
            )),
            Err(malformed) => Err(malformed.into()),
        };
        Ok(Response::new(fresh(&outcome)))
    }

    type subscribeStreamStream = Pin<Box<dyn Stream<Item = Result<CloudEvent, Status>> + Send>>;

    async fn subscribe_stream(
        &self,
        request: Request<Streaming<CloudEvent>>,
    ) -> Result<Response<Self::subscribeStreamStream>, Status> {
        let id = MemberId(self.streams.fetch_add(1, Ordering::Relaxed));
        let (outbox, deliveries) = Deliveries::new(id, self.hub.clone());
        let peer = request.remote_addr();
        let reader = Reader {
            id,
            peer,
            hub: self.hub.clone(),
            outbox,
        };
        tokio::spawn(reader.run(request.into_inner()));
        Ok(Response::new(Box::pin(deliveries)))
    }

    async fn unsubscribe(
        &self,
        request: Request<CloudEvent>,
    ) -> Result<Response<CloudEvent>, Status> {
        let peer = request.remote_addr();
        let request = request.into_inner();
        let asked = request::client(&request, peer)
            .and_then(|client| Ok((client, request::items(&request)?)));
        let outcome = match asked {
            Ok((client, items)) => {
                let topics = items.into_iter().map(|it| it.topic).collect();
                self.hub.unsubscribe(client, topics).await;
                Ok("unsubscribe success".to_owned())
            }
            Err(fault) => Err(fault),
        };
        Ok(Response::new(fresh(&outcome)))
    }
}

/// What EventMesh calls a client that only publishes; those need not be known.
const PUBLISHER: Attr = Attr::CeInteger(1);

#[tonic::async_trait]
impl HeartbeatService for Consumers {
    async fn heartbeat(
        &self,
        request: Request<CloudEvent>,
    ) -> Result<Response<CloudEvent>, Status> {
        let peer = request.remote_addr();
        let request = request.into_inner();
        let kind = request
            .attributes
            .get(CLIENT_TYPE)
            .and_then(|it| it.attr.as_ref());
        let outcome: Outcome = if kind == Some(&PUBLISHER) {
            check_header(&request).map_err(Fault::from).map(|()| true)
        } else {
            match request::client(&request, peer) {
                Ok(client) => Ok(self.hub.heartbeat(client).await),
                Err(fault) => Err(fault),
            }
        }
        .and_then(|known| {
            if known {
                Ok("success".to_owned())
            } else {
                Err(Fault::new(status::RESUBSCRIBE, ""))
            }
        });
        Ok(Response::new(fresh(&outcome)))
    }
}

/// Reads what a subscriber says on its stream.
struct Reader {
    id: MemberId,
    peer: Option<std::net::SocketAddr>,
    hub: Hub,
    outbox: Outbox,
}

impl Reader {
    async fn run(self, mut requests: Streaming<CloudEvent>) {
        let Ok(Ok(Some(first))) = timeout(FIRST_WITHIN, requests.message()).await else {
            return self.end();
        };
        if !self.take(first).await {
            return self.end();
        }
        loop {
            tokio::select! {
                request = requests.message() => match request {
                    Ok(Some(request)) => drop(self.take(request).await),
                    // The client is done, or gone.
                    Ok(None) | Err(_) => return self.end(),
                },
                () = self.outbox.closed() => return,
            }
        }
    }

    /// Returns when the request has its answer, so that a client has one open at a time; whether it was understood.
    async fn take(&self, request: CloudEvent) -> bool {
        // A reply to a request: those are not served, so nobody waits for it.
        if request.text(SUB_MESSAGE_TYPE).is_some() {
            return true;
        }
        let asked = request::client(&request, self.peer)
            .and_then(|client| Ok((client, request::items(&request)?)));
        let (answered, done) = oneshot::channel();
        let understood = asked.is_ok();
        match asked {
            Ok((client, items)) => self.hub.tell(Input::Subscribe {
                id: self.id,
                client,
                items,
                request,
                outbox: self.outbox.clone(),
                answered,
            }),
            Err(fault) => self.outbox.put(Out::Answer {
                message: Box::new(echo(request, &Err(fault))),
                answered: Some(answered),
            }),
        }
        let _ = done.await; // the stream is gone: so is the answer
        understood
    }

    fn end(&self) {
        self.hub.tell(Input::Ended(self.id));
        self.outbox.put(Out::End(None));
    }
}
