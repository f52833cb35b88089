//! `publish` with a message that is encoded already, so that a repeat costs no second encoding.

use bytes::{BufMut, Bytes};
use http::uri::PathAndQuery;
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, EncodeBuf, Encoder},
    transport::Channel,
};
use tonic_prost::{ProstCodec, ProstDecoder};

use crate::eventmesh::proto::CloudEvent;

const PUBLISH: PathAndQuery =
    PathAndQuery::from_static("/org.apache.eventmesh.cloudevents.v1.PublisherService/publish");

pub(super) async fn publish(channel: Channel, message: Bytes) -> Result<CloudEvent, Status> {
    let mut grpc = Grpc::new(channel);
    grpc.ready()
        .await
        .map_err(|error| Status::from_error(error.into()))?;
    let answer = grpc.unary(Request::new(message), PUBLISH, Encoded).await?;
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
