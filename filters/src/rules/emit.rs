use serde_json::{Map, Value as Json};

use crate::{
    Data, Event, check_topic_name,
    stage::{AbsenceChange, Emission, EventTime, Reading},
    timestamp_text, without_control_characters,
};

use super::Key;

/// The topic of what a rule derives: text in which `{topic}` and `{rule}` stand for those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EmitTopic(String);

/// What a rule derived from events, or from their silence.
#[derive(Clone, Debug, PartialEq)]
pub struct Derived {
    /// The topic on which it is published, if it is one: see [`Derived::has_topic`].
    pub topic: String,
    /// The event. Its identity follows from rule, key and input, so that it is the same whenever it is derived again.
    pub event: Event,
    /// The rules from which it is derived, at least the one that made it, which stands last; none of them is asked about it. Behind the last empty
    /// name, if there is one, stands the longest way it came, in its order; before it the rules on other ways, 64 at most.
    pub derived_by: Vec<String>,
}

/// How often what is derived goes through the rules again, on the longest way from what came.
pub const MAX_DERIVATIONS: usize = 8;

impl Derived {
    /// The rule that made it.
    pub fn rule(&self) -> &str {
        self.derived_by.last().map_or("", String::as_str)
    }

    /// Whether its topic is one, and not of those that begin with `$`.
    pub fn has_topic(&self) -> bool {
        is_derivable(&self.topic)
    }
}

impl EmitTopic {
    /// `None` if it cannot be known from the key on which topic that is, or if it is not a topic under any rule.
    pub(super) fn new(text: Option<&str>, key: &Key) -> Option<EmitTopic> {
        let text = text.unwrap_or("{topic}/{rule}");
        let knows_topic = key.has_topic() || !text.contains("{topic}");
        let topic = EmitTopic(text.to_owned());
        (knows_topic && topic.is_valid("r", Some("t"))).then_some(topic)
    }

    /// What comes out; see [`Derived::topic`].
    pub(super) fn of(&self, rule: &str, topic: Option<&str>) -> String {
        // Topics and names are not looked through for what stands for others.
        let parts = self.0.split("{topic}").map(|it| it.replace("{rule}", rule));
        parts.collect::<Vec<_>>().join(topic.unwrap_or_default())
    }

    /// Whether what comes out is a topic on which something may be derived.
    pub(super) fn is_valid(&self, rule: &str, topic: Option<&str>) -> bool {
        is_derivable(&self.of(rule, topic))
    }
}

fn is_derivable(topic: &str) -> bool {
    check_topic_name(topic).is_ok() && !topic.starts_with('$')
}

/// Positions name the input, since an event is input of one key only.
pub(super) fn window_event(
    rule: &str,
    step: u32,
    names: &[String],
    emission: &Emission,
    source: &str,
) -> Option<Event> {
    let (first, last) = emission.positions;
    let id = format!("{rule}/{step}/{}/{first}-{last}", emission.span.start.0);
    let mut data = Map::new();
    data.insert("key".into(), key_json(&emission.key));
    data.insert("start".into(), time_json(emission.span.start));
    data.insert("end".into(), time_json(emission.span.end));
    data.insert("count".into(), emission.count.into());
    data.insert("partial".into(), emission.partial.into());
    let values = names.iter().zip(&emission.values);
    let values = values.map(|(name, value)| (name.clone(), reading_json(value.as_ref())));
    data.insert("values".into(), Json::Object(values.collect()));
    event(
        rule,
        id,
        "rule.window",
        Some(emission.span.end),
        data,
        source,
    )
}

/// One of the values that a program made of an event: what the event says of itself holds for it too.
pub(super) fn made_event(
    (rule, step): (&str, u32),
    (position, nth): (u64, usize),
    event: &Event,
    json: &[u8],
    source: &str,
) -> Option<Event> {
    let mut builder = Event::builder(
        format!("{rule}/{step}/{position}/{nth}"),
        source,
        event.r#type.clone(),
    )
    .datacontenttype("application/json")
    .data(Data::Json(json.to_vec()));
    if let Some(subject) = &event.subject {
        builder = builder.subject(subject.clone());
    }
    if let Some(time) = &event.time {
        builder = builder.time(time.clone());
    }
    for (name, value) in &event.extensions {
        builder = builder.extension(name, value.clone());
    }
    builder.extension("rule", rule).build().ok()
}

pub(super) fn absence_event(
    rule: &str,
    step: u32,
    change: &AbsenceChange,
    source: &str,
) -> Option<Event> {
    let mut data = Map::new();
    let (key, word, presence) = match change {
        AbsenceChange::Absent { key, presence } => (key, "absent", presence),
        AbsenceChange::Returned {
            key,
            presence,
            silence,
        } => {
            data.insert("silence".into(), (silence.as_millis() as u64).into());
            (key, "returned", presence)
        }
        AbsenceChange::Evicted { key, presence } => (key, "evicted", presence),
    };
    data.insert("key".into(), key_json(key));
    let name = without_control_characters(key);
    let id = format!("{rule}/{step}/{word}/{}/{name}", presence.position);
    event(rule, id, &format!("rule.{word}"), None, data, source)
}

fn event(
    rule: &str,
    id: String,
    r#type: &str,
    time: Option<EventTime>,
    data: Map<String, Json>,
    source: &str,
) -> Option<Event> {
    let mut builder = Event::builder(id, source, r#type)
        .datacontenttype("application/json")
        .extension("rule", rule)
        .data(Data::Json(Json::Object(data).to_string().into_bytes()));
    if let Some(time) = time.and_then(|it| u64::try_from(it.0).ok()) {
        builder = builder.time(timestamp_text(time));
    }
    builder.build().ok()
}

/// The parts of a key, as a list if there are several.
fn key_json(key: &str) -> Json {
    let mut parts: Vec<Json> = key.split('\u{1f}').map(Json::from).collect();
    match parts.pop() {
        Some(part) if parts.is_empty() => part,
        last => parts.into_iter().chain(last).collect(),
    }
}

/// As text where the calendar has it, else in milliseconds.
fn time_json(time: EventTime) -> Json {
    u64::try_from(time.0).map_or(time.0.into(), |millis| timestamp_text(millis).into())
}

fn reading_json(reading: Option<&Reading>) -> Json {
    match reading {
        Some(Reading::Integer(number)) => (*number).into(),
        Some(Reading::Float(number)) => (*number).into(),
        Some(Reading::Other(text)) => (&**text).into(),
        None => Json::Null,
    }
}
