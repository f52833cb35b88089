use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    ops::ControlFlow,
    sync::{Arc, Mutex, MutexGuard},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

use crate::{Reading, own_address, wait_for_progress, wait_until};

/// A cloud that takes CloudEvents over HTTP (structured, binary, batch), counts them, and can go away.
pub struct TestCloud {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    server: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    received: Vec<Received>,
    /// Those of them that are readings, by device.
    readings: BTreeMap<String, Vec<u64>>,
    requests: usize,
    script: VecDeque<Answer>,
    refused: Option<(String, u16)>,
}

/// What the cloud says to one request. Only a 2xx takes the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub code: u16,
    /// `Retry-After`, in seconds.
    pub retry_after: Option<u64>,
}

/// An event as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// All context attributes and extensions, as text.
    pub attributes: BTreeMap<String, String>,
    /// The data.
    pub data: Vec<u8>,
}

impl Received {
    /// An attribute; empty if it is not there.
    #[must_use]
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    /// Source and id: the identity of the event.
    #[must_use]
    pub fn identity(&self) -> (String, String) {
        (
            self.attribute("source").to_owned(),
            self.attribute("id").to_owned(),
        )
    }
}

impl TestCloud {
    /// A cloud that takes everything.
    pub async fn start() -> TestCloud {
        let listener = TcpListener::bind((own_address(), 0))
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("it has an address");
        let mut cloud = TestCloud {
            address,
            state: Arc::default(),
            server: None,
        };
        cloud.serve(listener);
        cloud
    }

    /// Where it takes events.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/events", self.address)
    }

    /// Ends all connections and takes no more: connections are refused.
    pub async fn go_offline(&mut self) {
        let server = self.server.take().expect("the cloud is online");
        server.abort();
        let _ = server.await; // cancelled, as asked
    }

    /// Takes events again, at the same address.
    pub async fn go_online(&mut self) {
        assert!(self.server.is_none(), "the cloud is online");
        let mut listener = None;
        wait_until("the cloud has its port back", async || {
            listener = TcpListener::bind(self.address).await.ok();
            listener.is_some()
        })
        .await;
        self.serve(listener.expect("bound"));
    }

    /// Answers the next requests with these, then takes everything again.
    pub fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.state().script.extend(answers);
    }

    /// From here on answers every request that holds `text` in an event's data with `code`.
    pub fn refuse(&self, text: &str, code: u16) {
        self.state().refused = Some((text.to_owned(), code));
    }

    /// What arrived, in the order of arrival, repeats included.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.state().received.clone()
    }

    /// Requests that came, whatever the answer.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.state().requests
    }

    /// The readings of a device, in the order of arrival, repeats included.
    #[must_use]
    pub fn readings(&self, device: &str) -> Vec<u64> {
        self.state()
            .readings
            .get(device)
            .cloned()
            .unwrap_or_default()
    }

    /// Waits until these readings have arrived, and checks that they came in order: each, when it came first, after all
    /// the smaller ones.
    pub async fn wait_for_readings(&self, device: &str, numbers: impl IntoIterator<Item = u64>) {
        let wanted: BTreeSet<u64> = numbers.into_iter().collect();
        wait_for_progress("the readings have arrived", async || {
            let came: BTreeSet<u64> = self.readings(device).into_iter().collect();
            match came.is_superset(&wanted) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(came.len()),
            }
        })
        .await;
        let mut seen = BTreeSet::new();
        let first: Vec<u64> = self
            .readings(device)
            .into_iter()
            .filter(|number| seen.insert(*number))
            .collect();
        assert!(
            first.is_sorted(),
            "{device} arrived out of order: {first:?}"
        );
    }

    fn serve(&mut self, listener: TcpListener) {
        let state = Arc::clone(&self.state);
        self.server = Some(tokio::spawn(async move {
            // Dropped with this task, which ends the connections.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&state);
                let service = service_fn(move |request| answer(Arc::clone(&state), request));
                connections.spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        }));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }
}

impl State {
    fn take(&mut self, events: Vec<Received>) {
        let readings = events.iter().map(|event| Reading::parse(&event.data));
        for Reading { device, number } in readings.flatten() {
            self.readings.entry(device).or_default().push(number);
        }
        self.received.extend(events);
    }
}

async fn answer(
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let events = parse(&head.headers, &body);
    let mut state = state.lock().expect("nobody panics with it");
    state.requests += 1;
    let holds = |event: &Received, text: &str| String::from_utf8_lossy(&event.data).contains(text);
    let refused = state
        .refused
        .as_ref()
        .filter(|(text, _)| events.iter().any(|event| holds(event, text)));
    let otherwise = Answer {
        code: refused.map_or(202, |(_, code)| *code),
        retry_after: None,
    };
    let answer = state.script.pop_front().unwrap_or(otherwise);
    if (200..300).contains(&answer.code) {
        state.take(events);
    }
    let mut response = Response::builder().status(answer.code);
    if let Some(seconds) = answer.retry_after {
        response = response.header("retry-after", seconds);
    }
    Ok(response.body(Full::default()).expect("a sound response"))
}

fn parse(headers: &hyper::HeaderMap, body: &[u8]) -> Vec<Received> {
    let content_type = headers
        .get("content-type")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if content_type.starts_with("application/cloudevents-batch+json") {
        let batch: Vec<Value> = serde_json::from_slice(body).expect("a batch is an array");
        return batch.iter().map(structured).collect();
    }
    if content_type.starts_with("application/cloudevents+json") {
        return vec![structured(
            &serde_json::from_slice(body).expect("a structured event is an object"),
        )];
    }
    let mut attributes: BTreeMap<String, String> = headers
        .iter()
        .filter_map(|(name, value)| {
            Some((name.as_str().strip_prefix("ce-")?, value.to_str().ok()?))
        })
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    attributes.insert("datacontenttype".to_owned(), content_type.to_owned());
    vec![Received {
        attributes,
        data: body.to_vec(),
    }]
}

fn structured(event: &Value) -> Received {
    let members = event.as_object().expect("an event is an object");
    let data = match (members.get("data"), members.get("data_base64")) {
        (Some(Value::String(text)), _) => text.clone().into_bytes(),
        (Some(json), _) => json.to_string().into_bytes(),
        (None, Some(text)) => STANDARD
            .decode(text.as_str().expect("base64 is text"))
            .expect("it is base64"),
        (None, None) => Vec::new(),
    };
    let attributes = members
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "data" | "data_base64"));
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    Received {
        attributes: attributes
            .map(|(name, value)| (name.clone(), text(value)))
            .collect(),
        data,
    }
}
