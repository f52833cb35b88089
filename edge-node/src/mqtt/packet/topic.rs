use bytes::Bytes;
use std::fmt;

/// A topic name inside the packet's own bytes: cheap to clone, checked once.
///
/// It is UTF-8 without U+0000, `+` and `#`, at most 65,535 bytes long. It is empty only in a PUBLISH that names its
/// topic by an alias.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(/* valid UTF-8 */ pub(in crate::mqtt) Bytes);

/// Why a text is no topic name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTopic {
    /// A topic name has at least one character [MQTT-4.7.3-1].
    #[error("empty")]
    Empty,
    /// More than 65,535 bytes.
    #[error("longer than 65,535 bytes")]
    TooLong,
    /// Not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// U+0000 [MQTT-4.7.3-2].
    #[error("holds U+0000")]
    Nul,
    /// `+` or `#`: those belong into topic filters [MQTT-3.3.2-2].
    #[error("holds a wildcard")]
    Wildcard,
}

impl Topic {
    /// The bytes are kept, not copied.
    pub fn parse(name: impl Into<Bytes>) -> Result<Self, InvalidTopic> {
        let name = name.into();
        let text = std::str::from_utf8(&name).map_err(|_| InvalidTopic::NotUtf8)?;
        check_name(text)?;
        Ok(Self(name))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a topic is checked when it is made")
    }

    /// As it stands in the packet.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether the PUBLISH names its topic by an alias alone.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether `name` can be the topic of a PUBLISH.
pub(in crate::mqtt) fn check_name(name: &str) -> Result<(), InvalidTopic> {
    if name.is_empty() {
        return Err(InvalidTopic::Empty);
    }
    if name.len() > usize::from(u16::MAX) {
        return Err(InvalidTopic::TooLong);
    }
    // Without an early exit the compiler looks at many bytes at once; all but broken names are read to the end anyway.
    let is_bad = |byte: u8| matches!(byte, 0 | b'+' | b'#');
    if !name.bytes().fold(false, |bad, byte| bad | is_bad(byte)) {
        return Ok(());
    }
    if name.contains('\0') {
        Err(InvalidTopic::Nul)
    } else {
        Err(InvalidTopic::Wildcard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_what_a_publish_may_name() {
        for name in ["a", "/", "a//b", "$SYS/x", "ä/€/𝄞", " "] {
            assert_eq!(
                Topic::parse(name).map(|topic| topic.to_string()),
                Ok(name.to_owned())
            );
        }
        let long = "x".repeat(65_535);
        assert!(Topic::parse(long.clone()).is_ok());
        assert_eq!(Topic::parse(long + "x"), Err(InvalidTopic::TooLong));
        assert_eq!(Topic::parse(""), Err(InvalidTopic::Empty));
        assert_eq!(Topic::parse("a/+"), Err(InvalidTopic::Wildcard));
        assert_eq!(Topic::parse("a#"), Err(InvalidTopic::Wildcard));
        assert_eq!(Topic::parse("a\0b"), Err(InvalidTopic::Nul));
        assert_eq!(
            Topic::parse(&b"a\xED\xA0\x80"[..]),
            Err(InvalidTopic::NotUtf8)
        );
    }
}
