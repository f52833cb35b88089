use std::time::{SystemTime, UNIX_EPOCH};

use prost_types::Timestamp;

use super::proto::cloud_event::cloud_event_attribute_value::Attr;

/// RFC 3339 text as the attribute `time`: a timestamp where that gives the same text again, else text.
pub(super) fn time_attribute(text: &str) -> Attr {
    match text.parse::<Timestamp>() {
        Ok(timestamp) if timestamp.to_string() == text || !is_plain(text) => {
            Attr::CeTimestamp(timestamp)
        }
        _ => Attr::CeString(text.to_owned()),
    }
}

/// RFC 3339 text as an extension of type Timestamp: the instant survives, the offset does not.
pub(super) fn timestamp_attribute(text: &str) -> Attr {
    text.parse::<Timestamp>()
        .map_or_else(|_| Attr::CeString(text.to_owned()), Attr::CeTimestamp)
}

/// This moment, of the wall clock.
pub(super) fn wall_time(now: SystemTime) -> Timestamp {
    let since_1970 = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp {
        seconds: i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(since_1970.subsec_nanos()).unwrap_or(0),
    }
}

/// Whether EventMesh's own parser takes the text: no more than nine digits of a second.
fn is_plain(text: &str) -> bool {
    let fraction = text.split_once('.').map_or("", |(_, rest)| rest);
    fraction.bytes().take_while(u8::is_ascii_digit).count() <= 9
}
