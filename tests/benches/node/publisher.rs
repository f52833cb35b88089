//! An MQTT 3.1.1 publisher of few instructions, so that what is measured is the node.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{MissedTickBehavior, interval},
};

/// How long acknowledgements took.
pub(crate) type Latencies = Arc<Mutex<Vec<Duration>>>;

/// PUBACK of 3.1.1.
const ACK_BYTES: usize = 4;
/// QoS 1.
const PUBLISH: u8 = 0x32;
const RETAIN: u8 = 0x01;

/// A connection that publishes at QoS 1. The node acknowledges in order, so acknowledgements are counted.
pub(crate) struct Publisher {
    stream: TcpStream,
    out: Vec<u8>,
    next_id: u16,
    in_flight: usize,
    /// Bytes of an acknowledgement that has not come whole.
    odd: usize,
}

impl Publisher {
    /// A clean session.
    pub(crate) async fn connect(to: SocketAddr, id: &str) -> Publisher {
        let stream = TcpStream::connect(to).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut publisher = Publisher {
            stream,
            out: Vec::new(),
            next_id: 0,
            in_flight: 0,
            odd: 0,
        };
        let mut body = b"\x00\x04MQTT\x04\x02\x00\x3c".to_vec();
        body.extend_from_slice(&u16::try_from(id.len()).unwrap().to_be_bytes());
        body.extend_from_slice(id.as_bytes());
        publisher.packet(0x10, &body);
        publisher.write().await;
        let mut answer = [0; 4];
        publisher.stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer[3], 0, "the node lets {id} in");
        publisher
    }

    /// Publishes all of it with up to `window` unacknowledged.
    pub(crate) async fn publish_all(
        &mut self,
        messages: impl Iterator<Item = Message>,
        window: usize,
    ) {
        let mut messages = messages.peekable();
        while messages.peek().is_some() {
            while self.in_flight < window
                && let Some(message) = messages.next()
            {
                self.publish(&message);
            }
            self.write().await;
            self.acknowledged().await;
        }
        while self.in_flight > 0 {
            self.acknowledged().await;
        }
    }

    /// Publishes `per_second` until dropped, and reports how long each acknowledgement took. What is due while the node
    /// is slow is sent late, and counts from when it was due.
    pub(crate) async fn publish_steadily(
        mut self,
        per_second: u32,
        message: &mut (impl FnMut() -> Message + Send),
        latencies: &Latencies,
    ) {
        let mut ticks = interval(Duration::from_secs(1) / per_second);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut due = VecDeque::new();
        loop {
            tokio::select! {
                tick = ticks.tick() => {
                    due.push_back(Instant::from(tick));
                    self.publish(&message());
                    self.write().await;
                }
                count = self.acknowledged(), if self.in_flight > 0 => {
                    let sent = due.drain(..count);
                    latencies.lock().unwrap().extend(sent.map(|sent| sent.elapsed()));
                }
            }
        }
    }

    fn publish(&mut self, message: &Message) {
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        let mut body = Vec::with_capacity(message.payload.len() + message.topic.len() + 4);
        body.extend_from_slice(&u16::try_from(message.topic.len()).unwrap().to_be_bytes());
        body.extend_from_slice(message.topic.as_bytes());
        body.extend_from_slice(&self.next_id.to_be_bytes());
        body.extend_from_slice(&message.payload);
        let retain = if message.retain { RETAIN } else { 0 };
        self.packet(PUBLISH | retain, &body);
        self.in_flight += 1;
    }

    fn packet(&mut self, first: u8, body: &[u8]) {
        self.out.push(first);
        let mut length = body.len();
        while length >= 0x80 {
            self.out.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        self.out.push(length as u8);
        self.out.extend_from_slice(body);
    }

    async fn write(&mut self) {
        self.stream.write_all(&self.out).await.unwrap();
        self.out.clear();
    }

    /// Waits for acknowledgements; how many came. May be cancelled.
    async fn acknowledged(&mut self) -> usize {
        let mut acks = [0; 1024 * ACK_BYTES];
        let read = self.stream.read(&mut acks).await.unwrap();
        assert!(read > 0, "the node ended the connection");
        let bytes = read + self.odd;
        self.odd = bytes % ACK_BYTES;
        self.in_flight -= bytes / ACK_BYTES;
        bytes / ACK_BYTES
    }
}

/// What is published.
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) retain: bool,
}

impl Message {
    /// A reading as a sensor sends it: a JSON object of `size` bytes that holds `#` and the number once.
    pub(crate) fn reading(device: u64, number: u64, size: usize) -> Message {
        let mut payload = format!(
            r##"{{"device":"pump-{device}","sequence":"#{number:010}","status":"running","temperature":61.25,"pressure":3.8,"rpm":1480,"vibration":[0.12,0.09,0.14],"alarms":[],"note":""##
        )
        .into_bytes();
        payload.resize(size - 2, b'.');
        payload.extend_from_slice(b"\"}");
        Message {
            topic: format!("plant/pump-{device}/reading"),
            payload,
            retain: false,
        }
    }
}
