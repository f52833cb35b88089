use super::histogram::Histogram;
use super::link::Link;
use crate::mqtt::encode::{AckKind, EncodeError, PublishParts, encode_success};
use crate::mqtt::packet::{Packet, PacketId, QoS, Version};
use bytes::{Bytes, BytesMut};
use std::io;
use std::time::Instant;

/// How much is encoded before it is written.
const OUT_BYTES: usize = 32 * 1024;

/// One connection that keeps a number of messages unacknowledged, and what it saw.
pub(super) struct Publisher {
    /// The PUBLISH before the packet id.
    head: Vec<u8>,
    payload: Bytes,
    qos: QoS,
    /// When the message of each packet id (less one) was sent; `None`: free.
    sent: Vec<Option<Instant>>,
    /// Packet ids that are free.
    free: Vec<PacketId>,
    pub(super) acknowledged: u64,
    pub(super) latencies: Histogram,
    pub(super) last_answer: Option<Instant>,
}

impl Publisher {
    pub(super) fn new(
        topic: &str,
        qos: QoS,
        inflight: u16,
        payload: Bytes,
    ) -> Result<Self, EncodeError> {
        let packet_id = PacketId::new(1).filter(|_| qos > QoS::AtMostOnce);
        let parts = PublishParts {
            qos,
            topic: topic.as_bytes(),
            packet_id,
            payload: &payload,
            ..PublishParts::default()
        };
        let mut head = BytesMut::new();
        parts.encode(Version::V311, &mut head)?;
        let packet_id_bytes = if packet_id.is_some() { 2 } else { 0 };
        head.truncate(head.len() - payload.len() - packet_id_bytes);
        Ok(Self {
            head: head.to_vec(),
            payload,
            qos,
            sent: vec![None; usize::from(inflight)],
            free: (1..=inflight).rev().filter_map(PacketId::new).collect(),
            acknowledged: 0,
            latencies: Histogram::default(),
            last_answer: None,
        })
    }

    /// Messages sent and not acknowledged.
    pub(super) fn unanswered(&self) -> usize {
        self.sent.len() - self.free.len()
    }

    /// Publishes until `end`, then waits for what is unanswered. Sends its first messages however late it begins. May be
    /// cancelled.
    pub(super) async fn drive(&mut self, link: &mut Link, end: Instant) -> io::Result<()> {
        if self.qos == QoS::AtMostOnce {
            return self.drive_without_answers(link, end).await;
        }
        self.fill(Instant::now(), link).await?;
        loop {
            link.exchange().await?;
            let now = Instant::now();
            while let Some(packet) = link.next()? {
                self.handle_packet(now, &packet, &mut link.out);
            }
            if now < end {
                self.fill(now, link).await?;
            } else if self.unanswered() == 0 {
                return Ok(());
            }
        }
    }

    async fn drive_without_answers(&mut self, link: &mut Link, end: Instant) -> io::Result<()> {
        loop {
            let mut written = 0;
            while link.out.len() < OUT_BYTES {
                link.out.extend_from_slice(&self.head);
                link.out.extend_from_slice(&self.payload);
                written += 1;
            }
            link.flush().await?;
            self.acknowledged += written;
            let now = Instant::now();
            self.last_answer = Some(now);
            if now >= end {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
    }

    /// Sends until as many are unanswered as may be; the last of them stay in `out` until the next exchange.
    async fn fill(&mut self, mut now: Instant, link: &mut Link) -> io::Result<()> {
        loop {
            self.encode(now, &mut link.out);
            if self.free.is_empty() {
                return Ok(());
            }
            link.flush().await?;
            now = Instant::now();
        }
    }

    fn encode(&mut self, now: Instant, out: &mut BytesMut) {
        while out.len() < OUT_BYTES {
            let Some(packet_id) = self.free.pop() else {
                return;
            };
            out.extend_from_slice(&self.head);
            out.extend_from_slice(&packet_id.get().to_be_bytes());
            out.extend_from_slice(&self.payload);
            if let Some(slot) = self.sent.get_mut(usize::from(packet_id.get() - 1)) {
                *slot = Some(now);
            }
        }
    }

    /// Answers that belong to no message of this connection count for nothing.
    fn handle_packet(&mut self, now: Instant, packet: &Packet, out: &mut BytesMut) {
        match packet {
            Packet::PubAck(ack) if self.qos == QoS::AtLeastOnce => self.done(now, ack.packet_id),
            Packet::PubRec(ack) => encode_success(AckKind::PubRel, ack.packet_id, out),
            Packet::PubComp(ack) => self.done(now, ack.packet_id),
            _ => {}
        }
    }

    fn done(&mut self, now: Instant, packet_id: PacketId) {
        let Some(slot) = self.sent.get_mut(usize::from(packet_id.get() - 1)) else {
            return;
        };
        let Some(sent) = slot.take() else { return };
        self.free.push(packet_id);
        self.acknowledged += 1;
        self.latencies.record(now - sent);
        self.last_answer = Some(now);
    }
}
