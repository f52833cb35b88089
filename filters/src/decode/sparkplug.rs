//! Sparkplug B as JSON, by the births of its nodes and devices.
//!
//! ```text
//!  {"group": "plant", "message": "DDATA", "node": "gateway", "device": "press", "timestamp": 1486144502122, "seq": 2,
//!   "values":  {"Temperature": 61.5, …},                 by name; of several the last, without historical ones
//!   "metrics": [{"name": "Temperature", "alias": 1, "type": "Double", "timestamp": 1486144502122, "value": 61.5}, …]}
//! ```
//!
//! | Sparkplug | JSON |
//! |---|---|
//! | integers | numbers, with the sign that their type says |
//! | Float, Double | numbers; NaN and infinities `null` |
//! | DateTime, timestamps | numbers: milliseconds since 1970 |
//! | Bytes, File | strings: base64 |
//! | arrays | arrays |
//! | DataSet | an array of objects, one for each row |
//! | Template | an object with `values` and `metrics` of its own |
//! | properties | an object |
//! | null | `null` |
//!
//! Data says aliases; which names and types they stand for, births say. Births are a fold over the log: each is remembered with the position of its record, so that a
//! record is decoded by the births that stood at its position, whenever it is ([`Sparkplug::decode_at`]). After a restart the fold goes on from a checkpoint
//! ([`Sparkplug::births`], [`Sparkplug::recover`]) with the records behind it ([`Sparkplug::apply`]).

mod births;
mod json;
mod live;
mod payload;
#[cfg(test)]
mod tests;
mod topic;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use prost::Message as _;
use serde::{Deserialize, Serialize};

pub use births::Birth;
pub use topic::{Message, Topic};

use super::{Decoded, history::History};
use crate::{
    stage::{EventTime, Moment},
    transform::MAX_RESULT_BYTES,
};
use births::bd_seq;
use json::Shown;
use live::{Live, LiveNodes};
use payload::{Metric, MetricValue, Payload};

/// The largest payload that is decoded: it takes many times its bytes in memory while it is.
const MAX_PAYLOAD_BYTES: usize = 256 * 1024;
/// How often a node is asked for its births at most.
const REBIRTH_INTERVAL: Duration = Duration::from_secs(60);
/// Bytes of births that are remembered, by estimate.
const MAX_BYTES: usize = 16 << 20;
/// Births that came before older ones are forgotten by turns, at least.
const MIN_FRESH: usize = 64;

/// What is known of the nodes and devices that speak Sparkplug B.
#[derive(Clone, Debug)]
pub struct Sparkplug {
    births: History<Id, Birth>,
    bytes: usize,
    max_bytes: usize,
    live: LiveNodes,
    counts: SparkplugCounts,
    rebirths: VecDeque<Rebirth>,
    /// Births and deaths that came since the last time that older ones were forgotten.
    fresh: usize,
}

/// A node, or one of its devices.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Id {
    /// Its group.
    pub group: Box<str>,
    /// The node.
    pub node: Box<str>,
    /// The device; `None` is the node itself.
    pub device: Option<Box<str>>,
}

/// What was wrong with messages that could be decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SparkplugCounts {
    /// Deaths of a birth that no longer stands.
    pub stale_deaths: u64,
    /// Messages whose number does not follow the one before.
    pub gaps: u64,
    /// Metrics with an alias that no birth announced.
    pub unknown_aliases: u64,
    /// Messages of a node or device whose birth is not known.
    pub unborn: u64,
    /// Nodes and devices whose births were forgotten at the bound of 16 MiB.
    pub evicted: u64,
    /// Times that a node was asked for its births.
    pub rebirths: u64,
}

/// A command by which a node is asked for all its births.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebirth {
    /// Where it is published.
    pub topic: String,
}

/// A message, decoded while it is published.
#[derive(Debug)]
pub struct Seen {
    /// What conditions see.
    pub decoded: Decoded,
    /// Whether births changed: then its record must be in the log, whoever it is owed to.
    pub is_kept: bool,
    /// For [`Sparkplug::undo`].
    pub undo: SparkplugUndo,
}

/// Takes back what a message that is not committed changed.
#[derive(Clone, Debug)]
pub struct SparkplugUndo {
    id: Id,
    live: Option<Live>,
    counts: SparkplugCounts,
    added: Option<u64>,
}

/// What a checkpoint keeps of one node or device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredBirth {
    /// Whose.
    pub id: Id,
    /// Where its record stands.
    pub position: u64,
    /// `None` is a death.
    pub birth: Option<Birth>,
}

/// A payload that is not what its topic says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SparkplugError {
    /// What the decoder says of it.
    #[error("not a payload of Sparkplug B: {0}")]
    Malformed(String),
    /// Templates in templates.
    #[error("more than 16 templates stand in each other")]
    TooDeep,
    /// More than is decoded.
    #[error("{0} bytes are more than the {MAX_PAYLOAD_BYTES} that are decoded")]
    TooLarge(usize),
    /// More would be made of it than of any payload: a short alias stands for a long name, a column for one in every row.
    #[error("it would take more than {MAX_RESULT_BYTES} bytes as JSON")]
    TooMuch,
}

impl Default for Sparkplug {
    fn default() -> Sparkplug {
        Sparkplug {
            births: History::new(),
            bytes: 0,
            max_bytes: MAX_BYTES,
            live: LiveNodes::default(),
            counts: SparkplugCounts::default(),
            rebirths: VecDeque::new(),
            fresh: 0,
        }
    }
}

impl Sparkplug {
    /// Decodes a message that is being published at `now` and will stand at `position`, later than all before it. What is known moves at once; if the message is not
    /// committed, [`Sparkplug::undo`] takes it back. With `rebirth`, a node whose messages do not fit its births is asked for them.
    ///
    /// # Errors
    ///
    /// The payload is none of Sparkplug B. Nothing moved.
    pub fn handle_message(
        &mut self,
        topic: &Topic<'_>,
        payload: &[u8],
        position: u64,
        now: Moment,
        rebirth: bool,
    ) -> Result<Seen, SparkplugError> {
        let payload = decode(payload)?;
        let birth = self.birth_of(topic, &payload, position)?;
        let is_kept = birth.is_some();
        let before = self.counts;
        let undo = SparkplugUndo {
            id: topic.id(),
            live: self.live.find(&topic.node_key()),
            counts: before,
            added: is_kept.then_some(position),
        };
        let shown = self.show_with(topic, &payload, position, birth.as_ref())?;
        if let Some(birth) = birth {
            self.put(topic.id(), position, birth);
        } else if topic.message == Message::NodeDeath {
            self.counts.stale_deaths += 1;
        }
        self.counts.unknown_aliases += shown.unknown_aliases;
        self.follow(topic, payload.seq, position);
        let fits = SparkplugCounts {
            evicted: before.evicted,
            ..self.counts
        } == before;
        if rebirth && !fits {
            self.ask(topic, position, now);
        }
        Ok(Seen {
            decoded: shown.decoded(),
            is_kept,
            undo,
        })
    }

    /// Takes back the latest message that was not taken back. What was evicted for it stays forgotten.
    pub fn undo(&mut self, undo: SparkplugUndo) {
        if let Some(position) = undo.added {
            self.births.take_back(&undo.id, position);
            self.recount();
        }
        if self.counts.rebirths > undo.counts.rebirths {
            self.rebirths.pop_back();
        }
        self.counts = SparkplugCounts {
            evicted: self.counts.evicted,
            ..undo.counts
        };
        let node = (undo.id.group, undo.id.node);
        self.live.undo(node, undo.live);
    }

    /// Reads a record again: its birth or death stands from its position on.
    ///
    /// # Errors
    ///
    /// As [`Sparkplug::handle_message`].
    pub fn apply(
        &mut self,
        topic: &Topic<'_>,
        payload: &[u8],
        position: u64,
    ) -> Result<(), SparkplugError> {
        if !topic.message.is_birth() && !topic.message.is_death() {
            return Ok(());
        }
        let payload = decode(payload)?;
        if let Some(birth) = self.birth_of(topic, &payload, position)? {
            self.put(topic.id(), position, birth);
        }
        Ok(())
    }

    /// Decodes the record at `position` by the births that stood there.
    ///
    /// # Errors
    ///
    /// As [`Sparkplug::handle_message`].
    pub fn decode_at(
        &self,
        topic: &Topic<'_>,
        payload: &[u8],
        position: u64,
    ) -> Result<Decoded, SparkplugError> {
        let payload = decode(payload)?;
        let birth = self.birth_of(topic, &payload, position)?;
        let shown = self.show_with(topic, &payload, position, birth.as_ref())?;
        Ok(shown.decoded())
    }

    /// The next command to be sent to a node.
    pub fn poll_rebirth(&mut self) -> Option<Rebirth> {
        self.rebirths.pop_front()
    }

    /// What was counted since the start.
    pub fn counts(&self) -> SparkplugCounts {
        self.counts
    }

    /// Forgets what is needed only for records before `position`.
    pub fn forget_before(&mut self, position: u64) {
        self.births.forget_before(position);
        self.fresh = 0;
        self.recount();
    }

    /// As [`Sparkplug::forget_before`], but only once as much came as is known: called after every birth, it costs little.
    pub fn forget_by_turns(&mut self, position: u64) {
        if self.fresh > self.births.len().max(MIN_FRESH) {
            self.forget_before(position);
        }
    }

    /// All births that are remembered, for a checkpoint.
    pub fn births(&self) -> impl Iterator<Item = StoredBirth> {
        self.births.iter().map(|(id, it)| StoredBirth {
            id: id.clone(),
            position: it.position,
            birth: it.value.clone(),
        })
    }

    /// Puts back what a checkpoint kept, in its order.
    pub fn recover(&mut self, stored: StoredBirth) {
        self.put(stored.id, stored.position, stored.birth);
    }

    /// What the message says of births: a birth, a death, or nothing.
    fn birth_of(
        &self,
        topic: &Topic<'_>,
        payload: &Payload,
        position: u64,
    ) -> Result<Option<Option<Birth>>, SparkplugError> {
        if topic.message.is_birth() {
            return Birth::of(payload).map(|it| Some(Some(it)));
        }
        if !topic.message.is_death() {
            return Ok(None);
        }
        if topic.message == Message::NodeDeath {
            let dies = bd_seq(payload)?;
            let born = self.births.at(&topic.id(), position.saturating_sub(1));
            let born = born.and_then(|(_, it)| it.bd_seq);
            if dies.is_some() && born.is_some() && dies != born {
                return Ok(None);
            }
        }
        Ok(Some(None))
    }

    fn show_with(
        &self,
        topic: &Topic<'_>,
        payload: &Payload,
        position: u64,
        own: Option<&Option<Birth>>,
    ) -> Result<Shown, SparkplugError> {
        let birth = match own {
            Some(Some(birth)) => Some(birth),
            _ => self.standing(topic, position),
        };
        json::show(topic, payload, birth.map(|it| &it.metrics))
    }

    /// The birth that stands at a position, for a death that which it ends; that of a device ends with its node.
    fn standing(&self, topic: &Topic<'_>, position: u64) -> Option<&Birth> {
        let position = match topic.message.is_death() {
            true => position.saturating_sub(1),
            false => position,
        };
        let id = topic.id();
        let (at, birth) = self.births.at(&id, position)?;
        if id.device.is_none() {
            return Some(birth);
        }
        let node = Id { device: None, ..id };
        let (born, _) = self.births.at(&node, position)?;
        (at > born).then_some(birth)
    }

    /// Counts what does not follow.
    fn follow(&mut self, topic: &Topic<'_>, seq: Option<u64>, position: u64) {
        if !topic.message.has_seq() {
            return;
        }
        let is_born = self.standing(topic, position).is_some();
        let live = self.live.hear(topic.node_key(), position);
        let seq = seq.and_then(|it| u8::try_from(it).ok());
        let is_first = topic.message == Message::NodeBirth;
        let last = live.seq;
        live.seq = seq.or(last);
        if let (Some(last), Some(seq), false) = (last, seq, is_first)
            && seq != last
            && seq != last.wrapping_add(1)
        {
            self.counts.gaps += 1;
        }
        if !is_born && topic.message != Message::DeviceDeath {
            self.counts.unborn += 1;
        }
    }

    fn ask(&mut self, topic: &Topic<'_>, position: u64, now: Moment) {
        let live = self.live.hear(topic.node_key(), position);
        if live
            .asked
            .is_some_and(|it| now < it.after(REBIRTH_INTERVAL))
        {
            return;
        }
        live.asked = Some(now);
        self.counts.rebirths += 1;
        let topic = format!("{}/{}/NCMD/{}", topic::NAMESPACE, topic.group, topic.node);
        self.rebirths.push_back(Rebirth { topic });
    }

    fn put(&mut self, id: Id, position: u64, birth: Option<Birth>) {
        self.bytes += bytes_of(&id, birth.as_ref());
        self.fresh += 1;
        self.births.put(id, position, birth);
        if self.bytes > self.max_bytes {
            self.make_room();
        }
    }

    /// Forgets the oldest, more of them than it has to, so that what it costs to look for them is shared by many that come. When a node was asked is
    /// remembered.
    fn make_room(&mut self) {
        self.recount();
        if self.bytes <= self.max_bytes {
            return;
        }
        let mut all: BTreeMap<&Id, (u64, usize)> = BTreeMap::new();
        for (id, version) in self.births.iter() {
            let (last, bytes) = all.entry(id).or_default();
            *last = version.position.max(*last);
            *bytes += bytes_of(id, version.value.as_ref());
        }
        let mut by_age: Vec<_> = all
            .into_iter()
            .map(|(id, (last, bytes))| (last, id, bytes))
            .collect();
        by_age.sort_unstable();
        let mut evicted = BTreeSet::new();
        for (_, id, bytes) in by_age {
            if self.bytes <= self.max_bytes / 8 * 7 {
                break;
            }
            self.bytes -= bytes;
            evicted.insert(id.clone());
        }
        self.births.retain(|it| !evicted.contains(it));
        self.counts.evicted += evicted.len() as u64;
        for Id { group, node, .. } in evicted {
            self.live.forget_seq(&(group, node));
        }
    }

    fn recount(&mut self) {
        let each = self.births.iter();
        self.bytes = each.map(|(id, it)| bytes_of(id, it.value.as_ref())).sum();
    }
}

impl Rebirth {
    /// The payload of the command, sent at `time`.
    pub fn payload(&self, time: EventTime) -> Vec<u8> {
        const BOOLEAN: u32 = 11;
        let time = u64::try_from(time.0).unwrap_or_default();
        let metric = Metric {
            name: Some("Node Control/Rebirth".to_owned()),
            timestamp: Some(time),
            datatype: Some(BOOLEAN),
            value: Some(MetricValue::Boolean(true)),
            ..Metric::default()
        };
        let payload = Payload {
            timestamp: Some(time),
            metrics: vec![metric.encode_to_vec()],
            ..Payload::default()
        };
        payload.encode_to_vec()
    }
}

impl Shown {
    fn decoded(self) -> Decoded {
        self.json.to_string().into_bytes().into()
    }
}

impl From<prost::DecodeError> for SparkplugError {
    fn from(error: prost::DecodeError) -> SparkplugError {
        SparkplugError::Malformed(error.to_string())
    }
}

fn decode(payload: &[u8]) -> Result<Payload, SparkplugError> {
    if payload.len() > MAX_PAYLOAD_BYTES {
        return Err(SparkplugError::TooLarge(payload.len()));
    }
    Ok(Payload::decode(payload)?)
}

fn bytes_of(id: &Id, birth: Option<&Birth>) -> usize {
    /// Of one version, beside its texts.
    const VERSION: usize = 96;
    let device = id.device.as_ref().map_or(0, |it| it.len());
    VERSION + id.group.len() + id.node.len() + device + birth.map_or(0, Birth::bytes)
}
