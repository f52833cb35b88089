//! MQTT topics as text: topic filters, subscriptions and the trie that finds every filter a topic matches.

mod trie;

pub use trie::TopicTrie;

/// Bytes of a topic name or a topic filter, as MQTT's two-byte length allows.
pub const MAX_TOPIC_BYTES: usize = 65_535;
/// Levels of a topic filter. MQTT sets no limit; each level costs memory that a subscriber would choose for us.
pub const MAX_FILTER_LEVELS: usize = 200;

/// A valid topic filter (MQTT 5, 4.7), without `$share`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicFilter(Box<str>);

/// Why a text is no topic filter, no topic name or no subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// No character at all.
    #[error("it is empty; a topic has at least one character")]
    Empty,
    /// More than [`MAX_TOPIC_BYTES`].
    #[error("it is longer than {MAX_TOPIC_BYTES} bytes")]
    TooLong,
    /// U+0000, which MQTT forbids everywhere.
    #[error("it contains U+0000")]
    Null,
    /// `a+` or `+b`: the wildcard shares its level with other characters.
    #[error("`+` must stand alone in its level, as in `a/+/b`")]
    PlusInLevel,
    /// `a#` or `#/b`: the wildcard is not a level of its own at the end.
    #[error("`#` must stand alone in the last level, as in `a/#`")]
    HashNotLast,
    /// A topic name with `+` or `#`.
    #[error("a topic to publish on has no wildcard (`+`, `#`)")]
    WildcardInName,
    /// More than [`MAX_FILTER_LEVELS`].
    #[error("it has more than {MAX_FILTER_LEVELS} levels")]
    TooManyLevels,
    /// `$share//a`, `$share/g`, or a group name with a wildcard.
    #[error("a shared subscription is `$share/GROUP/FILTER`, with neither `+` nor `#` in GROUP")]
    Share,
}

impl TopicFilter {
    /// Takes `+` as a whole level, `#` as the whole last one; neither empty nor longer than [`MAX_TOPIC_BYTES`], without
    /// U+0000, at most [`MAX_FILTER_LEVELS`] levels.
    pub fn parse(text: &str) -> Result<TopicFilter, TopicError> {
        check_text(text)?;
        let mut rest = text.split('/');
        let mut levels = 0;
        while let Some(level) = rest.next() {
            levels += 1;
            if level.contains('#') && (level != "#" || rest.clone().next().is_some()) {
                return Err(TopicError::HashNotLast);
            }
            if level.contains('+') && level != "+" {
                return Err(TopicError::PlusInLevel);
            }
        }
        if levels > MAX_FILTER_LEVELS {
            return Err(TopicError::TooManyLevels);
        }
        Ok(TopicFilter(text.into()))
    }

    /// The filter as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The texts between the slashes, wildcards included; at least one.
    pub fn levels(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// Whether a PUBLISH on `topic` is for this filter. A topic that begins with `$` is not matched by a wildcard in the
    /// first level.
    pub fn matches(&self, topic: &str) -> bool {
        if topic.starts_with('$') && (self.0.starts_with('+') || self.0.starts_with('#')) {
            return false;
        }
        let mut topic = topic.split('/');
        for level in self.levels() {
            if level == "#" {
                return true;
            }
            match topic.next() {
                Some(name) if level == "+" || level == name => {}
                _ => return false,
            }
        }
        topic.next().is_none()
    }
}

impl std::fmt::Display for TopicFilter {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::str::FromStr for TopicFilter {
    type Err = TopicError;

    fn from_str(text: &str) -> Result<TopicFilter, TopicError> {
        TopicFilter::parse(text)
    }
}

impl serde::Serialize for TopicFilter {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for TopicFilter {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<TopicFilter, D::Error> {
        let text = String::deserialize(from)?;
        TopicFilter::parse(&text).map_err(|error| {
            serde::de::Error::custom(format_args!("`{text}` is no topic filter: {error}"))
        })
    }
}

/// What a SUBSCRIBE names: a topic filter, shared with a group or not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subscription {
    /// The group that shares the filter; neither empty nor with `/`, `+` or `#`.
    pub group: Option<Box<str>>,
    /// What it listens to.
    pub filter: TopicFilter,
}

impl Subscription {
    /// Reads `FILTER` or `$share/GROUP/FILTER`. In MQTT 3.1.1 `$share` has no meaning: there, use [`TopicFilter::parse`].
    pub fn parse(text: &str) -> Result<Subscription, TopicError> {
        check_text(text)?;
        let Some(shared) = text.strip_prefix("$share/") else {
            return if text == "$share" {
                Err(TopicError::Share)
            } else {
                Ok(Subscription {
                    group: None,
                    filter: TopicFilter::parse(text)?,
                })
            };
        };
        let (group, filter) = shared.split_once('/').ok_or(TopicError::Share)?;
        if group.is_empty() || group.contains(['+', '#']) || filter.is_empty() {
            return Err(TopicError::Share);
        }
        Ok(Subscription {
            group: Some(group.into()),
            filter: TopicFilter::parse(filter)?,
        })
    }
}

/// Whether a PUBLISH may be sent on `topic`: not empty, at most [`MAX_TOPIC_BYTES`], neither wildcard nor U+0000.
pub fn check_topic_name(topic: &str) -> Result<(), TopicError> {
    check_text(topic)?;
    if topic.contains(['+', '#']) {
        Err(TopicError::WildcardInName)
    } else {
        Ok(())
    }
}

fn check_text(text: &str) -> Result<(), TopicError> {
    match text {
        "" => Err(TopicError::Empty),
        _ if text.len() > MAX_TOPIC_BYTES => Err(TopicError::TooLong),
        _ if text.contains('\0') => Err(TopicError::Null),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
