//! Changes of the node's own state.

use std::num::NonZeroU16;

use filters::rules::Answer;
use serde::{Deserialize, Serialize};
use spool::{CursorId, LossReason, NodeTime, Seq, clock::ClockMark};

use super::CHANGE;
use crate::{
    device::{Born, CommandStep, ConfigurationStep, LossReport, StreamId},
    rules::NamedStage,
};

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
    /// So many events of a device, up to this place of the stream, were refused for good.
    DeviceRefused {
        device: String,
        stream: StreamId,
        boot: u32,
        seq: u64,
        count: u64,
    },
}

impl Change {
    /// Appends the encoded record to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(CHANGE);
        let bytes = postcard::to_stdvec(self).expect("a change has no unserialisable part");
        out.extend_from_slice(&bytes);
    }
}
