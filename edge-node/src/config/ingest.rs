//! `[[ingest]]`.

use filters::TopicFilter;
use serde::{Deserialize, Serialize};

use super::spool::LaneName;
use crate::ingest::Template;

/// How publishes on some topics become events.
///
/// A publish that is an event already (binary or structured mode) keeps its own attributes: of the keys below only
/// `lane`, `mode`, `invalid` and, where it has none of its own, `partitionkey` reach it. All others are for plain
/// publishes. Their values are templates:
///
/// ```text
/// {node}             the id of this node
/// {client}           the client identifier of the publisher
/// {topic}            the whole topic
/// {topic[0]}         one level of it, counted from 0
/// {property:NAME}    the first user property of this name (MQTT 5)
/// {payload:/a/0/b}   a text, number or boolean in a JSON payload, by JSON pointer
/// {{ and }}          the braces themselves
/// ```
///
/// An attribute whose template names something a publish does not have takes its default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct IngestConfig {
    /// The topic filter this entry is for, wildcards as in a subscription.
    pub topic: TopicFilter,
    /// The lane of these events, one of `[spool] lanes`. Absent: the default lane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<LaneName>,
    /// Which payloads are taken for events in structured mode.
    #[serde(default)]
    pub mode: IngestMode,
    /// What becomes of a publish that makes no valid event.
    #[serde(default)]
    pub invalid: WhenInvalid,
    /// `source` of the event, a URI reference; what its variables give is percent-encoded, save `/` in `{topic}`.
    /// Absent: `urn:edge-node:{node}:{client}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Template>,
    /// `type` of the event. Absent: `mqtt.publish`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#type: Option<Template>,
    /// `subject` of the event. Absent: `{topic}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Template>,
    /// `datacontenttype` of the event. Absent: the Content Type of MQTT 5, or else what the payload is:
    /// `application/json` for a valid JSON object or array, `text/plain; charset=utf-8` for other
    /// printable UTF-8, `application/octet-stream` for the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datacontenttype: Option<Template>,
    /// `id` of the event; must differ for each event of one source. Absent: minted, never twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Template>,
    /// `time` of the event: RFC 3339, or an integer since 1970 in seconds, from 100000000000 on in milliseconds. Absent:
    /// when the node received the publish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Template>,
    /// Extension `partitionkey`: events of one key keep their order on their way up. Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitionkey: Option<Template>,
}

/// Which payloads are taken for events in structured mode (`application/cloudevents+json`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum IngestMode {
    /// Those whose Content Type says so, and those without Content Type (MQTT 3.1.1 has none) that are a JSON object with
    /// a member `specversion`.
    #[default]
    Auto,
    /// Every payload; one that is none makes no valid event.
    Structured,
    /// None, and user properties make no event either: every publish is data.
    Plain,
}

/// What becomes of a publish that makes no valid event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenInvalid {
    /// It becomes an event of type `mqtt.publish.invalid` with the payload as `application/octet-stream`; the extension
    /// `invalidreason` says what was wrong.
    #[default]
    Wrap,
    /// It is refused: reason code 0x99 for a payload, 0x83 for attributes. A 3.1.1 client cannot be told and gets its
    /// acknowledgement, since it would send the same for ever.
    Refuse,
}
