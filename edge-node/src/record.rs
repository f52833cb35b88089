//! What the node writes into the log: publishes as they came, and changes of its own state.
//!
//! ```text
//! record  = kind u8, then
//!   1 publish: flags u8 · [packet id u16] · [waited u32] · [place] · sender · origin · topic · properties · minted · [settled] · payload
//!   2 change:  postcard of `Change`
//!   3 dead:    position u64 · tries u32 · sink · reason · the record it was
//! sender, origin, topic, properties, minted, settled = length varint, bytes;  payload = the rest;  integers little-endian
//! flags   = QoS (bits 0-1) · retain (2) · packet id present (3) · is the sender's will (4) · settled present (5) · place present (6) · waited present (7)
//! ```
//!
//! `properties` are as in `mqtt::stored`. `waited` is in milliseconds. `minted` belongs to ingest, `settled` to `rules`, `place` (of a device's event in its stream) to `device`. New kinds and `Change` variants are only ever added at the end.

use std::num::NonZeroU16;

use filters::rules::Answer;
use serde::{Deserialize, Serialize};
use spool::{CursorId, LossReason, NodeTime, Seq, clock::ClockMark};

use crate::{
    device::{Born, CommandStep, ConfigurationStep, LossReport, Place},
    mqtt::{packet::QoS, stored},
    rules::NamedStage,
};

const PUBLISH: u8 = 1;
const CHANGE: u8 = 2;
const DEAD: u8 = 3;

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
            (&DEAD, rest) => DeadRecord::decode(rest).map(Record::Dead),
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
    /// The event's record.
    pub body: &'a [u8],
}

impl<'a> DeadRecord<'a> {
    /// Appends the encoded record to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(DEAD);
        out.extend_from_slice(&self.seq.0.to_le_bytes());
        out.extend_from_slice(&self.tries.to_le_bytes());
        put_part(out, self.sink.as_bytes());
        put_part(out, self.reason.as_bytes());
        out.extend_from_slice(self.body);
    }

    fn decode(mut rest: &'a [u8]) -> Option<DeadRecord<'a>> {
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
            body: rest,
        })
    }
}

/// How a session subscribes to one filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionOptions {
    /// Granted maximum QoS, 0 to 2.
    pub qos: u8,
    /// Not to the session that published.
    pub no_local: bool,
    /// Keep the retain flag as the publisher set it.
    pub retain_as_published: bool,
    /// MQTT 5 subscription identifier.
    pub identifier: Option<u32>,
}

/// The will of a durable session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredWill {
    /// Topic name.
    pub topic: String,
    /// Payload.
    pub payload: Vec<u8>,
    /// 0 to 2.
    pub qos: u8,
    /// Retain flag.
    pub retain: bool,
    /// Will delay interval in seconds.
    pub delay_seconds: u32,
    /// As in `PublishRecord`.
    pub properties: Vec<u8>,
}

/// One step of the node's durable state. The state is the fold of these over the log; nothing else changes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "fields are named as in MQTT and the log")]
pub enum Change {
    /// The node got its identity: 64 random bits, at the first start.
    Named { node: u64 },
    /// The node started once more; its clocks then.
    Started { boot: u32, clock: ClockMark },
    /// A durable session began.
    SessionOpened { client: String, cursor: CursorId },
    /// A client connected to its durable session; its expiry interval in seconds and its will.
    SessionConnected {
        client: String,
        expiry_seconds: u32,
        will: Option<StoredWill>,
    },
    /// Its connection ended; the will is due then, unless it is spent.
    SessionDisconnected {
        client: String,
        at: NodeTime,
        expiry_seconds: u32,
        will_due: Option<NodeTime>,
    },
    /// The session ended; what it was owed is in the ledger.
    SessionRemoved { client: String },
    /// A subscription began or changed.
    Subscribed {
        client: String,
        filter: String,
        options: SubscriptionOptions,
    },
    /// A subscription ended.
    Unsubscribed { client: String, filter: String },
    /// Inbound QoS 2: the client released the identifier.
    Released {
        client: String,
        packet_id: NonZeroU16,
    },
    /// Outbound QoS 2: the message at `seq` goes out under this identifier.
    Sent {
        client: String,
        packet_id: NonZeroU16,
        seq: Seq,
        shared: Option<String>,
    },
    /// Outbound QoS 2: the client has the message.
    Received {
        client: String,
        packet_id: NonZeroU16,
    },
    /// Outbound QoS 2: done.
    Completed {
        client: String,
        packet_id: NonZeroU16,
    },
    /// A shared subscription or a group of the mesh services began. `filters` are empty for a shared subscription.
    GroupOpened {
        name: String,
        cursor: CursorId,
        filters: Vec<String>,
    },
    /// It ended.
    GroupRemoved { name: String },
    /// A retained message ended by its expiry.
    RetainedExpired { topic: String },
    /// A sink is not in the configuration any more (`None`: it is again).
    SinkLeft { name: String, at: Option<NodeTime> },
    /// The will of a session was refused by ingest and is done with.
    WillRefused { client: String },
    /// As `Sent`, a retained message for a new subscription.
    SentRetained {
        client: String,
        packet_id: NonZeroU16,
        seq: Seq,
        identifier: Option<u32>,
    },
    /// Stages of rules got numbers under which records speak of them.
    StagesNamed { stages: Vec<NamedStage> },
    /// These stages are not in use any more.
    StagesClosed { numbers: Vec<u32> },
    /// What rules settled of an event that nobody is owed, where stages have to remember it; as in `PublishRecord`.
    Judged { settled: Vec<u8> },
    /// A device said something new at its birth.
    DeviceBorn { device: String, born: Box<Born> },
    /// It said what it lost.
    DeviceLost { device: String, report: LossReport },
    /// It is not known any more.
    DeviceRemoved { device: String },
    /// A stage that derives begins, defined by this text; the keys it lists are watched from then on.
    StageOpened {
        number: u32,
        definition: String,
        at: NodeTime,
    },
    /// The time of a key of a stage is over.
    KeyClosed { stage: u32, key: String },
    /// The node was down for so long: no key of a stage was silent meanwhile.
    Downtime { milliseconds: u64 },
    /// What this rule derived first, of all that waits, is too large for the log and is lost.
    DerivedLost { rule: String },
    /// A command to a device went on.
    CommandMoved { command: u64, step: CommandStep },
    /// These are over and made room.
    CommandsForgotten { commands: Vec<u64> },
    /// A device is to work with another configuration, or said what became of it.
    DeviceConfigured {
        device: String,
        step: ConfigurationStep,
    },
    /// An event told of this entry of the ledger when so many were lost.
    GapTold {
        reason: LossReason,
        scope: String,
        count: u64,
    },
    /// What became of an event that waited for the work of a stage.
    JobAnswered {
        stage: u32,
        position: u64,
        answer: Answer,
    },
    /// A session is to be given what is retained here for this subscription of it.
    RetainedAsked { client: String, filter: String },
    /// It has been given all that it asked for.
    RetainedGiven { client: String },
    /// As `SentRetained`, found on this topic for what was asked for at the position `asked`.
    SentFound {
        client: String,
        packet_id: NonZeroU16,
        seq: Seq,
        identifier: Option<u32>,
        asked: Seq,
        topic: String,
    },
    /// A group of the mesh services has had no member since then. `GroupOpened` says that it has one again.
    GroupRests { name: String, at: NodeTime },
}

impl Change {
    /// Appends the encoded record to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(CHANGE);
        let bytes = postcard::to_stdvec(self).expect("a change has no unserialisable part");
        out.extend_from_slice(&bytes);
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
mod tests {
    use super::*;
    use crate::device::StreamId;

    #[test]
    fn a_publish_comes_back_as_it_went_in_and_no_prefix_of_its_head_is_one() {
        let record = PublishRecord {
            qos: QoS::ExactlyOnce,
            retain: true,
            will: false,
            packet_id: NonZeroU16::new(77),
            waited_ms: 1_500,
            place: Some(Place {
                stream: StreamId {
                    incarnation: 0x00c0_ffee,
                    number: 3,
                },
                boot: 7,
                seq: 41,
                time_ms: 1_800_000_000_000,
            }),
            sender: "pump-7",
            origin: "",
            topic: "plant/pump-7/state",
            properties: &[1, 1],
            minted: &[9; 200],
            settled: &[8; 3],
            payload: b"on",
        };
        let mut body = Vec::new();
        record.encode(&mut body);
        match Record::decode(&body) {
            Some(Record::Publish(read)) => assert_eq!(read, record),
            other => panic!("{other:?}"),
        }
        for end in 0..body.len() - record.payload.len() {
            assert!(
                Record::decode(&body[..end]).is_none(),
                "prefix of {end} bytes"
            );
        }
    }

    #[test]
    fn a_publish_that_no_rule_touched_is_as_short_as_without_rules_and_one_that_says_nothing_of_them_opens()
     {
        let body = [
            &[PUBLISH, 1][..],
            &[1, b's', 0, 1, b't', 2, 1, 1, 3, 7, 8, 9],
            b"on",
        ]
        .concat();
        let Some(Record::Publish(record)) = Record::decode(&body) else {
            panic!("a publish of the first version");
        };
        assert_eq!((record.settled, record.minted), (&[][..], &[7, 8, 9][..]));
        assert_eq!(record.payload, b"on");
        let mut again = Vec::new();
        record.encode(&mut again);
        assert_eq!(again, body);
    }

    #[test]
    fn a_dead_letter_keeps_the_record_it_was() {
        let dead = DeadRecord {
            sink: "cloud",
            seq: Seq(7),
            reason: "no such topic",
            tries: 3,
            body: &[1, 2, 3],
        };
        let mut body = Vec::new();
        dead.encode(&mut body);
        match Record::decode(&body) {
            Some(Record::Dead(read)) => assert_eq!(read, dead),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_change_comes_back_as_it_went_in() {
        let change = Change::Sent {
            client: "c".into(),
            packet_id: NonZeroU16::MIN,
            seq: Seq(9),
            shared: None,
        };
        let mut body = Vec::new();
        change.encode(&mut body);
        match Record::decode(&body) {
            Some(Record::Change(read)) => assert_eq!(read, change),
            other => panic!("{other:?}"),
        }
    }
}
