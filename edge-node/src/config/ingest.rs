//! `[[ingest]]`.

use filters::TopicFilter;
use serde::{Deserialize, Serialize};

use super::spool::LaneName;

/// How publishes on some topics become events.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct IngestConfig {
    /// The topic filter this entry is for, wildcards as in a subscription.
    pub topic: TopicFilter,
    /// The lane of these events, one of `[spool] lanes`. Absent: the default lane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<LaneName>,
}
