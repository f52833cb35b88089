//! `[spool]`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use spool::{Lane, LaneOptions, WhenFull};

use super::{
    defaults,
    node::{NameError, check_name},
    units::{self, ByteSize},
};

/// How much is kept on disk, and what happens when it is full.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct SpoolConfig {
    /// Bytes of everything in the data directory, at least 16 MiB. `"auto"`: the smaller of 4 GiB and a quarter of the
    /// free space.
    #[serde(deserialize_with = "bound")]
    pub bound: Auto<ByteSize>,
    /// Share of the file system that stays free, `"0%"` to `"90%"`; below it the spool is full, whatever `bound` says.
    pub min_free: Percent,
    /// Size of one file of the log, 256 KiB to 64 MiB. `"auto"`: 8 MiB, less where `bound` is small.
    #[serde(deserialize_with = "segment")]
    pub segment_size: Auto<ByteSize>,
    /// Bytes that may wait for a commit, over all connections, 64 KiB to 1 GiB; at this bound publishers are not read.
    /// Must be larger than `max-packet-size` in `[mqtt]`.
    #[serde(deserialize_with = "waiting")]
    pub waiting_bytes: ByteSize,
    /// The lanes, from the one kept longest to the one given up first: 1 to 8.
    #[serde(deserialize_with = "lanes")]
    pub lanes: Vec<LaneConfig>,
    /// The lane of events that no `[[ingest]]` places; one of `lanes`.
    pub default_lane: LaneName,
}

/// One lane: a priority class with its own bound.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LaneConfig {
    /// What rules, uplinks and status call it.
    pub name: LaneName,
    /// What happens to an event for which it has no room. `refuse` (default) withholds the acknowledgement, `reject`
    /// answers in the negative (clients then delete their copy), `drop-oldest` makes room in this lane,
    /// `lowest-lane-first` in the lane given up first. What is dropped enters the ledger.
    #[serde(default)]
    pub when_full: WhenFull,
}

impl Default for SpoolConfig {
    fn default() -> SpoolConfig {
        let lane = |name: &str| LaneConfig {
            name: LaneName(name.to_owned()),
            when_full: WhenFull::default(),
        };
        SpoolConfig {
            bound: Auto::Auto,
            min_free: Percent(defaults::SPOOL_MIN_FREE),
            segment_size: Auto::Auto,
            waiting_bytes: defaults::SPOOL_WAITING,
            lanes: defaults::LANES.map(lane).into(),
            default_lane: LaneName(defaults::LANE.to_owned()),
        }
    }
}

impl SpoolConfig {
    /// The spool's own piece.
    pub fn options(&self) -> spool::Options {
        let lane = |lane: &LaneConfig| LaneOptions {
            name: lane.name.0.clone(),
            when_full: lane.when_full,
        };
        spool::Options {
            bound_bytes: self.bound.chosen().map(|bound| bound.0),
            min_free_percent: self.min_free.0,
            segment_bytes: self.segment_size.chosen().map(|size| size.as_u32()),
            lanes: self.lanes.iter().map(lane).collect(),
            waiting_bytes: self.waiting_bytes.as_usize(),
        }
    }

    /// The lane of this name.
    pub fn lane(&self, name: &LaneName) -> Option<Lane> {
        let index = self.lanes.iter().position(|lane| lane.name == *name)?;
        u8::try_from(index).ok().map(Lane)
    }

    /// Where an event goes that no rule places.
    pub fn default_lane(&self) -> Lane {
        self.lane(&self.default_lane)
            .expect("the default lane was checked to be one of the lanes")
    }
}

/// A value the node works out itself, or the operator's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auto<T> {
    /// Worked out; each key says how.
    #[default]
    Auto,
    /// The operator's.
    Chosen(T),
}

impl<T: Copy> Auto<T> {
    /// The operator's value.
    pub fn chosen(&self) -> Option<T> {
        match self {
            Auto::Auto => None,
            Auto::Chosen(value) => Some(*value),
        }
    }
}

impl<T: FromStr> FromStr for Auto<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Auto<T>, T::Err> {
        match text {
            "auto" => Ok(Auto::Auto),
            text => text.parse().map(Auto::Chosen),
        }
    }
}

impl<T: Serialize> Serialize for Auto<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Auto::Auto => serializer.serialize_str("auto"),
            Auto::Chosen(value) => value.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Auto<ByteSize> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Auto<ByteSize>, D::Error> {
        units::text(deserializer, "a size such as \"64 MiB\", or \"auto\"")
    }
}

/// A whole number of hundredths, written `"5%"`; 90 at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(pub u8);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Percent, String> {
        let number = text
            .strip_suffix('%')
            .and_then(|number| number.trim_end().parse().ok());
        match number {
            Some(number @ 0..=90) => Ok(Percent(number)),
            _ => Err(format!("`{text}` is no share; accepted: \"0%\" to \"90%\"")),
        }
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Percent, D::Error> {
        units::text(deserializer, "a share such as \"5%\"")
    }
}

/// The name of a lane: 1 to 64 ASCII letters, digits, `-`, `_` or `.`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LaneName(String);

impl LaneName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LaneName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<LaneName, NameError> {
        check_name(text).map(|()| LaneName(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for LaneName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<LaneName, D::Error> {
        units::text(deserializer, "the name of a lane")
    }
}

fn bound<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Auto<ByteSize>, D::Error> {
    size_within(deserializer, ByteSize(16 << 20), ByteSize(1 << 50))
}

fn segment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Auto<ByteSize>, D::Error> {
    size_within(deserializer, ByteSize(256 << 10), ByteSize(64 << 20))
}

fn size_within<'de, D: Deserializer<'de>>(
    deserializer: D,
    least: ByteSize,
    most: ByteSize,
) -> Result<Auto<ByteSize>, D::Error> {
    let size = Auto::deserialize(deserializer)?;
    match size {
        Auto::Chosen(size) if size < least || size > most => Err(serde::de::Error::custom(
            format_args!("`{size}` is out of range; accepted: \"auto\", or {least} to {most}"),
        )),
        size => Ok(size),
    }
}

fn waiting<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ByteSize, D::Error> {
    units::within(deserializer, ByteSize(64 << 10), ByteSize(1 << 30))
}

fn lanes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<LaneConfig>, D::Error> {
    let lanes = Vec::<LaneConfig>::deserialize(deserializer)?;
    match lanes.len() {
        1..=8 => Ok(lanes),
        count => Err(serde::de::Error::custom(format_args!(
            "{count} lanes; accepted: 1 to 8"
        ))),
    }
}
