//! A receiver of CloudEvents over HTTP that counts which readings came, on a thread of its own.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Digits behind the `#` of a reading.
const DIGITS: usize = 10;
/// Bodies kept, to be sent again by a bare client.
const KEPT: usize = 64;

/// What is to be done with each body beside counting.
type Inspect = Box<dyn FnMut(&[u8]) + Send>;

/// What came.
#[derive(Default)]
pub(crate) struct Seen {
    readings: Vec<bool>,
    distinct: u64,
    /// Awaited readings that came again.
    pub(crate) repeats: u64,
    events: u64,
    pub(crate) requests: u64,
    pub(crate) first: Option<Instant>,
    /// When the last reading of those awaited came.
    pub(crate) complete: Option<Instant>,
    bodies: Vec<Bytes>,
    inspect: Option<Inspect>,
}

/// Listens, and answers nothing until it is told to.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    listener: std::net::TcpListener,
    seen: Arc<Mutex<Seen>>,
}

impl Receiver {
    /// Awaits the readings 0 to `readings`.
    pub(crate) fn bind(readings: u64) -> Receiver {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let seen = Seen {
            readings: vec![false; usize::try_from(readings).unwrap()],
            ..Seen::default()
        };
        Receiver {
            address: listener.local_addr().unwrap(),
            listener,
            seen: Arc::new(Mutex::new(seen)),
        }
    }

    /// Serves, and shows each body to `inspect`.
    pub(crate) fn serve_and(self, inspect: impl FnMut(&[u8]) + Send + 'static) -> Receiving {
        self.seen.lock().unwrap().inspect = Some(Box::new(inspect));
        self.serve()
    }

    /// Serves until the process ends.
    pub(crate) fn serve(self) -> Receiving {
        let (seen, address) = (self.seen, self.address);
        let counted = Arc::clone(&seen);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(accept(self.listener, counted));
        });
        Receiving { seen, address }
    }
}

/// A receiver that serves.
pub(crate) struct Receiving {
    seen: Arc<Mutex<Seen>>,
    address: SocketAddr,
}

impl Receiving {
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    /// Events per second that a bare client brings here with the bodies that came before, over `connections` that wait
    /// for each answer: what this receiver and the loopback leave to be reached.
    pub(crate) async fn limit(&self, connections: usize, least: Duration) -> f64 {
        let (bodies, before) = {
            let seen = self.seen();
            (seen.bodies.clone(), seen.events)
        };
        let start = Instant::now();
        let mut clients = tokio::task::JoinSet::new();
        for client in 0..connections {
            let (bodies, address) = (bodies.clone(), self.address);
            clients.spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.set_nodelay(true).unwrap();
                for body in bodies.iter().cycle().skip(client) {
                    if start.elapsed() > least {
                        break;
                    }
                    post(&mut stream, body).await;
                }
            });
        }
        while clients.join_next().await.is_some() {}
        (self.seen().events - before) as f64 / start.elapsed().as_secs_f64()
    }
}

async fn post(stream: &mut TcpStream, body: &Bytes) {
    let head = format!(
        "POST /events HTTP/1.1\r\nhost: bare\r\ncontent-type: application/cloudevents-batch+json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0);
    }
}

async fn accept(listener: std::net::TcpListener, seen: Arc<Mutex<Seen>>) {
    let listener = TcpListener::from_std(listener).unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let seen = Arc::clone(&seen);
        let service = service_fn(move |request| answer(Arc::clone(&seen), request));
        // A client may go whenever it likes.
        tokio::spawn(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service),
        );
    }
}

async fn answer(
    seen: Arc<Mutex<Seen>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let body = request.into_body().collect().await?.to_bytes();
    seen.lock().unwrap().take(&body);
    let response = Response::builder()
        .status(202)
        .header("content-length", "0");
    Ok(response.body(Full::default()).unwrap())
}

impl Seen {
    fn take(&mut self, body: &Bytes) {
        self.first.get_or_insert_with(Instant::now);
        self.requests += 1;
        if let Some(inspect) = &mut self.inspect {
            inspect(body);
        }
        let mut rest = &body[..];
        while let Some(at) = rest.iter().position(|byte| *byte == b'#') {
            self.events += 1;
            let number = rest[at + 1..][..DIGITS]
                .iter()
                .fold(0, |number, digit| number * 10 + usize::from(digit - b'0'));
            if let Some(seen) = self.readings.get_mut(number) {
                match std::mem::replace(seen, true) {
                    false => self.distinct += 1,
                    true => self.repeats += 1,
                }
            }
            rest = &rest[at + 1 + DIGITS..];
        }
        if self.distinct == self.readings.len() as u64 {
            self.complete.get_or_insert_with(Instant::now);
        }
        if self.bodies.len() < KEPT {
            self.bodies.push(body.clone());
        }
    }
}
