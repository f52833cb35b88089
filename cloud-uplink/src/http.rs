//! CloudEvents over HTTP/1.1, and EventMesh v2, which is the same with other paths.
//!
//! | answer | is taken as |
//! |---|---|
//! | 2xx | accepted: the receiver has stored the whole request (EventMesh v2 says 202) |
//! | 413, 431 | too large: a batch is split, an event alone is a dead letter |
//! | 400, 422 | doubtful: the event may be bad, or a gateway refuses everything; split, and judged by what else is accepted |
//! | 403, 404, 405, 409, 415, other 4xx | doubtful too: a payload that a firewall dislikes, a topic that is not there, or a fault of the configuration |
//! | 500 | doubtful too: a receiver that fails on one event must not hold up the others, and one that fails on all of them rests |
//! | 429 | overloaded: the rate falls, `Retry-After` is honoured |
//! | 408, 425, other 5xx | unavailable: the sink backs off, `Retry-After` is honoured |
//! | 401, 402, 407, 3xx and all others | unavailable: a fault of the configuration, never held against an event |
//! | none in time, no connection, bad certificate | unavailable |
//!
//! What is unavailable at one endpoint is tried at the next at once; the sink rests when none took it, as long as the
//! one asks that asks for the least.
//!
//! Files named in the settings (`ca`, `token-file`) are read again when they change, and after each failure; one that
//! cannot be read makes the sink back off and say so until it can.

mod credentials;
mod endpoints;
#[cfg(test)]
mod tests;
mod verdict;

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use bytes::{BufMut, Bytes, BytesMut};
use filters::{Event, Value, json};
use http_body_util::{BodyExt, Full, Limited};
use tokio::time::{Instant, timeout_at};

use crate::{
    Answer, Batch, NODE_HEADER, Outcome, Outgoing, Peers, Prepared, Sink, Unsendable,
    eventmesh::MeshTopic,
};
use credentials::{Credentials, HttpClient};
use endpoints::Endpoints;

pub use credentials::SYSTEM_CA_FILES;

/// How much of an answer is read.
const ANSWER_BYTES: usize = 64 * 1024;

/// How events are put into requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HttpMode {
    /// Many events in one request, as a JSON array.
    #[default]
    Batch,
    /// One event in each request, as a JSON object.
    Structured,
    /// One event in each request: attributes in headers, data in the body.
    Binary,
}

/// Which paths and topics the receiver wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpDialect {
    /// The endpoint as it stands; `{topic}` in it stands for the MQTT topic, percent-encoded.
    CloudEvents,
    /// `/events/publish` and `/events/publish-batch` below the endpoint, with `?topic=`. Where the mesh topic is not the
    /// MQTT topic, that travels in the extension `mqtttopic`. Has no binary mode.
    EventMesh(MeshTopic),
}

/// Where an [`HttpSink`] sends, and how.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// `http://…` or `https://…`, at least one; the next is used when one fails, and kept until it fails.
    pub endpoints: Vec<String>,
    /// Paths and topics.
    pub dialect: HttpDialect,
    /// How events are put into requests.
    pub mode: HttpMode,
    /// Sent with every request.
    pub headers: HeaderMap,
    /// A file with the certificates (PEM) that are trusted; `None`: those of the system.
    pub ca: Option<PathBuf>,
    /// A file with a bearer token.
    pub token_file: Option<PathBuf>,
    /// How long a connection may take to stand.
    pub connect_within: Duration,
    /// How long a whole request may take.
    pub answer_within: Duration,
}

/// Settings that no sink can be made of; the operator mends them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpSettingsError {
    /// There is none.
    #[error("there is no endpoint; name at least one, as https://host:port/path")]
    NoEndpoint,
    /// Not a URL of the form wanted.
    #[error(
        "`{url}` is no endpoint: {reason}; write it as http://host:port/path or https://host:port/path"
    )]
    Endpoint {
        /// As it was written.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// EventMesh v2 takes JSON only.
    #[error("eventmesh-http has no binary mode; use \"batch\" or \"structured\"")]
    BinaryMesh,
}

/// Sends events over HTTP. Keeps its connections alive.
#[derive(Debug)]
pub struct HttpSink {
    endpoints: Endpoints,
    dialect: HttpDialect,
    mode: HttpMode,
    headers: HeaderMap,
    credentials: Credentials,
    answer_within: Duration,
    peers: Arc<Peers>,
    /// Guards the targets met of late, so that events of one topic share one text; never held over `.await`.
    targets: Mutex<HashMap<String, Arc<str>>>,
}

/// Topics whose targets are remembered.
const TARGETS_MAX: usize = 4096;

/// An event as it travels.
#[derive(Debug)]
pub enum HttpItem {
    /// A JSON object.
    Json(Bytes),
    /// Attributes and data.
    Binary {
        /// `ce-…` and `Content-Type`.
        headers: HeaderMap,
        /// The data.
        body: Bytes,
    },
}

impl HttpSink {
    /// Connects with the first event.
    ///
    /// # Errors
    /// The settings contradict themselves. Files are not looked at: they may come later.
    pub fn new(settings: HttpSettings) -> Result<HttpSink, HttpSettingsError> {
        let mesh = matches!(settings.dialect, HttpDialect::EventMesh(_));
        if mesh && settings.mode == HttpMode::Binary {
            return Err(HttpSettingsError::BinaryMesh);
        }
        let path = match (mesh, settings.mode) {
            (true, HttpMode::Batch) => "/events/publish-batch?topic={topic}",
            (true, _) => "/events/publish?topic={topic}",
            (false, _) => "",
        };
        let endpoints = Endpoints::new(&settings.endpoints, path)?;
        let credentials = Credentials::new(
            settings.ca,
            settings.token_file,
            endpoints.any_tls(),
            settings.connect_within,
        );
        Ok(HttpSink {
            endpoints,
            dialect: settings.dialect,
            mode: settings.mode,
            headers: settings.headers,
            credentials,
            answer_within: settings.answer_within,
            peers: Arc::default(),
            targets: Mutex::new(HashMap::new()),
        })
    }

    /// Says who sends, and remembers who answers.
    #[must_use]
    pub fn with_peers(mut self, peers: Arc<Peers>) -> HttpSink {
        if let Ok(id) = HeaderValue::try_from(peers.id()) {
            self.headers.insert(NODE_HEADER, id);
        }
        self.peers = peers;
        self
    }

    /// Whether the receiver sees a topic in the request.
    fn names_topics(&self) -> bool {
        !matches!(self.dialect, HttpDialect::CloudEvents) || self.endpoints.has_topic()
    }

    /// The target of a topic, and the topic as an event says it where the target does not.
    fn target(&self, topic: &str) -> Arc<str> {
        if !self.names_topics() {
            return Arc::from("");
        }
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(target) = targets.get(topic) {
            return Arc::clone(target);
        }
        if targets.len() >= TARGETS_MAX {
            targets.clear();
        }
        let target: Arc<str> = match &self.dialect {
            HttpDialect::CloudEvents => Arc::from(topic),
            HttpDialect::EventMesh(mesh_topic) => Arc::from(mesh_topic.of(topic)),
        };
        targets.insert(topic.to_owned(), Arc::clone(&target));
        target
    }

    /// Sends one request, at each endpoint at most once, and says what became of it.
    async fn post(&self, target: &str, headers: &HeaderMap, body: &Bytes) -> Outcome {
        let (client, token) = match self.credentials.current().await {
            Ok(current) => current,
            Err(error) => {
                return Outcome::Unavailable {
                    retry_after: None,
                    error,
                };
            }
        };
        let mut rest = Some(Duration::MAX);
        let mut last = String::new();
        for _ in 0..self.endpoints.count() {
            let index = self.endpoints.current();
            let outcome = match self.endpoints.uri(index, target) {
                Ok(uri) => {
                    self.request(&client, token.as_ref(), uri, headers, body.clone())
                        .await
                }
                Err(error) => return Outcome::Refused { error },
            };
            let (retry_after, error) = match outcome {
                Ok(Outcome::Unavailable { retry_after, error }) => (retry_after, error),
                Ok(outcome) => {
                    if matches!(outcome, Outcome::Doubtful { .. }) {
                        // It may as well be the endpoint or the credentials that are at fault.
                        self.endpoints.leave(index);
                        self.credentials.suspect();
                    }
                    return outcome;
                }
                Err(error) => (None, format!("{}: {error}", self.endpoints.name(index))),
            };
            tracing::debug!(%error, "an endpoint is out of reach");
            self.endpoints.leave(index);
            rest = rest.min(retry_after);
            last = error;
        }
        self.credentials.suspect();
        Outcome::Unavailable {
            retry_after: rest,
            error: last,
        }
    }

    /// `Err`: nothing was sent, or nothing is known of it, for lack of a connection.
    async fn request(
        &self,
        client: &HttpClient,
        token: Option<&HeaderValue>,
        uri: Uri,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Outcome, String> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().extend(headers.clone());
        if let Some(token) = token {
            request
                .headers_mut()
                .insert(header::AUTHORIZATION, token.clone());
        }
        let deadline = Instant::now() + self.answer_within;
        let response = match timeout_at(deadline, client.request(request)).await {
            Ok(response) => response.map_err(|error| chain(&error))?,
            Err(_) => {
                return Ok(Outcome::Unavailable {
                    retry_after: None,
                    error: format!("no answer within {:?}", self.answer_within),
                });
            }
        };
        let (parts, body) = response.into_parts();
        if let Some(Ok(id)) = parts.headers.get(NODE_HEADER).map(HeaderValue::to_str) {
            self.peers.meet(id);
        }
        // The rest of the answer frees the connection for the next request. It decides nothing, whether it comes or not.
        let text = timeout_at(deadline, Limited::new(body, ANSWER_BYTES).collect()).await;
        let text = text.ok().and_then(Result::ok).map(|body| body.to_bytes());
        let text = text.unwrap_or_default();
        Ok(verdict::of(parts.status, &parts.headers, &text))
    }

    async fn post_item(&self, target: &str, item: &HttpItem) -> Outcome {
        match item {
            HttpItem::Json(json) => {
                self.post(target, &content_type(json::MEDIA_TYPE), json)
                    .await
            }
            HttpItem::Binary { headers, body } => self.post(target, headers, body).await,
        }
    }
}

impl Sink for HttpSink {
    type Item = HttpItem;

    fn prepare(
        &self,
        mut outgoing: Outgoing,
        scratch: &mut Vec<u8>,
    ) -> Result<Prepared<HttpItem>, Unsendable> {
        let target = match &outgoing.sink_topic {
            Some(topic) if self.names_topics() => Arc::from(topic.as_str()),
            _ => self.target(&outgoing.topic),
        };
        if matches!(self.dialect, HttpDialect::EventMesh(_)) && *target != *outgoing.topic {
            let topic = Value::String(outgoing.topic);
            outgoing
                .event
                .extensions
                .insert(crate::eventmesh::attribute::MQTT_TOPIC.to_owned(), topic);
        }
        if self.mode == HttpMode::Binary {
            return binary(&outgoing.event, target);
        }
        json::encode_into(&outgoing.event, scratch);
        Ok(Prepared {
            target,
            bytes: scratch.len() + 1,
            item: HttpItem::Json(Bytes::copy_from_slice(scratch)),
        })
    }

    async fn send(&self, batch: Batch<HttpItem>) -> Answer {
        if self.mode == HttpMode::Batch {
            let body = join(&batch.items);
            return Answer::All(
                self.post(&batch.target, &content_type(json::BATCH_MEDIA_TYPE), &body)
                    .await,
            );
        }
        // One after the other; one that is not accepted ends the batch, since those behind it may be of the same key.
        let mut outcomes = Vec::with_capacity(batch.items.len());
        for item in &batch.items {
            let outcome = self.post_item(&batch.target, item).await;
            let go_on = outcome == Outcome::Accepted;
            outcomes.push(outcome);
            if !go_on {
                break;
            }
        }
        Answer::Each(outcomes)
    }
}

fn binary(event: &Event, target: Arc<str>) -> Result<Prepared<HttpItem>, Unsendable> {
    let (pairs, body) = filters::http::encode(event);
    let mut headers = HeaderMap::with_capacity(pairs.len());
    let mut bytes = body.len();
    for (name, value) in pairs {
        let unsendable = |what: &str| Unsendable(format!("{name}: {what} of an HTTP header"));
        let header = HeaderName::try_from(name.as_str()).map_err(|_| unsendable("no name"))?;
        let value = HeaderValue::try_from(value).map_err(|_| unsendable("no value"))?;
        bytes += name.len() + value.len() + 4;
        headers.insert(header, value);
    }
    Ok(Prepared {
        target,
        bytes,
        item: HttpItem::Binary {
            headers,
            body: Bytes::from(body),
        },
    })
}

/// The events as one JSON array, in one allocation.
fn join(items: &[Arc<HttpItem>]) -> Bytes {
    let objects = || {
        items.iter().filter_map(|item| match item.as_ref() {
            HttpItem::Json(json) => Some(json),
            HttpItem::Binary { .. } => None,
        })
    };
    let mut body = BytesMut::with_capacity(objects().map(|json| json.len() + 1).sum::<usize>() + 1);
    body.put_u8(b'[');
    for (index, json) in objects().enumerate() {
        if index > 0 {
            body.put_u8(b',');
        }
        body.put_slice(json);
    }
    body.put_u8(b']');
    body.freeze()
}

fn content_type(media_type: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(media_type))])
}

/// An error and its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
