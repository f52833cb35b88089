//! The truth about a node at one moment: what `GET /api/v1/status` shows, and the one source of `GET /metrics`.
//!
//! Times are ages or waits in milliseconds, so that a reader needs no clock that agrees with the node's. Counters count
//! from the start of the process.

use std::{collections::BTreeMap, net::SocketAddr};

use serde::{Deserialize, Serialize};

/// The whole of status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct NodeStatus {
    /// The name of the node.
    pub node: String,
    /// Version of the program.
    pub version: String,
    /// Since the process started.
    pub uptime_ms: u64,
    /// Whether it does what it promises.
    pub health: NodeHealth,
    /// Where it listens.
    pub listeners: Vec<ListenerStatus>,
    /// Sessions of MQTT clients.
    pub sessions: SessionsStatus,
    /// Messages that came in and went out.
    pub messages: MessagesStatus,
    /// Devices that speak the compact format.
    pub devices: DevicesStatus,
    /// The log.
    pub spool: SpoolStatus,
    /// The uplinks of the configuration, and those that left it while events were owed to them.
    pub sinks: Vec<SinkStatus>,
    /// The rules that look at every event, in their order; counted since they are in use.
    pub rules: Vec<RuleStatus>,
    /// Events that stages of rules derived and that wait for room in the log. At 4,096 no input of such stages is taken in.
    #[serde(default)]
    pub derived_waiting: u64,
    /// What decoders of payloads met.
    pub decoders: DecodersStatus,
    /// What is gone, by reason and whose it was, in all runs of this data directory.
    pub ledger: Vec<LossStatus>,
}

/// Whether the node does what it promises.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum NodeHealth {
    /// It takes events and acknowledges them.
    Ok,
    /// It takes and acknowledges events, but something needs the operator: a sink that is not connected, a lane that
    /// is full.
    Degraded {
        /// One sentence each.
        reasons: Vec<String>,
    },
    /// It acknowledges nothing: the disk does not take what it is given.
    Failing {
        /// One sentence each.
        reasons: Vec<String>,
    },
    /// It has not begun to serve, or has stopped.
    #[default]
    Stopped,
}

impl NodeHealth {
    /// Something needs the operator; what fails outright says more.
    pub fn degrade(&mut self, reason: String) {
        match self {
            NodeHealth::Ok => {
                *self = NodeHealth::Degraded {
                    reasons: vec![reason],
                }
            }
            NodeHealth::Degraded { reasons } => reasons.push(reason),
            NodeHealth::Failing { .. } | NodeHealth::Stopped => {}
        }
    }
}

/// Where a door is open.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct ListenerStatus {
    /// Which protocol.
    pub door: Door,
    /// The address it has, with the port the system picked.
    pub address: SocketAddr,
    /// Connections open.
    pub connections: u64,
    /// Connections accepted.
    pub accepted: u64,
    /// Connections turned away because there were too many.
    pub turned_away: u64,
    /// Connections closed because the peer broke the protocol or a bound.
    pub faulted: u64,
}

/// The protocol of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Door {
    /// MQTT 3.1.1 and 5.0.
    Mqtt,
    /// CloudEvents over HTTP, status, metrics.
    Http,
    /// EventMesh over gRPC.
    Grpc,
}

impl Door {
    /// As status, metrics and the configuration name it.
    pub fn name(self) -> &'static str {
        match self {
            Door::Mqtt => "mqtt",
            Door::Http => "http",
            Door::Grpc => "grpc",
        }
    }
}

/// Sessions of MQTT clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct SessionsStatus {
    /// With a connection.
    pub connected: u64,
    /// Without one, kept until they expire.
    pub offline: u64,
    /// Subscriptions of all sessions.
    pub subscriptions: u64,
    /// Bytes of memory for these, bounded by `subscription-bound`.
    pub subscription_bytes: u64,
    /// Topics with a retained message.
    pub retained: u64,
    /// Bytes of memory for these topics, bounded by `retained-bound`.
    pub retained_bytes: u64,
    /// Bytes of publishes in memory whose acknowledgement is withheld, or was when their publisher left a subscriber that has
    /// them in flight; bounded by `waiting-bytes`.
    pub withheld_bytes: u64,
    /// Records owed to sessions.
    pub pending_records: u64,
    /// Bytes of these.
    pub pending_bytes: u64,
}

/// Messages that came in and went out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct MessagesStatus {
    /// Taken from MQTT clients, by QoS 0, 1, 2.
    pub received: [u64; 3],
    /// Of these at QoS 1 and 2: acknowledged, so on stable storage.
    pub acknowledged: u64,
    /// Given to MQTT clients, by QoS 0, 1, 2; repeats included.
    pub delivered: [u64; 3],
    /// Events taken through HTTP and gRPC.
    pub events: u64,
    /// Events by which the node told of losses, if `gap-topic` names a topic for them.
    pub gaps: u64,
    /// Publishes and wills that were no valid event and were wrapped as opaque data.
    pub wrapped: u64,
    /// Publishes and wills refused. Who is refused over HTTP or gRPC is told so, and keeps what it has.
    pub refused: u64,
}

/// Devices that speak the compact format.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct DevicesStatus {
    /// Devices that were ever born, bounded by `max-devices`.
    pub known: u64,
    /// With a connection on which they were born.
    pub connected: u64,
    /// Births accepted.
    pub births: u64,
    /// Events stored.
    pub events: u64,
    /// Events dropped because they were stored before.
    pub repeats: u64,
    /// Events whose data was not what its kind says; stored as they came.
    pub invalid: u64,
    /// Events missing in a stream that no birth announced.
    pub missing: u64,
    /// Events that never come: announced by births, or missing.
    pub lost: u64,
    /// Events that devices say they lost, by cause.
    pub reported: BTreeMap<String, u64>,
    /// Messages not taken.
    pub refused: u64,
}

/// The log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct SpoolStatus {
    /// Position of the oldest record kept.
    pub oldest: u64,
    /// Everything up to here is on stable storage.
    pub committed: u64,
    /// The last position assigned.
    pub appended: u64,
    /// Bytes of everything in the data directory.
    pub used_bytes: u64,
    /// Bytes it may have.
    pub bound_bytes: u64,
    /// Bytes free on the file system.
    pub free_bytes: u64,
    /// Bytes of these that the log leaves free (`min-free`).
    pub min_free_bytes: u64,
    /// Files of the log.
    pub segments: u64,
    /// Commits, each one flush.
    pub commits: u64,
    /// Median time of the latest commits, in microseconds.
    pub commit_p50_us: u64,
    /// Longest time of a commit since the start, in microseconds.
    pub commit_max_us: u64,
    /// Bytes that wait for a commit.
    pub waiting_bytes: u64,
    /// Records, sessions and routes refused since the start because too much waited for a commit.
    pub refused_waiting: u64,
    /// The lanes, from the one kept longest.
    pub lanes: Vec<LaneStatus>,
}

/// One lane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct LaneStatus {
    /// Its name.
    pub name: String,
    /// Records still owed to somebody.
    pub pending_records: u64,
    /// Bytes of these.
    pub pending_bytes: u64,
    /// Bytes it may have.
    pub bound_bytes: u64,
    /// Age of the oldest record still owed; `None` if there is none.
    pub oldest_age_ms: Option<u64>,
    /// Whether it has no room for another record.
    pub full: bool,
}

/// One sink.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct SinkStatus {
    /// Its name.
    pub name: String,
    /// `http`, `eventmesh-http`, `eventmesh-grpc`; empty for one that left the configuration.
    pub kind: String,
    /// What it is doing.
    pub state: SinkState,
    /// Records owed to it.
    pub pending_records: u64,
    /// Bytes of these.
    pub pending_bytes: u64,
    /// Age of the oldest of these; `None` if there is none.
    pub oldest_age_ms: Option<u64>,
    /// Events its receiver acknowledged.
    pub acknowledged: u64,
    /// Attempts repeated after an error.
    pub retried: u64,
    /// Events put aside because the receiver refused them, and kept until the operator has seen to them.
    pub dead_letters: u64,
    /// Bytes of these.
    pub dead_letter_bytes: u64,
    /// Events put aside since the node started, and those for which there was no place.
    pub dead_lettered: u64,
    /// Events not sent because they came from the sink's peer.
    pub not_sent_back: u64,
    /// The latest error; kept after it is over.
    pub last_error: Option<SinkError>,
    /// Until the next attempt; `None` unless it waits for one.
    pub next_retry_ms: Option<u64>,
    /// Until nothing is pending, at the rate of late; `None` if that cannot be said, 0 if nothing is pending.
    pub catch_up_ms: Option<u64>,
    /// The latest replay since the node started; `None` if there was none.
    pub replay: Option<ReplayStatus>,
}

/// What a sink is given again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct ReplayStatus {
    /// First position of the range.
    pub first: u64,
    /// Last position of the range.
    pub last: u64,
    /// Everything up to here is done with.
    pub up_to: u64,
    /// Events of it that the receiver acknowledged since the node started.
    pub sent: u64,
    /// Events of it that the receiver refused for good since the node started: neither dead letters nor losses, since they
    /// were owed to nobody.
    pub refused: u64,
    /// Whether it has come to its end.
    pub done: bool,
    /// Whether the operator ended it before.
    pub stopped: bool,
}

/// What a sink is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SinkState {
    /// An event or a canary was acknowledged within `connected-for` (60 s).
    Connected,
    /// Nothing is owed to it, and nothing was acknowledged lately: whether its receiver is there is not known.
    #[default]
    Idle,
    /// Something is owed to it, and nothing was acknowledged lately.
    Connecting,
    /// The last attempt failed; it waits for the next.
    BackingOff,
    /// The node itself is in the way: the log cannot be read, or has no room for a dead letter.
    Stalled,
    /// It left the configuration; after 24 h it holds nothing back.
    Removed,
}

impl SinkState {
    /// All of them, in a fixed order.
    pub const ALL: [SinkState; 6] = [
        SinkState::Connected,
        SinkState::Idle,
        SinkState::Connecting,
        SinkState::BackingOff,
        SinkState::Stalled,
        SinkState::Removed,
    ];

    /// As status and metrics name it.
    pub fn name(self) -> &'static str {
        match self {
            SinkState::Connected => "connected",
            SinkState::Idle => "idle",
            SinkState::Connecting => "connecting",
            SinkState::BackingOff => "backing-off",
            SinkState::Stalled => "stalled",
            SinkState::Removed => "removed",
        }
    }
}

/// The latest error of a sink.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct SinkError {
    /// What the receiver or the network said.
    pub error: String,
    /// How long ago.
    pub age_ms: u64,
}

/// One rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct RuleStatus {
    /// Its name.
    pub name: String,
    /// Events that it matched.
    pub matched: u64,
    /// Of these: owed to no sink because of it.
    pub dropped: u64,
    /// Of these: its steps failed.
    pub errors: u64,
    /// The errors by what went wrong: `missing`, `not-a-number`, ….
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub errors_by_class: BTreeMap<String, u64>,
    /// Its stages, in their order.
    #[serde(default)]
    pub stages: Vec<StageStatus>,
}

/// A stage of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct StageStatus {
    /// Its place among the steps of the rule, from 1.
    pub step: u32,
    /// `dedupe`, `window`, …
    pub stage: String,
    /// Keys it remembers.
    pub keys: u64,
    /// Bytes these take, as counted against its bound.
    pub bytes: u64,
    /// Keys that it forgot at a bound.
    pub forgotten: u64,
    /// Events that came too late for its windows.
    pub late: u64,
    /// What it derived that would have been no valid event, or would have had no valid topic.
    pub invalid: u64,
}

/// What decoders of payloads met.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct DecodersStatus {
    /// Payloads that could not be decoded, by format: no condition on their data holds.
    pub undecoded: BTreeMap<String, u64>,
    /// Messages of Sparkplug B that could, but do not fit what was before them.
    pub sparkplug: SparkplugStatus,
}

/// Messages of Sparkplug B that do not fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct SparkplugStatus {
    /// Deaths whose `bdSeq` is that of a birth which no longer stands.
    pub stale_deaths: u64,
    /// Messages whose `seq` does not follow the one before.
    pub gaps: u64,
    /// Metrics with an alias that no birth announced.
    pub unknown_aliases: u64,
    /// Messages of a node or device whose birth is not known.
    pub unborn: u64,
    /// Nodes and devices whose births were forgotten at the bound of memory.
    pub forgotten: u64,
    /// Times that a node was asked for its births.
    pub rebirths: u64,
}

/// One entry of the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct LossStatus {
    /// Why it is gone: `dropped-for-room`, `session-bound`, …
    pub reason: String,
    /// Whose it was: a cursor, a lane, a client.
    pub scope: String,
    /// Records. Of `dropped-for-room` never fewer than are missing: one that a reader had in hand, and delivers all the
    /// same, counts too.
    pub count: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// First position covered; 0 where it never had one.
    pub first: u64,
    /// Last position covered.
    pub last: u64,
    /// Age of the entry.
    pub age_ms: u64,
}

impl SpoolStatus {
    /// What the spool says of itself, seen at `now` on the node clock.
    pub fn of(status: &spool::Status, now: spool::NodeTime) -> SpoolStatus {
        let lane = |lane: &spool::LaneStatus| LaneStatus {
            name: lane.name.clone(),
            pending_records: lane.pending_records,
            pending_bytes: lane.pending_bytes,
            bound_bytes: lane.bound_bytes,
            oldest_age_ms: lane.oldest.map(|oldest| age_ms(oldest, now)),
            full: lane.full,
        };
        SpoolStatus {
            oldest: status.oldest.0,
            committed: status.committed.0,
            appended: status.appended.0,
            used_bytes: status.used_bytes,
            bound_bytes: status.bound_bytes,
            free_bytes: status.free_bytes,
            min_free_bytes: status.min_free_bytes,
            segments: status.segments,
            commits: status.commits,
            commit_p50_us: status.commit_p50_us,
            commit_max_us: status.commit_max_us,
            waiting_bytes: status.waiting_bytes,
            refused_waiting: status.refused_waiting,
            lanes: status.lanes.iter().map(lane).collect(),
        }
    }
}

impl LossStatus {
    /// An entry of the ledger, seen at `now` on the node clock.
    pub fn of(loss: &spool::Loss, now: spool::NodeTime) -> LossStatus {
        LossStatus {
            reason: reason_name(loss.reason),
            scope: loss.scope.clone(),
            count: loss.count,
            bytes: loss.bytes,
            first: loss.first.0,
            last: loss.last.0,
            age_ms: age_ms(loss.at, now),
        }
    }
}

/// How long ago `then` was; 0 if it lies ahead.
pub fn age_ms(then: spool::NodeTime, now: spool::NodeTime) -> u64 {
    now.0.saturating_sub(then.0)
}

/// The text serde gives the reason, so that status, metrics and the log of the spool use one.
pub(super) fn reason_name(reason: spool::LossReason) -> String {
    let name = serde_json::to_value(reason).ok();
    let name = name.as_ref().and_then(serde_json::Value::as_str);
    name.expect("a reason is serialized as its name").to_owned()
}
