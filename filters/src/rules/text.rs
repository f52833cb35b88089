//! The definition of a stage as text, from which it can be made again when its file has changed.

use std::num::{NonZeroU32, NonZeroU64};

use serde::{Serialize, Serializer};

use super::{
    AbsenceDefinition, AggregateDefinition, DebounceDefinition, Field, HumanDuration, JqDefinition,
    Key, KeyPart, StepDefinition, WindowDefinition,
};
use crate::stage::Function;

/// What of a [`StepDefinition`] says how a stage derives, named as there.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Text<'a> {
    key: &'a Option<Key>,
    max_keys: Option<NonZeroU32>,
    max_bytes: Option<NonZeroU64>,
    window: &'a Option<WindowDefinition>,
    debounce: &'a Option<DebounceDefinition>,
    absence: &'a Option<AbsenceDefinition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jq: &'a Option<JqDefinition>,
}

impl StepDefinition {
    /// A stage that derives, as JSON that [`StepDefinition::from_text`] reads.
    pub fn to_text(&self) -> String {
        let text = Text {
            key: &self.key,
            max_keys: self.max_keys,
            max_bytes: self.max_bytes,
            window: &self.window,
            debounce: &self.debounce,
            absence: &self.absence,
            jq: &self.jq,
        };
        serde_json::to_string(&text).expect("texts and numbers are JSON")
    }

    /// What [`StepDefinition::to_text`] gave.
    ///
    /// # Errors
    ///
    /// The text is none of a step that this version knows.
    pub fn from_text(text: &str) -> Result<StepDefinition, serde_json::Error> {
        serde_json::from_str(text)
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(self.0))
    }
}

impl Serialize for Field {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for KeyPart {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            KeyPart::Topic => serializer.serialize_str("topic"),
            KeyPart::Field(field) => field.serialize(serializer),
        }
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl Serialize for AggregateDefinition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let field = self.field.as_ref().map(ToString::to_string);
        let field = field.unwrap_or_default();
        serializer.collect_str(&match self.function {
            Function::Count => format!("count({field})"),
            Function::Avg => format!("avg({field})"),
            Function::Min => format!("min({field})"),
            Function::Max => format!("max({field})"),
            Function::Sum => format!("sum({field})"),
            Function::First => format!("first({field})"),
            Function::Last => format!("last({field})"),
            Function::Percentile(percent) => format!("percentile({field}, {percent})"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_comes_back_from_its_text_as_it_was() {
        for step in [
            r#"window = { size = "1m 500ms", every = "10s", lateness = "0s", max-ahead = "1h", idle = "2m", consume = true, emit-topic = "a/{rule}", late-to = "b", values = { n = "count()", c = "count($.data.c)", a = "avg($.data['a b'])", lo = "min($.data.a)", hi = "max($.data.a)", s = "sum($.data.a)", f = "first($.data.l[0])", l = "last($.subject)", p = "percentile($.data.a, 99.9)" } }
               key = ["topic", "$.data.device"]
               max-keys = 7
               max-bytes = 5000000000"#,
            r#"window = { gap = "3s", values = { n = "count()" } }"#,
            r#"window = { count = 5, values = { n = "count()" } }"#,
            r#"debounce = { quiet = "2s", emit-topic = "settled" }
               key = ["$.source"]"#,
            r#"jq = { program = ".data[] | select(. > 1)", consume = true, emit-topic = "made" }"#,
            r#"absence = { after = "5m", keys = ["a", "ü\u001fb"] }"#,
        ] {
            let step: StepDefinition = toml::from_str(step).unwrap();
            let text = step.to_text();
            assert_eq!(StepDefinition::from_text(&text).unwrap(), step, "{text}");
        }
    }
}
