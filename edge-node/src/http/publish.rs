//! `POST /events/publish` and `POST /events/publish-batch`.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Query, Request, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode, header},
};
use cloud_uplink::NODE_HEADER;
use filters::{
    Event,
    http::Mode,
    json::{self, BatchError},
};
use serde::Deserialize;

use super::{Fault, Node, Shared, peer::Peer};
use crate::node::handle::Incoming;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Target {
    topic: Option<String>,
}

/// 202, and which node says so.
type Taken = (StatusCode, [(&'static str, String); 1]);

type TargetQuery = Result<Query<Target>, QueryRejection>;

pub(super) async fn one<N: Node>(
    State(shared): State<Arc<Shared<N>>>,
    Extension(peer): Extension<Peer>,
    target: TargetQuery,
    request: Request,
) -> Result<Taken, Fault> {
    let topic = topic_of(target)?;
    let (head, body) = request.into_parts();
    let specversion = head.headers.contains_key("ce-specversion");
    let Some(mode) = Mode::of(content_type(&head.headers), specversion) else {
        return Err(Fault::bad(
            "this carries no event: send application/cloudevents+json, or the headers ce-specversion, ce-id, \
             ce-source and ce-type",
        ));
    };
    if mode == Mode::Batch {
        return Err(Fault::bad(
            "this is a batch: send it to /events/publish-batch",
        ));
    }
    let read = shared.bodies.read(body, &shared.config).await?;
    let event = match mode {
        Mode::Structured => json::decode(&read.bytes),
        Mode::Binary | Mode::Batch => {
            let headers = head.headers.iter();
            let headers = headers.map(|(name, value)| (name.as_str(), value.as_bytes()));
            filters::http::decode(headers, read.bytes.clone())
        }
    };
    let event = event.map_err(|error| Fault::attribute(0, &error))?;
    let events = vec![shared.incoming(0, event, topic.as_deref())?];
    shared
        .node
        .publish(peer.origin(&head.headers), events)
        .await?;
    Ok(shared.taken())
}

pub(super) async fn batch<N: Node>(
    State(shared): State<Arc<Shared<N>>>,
    Extension(peer): Extension<Peer>,
    target: TargetQuery,
    request: Request,
) -> Result<Taken, Fault> {
    let topic = topic_of(target)?;
    let (head, body) = request.into_parts();
    if !content_type(&head.headers).is_some_and(is_json_batch) {
        return Err(Fault::bad(
            "this carries no batch: send application/cloudevents-batch+json or application/json",
        ));
    }
    let read = shared.bodies.read(body, &shared.config).await?;
    let events = json::decode_batch(&read.bytes)
        .map_err(|BatchError { index, error }| Fault::attribute(index, &error))?;
    // Each event is stored with its topic.
    let topics = topic.as_ref().map_or(0, String::len) * events.len();
    if topics > shared.config.max_body.as_usize() {
        return Err(Fault::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!(
                "the topic, once for each of {} events, is over {} (`max-body` of [http]): send fewer at a time",
                events.len(),
                shared.config.max_body
            ),
        ));
    }
    let events = events.into_iter().enumerate();
    let incoming = events.map(|(index, event)| shared.incoming(index, event, topic.as_deref()));
    let incoming = incoming.collect::<Result<Vec<_>, _>>()?;
    if !incoming.is_empty() {
        shared
            .node
            .publish(peer.origin(&head.headers), incoming)
            .await?;
    }
    Ok(shared.taken())
}

impl<N: Node> Shared<N> {
    fn taken(&self) -> Taken {
        let id = self.node.id().to_owned();
        (StatusCode::ACCEPTED, [(NODE_HEADER, id)])
    }

    /// The event with the topic it is published on.
    fn incoming(&self, index: usize, event: Event, asked: Option<&str>) -> Result<Incoming, Fault> {
        let topic = asked
            .or(event.subject.as_deref())
            .or(self.config.topic.as_deref());
        let Some(topic) = topic else {
            return Err(Fault::event(
                index,
                "no topic: send ?topic=, or a subject with the event",
            ));
        };
        filters::check_topic_name(topic)
            .map_err(|error| Fault::event(index, format!("`{topic}` is no topic: {error}")))?;
        Ok(Incoming::on(topic.to_owned(), event))
    }
}

fn topic_of(target: TargetQuery) -> Result<Option<String>, Fault> {
    match target {
        Ok(Query(Target { topic })) => Ok(topic),
        Err(error) => Err(Fault::bad(format!(
            "the only query here is ?topic=: {error}"
        ))),
    }
}

pub(super) fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::CONTENT_TYPE)?.to_str().ok()
}

fn is_json_batch(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    [json::BATCH_MEDIA_TYPE, json::MEDIA_TYPE, "application/json"]
        .iter()
        .any(|accepted| essence.eq_ignore_ascii_case(accepted))
}
