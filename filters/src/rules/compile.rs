use std::{collections::BTreeSet, num::NonZeroU32, sync::Arc, time::Duration};

use crate::{
    cesql::UnknownFunction,
    index::{Budget, IndexBuilder, IndexError, Rule as IndexRule, When},
    stage::{
        Absence, Aggregate, Band, Bounds, Deadband, Debounce, Dedupe, GateKind, Moment, Sample,
        Side, Threshold, Throttle, Timing, Window, WindowKind,
    },
    transform::{StepProblem, Tables, TopicTemplate, Transform, Variables},
};

use super::{
    AbsenceDefinition, DeadbandDefinition, DebounceDefinition, Field, HumanDuration, Key,
    RuleDefinition, RuleSet, StepDefinition, ThresholdDefinition, WindowDefinition,
    emit::EmitTopic,
    judge::Rule,
    run::{AbsenceStep, DebounceStep, GateStep, Step, WindowStep},
};

/// What rules may name.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The uplinks.
    pub sinks: Vec<String>,
    /// The lanes.
    pub lanes: Vec<String>,
    /// The tables.
    pub tables: Tables,
}

impl Known {
    /// All that these rules name, where nobody knows what there is.
    pub fn of(definitions: &[RuleDefinition]) -> Known {
        let mut known = Known::default();
        for it in definitions {
            known.sinks.extend(it.sinks.iter().flatten().cloned());
            known.sinks.extend(it.r#for.iter().flatten().cloned());
            known.lanes.extend(it.lane.clone());
        }
        for names in [&mut known.sinks, &mut known.lanes] {
            names.sort_unstable();
            names.dedup();
        }
        known
    }
}

/// A rule that cannot be used, and where. None of its set is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule {name:?}{}: {problem}", in_step(.step))]
pub struct RuleError {
    /// The rule, by its place among the definitions.
    pub rule: usize,
    /// Its name.
    pub name: String,
    /// Its step.
    pub step: Option<usize>,
    /// What is wrong.
    pub problem: RuleProblem,
}

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleProblem {
    /// Names are empty, longer than 128 bytes or hold control characters.
    #[error("a name has 1 to 128 bytes and no control characters")]
    Name,
    /// Another rule has this name.
    #[error("there is another rule of this name")]
    Duplicate,
    /// More than one way to say what matches.
    #[error("only one of `pattern`, `sql` and `filter` may say what matches")]
    Conditions,
    /// An uplink that is not configured.
    #[error("there is no uplink {name:?}; there are: {known}")]
    UnknownSink {
        /// The name.
        name: String,
        /// Those that are.
        known: String,
    },
    /// A lane that is not configured.
    #[error("there is no lane {name:?}; there are: {known}")]
    UnknownLane {
        /// The name.
        name: String,
        /// Those that are.
        known: String,
    },
    /// A step that is none, or several at once.
    #[error(
        "a step is one of deadband, throttle, sample, dedupe, threshold, window, debounce, absence, original, constant, \
         template, project, rename, scale, convert, enrich and set; this one names {0}"
    )]
    Kinds(usize),
    /// A transform, or a topic at the sink, that can never work.
    #[error(transparent)]
    Transform(StepProblem),
    /// Whether an event passes cannot depend on the sink.
    #[error(
        "with `for`, steps are transforms only: whether an event passes a stage is the same for all sinks"
    )]
    StageForSink,
    /// Values that exclude each other, or that are out of their range.
    #[error("{0}")]
    Value(&'static str),
    /// A call that fails on every event.
    #[error(transparent)]
    Function(UnknownFunction),
    /// The rule set is too large.
    #[error(transparent)]
    Index(IndexError),
}

const MAX_NAME_BYTES: usize = 128;
const DEFAULT_KEYS: usize = 10_000;
const DEFAULT_BYTES: usize = 16 << 20;
const DEFAULT_LATENESS: Duration = Duration::from_secs(10);
const DEFAULT_MAX_AHEAD: Duration = Duration::from_secs(60);
const DEFAULT_IDLE: Duration = Duration::from_secs(300);
/// Windows that one event may be in.
const MAX_OVERLAP: u32 = 100;

impl RuleSet {
    /// Compiles rules; `now` is when keys that are listed begin to be watched.
    ///
    /// # Errors
    ///
    /// The first rule that cannot be used.
    pub fn compile(
        definitions: &[RuleDefinition],
        known: &Known,
        budget: Budget,
        now: Moment,
    ) -> Result<RuleSet, RuleError> {
        let mut index = IndexBuilder::new(budget);
        let mut names = BTreeSet::new();
        let mut rules = Vec::with_capacity(definitions.len());
        for (place, definition) in definitions.iter().enumerate() {
            let error = |step, problem| RuleError {
                rule: place,
                name: definition.name.clone(),
                step,
                problem,
            };
            check_name(definition, &mut names).map_err(|it| error(None, it))?;
            let rule = rule(definition, known, now).map_err(|(step, it)| error(step, it))?;
            let added = add(&mut index, definition);
            added.map_err(|it| error(None, RuleProblem::Index(it)))?;
            rules.push(rule);
        }
        Ok(RuleSet {
            index: index.build(),
            rules,
        })
    }
}

fn check_name<'a>(
    definition: &'a RuleDefinition,
    names: &mut BTreeSet<&'a str>,
) -> Result<(), RuleProblem> {
    let name = definition.name.as_str();
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains(char::is_control) {
        return Err(RuleProblem::Name);
    }
    if !names.insert(name) {
        return Err(RuleProblem::Duplicate);
    }
    let conditions = [
        definition.pattern.is_some(),
        definition.sql.is_some(),
        definition.filter.is_some(),
    ];
    if conditions.iter().filter(|it| **it).count() > 1 {
        return Err(RuleProblem::Conditions);
    }
    let unknown = definition.sql.iter().flat_map(|it| it.unknown_functions());
    match { unknown }.next() {
        Some(unknown) => Err(RuleProblem::Function(unknown)),
        None => Ok(()),
    }
}

fn add(index: &mut IndexBuilder, definition: &RuleDefinition) -> Result<(), IndexError> {
    let when = if let Some(pattern) = &definition.pattern {
        When::Pattern(pattern)
    } else if let Some(expression) = &definition.sql {
        When::Check(Arc::new(expression.clone()))
    } else if let Some(filter) = &definition.filter {
        When::Check(Arc::new(filter.clone()))
    } else {
        When::Always
    };
    let topic = definition.topic.as_ref();
    index.add(&IndexRule { topic, when }).map(|_| ())
}

type Problem = (Option<usize>, RuleProblem);

fn rule(definition: &RuleDefinition, known: &Known, now: Moment) -> Result<Rule, Problem> {
    let sinks = |names: &Option<Vec<String>>| {
        let places = |names: &Vec<String>| names.iter().map(|it| sink(it, known)).collect();
        names.as_ref().map(places).transpose()
    };
    let topic = |text: &str| {
        TopicTemplate::parse(text, &Variables::default()).map_err(RuleProblem::Transform)
    };
    let lane = |name: &String| place(name, &known.lanes).ok_or_else(|| unknown_lane(name, known));
    let on_rule = |problem| (None, problem);
    let mut steps = Vec::with_capacity(definition.step.len());
    for (number, it) in definition.step.iter().enumerate() {
        let compiled = step(it, known, now).map_err(|problem| (Some(number), problem))?;
        if definition.r#for.is_some() && !matches!(compiled, Step::Transform(_)) {
            return Err((Some(number), RuleProblem::StageForSink));
        }
        steps.push(compiled);
    }
    Ok(Rule {
        name: definition.name.clone(),
        steps,
        definitions: definition.step.clone(),
        lane: definition
            .lane
            .as_ref()
            .map(lane)
            .transpose()
            .map_err(on_rule)?,
        sinks: sinks(&definition.sinks).map_err(on_rule)?,
        shapes: sinks(&definition.r#for).map_err(on_rule)?,
        sink_topic: definition
            .sink_topic
            .as_deref()
            .map(topic)
            .transpose()
            .map_err(on_rule)?,
        drop: definition.drop,
        on_error: definition.on_error,
    })
}

fn step(definition: &StepDefinition, known: &Known, now: Moment) -> Result<Step, RuleProblem> {
    let kinds = definition.kinds();
    if kinds != 1 {
        return Err(RuleProblem::Kinds(kinds));
    }
    if let Some(file) = definition.transforms().next() {
        let transform = Transform::new(file, &known.tables).map_err(RuleProblem::Transform)?;
        return Ok(Step::Transform(transform));
    }
    let key = definition.key.clone();
    let bounds = Bounds {
        keys: definition
            .max_keys
            .map_or(DEFAULT_KEYS, |it| it.get() as usize),
        bytes: definition.max_bytes.map_or(DEFAULT_BYTES, |it| {
            usize::try_from(it.get()).unwrap_or(usize::MAX)
        }),
    };
    if let Some(window) = &definition.window {
        return window_step(window, key.unwrap_or_else(Key::topic), bounds).map(Step::Window);
    }
    if let Some(DebounceDefinition { quiet, emit_topic }) = &definition.debounce {
        let key = key.unwrap_or_else(Key::topic);
        return Ok(Step::Debounce(DebounceStep {
            debounce: Debounce::new(quiet.0, bounds),
            emit_topic: emission_topic(emit_topic.as_deref(), &key)?,
            key,
        }));
    }
    if let Some(AbsenceDefinition {
        after,
        keys,
        emit_topic,
    }) = &definition.absence
    {
        let key = key.unwrap_or_else(Key::topic);
        return Ok(Step::Absence(AbsenceStep {
            absence: Absence::new(after.0, keys.iter().map(String::as_str), bounds, now),
            emit_topic: emission_topic(emit_topic.as_deref(), &key)?,
            key,
        }));
    }
    let (kind, field) = gate(definition)?;
    let default = || match kind {
        GateKind::Dedupe(_) => Key::identity(),
        _ => Key::topic(),
    };
    Ok(Step::Gate(GateStep {
        key: key.unwrap_or_else(default),
        kind,
        field,
        bounds,
    }))
}

fn gate(definition: &StepDefinition) -> Result<(GateKind, Option<Field>), RuleProblem> {
    if let Some(it) = &definition.deadband {
        return deadband(it).map(|kind| (kind, Some(it.field.clone())));
    }
    if let Some(it) = &definition.threshold {
        return threshold(it).map(|kind| (kind, Some(it.field.clone())));
    }
    let kind = if let Some(it) = &definition.throttle {
        GateKind::Throttle(Throttle {
            count: it.count.unwrap_or(NonZeroU32::MIN),
            per: it.per.0,
        })
    } else if let Some(it) = &definition.sample {
        GateKind::Sample(Sample { every: it.every })
    } else if let Some(it) = &definition.dedupe {
        GateKind::Dedupe(Dedupe {
            within: it.within.0,
        })
    } else {
        return Err(RuleProblem::Kinds(0));
    };
    Ok((kind, None))
}

fn deadband(definition: &DeadbandDefinition) -> Result<GateKind, RuleProblem> {
    let band = match (definition.absolute, definition.percent) {
        (Some(_), Some(_)) => {
            return Err(RuleProblem::Value(
                "a deadband is `absolute` or `percent`, not both",
            ));
        }
        (Some(width), None) => Band::Absolute(width),
        (None, Some(percent)) => Band::Percent(percent),
        (None, None) => Band::Change,
    };
    let width = definition.absolute.or(definition.percent).unwrap_or(0.0);
    if !width.is_finite() || width < 0.0 {
        return Err(RuleProblem::Value("a deadband is not negative"));
    }
    let heartbeat = definition.heartbeat.map(|it| it.0);
    Ok(GateKind::Deadband(Deadband { band, heartbeat }))
}

fn threshold(definition: &ThresholdDefinition) -> Result<GateKind, RuleProblem> {
    let (side, limit) = match (definition.above, definition.below) {
        (Some(limit), None) => (Side::Above, limit),
        (None, Some(limit)) => (Side::Below, limit),
        _ => {
            return Err(RuleProblem::Value(
                "a threshold has one of `above` and `below`",
            ));
        }
    };
    if !limit.is_finite() || !definition.hysteresis.is_finite() || definition.hysteresis < 0.0 {
        return Err(RuleProblem::Value(
            "a threshold is a finite number, and its `hysteresis` is not negative",
        ));
    }
    Ok(GateKind::Threshold(Threshold {
        side,
        limit,
        hysteresis: definition.hysteresis,
        duration: definition.r#for.0,
    }))
}

fn window_step(
    definition: &WindowDefinition,
    key: Key,
    bounds: Bounds,
) -> Result<WindowStep, RuleProblem> {
    if definition.values.is_empty() {
        return Err(RuleProblem::Value(
            "a window derives at least one of `values`",
        ));
    }
    let mut fields: Vec<Field> = Vec::new();
    let mut aggregates = Vec::new();
    for value in definition.values.values() {
        let field = value.field.as_ref().map(|field| {
            let known = fields.iter().position(|it| it == field);
            known.unwrap_or_else(|| {
                fields.push(field.clone());
                fields.len() - 1
            })
        });
        aggregates.push(Aggregate {
            field,
            function: value.function,
        });
    }
    let or = |it: Option<HumanDuration>, default| it.map_or(default, |it| it.0);
    let timing = Timing {
        lateness: or(definition.lateness, DEFAULT_LATENESS),
        max_ahead: or(definition.max_ahead, DEFAULT_MAX_AHEAD),
        idle: or(definition.idle, DEFAULT_IDLE),
    };
    let kind = window_kind(definition)?;
    Ok(WindowStep {
        window: Window::new(kind, timing, fields.len(), aggregates, bounds),
        fields,
        names: definition.values.keys().cloned().collect(),
        emit_topic: emission_topic(definition.emit_topic.as_deref(), &key)?,
        key,
        consume: definition.consume,
    })
}

fn window_kind(definition: &WindowDefinition) -> Result<WindowKind, RuleProblem> {
    let every = definition.every.map(|it| it.0);
    let zero = [definition.size, definition.every, definition.gap];
    if zero
        .iter()
        .flatten()
        .any(|it| it.0 < Duration::from_millis(1))
    {
        return Err(RuleProblem::Value("a window takes at least a millisecond"));
    }
    match (definition.size, definition.gap, definition.count) {
        (Some(size), None, None) => match every {
            None => Ok(WindowKind::Tumbling { size: size.0 }),
            Some(every) if every > size.0 => {
                Err(RuleProblem::Value("`every` is not longer than `size`"))
            }
            Some(every) if every * MAX_OVERLAP < size.0 => Err(RuleProblem::Value(
                "`every` is at least a hundredth of `size`",
            )),
            Some(every) => Ok(WindowKind::Sliding {
                size: size.0,
                every,
            }),
        },
        (None, Some(gap), None) if every.is_none() => Ok(WindowKind::Session { gap: gap.0 }),
        (None, None, Some(count)) if every.is_none() => Ok(WindowKind::Count(count)),
        _ => Err(RuleProblem::Value(
            "a window has one of `size`, `gap` and `count`, and `every` only with `size`",
        )),
    }
}

fn emission_topic(text: Option<&str>, key: &Key) -> Result<EmitTopic, RuleProblem> {
    EmitTopic::new(text, key).ok_or(RuleProblem::Value(
        "`emit-topic` is a topic that does not begin with `$`; `{topic}` in it, as in its default `{topic}/{rule}`, needs `topic` in `key`",
    ))
}

fn sink(name: &str, known: &Known) -> Result<usize, RuleProblem> {
    place(name, &known.sinks).ok_or_else(|| RuleProblem::UnknownSink {
        name: name.to_owned(),
        known: known.sinks.join(", "),
    })
}

fn unknown_lane(name: &str, known: &Known) -> RuleProblem {
    RuleProblem::UnknownLane {
        name: name.to_owned(),
        known: known.lanes.join(", "),
    }
}

fn place(name: &str, names: &[String]) -> Option<usize> {
    names.iter().position(|it| it == name)
}

fn in_step(step: &Option<usize>) -> String {
    step.map_or_else(String::new, |step| format!(", step {}", step + 1))
}
