//! Asking a running node to give a sink again what it had: `edge-node spool replay` and `/api/v1/replay`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use spool::{NodeTime, ReadLimits, Seq, Spool};
use tokio::sync::oneshot;

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
    /// The oldest event kept, set where the range begins before it: whatever came earlier has been freed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_from: Option<u64>,
}

/// The positions of a replay; both ends are in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first.
    pub first: Seq,
    /// The last.
    pub last: Seq,
}

/// An order on its way to the uplinks.
#[derive(Debug)]
pub enum ReplayOrder {
    /// Give a sink a range again.
    Begin {
        /// What is asked.
        request: ReplayRequest,
        /// What comes of it.
        reply: oneshot::Sender<Result<ReplayAnswer, ReplayError>>,
    },
    /// Give it no more of that.
    Stop {
        /// The name of the sink.
        sink: String,
        /// What comes of it.
        reply: oneshot::Sender<Result<(), ReplayError>>,
    },
}

impl ReplayRequest {
    /// The positions it stands for at this moment, from the first event kept to the last record, and the oldest event
    /// kept if it reaches back behind that. May block on the disk.
    pub fn resolve(&self, spool: &Spool) -> Result<(Range, Option<Seq>), ReplayError> {
        let newest = spool.committed();
        let oldest = first_event(spool, Seq(1))?;
        let asked = match self.from {
            Moment::Position(first) => first.max(Seq(1)),
            Moment::Time(time) => spool.seek(time)?,
        };
        let last = match self.to {
            None => newest,
            Some(Moment::Position(last)) => last.min(newest),
            Some(Moment::Time(time)) => {
                let behind = spool.seek(NodeTime(time.0.saturating_add(1)));
                Seq(behind?.0.saturating_sub(1)).min(newest)
            }
        };
        let first = first_event(spool, asked)?.filter(|first| *first <= last);
        let Some(first) = first else {
            return Err(ReplayError::Empty {
                oldest: oldest.unwrap_or(newest).0,
                newest: newest.0,
            });
        };
        let reaches_back = oldest.filter(|oldest| match self.from {
            Moment::Position(_) => asked < *oldest,
            // What a time meant among the freed nobody knows any more.
            Moment::Time(_) => asked <= *oldest,
        });
        Ok((Range { first, last }, reaches_back))
    }
}

fn first_event(spool: &Spool, from: Seq) -> Result<Option<Seq>, ReplayError> {
    let one = ReadLimits {
        records: 1,
        bytes: 0,
        lanes: u32::MAX,
    };
    let batch = spool.scan(from, one)?;
    Ok(batch.entries.first().map(|entry| entry.seq))
}

impl From<spool::StorageError> for ReplayError {
    fn from(error: spool::StorageError) -> ReplayError {
        ReplayError::Unavailable {
            what: error.to_string(),
        }
    }
}

/// Why nothing is given again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// No sink of the configuration has this name.
    #[error("there is no sink `{sink}`; {}", known(names))]
    UnknownSink {
        /// As asked for.
        sink: String,
        /// The sinks there are.
        names: Vec<String>,
    },
    /// One at a time.
    #[error("`{sink}` is being given the positions {first} to {last} again; ask once that is done")]
    Busy {
        /// The sink.
        sink: String,
        /// First position of the replay under way.
        first: u64,
        /// Its last.
        last: u64,
    },
    /// There is nothing to stop.
    #[error("`{sink}` is not being given anything again")]
    Idle {
        /// The sink.
        sink: String,
    },
    /// The range is empty or reversed.
    #[error("no event is kept between the two ends; kept are the positions {oldest} to {newest}")]
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

pub(super) fn known(names: &[String]) -> String {
    if names.is_empty() {
        return "the configuration has no [[uplink]]".to_owned();
    }
    format!("there is: {}", names.join(", "))
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
