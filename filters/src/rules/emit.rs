use crate::{Event, check_topic_name};

use super::Key;

/// The topic of what a rule derives: text in which `{topic}` and `{rule}` stand for those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EmitTopic(String);

/// What a rule derived from events, or from their silence.
#[derive(Clone, Debug, PartialEq)]
pub struct Derived {
    /// The rule that made it, which is not asked about it.
    pub rule: String,
    /// The topic on which it is published.
    pub topic: String,
    /// The event. Its identity follows from rule, key and input, so that it is the same whenever it is derived again.
    pub event: Event,
}

impl EmitTopic {
    /// `None` if it cannot be known from the key on which topic that is, or if it is not a topic.
    pub(super) fn new(text: Option<&str>, key: &Key) -> Option<EmitTopic> {
        let text = text.unwrap_or("{topic}/{rule}");
        let knows_topic = key.topic_in("").is_some() || !text.contains("{topic}");
        let example = text.replace("{topic}", "t").replace("{rule}", "r");
        let is_topic = check_topic_name(&example).is_ok() && !text.starts_with('$');
        (knows_topic && is_topic).then(|| EmitTopic(text.to_owned()))
    }

    /// `None` if what comes out is no topic.
    pub(super) fn of(&self, rule: &str, topic: Option<&str>) -> Option<String> {
        let text = self.0.replace("{topic}", topic.unwrap_or_default());
        let text = text.replace("{rule}", rule);
        let usable = check_topic_name(&text).is_ok() && !text.starts_with('$');
        usable.then_some(text)
    }
}
