//! Decides which event a PUBLISH is, and shows a stored PUBLISH as that event. Pure: no IO, no clock.
//!
//! ```text
//!  PUBLISH ──▶ Ingest::accept ──▶ lane, Minted ──▶ record = PUBLISH as it came + Minted ──▶ view ──▶ Event
//!  Event (HTTP, gRPC) ──▶ Ingest::accept_event ──▶ PUBLISH in binary mode + Minted ─────────┘
//! ```
//!
//! A record keeps the PUBLISH as it came. Beside it stands only what the PUBLISH does not say itself: [`Minted`]. So a
//! record shows the same event each time it is read, whatever the configuration became meanwhile, and a plain PUBLISH costs
//! no look into its payload when it is accepted.
//!
//! What an event is:
//!
//! - **binary** (MQTT 5): a user property `specversion` is there. Every user property is an attribute under its own name,
//!   Content Type is `datacontenttype`, the payload the data. One whose name cannot be an attribute's even in lower case
//!   is no part of the event.
//! - **structured**: the payload is an event in JSON, by Content Type or as [`IngestMode`] says.
//! - **plain**: all else. The attributes come from the first `[[ingest]]` entry that matches, or from the defaults; user
//!   properties become extensions as in binary mode, unless their name is one the specification gave away.
//!
//! - **of a device** that speaks the compact format (see `device`): expanded by the table of its kind.
//!
//! To every event from MQTT [`view`] adds, where the event has none of its own: `mqtttopic`, `expirytime` from the message
//! expiry interval, `partitionkey` where configured. Topics and user properties may hold characters that attributes may not:
//! these are percent-encoded.

mod minted;
mod pointer;
mod publish;
mod template;
mod view;

pub use minted::{DeviceData, DeviceEvent, Minted, Received};
pub use publish::PublishedEvent;
pub use template::{Template, TemplateError};
pub use view::{Undecoded, data_view, undecoded, view};

use filters::{Event, EventError, EventProblem, MAX_EXTENSIONS, TopicTrie, check_attribute};
use spool::Lane;

use crate::{
    config::{Config, IngestConfig, IngestMode, NodeId, WhenInvalid},
    mqtt::packet::{PublishPropertySet, ReasonCode},
};
use minted::{Attributes, Form, Id};
use template::Given;

/// The type of events that bring none.
pub const DEFAULT_TYPE: &str = "mqtt.publish";
/// The type of events around what makes no valid event.
pub const INVALID_TYPE: &str = "mqtt.publish.invalid";
/// User properties of a PUBLISH: each may become an extension, and the attributes that are none stand among them.
const MAX_USER_PROPERTIES: usize = MAX_EXTENSIONS;
/// Bytes of a client identifier that enter `source`; a longer one is cut.
const MAX_CLIENT_BYTES: usize = 1024;

/// The one place that decides which event a PUBLISH is.
#[derive(Debug)]
pub struct Ingest {
    node: NodeId,
    /// Unique to this run of the node; with `counter` it makes ids that no run mints twice.
    run: [u8; 16],
    counter: u64,
    entries: Vec<Entry>,
    /// Finds entries by topic; the first in the file decides.
    topics: TopicTrie<usize, ()>,
    default: Entry,
}

#[derive(Debug)]
struct Entry {
    lane: Lane,
    config: Option<IngestConfig>,
}

/// What [`Ingest::accept`] looks at.
#[derive(Clone, Copy, Debug)]
pub struct PublishView<'a> {
    /// With any topic alias resolved.
    pub topic: &'a str,
    /// `None` where there is none, as in MQTT 3.1.1.
    pub properties: Option<&'a PublishPropertySet>,
    /// As it came.
    pub payload: &'a [u8],
    /// The client identifier of the publisher.
    pub client: &'a str,
}

/// A PUBLISH that is an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// What is stored beside the PUBLISH.
    pub minted: Minted,
    /// Where it is kept.
    pub lane: Lane,
    /// Why it is no valid event and was wrapped as opaque data; the caller counts it.
    pub wrapped: Option<EventError>,
}

/// A PUBLISH that makes no valid event, where the operator chose to refuse those. The caller counts it and answers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no valid event: {error}")]
pub struct Refusal {
    /// For the acknowledgement in MQTT 5.
    pub reason: ReasonCode,
    /// What is wrong, for the reason string and the log.
    pub error: EventError,
}

impl Ingest {
    /// For a node of this id. `run` must never have been given before on this node: it makes ids unique over restarts.
    pub fn new(config: &Config, node: NodeId, run: [u8; 16]) -> Ingest {
        let default_lane = config.spool.default_lane();
        let lane = |entry: &IngestConfig| {
            let known = entry.lane.as_ref().map(|lane| config.spool.lane(lane));
            known.map_or(default_lane, |lane| {
                lane.expect("lanes were checked when the configuration was")
            })
        };
        let entries: Vec<_> = config
            .ingest
            .iter()
            .map(|entry| Entry {
                lane: lane(entry),
                config: Some(entry.clone()),
            })
            .collect();
        let mut topics = TopicTrie::new();
        for (index, entry) in config.ingest.iter().enumerate() {
            topics.insert(&entry.topic, index, ());
        }
        Ingest {
            node,
            run,
            counter: 0,
            entries,
            topics,
            default: Entry {
                lane: default_lane,
                config: None,
            },
        }
    }

    /// Which event this PUBLISH is, received at that time.
    ///
    /// # Errors
    ///
    /// It makes no valid event and the `[[ingest]]` entry of its topic says `invalid = "refuse"`.
    pub fn accept(
        &mut self,
        publish: &PublishView<'_>,
        received: Received,
    ) -> Result<Accepted, Refusal> {
        let entry = self.entry(publish.topic);
        let lane = entry.lane;
        let given = Given {
            node: self.node.as_str(),
            publish,
        };
        let id = || Id::Minted {
            run: self.run,
            counter: self.counter,
        };
        let (form, wrapped) = match form_of(entry.config.as_ref(), &given, id) {
            Ok(form) => (form, None),
            Err(refusal) if entry.when_invalid() == WhenInvalid::Refuse => return Err(refusal),
            Err(Refusal { error, .. }) => {
                let attributes = Attributes::minted(&given, id());
                (
                    Form::Invalid {
                        attributes,
                        reason: error.to_string(),
                    },
                    Some(error),
                )
            }
        };
        self.counter += u64::from(form.has_minted_id());
        Ok(Accepted {
            minted: Minted { received, form },
            lane,
            wrapped,
        })
    }

    /// The PUBLISH of an event that came through another door, and where it is kept. The event stays as it is: `view` of
    /// what is given here is equal to it.
    pub fn accept_event(
        &self,
        topic: &str,
        event: &Event,
        received: Received,
    ) -> (PublishedEvent, Lane) {
        (PublishedEvent::of(event, received), self.entry(topic).lane)
    }

    /// Where what comes on this topic is kept.
    pub fn lane(&self, topic: &str) -> Lane {
        self.entry(topic).lane
    }

    fn entry(&self, topic: &str) -> &Entry {
        let mut first = None;
        if !self.entries.is_empty() {
            self.topics.matches(topic, |index, ()| {
                first = Some(first.map_or(*index, |it: usize| it.min(*index)))
            });
        }
        first
            .and_then(|index| self.entries.get(index))
            .unwrap_or(&self.default)
    }
}

impl Entry {
    fn when_invalid(&self) -> WhenInvalid {
        self.config
            .as_ref()
            .map_or(WhenInvalid::default(), |config| config.invalid)
    }
}

fn form_of(
    config: Option<&IngestConfig>,
    given: &Given<'_>,
    id: impl FnOnce() -> Id,
) -> Result<Form, Refusal> {
    let (properties, payload) = (given.publish.properties, given.publish.payload);
    let mode = config.map_or(IngestMode::default(), |config| config.mode);
    if properties.is_some_and(|it| it.user_properties.len() > MAX_USER_PROPERTIES) {
        return Err(Refusal::of_attributes(problem(
            "extensions",
            EventProblem::TooMany,
        )));
    }
    let partitionkey = || {
        resolve(
            config.and_then(|it| it.partitionkey.as_ref()),
            "partitionkey",
            given,
        )
    };
    if mode != IngestMode::Plain && view::is_binary(properties) {
        view::check_binary(properties).map_err(Refusal::of_attributes)?;
        return Ok(Form::Binary {
            partitionkey: partitionkey()?,
        });
    }
    if is_structured(mode, given.publish) {
        filters::json::decode(payload).map_err(Refusal::of_payload)?;
        return Ok(Form::Structured {
            partitionkey: partitionkey()?,
        });
    }
    if properties.is_some_and(|it| it.payload_format_indicator == Some(true))
        && std::str::from_utf8(payload).is_err()
    {
        return Err(Refusal::of_payload(problem("data", EventProblem::NotUtf8)));
    }
    let mut attributes = Attributes::minted(given, id());
    if let Some(config) = config {
        attributes.configure(config, given)?;
    }
    let content_type = properties.and_then(|it| it.content_type.as_deref());
    if let (None, Some(media_type)) = (&attributes.datacontenttype, content_type) {
        check_attribute("datacontenttype", media_type).map_err(Refusal::of_attributes)?;
    }
    Ok(Form::Plain(attributes))
}

fn is_structured(mode: IngestMode, publish: &PublishView<'_>) -> bool {
    let content_type = publish.properties.and_then(|it| it.content_type.as_deref());
    match (mode, content_type) {
        (IngestMode::Plain, _) => false,
        (IngestMode::Structured, _) => true,
        (IngestMode::Auto, None) => filters::json::is_structured(publish.payload),
        (IngestMode::Auto, Some(media_type)) => {
            filters::http::Mode::of(Some(media_type), false)
                == Some(filters::http::Mode::Structured)
        }
    }
}

/// The checked value of an attribute that is configured; `None` if it is not, or if it names what is not there.
fn resolve(
    template: Option<&Template>,
    name: &str,
    given: &Given<'_>,
) -> Result<Option<String>, Refusal> {
    let resolved = template.and_then(|template| match name {
        "source" => template.resolve_for_uri(given),
        "time" => template.resolve(given).map(template::timestamp_of),
        _ => template.resolve(given),
    });
    resolved
        .as_deref()
        .map_or(Ok(()), |value| check_attribute(name, value))
        .map_err(Refusal::of_attributes)?;
    Ok(resolved)
}

fn problem(attribute: &str, problem: EventProblem) -> EventError {
    EventError {
        attribute: attribute.to_owned(),
        problem,
    }
}

impl Refusal {
    fn of_attributes(error: EventError) -> Refusal {
        Refusal {
            reason: ReasonCode::ImplementationSpecificError,
            error,
        }
    }

    fn of_payload(error: EventError) -> Refusal {
        Refusal {
            reason: ReasonCode::PayloadFormatInvalid,
            error,
        }
    }
}

#[cfg(test)]
mod tests;
