//! `publish` with a message that is encoded already, so that a repeat costs no second encoding.

use bytes::{BufMut, Bytes};
use http::uri::PathAndQuery;
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, EncodeBuf, Encoder},
    metadata::MetadataValue,
    transport::Channel,
};
use tonic_prost::{ProstCodec, ProstDecoder};

use crate::{NODE_HEADER, Peers, eventmesh::proto::CloudEvent};

const PUBLISH: PathAndQuery =
    PathAndQuery::from_static("/org.apache.eventmesh.cloudevents.v1.PublisherService/publish");

pub(super) async fn publish(
    channel: Channel,
    message: Bytes,
    peers: &Peers,
) -> Result<CloudEvent, Status> {
    let mut grpc = Grpc::new(channel);
    grpc.ready()
        .await
        .map_err(|error| Status::from_error(error.into()))?;
    let mut request = Request::new(message);
    if let Ok(id) = peers.id().parse() {
        request.metadata_mut().insert(NODE_HEADER, id);
    }
    let answer = grpc.unary(request, PUBLISH, Encoded).await?;
    if let Some(Ok(id)) = answer
        .metadata()
        .get(NODE_HEADER)
        .map(MetadataValue::to_str)
    {
        peers.meet(id);
    }
    Ok(answer.into_inner())
}

#[derive(Clone, Copy, Debug)]
struct Encoded;

impl Codec for Encoded {
    type Encode = Bytes;
    type Decode = CloudEvent;
    type Encoder = Encoded;
    type Decoder = ProstDecoder<CloudEvent>;

    fn encoder(&mut self) -> Encoded {
        Encoded
    }

    fn decoder(&mut self) -> ProstDecoder<CloudEvent> {
        ProstCodec::<CloudEvent, CloudEvent>::default().decoder()
    }
}

impl Encoder for Encoded {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}
