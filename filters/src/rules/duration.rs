use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// A duration as people write it: `"30s"`, `"5m"`, `"1h 30m"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct HumanDuration(pub Duration);

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<HumanDuration, D::Error> {
        let text = String::deserialize(deserializer)?;
        match humantime::parse_duration(&text) {
            Ok(duration) => Ok(HumanDuration(duration)),
            Err(error) => Err(de::Error::custom(format!(
                "`{text}` is no duration ({error}); accepted: a number and a unit, such as \"30s\" (ms, s, m, h, d)"
            ))),
        }
    }
}
