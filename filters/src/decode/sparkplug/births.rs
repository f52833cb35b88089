use std::collections::BTreeMap;

use prost::Message;
use serde::{Deserialize, Serialize};

use super::{
    SparkplugError,
    payload::{Metric, MetricValue, Payload},
};

/// What a birth said, for checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Birth {
    /// Of a node: the number by which its death is known.
    pub(super) bd_seq: Option<u64>,
    pub(super) metrics: Metrics,
}

/// The metrics a birth announced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Metrics {
    types: BTreeMap<Box<str>, u32>,
    aliases: BTreeMap<u64, Box<str>>,
}

impl Birth {
    pub(super) fn of(payload: &Payload) -> Result<Birth, SparkplugError> {
        let mut metrics = Metrics::default();
        for metric in &payload.metrics {
            let metric = Metric::decode(metric.as_slice())?;
            let Some(name) = metric.name else { continue };
            if let Some(alias) = metric.alias {
                metrics.aliases.insert(alias, name.as_str().into());
            }
            if let Some(datatype) = metric.datatype {
                metrics.types.insert(name.into(), datatype);
            }
        }
        let bd_seq = bd_seq(payload)?;
        Ok(Birth { bd_seq, metrics })
    }

    /// Bytes it takes, by estimate.
    pub(super) fn bytes(&self) -> usize {
        /// Of an entry of a map, beside its text.
        const ENTRY: usize = 48;
        let types = self.metrics.types.keys().map(|it| it.len() + ENTRY);
        let aliases = self.metrics.aliases.values().map(|it| it.len() + ENTRY);
        size_of::<Birth>() + types.chain(aliases).sum::<usize>()
    }
}

impl Metrics {
    pub(super) fn name_of(&self, alias: u64) -> Option<&str> {
        self.aliases.get(&alias).map(|it| &**it)
    }

    pub(super) fn type_of(&self, name: &str) -> Option<u32> {
        self.types.get(name).copied()
    }
}

/// The number that a node's birth and its death have in common.
pub(super) fn bd_seq(payload: &Payload) -> Result<Option<u64>, SparkplugError> {
    for metric in &payload.metrics {
        let metric = Metric::decode(metric.as_slice())?;
        if metric.name.as_deref() == Some("bdSeq") {
            return Ok(match metric.value {
                Some(MetricValue::Long(number)) => Some(number),
                Some(MetricValue::Int(number)) => Some(number.into()),
                _ => None,
            });
        }
    }
    Ok(None)
}
