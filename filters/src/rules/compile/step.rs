use std::{num::NonZeroU32, time::Duration};

use crate::{
    rules::{
        AbsenceDefinition, DeadbandDefinition, DebounceDefinition, Field, HumanDuration, Key,
        StepDefinition, ThresholdDefinition, WindowDefinition,
        emit::EmitTopic,
        run::{AbsenceStep, DebounceStep, GateStep, JqStep, Step, WindowStep},
    },
    stage::{
        Absence, Aggregate, Band, Bounds, Deadband, Debounce, Dedupe, GateKind, Moment, Sample,
        Side, Threshold, Throttle, Timing, Window, WindowKind,
    },
    transform::Transform,
};

use super::{Known, RuleProblem};

const DEFAULT_KEYS: usize = 10_000;
const DEFAULT_BYTES: usize = 16 << 20;
const DEFAULT_LATENESS: Duration = Duration::from_secs(10);
const DEFAULT_MAX_AHEAD: Duration = Duration::from_secs(60);
/// A clock that is set back by less is not noticed by a window until it has caught up.
const LONGEST_MAX_AHEAD: Duration = Duration::from_secs(24 * 60 * 60);
/// A window is longer open where it takes longer: what closes before its end is partial.
const MIN_DEFAULT_IDLE: Duration = Duration::from_secs(300);
/// Bytes of the text that says how a stage derives.
const MAX_TEXT_BYTES: usize = 1 << 20;
/// Windows that one event may be in.
const MAX_OVERLAP: u32 = 100;

/// One step, ready to be taken.
pub(in crate::rules) fn step(
    definition: &StepDefinition,
    known: &Known,
    now: Moment,
) -> Result<Step, RuleProblem> {
    let kinds = definition.kinds();
    if kinds != 1 {
        return Err(RuleProblem::Kinds(kinds));
    }
    if let Some(file) = definition.transforms().next() {
        let transform = Transform::new(file, &known.tables).map_err(RuleProblem::Transform)?;
        return Ok(Step::Transform(transform));
    }
    if let Some(file) = &definition.wasm {
        let transform = Transform::module(file, &known.modules);
        return transform
            .map(Step::Transform)
            .map_err(RuleProblem::Transform);
    }
    if definition.derives().is_some() && definition.to_text().len() > MAX_TEXT_BYTES {
        return Err(RuleProblem::Value(
            "a window, debounce, absence or jq step is described in at most 1 MiB, its listed keys included",
        ));
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
    if let Some(jq) = &definition.jq {
        let key = key.unwrap_or_else(Key::topic);
        return Ok(Step::Jq(JqStep {
            program: jq.program.clone(),
            bounds,
            consume: jq.consume,
            emit_topic: emission_topic(jq.emit_topic.as_deref(), &key)?,
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
    let lateness = or(definition.lateness, DEFAULT_LATENESS);
    let length = definition.size.or(definition.gap);
    let whole = length.map_or(Duration::ZERO, |it| it.0.saturating_add(lateness));
    let max_ahead = or(definition.max_ahead, DEFAULT_MAX_AHEAD);
    if max_ahead > LONGEST_MAX_AHEAD {
        return Err(RuleProblem::Value("`max-ahead` is at most a day"));
    }
    let timing = Timing {
        lateness,
        max_ahead,
        idle: or(definition.idle, whole.max(MIN_DEFAULT_IDLE)),
    };
    let kind = window_kind(definition)?;
    Ok(WindowStep {
        window: Window::new(kind, timing, fields.len(), aggregates, bounds),
        fields,
        names: definition.values.keys().cloned().collect(),
        emit_topic: emission_topic(definition.emit_topic.as_deref(), &key)?,
        late_to: late_topic(definition.late_to.as_deref(), &key)?,
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

fn late_topic(text: Option<&str>, key: &Key) -> Result<Option<EmitTopic>, RuleProblem> {
    let Some(text) = text else { return Ok(None) };
    let topic = EmitTopic::new(Some(text), key);
    topic.map(Some).ok_or(RuleProblem::Value(
        "`late-to` is a topic that does not begin with `$`; `{topic}` in it needs `topic` in `key`",
    ))
}

fn emission_topic(text: Option<&str>, key: &Key) -> Result<EmitTopic, RuleProblem> {
    EmitTopic::new(text, key).ok_or(RuleProblem::Value(
        "`emit-topic` is a topic that does not begin with `$`; `{topic}` in it, as in its default `{topic}/{rule}`, needs `topic` in `key`",
    ))
}
