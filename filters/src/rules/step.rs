use std::{
    collections::BTreeMap,
    num::{NonZeroU32, NonZeroU64},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, de};

use super::{Field, HumanDuration, Key};
use crate::{
    stage::Function,
    transform::{
        ConstantFile, ConvertFile, EnrichFile, NoSettings, ProjectFile, RenameFile, ScaleFile,
        SetFile, TemplateFile, TransformFile, WasmFile,
    },
};

/// One step of a rule: exactly one of the stages and transforms, and for a stage what it remembers by.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StepDefinition {
    /// What a stage remembers separately. Default: each topic; of `dedupe`, `["$.source", "$.id"]`.
    pub key: Option<Key>,
    /// How many keys a stage remembers; default 10,000.
    pub max_keys: Option<NonZeroU32>,
    /// How many bytes they may take; default 16,777,216.
    pub max_bytes: Option<NonZeroU64>,
    /// Passes what leaves a band around the reading that passed last.
    pub deadband: Option<DeadbandDefinition>,
    /// Passes so many events in a time.
    pub throttle: Option<ThrottleDefinition>,
    /// Passes one event of so many.
    pub sample: Option<SampleDefinition>,
    /// Suppresses repeats.
    pub dedupe: Option<DedupeDefinition>,
    /// Passes the events that raise or clear an alarm.
    pub threshold: Option<ThresholdDefinition>,
    /// Sums up.
    pub window: Option<WindowDefinition>,
    /// Passes the last event of a key when no other has come for a time.
    pub debounce: Option<DebounceDefinition>,
    /// Says when a key falls silent, and when it is back.
    pub absence: Option<AbsenceDefinition>,
    /// Derives what a jq program makes of the event.
    pub jq: Option<JqDefinition>,
    /// Leaves the event as it is.
    pub original: Option<NoSettings>,
    /// Replaces the data by a text that is always the same.
    pub constant: Option<ConstantFile>,
    /// Replaces the data by a text with variables.
    pub template: Option<TemplateFile>,
    /// Keeps or drops fields of the data.
    pub project: Option<ProjectFile>,
    /// Moves a field.
    pub rename: Option<RenameFile>,
    /// Multiplies a number and adds to it.
    pub scale: Option<ScaleFile>,
    /// Converts a number into another unit of measure.
    pub convert: Option<ConvertFile>,
    /// Adds what a table knows of the event.
    pub enrich: Option<EnrichFile>,
    /// Sets attributes.
    pub set: Option<SetFile>,
    /// Runs a module of WebAssembly.
    pub wasm: Option<WasmFile>,
}

impl StepDefinition {
    /// The transforms it names.
    pub(super) fn transforms(&self) -> impl Iterator<Item = TransformFile> {
        let all = [
            self.original.clone().map(TransformFile::Original),
            self.constant.clone().map(TransformFile::Constant),
            self.template.clone().map(TransformFile::Template),
            self.project.clone().map(TransformFile::Project),
            self.rename.clone().map(TransformFile::Rename),
            self.scale.clone().map(TransformFile::Scale),
            self.convert.clone().map(TransformFile::Convert),
            self.enrich.clone().map(TransformFile::Enrich),
            self.set.clone().map(TransformFile::Set),
        ];
        all.into_iter().flatten()
    }

    /// The word of the stage that it is; `None` for a transform.
    pub fn stage(&self) -> Option<&'static str> {
        let stages = [
            (self.deadband.is_some(), "deadband"),
            (self.throttle.is_some(), "throttle"),
            (self.sample.is_some(), "sample"),
            (self.dedupe.is_some(), "dedupe"),
            (self.threshold.is_some(), "threshold"),
            (self.window.is_some(), "window"),
            (self.debounce.is_some(), "debounce"),
            (self.absence.is_some(), "absence"),
            (self.jq.is_some(), "jq"),
        ];
        let named = stages.into_iter().find(|(named, _)| *named);
        named.map(|(_, word)| word)
    }

    /// The word of the stage, if it is one that derives events of its own, later.
    pub fn derives(&self) -> Option<&'static str> {
        let derives = ["window", "debounce", "absence", "jq"];
        self.stage().filter(|it| derives.contains(it))
    }

    /// The same for definitions that are equal, also after a restart. Another version of this crate may give another.
    pub fn fingerprint(&self) -> u64 {
        crate::hash::hash(0, format!("{self:?}").as_bytes())
    }

    /// How many things it does.
    pub(super) fn kinds(&self) -> usize {
        let stages = [
            self.deadband.is_some(),
            self.throttle.is_some(),
            self.sample.is_some(),
            self.dedupe.is_some(),
            self.threshold.is_some(),
            self.window.is_some(),
            self.debounce.is_some(),
            self.absence.is_some(),
            self.jq.is_some(),
        ];
        let stages = stages.iter().filter(|it| **it).count();
        stages + self.transforms().count() + usize::from(self.wasm.is_some())
    }
}

/// See [`Deadband`](crate::stage::Deadband). Without a width, any change passes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DeadbandDefinition {
    /// What is compared.
    pub field: Field,
    /// In the unit of the reading; not together with `percent`.
    pub absolute: Option<f64>,
    /// In hundredths of the reading that passed last.
    pub percent: Option<f64>,
    /// Pass anyway if nothing has passed for so long.
    pub heartbeat: Option<HumanDuration>,
}

/// See [`Throttle`](crate::stage::Throttle).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ThrottleDefinition {
    /// Events that pass; default 1.
    pub count: Option<NonZeroU32>,
    /// In this time.
    pub per: HumanDuration,
}

/// See [`Sample`](crate::stage::Sample).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SampleDefinition {
    /// One of so many.
    pub every: NonZeroU32,
}

/// See [`Dedupe`](crate::stage::Dedupe).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DedupeDefinition {
    /// How long an event is known.
    pub within: HumanDuration,
}

/// See [`Threshold`](crate::stage::Threshold). One of `above` and `below`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ThresholdDefinition {
    /// What is compared.
    pub field: Field,
    /// Readings above it are alarming.
    pub above: Option<f64>,
    /// Readings below it are alarming.
    pub below: Option<f64>,
    /// How far a reading must come back to clear the alarm; default 0.
    #[serde(default)]
    pub hysteresis: f64,
    /// How long readings must have been alarming; default not at all.
    #[serde(default)]
    pub r#for: HumanDuration,
}

/// See [`Window`](crate::stage::Window). One of `size`, `gap` and `count`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WindowDefinition {
    /// How long a window is.
    pub size: Option<HumanDuration>,
    /// How long after one the next begins; default `size`.
    pub every: Option<HumanDuration>,
    /// A window ends when nothing has happened for so long.
    pub gap: Option<HumanDuration>,
    /// A window ends after so many events.
    pub count: Option<NonZeroU64>,
    /// What is derived, by name: `mean = "avg($.data.temperature)"`.
    pub values: BTreeMap<String, AggregateDefinition>,
    /// How far behind the latest of its key an event may be; default 10 s.
    pub lateness: Option<HumanDuration>,
    /// How far ahead of the node's time an event may say that it happened; default 60 s, at most a day. A clock that is set back by less
    /// goes unnoticed: what comes is late until it has caught up.
    pub max_ahead: Option<HumanDuration>,
    /// A key without events for so long closes, as `partial` what does not end by then; default `size` or `gap` and `lateness`, and at least five
    /// minutes.
    pub idle: Option<HumanDuration>,
    /// Whether the events end here: they are owed to no uplink.
    #[serde(default)]
    pub consume: bool,
    /// The topic of what is derived; `{topic}` and `{rule}` stand for those. Default `{topic}/{rule}`.
    pub emit_topic: Option<String>,
    /// The topic on which an event that comes too late for its windows is published once more, as the step saw it; it passes on besides. Default: none.
    pub late_to: Option<String>,
}

/// See [`Debounce`](crate::stage::Debounce).
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DebounceDefinition {
    /// How long nothing else must come.
    pub quiet: HumanDuration,
    /// The topic of the event that goes on. Default `{topic}/{rule}`.
    pub emit_topic: Option<String>,
}

/// See [`Absence`](crate::stage::Absence).
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AbsenceDefinition {
    /// How long a key must be silent.
    pub after: HumanDuration,
    /// Keys that are watched from the start. Others are watched from their first event.
    #[serde(default)]
    pub keys: Vec<String>,
    /// The topic of what is said. Default `{topic}/{rule}`.
    pub emit_topic: Option<String>,
}

/// See [`Work`](crate::stage::Work). Whoever owns the stage runs the program: this crate does not.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct JqDefinition {
    /// The program. Its input is the event in the JSON format of CloudEvents; each value it gives is the data of an event.
    pub program: String,
    /// Whether the events end here: they are owed to no uplink.
    #[serde(default)]
    pub consume: bool,
    /// The topic of what is derived. Default `{topic}/{rule}`.
    pub emit_topic: Option<String>,
}

/// `avg($.data.temperature)`, `percentile($.data.latency, 99)`, `count()`.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregateDefinition {
    /// Of which field; `None` counts events.
    pub field: Option<Field>,
    /// How.
    pub function: Function,
}

/// The place of a step that remembers, in the rule and the step of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StageId {
    /// The rule, by its place in the set.
    pub rule: u32,
    /// The step, by its place in the rule.
    pub step: u32,
}

/// Text that is no aggregate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no aggregate; accepted: `count()`, or `avg`, `min`, `max`, `sum`, `first`, `last` of a field as in `avg($.data.temperature)`, or \
     `percentile($.data.temperature, 95)`"
)]
pub struct AggregateError(String);

impl FromStr for AggregateDefinition {
    type Err = AggregateError;

    fn from_str(text: &str) -> Result<AggregateDefinition, AggregateError> {
        aggregate(text).ok_or_else(|| AggregateError(text.to_owned()))
    }
}

fn aggregate(text: &str) -> Option<AggregateDefinition> {
    let (name, arguments) = text.trim().strip_suffix(')')?.split_once('(')?;
    let field = |text: &str| text.trim().parse::<Field>().ok();
    let (field, function) = match name.trim() {
        "count" if arguments.trim().is_empty() => (None, Function::Count),
        "count" => (Some(field(arguments)?), Function::Count),
        "avg" => (Some(field(arguments)?), Function::Avg),
        "min" => (Some(field(arguments)?), Function::Min),
        "max" => (Some(field(arguments)?), Function::Max),
        "sum" => (Some(field(arguments)?), Function::Sum),
        "first" => (Some(field(arguments)?), Function::First),
        "last" => (Some(field(arguments)?), Function::Last),
        "percentile" => {
            let (path, percent) = arguments.rsplit_once(',')?;
            let percent: f64 = percent.trim().parse().ok()?;
            let percent = (0.0..=100.0).contains(&percent).then_some(percent)?;
            (Some(field(path)?), Function::Percentile(percent))
        }
        _ => return None,
    };
    Some(AggregateDefinition { field, function })
}

impl<'de> Deserialize<'de> for AggregateDefinition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<AggregateDefinition, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}
