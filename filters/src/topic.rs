//! MQTT topic names and topic filters as text: the first gate of any rule.

/// A valid topic filter (MQTT 5, 4.7), without `$share`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicFilter(String);

impl TopicFilter {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
