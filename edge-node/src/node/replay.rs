//! Asking a running node to give a sink again what it had: `edge-node spool replay` and `POST /api/v1/replay`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use spool::{NodeTime, Seq};

/// What to give again.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ReplayRequest {
    /// The name of the sink.
    pub sink: String,
    /// Where to begin; that record is given.
    pub from: Moment,
    /// Where to end; that record is given too. Absent: at the last record of the moment the request came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Moment>,
}

/// A place in the log: a position, written as a whole number, or a time, written as in RFC 3339
/// (`2026-11-21T06:00:00Z`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// This record.
    Position(Seq),
    /// The first record taken at or after this time on the node clock (as an end: the last one at or before it).
    Time(NodeTime),
}

/// What will be given again.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct ReplayAnswer {
    /// The name of the sink.
    pub sink: String,
    /// First position of the range.
    pub first: u64,
    /// Last position of the range.
    pub last: u64,
    /// Events in it that the sink is given.
    pub events: u64,
}

/// Why nothing is given again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// No sink of the configuration has this name.
    #[error("there is no sink `{sink}`; there is: {}", names.join(", "))]
    UnknownSink {
        /// As asked for.
        sink: String,
        /// The sinks there are.
        names: Vec<String>,
    },
    /// The range is empty or reversed.
    #[error("nothing is kept between the two ends; kept are the positions {oldest} to {newest}")]
    Empty {
        /// Oldest position kept.
        oldest: u64,
        /// Newest position.
        newest: u64,
    },
    /// The disk or the log does not take it; try again later.
    #[error("the node cannot take it at the moment: {what}")]
    Unavailable {
        /// What the log said.
        what: String,
    },
}

/// Neither a position nor a time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a position such as 1207 nor a time such as 2026-11-21T06:00:00Z")]
pub struct MomentError(String);

impl FromStr for Moment {
    type Err = MomentError;

    fn from_str(text: &str) -> Result<Moment, MomentError> {
        if let Ok(position) = text.parse() {
            return Ok(Moment::Position(Seq(position)));
        }
        let millis = filters::timestamp_millis(text).and_then(|millis| u64::try_from(millis).ok());
        millis
            .map(|millis| Moment::Time(NodeTime(millis)))
            .ok_or_else(|| MomentError(text.to_owned()))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Moment::Position(Seq(position)) => position.fmt(f),
            Moment::Time(NodeTime(millis)) => f.write_str(&filters::timestamp_text(*millis)),
        }
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Moment::Position(Seq(position)) => serializer.serialize_u64(*position),
            Moment::Time(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Moment, D::Error> {
        struct Either;
        impl de::Visitor<'_> for Either {
            type Value = Moment;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a position such as 1207 or a time such as \"2026-11-21T06:00:00Z\"")
            }
            fn visit_u64<E>(self, position: u64) -> Result<Moment, E> {
                Ok(Moment::Position(Seq(position)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Moment, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_position_or_a_time_and_travels_as_it_was_written() {
        for (text, moment, json) in [
            ("1207", Moment::Position(Seq(1207)), "1207"),
            (
                "1970-01-01T00:00:01.5Z",
                Moment::Time(NodeTime(1500)),
                "\"1970-01-01T00:00:01.500Z\"",
            ),
        ] {
            assert_eq!(text.parse(), Ok(moment));
            assert_eq!(serde_json::to_string(&moment).unwrap(), json);
            assert_eq!(serde_json::from_str::<Moment>(json).unwrap(), moment);
        }
        assert_eq!(
            "yesterday".parse::<Moment>().unwrap_err().to_string(),
            "`yesterday` is neither a position such as 1207 nor a time such as 2026-11-21T06:00:00Z"
        );
    }
}
