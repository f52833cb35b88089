use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    net::SocketAddr,
};

use bytes::{Bytes, BytesMut};
use rumqttc::v5::mqttbytes::{
    Error, QoS,
    v5::{
        Connect, ConnectProperties, ConnectReturnCode, Disconnect, Filter, LastWill, Packet,
        PubAck, PubAckReason, PubComp, PubRec, PubRel, Publish, Subscribe,
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::within;

/// QoS 1 messages a device sends before it waits for the first acknowledgement.
const WINDOW: usize = 100;
/// Longer than any scenario: a device does not ping, however long it has nothing to say.
const KEEP_ALIVE_S: u16 = 3600;

/// An MQTT 5 client that hides nothing: rumqttc's codec over a socket of its own.
pub struct Device {
    id: String,
    stream: TcpStream,
    input: BytesMut,
    next_pkid: u16,
    session_present: bool,
    /// What was sent and is not acknowledged, by packet id.
    unacknowledged: HashMap<u16, u64>,
    /// Messages that came while something else was awaited.
    waiting: VecDeque<Message>,
}

/// A message as a subscriber gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its topic.
    pub topic: String,
    /// Its payload.
    pub payload: Bytes,
    /// At which QoS it came.
    pub qos: u8,
    /// Whether it was marked as sent before.
    pub dup: bool,
    /// Whether it was marked as retained.
    pub retain: bool,
}

/// One value of a device's series.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reading {
    /// Which device.
    pub device: String,
    /// Which value: they count up.
    pub number: u64,
}

impl Reading {
    /// As it is published.
    #[must_use]
    pub fn payload(&self) -> String {
        serde_json::json!({ "device": self.device, "n": self.number }).to_string()
    }

    /// From a payload; `None` if it is none.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Reading> {
        let value: serde_json::Value = serde_json::from_slice(payload).ok()?;
        Some(Reading {
            device: value["device"].as_str()?.to_owned(),
            number: value["n"].as_u64()?,
        })
    }
}

/// Why a connection is over.
#[derive(Debug)]
pub enum Refused {
    /// The stream ended or broke.
    Ended,
    /// The node said why.
    Disconnect(u8),
    /// CONNACK with an error.
    Connack(ConnectReturnCode),
}

impl Device {
    /// A session that ends with its connection.
    pub async fn connect(to: SocketAddr, id: &str) -> Device {
        Device::open(to, id, true, 0, None)
            .await
            .expect("the node takes a sound CONNECT")
    }

    /// A session that survives its connection, and the node, for an hour.
    pub async fn connect_durable(to: SocketAddr, id: &str) -> Device {
        Device::open(to, id, false, 3600, None)
            .await
            .expect("the node takes a sound CONNECT")
    }

    /// Any CONNECT.
    pub async fn open(
        to: SocketAddr,
        id: &str,
        clean_start: bool,
        expiry_s: u32,
        will: Option<LastWill>,
    ) -> Result<Device, Refused> {
        let stream = TcpStream::connect(to).await.map_err(|_| Refused::Ended)?;
        let mut device = Device::over(stream, id);
        let mut properties = ConnectProperties::new();
        properties.session_expiry_interval = Some(expiry_s);
        let connect = Connect {
            keep_alive: KEEP_ALIVE_S,
            client_id: id.to_owned(),
            clean_start,
            properties: Some(properties),
        };
        device
            .send(&Packet::Connect(connect, will, None))
            .await
            .map_err(|_| Refused::Ended)?;
        match device.receive().await? {
            Packet::ConnAck(ack) if ack.code == ConnectReturnCode::Success => {
                device.session_present = ack.session_present;
                Ok(device)
            }
            Packet::ConnAck(ack) => Err(Refused::Connack(ack.code)),
            other => panic!("the node answers CONNECT with {other:?}"),
        }
    }

    /// A connection without CONNECT: what is sent on it is up to the test.
    pub async fn raw(to: SocketAddr) -> Device {
        Device::raw_named(to, "raw").await
    }

    /// The same, for one that will call itself `id`.
    pub async fn raw_named(to: SocketAddr, id: &str) -> Device {
        Device::over(TcpStream::connect(to).await.expect("the node listens"), id)
    }

    fn over(stream: TcpStream, id: &str) -> Device {
        stream.set_nodelay(true).expect("a socket takes options");
        Device {
            id: id.to_owned(),
            stream,
            input: BytesMut::new(),
            next_pkid: 0,
            session_present: false,
            unacknowledged: HashMap::new(),
            waiting: VecDeque::new(),
        }
    }

    /// Its client id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether the node had kept its session.
    #[must_use]
    pub fn session_present(&self) -> bool {
        self.session_present
    }

    /// Sends one packet.
    pub async fn send(&mut self, packet: &Packet) -> std::io::Result<()> {
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes, None).expect("a sound packet");
        self.send_bytes(&bytes).await
    }

    /// Sends bytes as they are.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        within("the node reads", self.stream.write_all(bytes)).await
    }

    /// The next packet.
    pub async fn receive(&mut self) -> Result<Packet, Refused> {
        within("a packet from the node", self.read_packet()).await
    }

    async fn read_packet(&mut self) -> Result<Packet, Refused> {
        loop {
            // rumqttc takes a DISCONNECT without properties for one that has not come whole.
            if let [0xe0, length, reason, ..] = self.input[..]
                && length > 0
            {
                return Err(Refused::Disconnect(reason));
            }
            match Packet::read(&mut self.input, None) {
                Ok(Packet::Disconnect(_)) => return Err(Refused::Disconnect(0)),
                Ok(packet) => return Ok(packet),
                Err(Error::InsufficientBytes(_)) => {
                    match self.stream.read_buf(&mut self.input).await {
                        Ok(0) | Err(_) => return Err(Refused::Ended),
                        Ok(_) => {}
                    }
                }
                Err(error) => panic!("the node sends no MQTT: {error:?}"),
            }
        }
    }

    /// Publishes at QoS 1 and waits for the acknowledgement; its reason code.
    pub async fn publish(&mut self, topic: &str, payload: impl Into<Bytes>) -> Result<u8, Refused> {
        let pkid = self.start_publish(topic, payload, 0).await?;
        while self.unacknowledged.contains_key(&pkid) {
            if let Some((_, reason)) = self.acknowledgement().await? {
                return Ok(reason);
            }
        }
        Ok(0)
    }

    /// Publishes at QoS 0.
    pub async fn publish_and_forget(&mut self, topic: &str, payload: impl Into<Bytes>) {
        let publish = Publish::new(topic, QoS::AtMostOnce, payload, None);
        self.send(&Packet::Publish(publish))
            .await
            .expect("the node reads");
    }

    /// Publishes a retained message at QoS 1 and waits for the acknowledgement.
    pub async fn publish_retained(
        &mut self,
        topic: &str,
        payload: impl Into<Bytes>,
    ) -> Result<(), Refused> {
        self.start_publish_retained(topic, payload, 0).await?;
        self.acknowledgement().await.map(drop)
    }

    /// Publishes at QoS 2 and goes through the whole handshake.
    pub async fn publish_exactly_once(
        &mut self,
        topic: &str,
        payload: impl Into<Bytes>,
    ) -> Result<(), Refused> {
        let pkid = self.take_pkid();
        let mut publish = Publish::new(topic, QoS::ExactlyOnce, payload, None);
        publish.pkid = pkid;
        self.send(&Packet::Publish(publish))
            .await
            .map_err(|_| Refused::Ended)?;
        loop {
            match self.receive().await? {
                Packet::PubRec(received) if received.pkid == pkid => {
                    let release = PubRel::new(pkid, None);
                    self.send(&Packet::PubRel(release))
                        .await
                        .map_err(|_| Refused::Ended)?;
                }
                Packet::PubComp(complete) if complete.pkid == pkid => return Ok(()),
                other => self.take_other(other).await?,
            }
        }
    }

    /// Sends at QoS 1 without waiting; the packet id.
    pub async fn start_publish(
        &mut self,
        topic: &str,
        payload: impl Into<Bytes>,
        number: u64,
    ) -> Result<u16, Refused> {
        let publish = Publish::new(topic, QoS::AtLeastOnce, payload, None);
        self.start(publish, number).await
    }

    /// The same, retained.
    pub async fn start_publish_retained(
        &mut self,
        topic: &str,
        payload: impl Into<Bytes>,
        number: u64,
    ) -> Result<u16, Refused> {
        let mut publish = Publish::new(topic, QoS::AtLeastOnce, payload, None);
        publish.retain = true;
        self.start(publish, number).await
    }

    async fn start(&mut self, mut publish: Publish, number: u64) -> Result<u16, Refused> {
        let pkid = self.take_pkid();
        publish.pkid = pkid;
        self.unacknowledged.insert(pkid, number);
        self.send(&Packet::Publish(publish))
            .await
            .map_err(|_| Refused::Ended)?;
        Ok(pkid)
    }

    /// Waits for the next acknowledgement of [`Self::start_publish`]: its number and its reason code.
    pub async fn acknowledgement(&mut self) -> Result<Option<(u64, u8)>, Refused> {
        loop {
            match self.receive().await? {
                Packet::PubAck(PubAck { pkid, reason, .. }) => {
                    let number = self.unacknowledged.remove(&pkid);
                    let reason = match reason {
                        PubAckReason::Success => 0x00,
                        PubAckReason::NoMatchingSubscribers => 0x10,
                        PubAckReason::UnspecifiedError => 0x80,
                        PubAckReason::ImplementationSpecificError => 0x83,
                        PubAckReason::NotAuthorized => 0x87,
                        PubAckReason::TopicNameInvalid => 0x90,
                        PubAckReason::PacketIdentifierInUse => 0x91,
                        PubAckReason::QuotaExceeded => 0x97,
                        PubAckReason::PayloadFormatInvalid => 0x99,
                    };
                    return Ok(number.map(|number| (number, reason)));
                }
                other => self.take_other(other).await?,
            }
        }
    }

    /// How many messages are sent and not acknowledged.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.unacknowledged.len()
    }

    /// Publishes readings at QoS 1, several in flight, and waits until all are acknowledged.
    pub async fn publish_readings(&mut self, numbers: impl IntoIterator<Item = u64>) {
        let topic = format!("{}/reading", self.id);
        for number in numbers {
            if self.in_flight() >= WINDOW {
                self.expect_accepted().await;
            }
            let reading = Reading {
                device: self.id.clone(),
                number,
            };
            self.start_publish(&topic, reading.payload(), number)
                .await
                .expect("the node reads");
        }
        while self.in_flight() > 0 {
            self.expect_accepted().await;
        }
    }

    async fn expect_accepted(&mut self) {
        let answer = self.acknowledgement().await.expect("an acknowledgement");
        let (number, reason) = answer.expect("only what was sent is acknowledged");
        assert!(
            reason < 0x80,
            "reading {number} was refused with {reason:#x}"
        );
    }

    /// Subscribes; the granted QoS or the error code.
    pub async fn subscribe(&mut self, topic_filter: &str, qos: u8) -> u8 {
        let pkid = self.take_pkid();
        let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(qos)];
        let mut subscribe = Subscribe::new(Filter::new(topic_filter, qos), None);
        subscribe.pkid = pkid;
        self.send(&Packet::Subscribe(subscribe))
            .await
            .expect("the node reads");
        loop {
            match self.receive().await.expect("an answer to SUBSCRIBE") {
                Packet::SubAck(ack) => {
                    use rumqttc::v5::mqttbytes::v5::SubscribeReasonCode as Code;
                    return match ack.return_codes[0] {
                        Code::Success(qos) => qos as u8,
                        Code::QuotaExceeded => 0x97,
                        _ => 0x80,
                    };
                }
                other => self.take_other(other).await.expect("the stream goes on"),
            }
        }
    }

    /// The next message; acknowledges it as its QoS asks.
    pub async fn next_message(&mut self) -> Result<Message, Refused> {
        loop {
            if let Some(message) = self.waiting.pop_front() {
                return Ok(message);
            }
            let packet = self.receive().await?;
            self.take_other(packet).await?;
        }
    }

    /// Messages until `numbers` of `device` have all come; how often each came.
    pub async fn receive_readings(
        &mut self,
        device: &str,
        numbers: impl IntoIterator<Item = u64>,
    ) -> HashMap<u64, usize> {
        let mut missing: BTreeSet<u64> = numbers.into_iter().collect();
        let mut came = HashMap::new();
        while !missing.is_empty() {
            let message = self.next_message().await.expect("the stream goes on");
            if let Some(reading) =
                Reading::parse(&message.payload).filter(|reading| reading.device == device)
            {
                missing.remove(&reading.number);
                *came.entry(reading.number).or_insert(0) += 1;
            }
        }
        came
    }

    /// Sees to what comes while something else is awaited.
    async fn take_other(&mut self, packet: Packet) -> Result<(), Refused> {
        let answer = match packet {
            Packet::Publish(publish) => {
                let answer = match publish.qos {
                    QoS::AtMostOnce => None,
                    QoS::AtLeastOnce => Some(Packet::PubAck(PubAck::new(publish.pkid, None))),
                    QoS::ExactlyOnce => Some(Packet::PubRec(PubRec::new(publish.pkid, None))),
                };
                self.waiting.push_back(Message {
                    topic: String::from_utf8(publish.topic.to_vec()).expect("a topic is UTF-8"),
                    payload: publish.payload,
                    qos: publish.qos as u8,
                    dup: publish.dup,
                    retain: publish.retain,
                });
                answer
            }
            Packet::PubRel(release) => Some(Packet::PubComp(PubComp::new(release.pkid, None))),
            Packet::PubAck(ack) => {
                self.unacknowledged.remove(&ack.pkid);
                None
            }
            _ => None,
        };
        match answer {
            Some(packet) => self.send(&packet).await.map_err(|_| Refused::Ended),
            None => Ok(()),
        }
    }

    /// Says goodbye, and waits until the node has heard it; the session goes on if it was durable.
    pub async fn disconnect(mut self) {
        use rumqttc::v5::mqttbytes::v5::DisconnectReasonCode::NormalDisconnection;
        let disconnect = Packet::Disconnect(Disconnect::new(NormalDisconnection));
        // The node may be gone already, which is a way to be disconnected too.
        let _ = self.send(&disconnect).await;
        let _ = self.stream.shutdown().await;
        let mut rest = Vec::new();
        let closed = self.stream.read_to_end(&mut rest);
        let _ = within("the node closes after DISCONNECT", closed).await; // reset is closed too
    }

    fn take_pkid(&mut self) -> u16 {
        loop {
            self.next_pkid = self.next_pkid.checked_add(1).unwrap_or(1);
            if !self.unacknowledged.contains_key(&self.next_pkid) {
                return self.next_pkid;
            }
        }
    }
}
