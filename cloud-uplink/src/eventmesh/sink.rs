//! Publishes to EventMesh 1.x over gRPC, one `publish` per event: EventMesh answers a batch with success even when it
//! stored nothing.
//!
//! Start reading at [`GrpcSink`]; what each answer means stands in `verdict`.

mod endpoints;
mod verdict;
mod wire;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use prost::Message;

use super::{Envelope, MeshTopic, Sender, encode};
use crate::{Answer, Batch, Outcome, Outgoing, Peers, Prepared, Sink, Unsendable};
use endpoints::Endpoints;
use verdict::Verdict;

/// How long an answer may take, unless the settings say otherwise. EventMesh answers in milliseconds; its stores may
/// stall for seconds.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// What EventMesh takes at one time; its queue holds a thousand and throws when it is full.
pub const IN_FLIGHT: usize = 256;

/// Events of one batch: one, so that one answer never waits for another.
pub const BATCH_EVENTS: usize = 1;

/// Where a [`GrpcSink`] sends, and how.
#[derive(Clone, Debug)]
pub struct GrpcSettings {
    /// `http://host:port`, at least one; the next is tried when one cannot be reached.
    pub endpoints: Vec<String>,
    /// Which mesh topic each event goes to.
    pub topic: MeshTopic,
    /// What it says of itself.
    pub sender: Sender,
    /// How long an answer may take.
    pub answer_within: Duration,
}

/// Settings that no sink can be made of; the operator mends them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// There is none.
    #[error("there is no endpoint; name at least one, as http://host:10205")]
    Missing,
    /// Not a URL of the form wanted.
    #[error(
        "`{0}` is no endpoint of EventMesh over gRPC; write it as http://host:10205 (it has no TLS)"
    )]
    Invalid(String),
}

/// Sends events to EventMesh 1.x over gRPC. At most [`IN_FLIGHT`] at one time to each endpoint; what is above that waits.
#[derive(Debug)]
pub struct GrpcSink {
    endpoints: Endpoints,
    topic: MeshTopic,
    sender: Sender,
    answer_within: Duration,
    peers: Arc<Peers>,
}

impl GrpcSink {
    /// Connects with the first event. Call within a runtime.
    ///
    /// # Errors
    /// An endpoint is none, or there is none.
    pub fn new(settings: GrpcSettings) -> Result<GrpcSink, EndpointError> {
        Ok(GrpcSink {
            endpoints: Endpoints::new(&settings.endpoints)?,
            topic: settings.topic,
            sender: settings.sender,
            answer_within: settings.answer_within,
            peers: Arc::default(),
        })
    }

    /// Says who sends, and remembers who answers.
    #[must_use]
    pub fn with_peers(self, peers: Arc<Peers>) -> GrpcSink {
        GrpcSink { peers, ..self }
    }

    /// Publishes one event, at the next endpoint where one cannot be reached.
    async fn publish(&self, message: &Bytes) -> Outcome {
        let mut last = None;
        for _ in 0..self.endpoints.count() {
            let link = self.endpoints.current();
            let call = wire::publish(link.channel(), message.clone(), &self.peers);
            let verdict = match tokio::time::timeout(self.answer_within, call).await {
                Ok(Ok(answer)) => verdict::of_answer(&answer),
                Ok(Err(status)) => verdict::of_status(&status, message.len()),
                Err(_) => {
                    Verdict::Unreachable(format!("no answer within {:?}", self.answer_within))
                }
            };
            match verdict {
                Verdict::Final(outcome) => return outcome,
                Verdict::Unreachable(error) => {
                    let error = format!("{}: {error}", link.uri());
                    tracing::debug!(%error, "EventMesh is out of reach");
                    self.endpoints.leave(&link);
                    last = Some(error);
                }
            }
        }
        Outcome::Unavailable {
            retry_after: None,
            error: last.unwrap_or_default(),
        }
    }
}

impl Sink for GrpcSink {
    /// The encoded message.
    type Item = Bytes;

    fn prepare(
        &self,
        outgoing: Outgoing,
        scratch: &mut Vec<u8>,
    ) -> Result<Prepared<Bytes>, Unsendable> {
        let named = outgoing.sink_topic;
        let mesh_topic = named.unwrap_or_else(|| self.topic.of(&outgoing.topic));
        let envelope = Envelope {
            mesh_topic: &mesh_topic,
            mqtt_topic: Some(&outgoing.topic),
            sender: &self.sender,
            as_first_sent: false,
        };
        let message = encode(outgoing.event, &envelope);
        message
            .encode(scratch)
            .map_err(|error| Unsendable(error.to_string()))?;
        Ok(Prepared {
            target: Arc::from(mesh_topic),
            bytes: scratch.len(),
            item: Bytes::copy_from_slice(scratch),
        })
    }

    /// One after the other. An event that is not accepted, but not refused for good either, ends the batch: those behind
    /// it may belong to the same key.
    async fn send(&self, batch: Batch<Bytes>) -> Answer {
        let mut outcomes = Vec::with_capacity(batch.items.len());
        for message in &batch.items {
            let outcome = self.publish(message).await;
            let goes_on = matches!(
                outcome,
                Outcome::Accepted | Outcome::Refused { .. } | Outcome::TooLarge { .. }
            );
            outcomes.push(outcome);
            if !goes_on {
                break;
            }
        }
        Answer::Each(outcomes)
    }
}

#[cfg(test)]
mod tests;
