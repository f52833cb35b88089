mod step;

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    cesql::UnknownFunction,
    index::{Budget, IndexBuilder, IndexError, Rule as IndexRule, When},
    stage::Moment,
    transform::{Modules, StepProblem, Tables, TopicTemplate, Variables},
};

use super::{
    OnError, RuleDefinition, RuleSet,
    judge::{DefinitionDigest, Rule},
    run::Step,
};
pub(super) use step::step;

/// What rules may name.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The uplinks.
    pub sinks: Vec<String>,
    /// The lanes.
    pub lanes: Vec<String>,
    /// The tables.
    pub tables: Tables,
    /// The modules of WebAssembly, by the files that steps name.
    pub modules: Modules,
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
        "a step is one of deadband, throttle, sample, dedupe, threshold, window, debounce, absence, jq, original, constant, \
         template, project, rename, scale, convert, enrich, set and wasm; this one names {0}"
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
    /// What becomes of the event is settled before the program has been run.
    #[error(
        "a rule with a `jq` step says `on-error` `pass` or `drop`: when its program fails, the event has been published long since"
    )]
    LateError,
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
const NO_TOPIC: &str = "what it derives would go out on no topic, since the rule's name stands in it: name it without `+` and `#`, or say `emit-topic` and \
     `late-to` without `{rule}`, which is in the default `{topic}/{rule}`";

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
        if !compiled.has_topics(&definition.name, Some("t")) {
            return Err((Some(number), RuleProblem::Value(NO_TOPIC)));
        }
        if definition.r#for.is_some() && !matches!(compiled, Step::Transform(_)) {
            return Err((Some(number), RuleProblem::StageForSink));
        }
        if matches!(compiled, Step::Jq(_)) && definition.on_error == OnError::DeadLetter {
            return Err((Some(number), RuleProblem::LateError));
        }
        steps.push(compiled);
    }
    Ok(Rule {
        name: definition.name.clone(),
        steps,
        definitions: definition.step.iter().map(DefinitionDigest::of).collect(),
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
