//! What the node writes into the log: publishes as they came, and changes of its own state.
//!
//! ```text
//! record  = kind u8, then
//!   1 publish: flags u8 · [packet id u16] · [waited u32] · [place] · sender · origin · topic · properties · minted · [settled] · payload
//!   2 change:  postcard of `Change`
//!   3 dead:    position u64 · tries u32 · sink · reason · the record it was
//!   4 dead:    lane u8 · stored u64 · as 3
//! sender, origin, topic, properties, minted, settled = length varint, bytes;  payload = the rest;  integers little-endian
//! flags   = QoS (bits 0-1) · retain (2) · packet id present (3) · is the sender's will (4) · settled present (5) · place present (6) · waited present (7)
//! ```
//!
//! `properties` are as in `mqtt::stored`. `waited` is in milliseconds, `stored` in those of the node clock. `minted` belongs to ingest, `settled` to `rules`, `place` (of a device's event in its stream) to `device`. New kinds and `Change` variants are only ever added at the end.

mod change;

use std::num::NonZeroU16;

use spool::{Lane, NodeTime, Seq};

pub use self::change::{Change, StoredWill, SubscriptionOptions};
use crate::{
    device::Place,
    mqtt::{packet::QoS, stored},
};

const PUBLISH: u8 = 1;
const CHANGE: u8 = 2;
const DEAD: u8 = 3;
const DEAD_IN_LANE: u8 = 4;

const RETAIN: u8 = 1 << 2;
const PACKET_ID: u8 = 1 << 3;
const WILL: u8 = 1 << 4;
const SETTLED: u8 = 1 << 5;
const PLACE: u8 = 1 << 6;
const WAITED: u8 = 1 << 7;

/// A PUBLISH as it came, with what ingest minted beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishRecord<'a> {
    /// As the publisher sent it.
    pub qos: QoS,
    /// As the publisher sent it.
    pub retain: bool,
    /// Whether this is the will of `sender`, which thereby is spent.
    pub will: bool,
    /// The packet identifier of a QoS 2 publish of a durable session, which stays taken until it is released.
    pub packet_id: Option<NonZeroU16>,
    /// How long it waited at this node before it was stored, in milliseconds: not read on, or without room.
    pub waited_ms: u32,
    /// Where the event of a device stands in its stream.
    pub place: Option<Place>,
    /// The client identifier, empty for what came through another door.
    pub sender: &'a str,
    /// The peer it came from by another door than MQTT: `http:…`, `grpc:…`, or the rule that derived it: `rule:…`; empty for MQTT.
    pub origin: &'a str,
    /// The topic name.
    pub topic: &'a str,
    /// As `mqtt::stored` encodes them, message expiry interval included.
    pub properties: &'a [u8],
    /// What ingest minted, in its own encoding.
    pub minted: &'a [u8],
    /// What rules made of it for the uplinks, as `rules` encodes it; empty where they changed nothing.
    pub settled: &'a [u8],
    /// The payload.
    pub payload: &'a [u8],
}

/// A record as read from the log.
#[derive(Clone, Debug)]
pub enum Record<'a> {
    /// A publish.
    Publish(PublishRecord<'a>),
    /// A change of state.
    Change(Change),
    /// An event its sink could not take.
    Dead(DeadRecord<'a>),
}

impl<'a> Record<'a> {
    /// Reads a record body; `None` where it is not one (a newer kind, which the format version rules out).
    pub fn decode(body: &'a [u8]) -> Option<Record<'a>> {
        match body.split_first()? {
            (&PUBLISH, rest) => PublishRecord::decode(rest).map(Record::Publish),
            (&CHANGE, rest) => postcard::from_bytes(rest).ok().map(Record::Change),
            (&DEAD, rest) => DeadRecord::decode(rest, None).map(Record::Dead),
            (&DEAD_IN_LANE, mut rest) => {
                let [lane, stored @ ..] = take_array::<9>(&mut rest)?;
                let was = (Lane(lane), NodeTime(u64::from_le_bytes(stored)));
                DeadRecord::decode(rest, Some(was)).map(Record::Dead)
            }
            _ => None,
        }
    }
}

impl<'a> PublishRecord<'a> {
    /// When the node received it, if it was stored then.
    pub fn received(&self, stored: NodeTime) -> NodeTime {
        NodeTime(stored.0.saturating_sub(u64::from(self.waited_ms)))
    }

    /// When it expires, if it was stored then.
    pub fn expires(&self, stored: NodeTime) -> Option<NodeTime> {
        let seconds = stored::message_expiry_interval(self.properties)?;
        Some(NodeTime(
            self.received(stored).0 + u64::from(seconds) * 1000,
        ))
    }

    /// Appends the encoded record to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        out.push(PUBLISH);
        out.push(
            self.qos as u8
                | flag(self.retain, RETAIN)
                | flag(self.packet_id.is_some(), PACKET_ID)
                | flag(self.will, WILL)
                | flag(self.place.is_some(), PLACE)
                | flag(self.waited_ms > 0, WAITED)
                | flag(!self.settled.is_empty(), SETTLED),
        );
        if let Some(id) = self.packet_id {
            out.extend_from_slice(&id.get().to_le_bytes());
        }
        if self.waited_ms > 0 {
            out.extend_from_slice(&self.waited_ms.to_le_bytes());
        }
        if let Some(place) = &self.place {
            place.encode(out);
        }
        for part in [
            self.sender.as_bytes(),
            self.origin.as_bytes(),
            self.topic.as_bytes(),
            self.properties,
            self.minted,
        ] {
            put_part(out, part);
        }
        if !self.settled.is_empty() {
            put_part(out, self.settled);
        }
        out.extend_from_slice(self.payload);
    }

    fn decode(mut rest: &'a [u8]) -> Option<PublishRecord<'a>> {
        let rest = &mut rest;
        let [flags] = take_array(rest)?;
        let qos = match flags & 3 {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            2 => QoS::ExactlyOnce,
            _ => return None,
        };
        let packet_id = if flags & PACKET_ID == 0 {
            None
        } else {
            Some(NonZeroU16::new(u16::from_le_bytes(take_array(rest)?))?)
        };
        let waited_ms = match flags & WAITED {
            0 => 0,
            _ => u32::from_le_bytes(take_array(rest)?),
        };
        let place = match flags & PLACE {
            0 => None,
            _ => Some(Place::decode(take_array(rest)?)),
        };
        let mut text = || take_part(rest).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let (sender, origin, topic) = (text()?, text()?, text()?);
        Some(PublishRecord {
            qos,
            retain: flags & RETAIN != 0,
            will: flags & WILL != 0,
            packet_id,
            waited_ms,
            place,
            sender,
            origin,
            topic,
            properties: take_part(rest)?,
            minted: take_part(rest)?,
            settled: match flags & SETTLED {
                0 => &[],
                _ => take_part(rest)?,
            },
            payload: rest,
        })
    }
}

/// An event that its sink refused for good, kept until the operator has seen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadRecord<'a> {
    /// The name of the sink.
    pub sink: &'a str,
    /// Where the event stands in the log.
    pub seq: Seq,
    /// What the receiver said.
    pub reason: &'a str,
    /// How often it was sent.
    pub tries: u32,
    /// The lane it was in, and when it was stored there. Records of kind 3 do not say it.
    pub was: Option<(Lane, NodeTime)>,
    /// The event's record.
    pub body: &'a [u8],
}

impl<'a> DeadRecord<'a> {
    /// Appends the encoded record to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self.was {
            Some((lane, stored)) => {
                out.extend_from_slice(&[DEAD_IN_LANE, lane.0]);
                out.extend_from_slice(&stored.0.to_le_bytes());
            }
            None => out.push(DEAD),
        }
        out.extend_from_slice(&self.seq.0.to_le_bytes());
        out.extend_from_slice(&self.tries.to_le_bytes());
        put_part(out, self.sink.as_bytes());
        put_part(out, self.reason.as_bytes());
        out.extend_from_slice(self.body);
    }

    fn decode(mut rest: &'a [u8], was: Option<(Lane, NodeTime)>) -> Option<DeadRecord<'a>> {
        let rest = &mut rest;
        let seq = Seq(u64::from_le_bytes(take_array(rest)?));
        let tries = u32::from_le_bytes(take_array(rest)?);
        let mut text = || take_part(rest).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let (sink, reason) = (text()?, text()?);
        Some(DeadRecord {
            sink,
            seq,
            reason,
            tries,
            was,
            body: rest,
        })
    }
}

fn put_part(out: &mut Vec<u8>, part: &[u8]) {
    let mut length = part.len();
    while length >= 0x80 {
        out.push((length as u8 & 0x7F) | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(part);
}

fn take_part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut length = 0_usize;
    for shift in [0, 7, 14, 21] {
        let [byte] = take_array(rest)?;
        length |= usize::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            let (part, tail) = rest.split_at_checked(length)?;
            *rest = tail;
            return Some(part);
        }
    }
    None
}

fn take_array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

#[cfg(test)]
mod tests;
