use cloud_uplink::{
    NODE_HEADER,
    eventmesh::{
        Received, decode,
        proto::{CloudEvent, CloudEventBatch, publisher_service_server::PublisherService},
        status,
    },
};
use tonic::{Request, Response, Status};

use super::answer::{Fault, Outcome, fresh};
use crate::node::handle::{Incoming, NodeHandle, Origin};

/// EventMesh's PublisherService. Answers once the events are on stable storage.
pub(super) struct Publishers {
    node: NodeHandle,
}

impl Publishers {
    pub(super) fn new(node: NodeHandle) -> Publishers {
        Publishers { node }
    }

    /// Takes all of them in, or none.
    async fn take(&self, origin: Origin, messages: Vec<CloudEvent>) -> Result<(), Fault> {
        let several = messages.len() > 1;
        let mut events = Vec::with_capacity(messages.len());
        for (index, message) in messages.into_iter().enumerate() {
            events.push(incoming(message).map_err(|fault| match several {
                true => Fault::new(fault.code, format!("event {index}: {}", fault.detail)),
                false => fault,
            })?);
        }
        Ok(self.node.publish(origin, events).await?)
    }
}

fn incoming(message: CloudEvent) -> Result<Incoming, Fault> {
    let Received { mesh_topic, event } = decode(message)?;
    filters::check_topic_name(&mesh_topic)
        .map_err(|error| Fault::new(status::BODY, format!("`subject`: {error}")))?;
    if mesh_topic.starts_with('$') {
        return Err(Fault::new(
            status::BODY,
            "`subject`: topics that begin with `$` are the node's own",
        ));
    }
    Ok(Incoming::on(mesh_topic, event))
}

fn origin<T>(request: &Request<T>) -> Origin {
    let said = request.metadata().get(NODE_HEADER);
    Origin::of_node(said.and_then(|id| id.to_str().ok()), || Origin::Grpc {
        peer: request
            .remote_addr()
            .map(|it| it.to_string())
            .unwrap_or_default(),
    })
}

#[tonic::async_trait]
impl PublisherService for Publishers {
    async fn publish(&self, request: Request<CloudEvent>) -> Result<Response<CloudEvent>, Status> {
        let origin = origin(&request);
        let message = request.into_inner();
        let topic = message.text("subject").unwrap_or_default().to_owned();
        let id = message.id.clone();
        let taken = self.take(origin, vec![message]).await;
        let outcome: Outcome =
            taken.map(|()| format!("success SendResult[topic={topic}, messageId={id}]"));
        let mut answer = Response::new(fresh(&outcome));
        if let Ok(id) = self.node.id().parse() {
            answer.metadata_mut().insert(NODE_HEADER, id);
        }
        Ok(answer)
    }

    async fn request_reply(&self, _: Request<CloudEvent>) -> Result<Response<CloudEvent>, Status> {
        let fault = Fault::new(status::REQUEST_REPLY, "Request is not supported");
        Ok(Response::new(fresh(&Err(fault))))
    }

    async fn publish_one_way(&self, request: Request<CloudEvent>) -> Result<Response<()>, Status> {
        let origin = origin(&request);
        let taken = self.take(origin, vec![request.into_inner()]).await;
        taken.map(Response::new).map_err(|fault| failed(&fault))
    }

    async fn batch_publish(
        &self,
        request: Request<CloudEventBatch>,
    ) -> Result<Response<CloudEvent>, Status> {
        let origin = origin(&request);
        let taken = self.take(origin, request.into_inner().events).await;
        let outcome: Outcome = taken.map(|()| "success batch publish success".to_owned());
        Ok(Response::new(fresh(&outcome)))
    }

    async fn batch_publish_one_way(
        &self,
        request: Request<CloudEventBatch>,
    ) -> Result<Response<()>, Status> {
        let origin = origin(&request);
        let taken = self.take(origin, request.into_inner().events).await;
        taken.map(Response::new).map_err(|fault| failed(&fault))
    }
}

/// A call without an answer of its own says what went wrong in the status of the call.
fn failed(fault: &Fault) -> Status {
    let message = format!("{}: {}", fault.code, fault.message());
    match fault.code {
        status::OVERLOAD => Status::resource_exhausted(message),
        status::STOPPING => Status::unavailable(message),
        _ => Status::invalid_argument(message),
    }
}
