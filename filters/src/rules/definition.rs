use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, de};

use crate::{
    Pattern, SubscriptionFilter, TopicFilter, cesql::Expression, decode::DecoderDefinition,
};

use super::StepDefinition;

/// One file of rules: lists of `[[rule]]`, `[[table]]` and `[[decoder]]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RuleFile {
    /// How payloads that are no JSON are read: `[[decoder]]`. Of several whose topic fits, the first counts.
    #[serde(default)]
    pub decoder: Vec<DecoderDefinition>,
    /// Tables that `enrich` looks into: `[[table]]`.
    #[serde(default)]
    pub table: Vec<TableDefinition>,
    /// The rules, in the order in which they apply.
    #[serde(default)]
    pub rule: Vec<RuleDefinition>,
}

/// A table, kept in a file beside the rules.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TableDefinition {
    /// Unique; what `enrich` calls it.
    pub name: String,
    /// A JSON object: keys and their rows. A relative path begins at the folder of the file of rules.
    pub file: String,
}

/// A rule, as the operator writes it. One without any action only counts.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RuleDefinition {
    /// Unique; what counters, the ledger and errors call it.
    pub name: String,
    /// The topics on which it looks at events at all. Default: all, and events without a topic.
    pub topic: Option<TopicFilter>,
    /// A pattern, as JSON text. At most one of `pattern`, `sql` and `filter`; without any, every event matches.
    #[serde(default, deserialize_with = "from_text")]
    pub pattern: Option<Pattern>,
    /// A CESQL expression.
    #[serde(default, deserialize_with = "from_text")]
    pub sql: Option<Expression>,
    /// A filter in one of the dialects of CloudEvents Subscriptions.
    pub filter: Option<SubscriptionFilter>,
    /// What is done with an event that matches, one after the other.
    #[serde(default)]
    pub step: Vec<StepDefinition>,
    /// The lane it is kept in; of several rules that name one, the last decides.
    pub lane: Option<String>,
    /// The uplinks it is owed to. Where any rule that matches names some, it is owed to all that are named, else to every uplink whose
    /// `from` and `lanes` take it.
    pub sinks: Option<Vec<String>>,
    /// The uplinks for which the steps and `sink-topic` shape the event; such steps are transforms only. Default: all.
    pub r#for: Option<Vec<String>>,
    /// The topic at the sink, in place of what the uplink says: a text in which `${$.data.line}` and the like stand for values.
    pub sink_topic: Option<String>,
    /// Owed to no uplink, whatever came before, and no later rule is asked.
    #[serde(default)]
    pub drop: bool,
    /// What becomes of the event if a step fails.
    #[serde(default)]
    pub on_error: OnError,
}

/// What becomes of an event of which a step failed; what the rule had done to it is taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// It goes on to the next rule.
    #[default]
    Pass,
    /// It is owed to no uplink, with an entry in the ledger.
    Drop,
    /// It is kept among the dead letters.
    DeadLetter,
}

/// What stands in the file as text in a language of its own.
fn from_text<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(de::Error::custom)
}
