//! What the node hands to an uplink.

use std::hash::{Hash, Hasher};

use filters::{Event, Value};
use spool::{Entry, NodeTime, Seq, Transaction};

/// An event on its way to a sink.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// The topic on which it was published at this node.
    pub topic: String,
    /// The topic at the sink, in place of what the sink's settings make of `topic`.
    pub sink_topic: Option<String>,
    /// Why it is to be a dead letter and never sent.
    pub unfit: Option<String>,
    /// The event as this node has it; the uplink adds the hop.
    pub event: Event,
    /// The peer it came from, if it came from one: it is not sent back there.
    pub origin: Option<String>,
    /// When it expires, on the node clock. Kept from sending only where the sink's settings say `drop-expired`.
    pub expires: Option<NodeTime>,
}

/// The extension that counts the nodes an event has passed.
pub const HOPS: &str = "hops";

/// An event whose `hops` is above this is not sent on.
pub const MAX_HOPS: u32 = 8;

impl Outgoing {
    /// How many nodes it has passed; what is not a count is none.
    pub fn hops(&self) -> u32 {
        match self.event.extensions.get(HOPS) {
            Some(Value::Integer(count)) => u32::try_from(*count).unwrap_or(0),
            Some(Value::String(count)) => count.parse().unwrap_or(0),
            _ => 0,
        }
    }

    /// Counts this node in.
    pub(crate) fn add_hop(&mut self) {
        let hops = i32::try_from(self.hops().saturating_add(1)).unwrap_or(i32::MAX);
        self.event
            .extensions
            .insert(HOPS.to_owned(), Value::Integer(hops));
    }

    /// Events of one key are sent one after the other. The key is the extension `partitionkey`, else source and topic
    /// together: that is the order MQTT promises a subscriber, per publisher and topic. `subject` takes no part in it,
    /// since events of one topic may differ in it.
    pub fn partition_key(&self) -> u64 {
        let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
        match self.event.extensions.get("partitionkey") {
            Some(Value::String(key)) => key.hash(&mut hasher),
            _ => (&self.event.source, &self.topic).hash(&mut hasher),
        }
        hasher.finish()
    }
}

/// FNV-1a: the same key on every run. Two keys that meet in it wait for each other, no more.
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// How an uplink understands records, and where it leaves what it cannot deliver. Implemented by the node.
pub trait RecordSource: Send + Sync + 'static {
    /// The event this record is for this sink; `None` if the sink is not owed it (a record from before the sink's
    /// cursor that its `from` does not accept, a record without an event). Called on a blocking thread.
    fn event(&self, entry: &Entry) -> Option<Outgoing>;

    /// Whether `origin` is this sink's peer.
    fn came_from_peer(&self, origin: &str) -> bool;

    /// Whether the node tells of a loss by the event of this record.
    fn tells_of_loss(&self, entry: &Entry) -> bool;

    /// The node clock.
    fn now(&self) -> NodeTime;

    /// An event of the node's own that says no more than that the node is there; asked for only where
    /// [`Limits::canary_every`](crate::Limits) is set. Each has a new id. Without one the link counts as failing.
    fn canary(&self) -> Option<Outgoing>;

    /// How much the dead-letter lane of this sink holds.
    fn dead_letters(&self) -> DeadLetters;

    /// Appends a dead letter to `transaction`; the uplink acknowledges its position in the same commit.
    ///
    /// # Errors
    /// No room in the spool: nothing is lost, the uplink tries again.
    fn bury(
        &self,
        transaction: &mut Transaction<'_>,
        dead: &DeadLetter<'_>,
    ) -> Result<(), spool::Full>;
}

/// Dead letters kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct DeadLetters {
    /// How many.
    pub records: u64,
    /// Bytes of their records.
    pub bytes: u64,
}

/// An event that its sink cannot take.
#[derive(Clone, Copy, Debug)]
pub struct DeadLetter<'a> {
    /// The name of the sink.
    pub sink: &'a str,
    /// The position of its record.
    pub seq: Seq,
    /// The record as it is in the log.
    pub entry: &'a Entry,
    /// Why, for the operator to read.
    pub reason: &'a str,
    /// How often it was sent.
    pub tries: u32,
}
