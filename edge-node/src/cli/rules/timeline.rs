//! Events as a timeline: each goes through the rules at its own time, and so does what is derived of them.

use std::{io::Write, time::Duration};

use filters::{
    Data, Event, EventView,
    decode::{Births, Incoming},
    index::{RuleId, Scratch},
    rules::{Answer, Arrival, Derived, Fate, OnError, RuleMemory, RuleStages, Ruling, Stored},
    stage::{EventTime, Moment},
    timestamp_millis,
};
use serde_json::{Value as Json, json};

use super::CliError;
use crate::{
    config::Rules,
    jq::{Bench, Outcome},
};

/// The source of what is derived.
const SOURCE: &str = "/rules-test";

pub(super) struct Timeline<'a> {
    rules: &'a Rules,
    memory: RuleMemory,
    stages: RuleStages,
    scratch: Scratch,
    births: Births,
    bench: Bench,
    position: u64,
    /// Milliseconds since 1970; 0 before anybody said what time it is.
    now: i64,
}

/// The event of a plain PUBLISH of these bytes.
pub(super) fn event_of(bytes: Vec<u8>, content_type: &str) -> Result<Event, filters::EventError> {
    let data = Data::of(Some(content_type), bytes);
    let builder = Event::builder("1", SOURCE, crate::ingest::DEFAULT_TYPE);
    builder.datacontenttype(content_type).data(data).build()
}

impl<'a> Timeline<'a> {
    pub(super) fn new(rules: &'a Rules) -> Timeline<'a> {
        Timeline {
            memory: RuleMemory::new(&rules.set),
            stages: RuleStages::new(&rules.set),
            scratch: Scratch::default(),
            births: Births::default(),
            bench: Bench::default(),
            position: 0,
            now: 0,
            rules,
        }
    }

    /// What becomes of the event, and of all that was due before it.
    pub(super) fn publish(&mut self, event: &Event, topic: Option<&str>) -> Json {
        let time = event.time.as_deref().and_then(timestamp_millis);
        let mut emitted = self.close_until(time.unwrap_or(self.now));
        let mut verdict = self.judge(event, topic, &[]);
        emitted.extend(self.emitted());
        if let Some(verdict) = verdict.as_object_mut() {
            verdict.insert("emitted".into(), emitted.into());
        }
        verdict
    }

    /// What is due until then.
    pub(super) fn run_until(&mut self, time: i64) -> Json {
        let emitted = self.close_until(time);
        json!({"matched": [], "why": [], "errors": [], "dropped": null, "lane": null, "sinks": null, "topic": null, "event": null, "emitted": emitted})
    }

    fn close_until(&mut self, time: i64) -> Vec<Json> {
        let mut emitted = Vec::new();
        if self.now == 0 {
            self.begin(time);
        }
        loop {
            let next = self.stages.next_deadline().map(|it| it.0.cast_signed());
            let Some(next) = next.filter(|it| *it <= time) else {
                break;
            };
            self.now = self.now.max(next);
            while let Some((stage, key)) = self.stages.due(moment(self.now)) {
                self.stages.close(stage, &key, SOURCE);
            }
            emitted.extend(self.emitted());
        }
        self.now = self.now.max(time);
        emitted
    }

    /// The first time that anybody says is when the rules begin: nobody was silent before.
    fn begin(&mut self, time: i64) {
        let before = u64::try_from(time).unwrap_or(0);
        self.stages.handle_downtime(Duration::from_millis(before));
        self.now = time;
    }

    fn emitted(&mut self) -> Vec<Json> {
        let derived: Vec<Derived> = std::iter::from_fn(|| self.stages.poll_derived()).collect();
        let mut all = Vec::new();
        for it in derived {
            let rule = it.rule().to_owned();
            let mut verdict = self.judge(&it.event, Some(&it.topic), &it.derived_by);
            if let Some(verdict) = verdict.as_object_mut() {
                verdict.insert("rule".into(), rule.into());
                verdict.insert("topic".into(), it.topic.into());
                verdict.insert("emitted".into(), self.emitted().into());
            }
            all.push(verdict);
        }
        all
    }

    fn judge(&mut self, event: &Event, topic: Option<&str>, derived_by: &[String]) -> Json {
        self.position += 1;
        let incoming = Incoming {
            topic,
            content_type: event.datacontenttype.as_deref(),
            payload: event.data_bytes(),
            position: self.position,
        };
        let (decoders, now) = (&self.rules.decoders, moment(self.now));
        let decoding = decoders.decode(&mut self.births, &incoming, now);
        let mut view = EventView::of(event, topic);
        view.data = decoding.view.data(view.data);
        let arrival = Arrival {
            at: moment(self.now),
            derived_by,
        };
        let own = || event.clone();
        let set = &self.rules.set;
        let ruling = set.judge(&mut self.memory, &mut self.scratch, &view, own, &arrival);
        let stored = Stored {
            position: self.position,
            at: moment(self.now),
            time: EventTime(self.now),
            derived_by,
        };
        for input in &ruling.inputs {
            self.stages
                .handle_input(input.stage, &input.told, stored, SOURCE);
        }
        let failures = self.work();
        let mut verdict = self.verdict(&ruling, &view, event);
        if let Some(errors) = verdict.get_mut("errors").and_then(Json::as_array_mut) {
            errors.extend(failures);
        }
        verdict
    }

    /// Runs the jq programs that are to be; gives what failed.
    fn work(&mut self) -> Vec<Json> {
        let mut failures = Vec::new();
        while let Some((stage, job, program)) = self.stages.job() {
            let (position, rule) = (
                job.position,
                self.rules.definitions.get(stage.rule as usize),
            );
            let outcome = self.bench.run(program, &job.event);
            let failure = match &outcome {
                Ok(outcome) => outcome.failure(),
                Err(error) => Some(("worker", error.to_string())),
            };
            let answer = match outcome {
                Ok(Outcome::Made(values)) => Answer::Made(values),
                _ if rule.is_some_and(|it| it.on_error == OnError::Drop) => Answer::Ended,
                _ => Answer::GoesOn,
            };
            failures.extend(failure.map(|(class, message)| {
                json!({"rule": rule.map(|it| &it.name), "class": class, "message": message})
            }));
            self.stages.answer(stage, position, &answer, SOURCE);
        }
        failures
    }

    fn verdict(&self, ruling: &Ruling, view: &EventView<'_>, event: &Event) -> Json {
        let why: Vec<Json> = ruling
            .matched
            .iter()
            .map(|id| self.why(*id, view))
            .collect();
        let failures = ruling.failures.iter().map(
            |it| json!({"rule": self.name(it.rule), "class": it.class, "message": it.message}),
        );
        let errors: Vec<Json> = self.condition_errors(view).chain(failures).collect();
        let (dropped, owed) = match &ruling.fate {
            Fate::Owed(owed) => (Json::Null, Some(owed)),
            Fate::Dropped { rule, step, cause } => {
                let cause = format!("{cause:?}").to_lowercase();
                (
                    json!({"rule": self.name(*rule), "step": step, "cause": cause}),
                    None,
                )
            }
            Fate::DeadLetter { rule, message, .. } => {
                let rule = self.name(*rule);
                (
                    json!({"rule": rule, "cause": "dead-letter", "message": message}),
                    None,
                )
            }
        };
        let known = &self.rules.known;
        let sinks = owed.and_then(|it| it.sinks.as_ref());
        let sinks = sinks.map(|it| {
            it.iter()
                .filter_map(|it| known.sinks.get(*it))
                .collect::<Vec<_>>()
        });
        let shaped = owed.map(|it| shown(it.common.event.as_deref().unwrap_or(event)));
        json!({
            "matched": ruling.matched.iter().map(|id| self.name(*id)).collect::<Vec<_>>(),
            "why": why,
            "errors": errors,
            "dropped": dropped,
            "lane": ruling.lane.and_then(|it| known.lanes.get(it)),
            "sinks": sinks,
            "topic": owed.and_then(|it| it.common.topic.as_deref()),
            "event": shaped,
        })
    }

    /// The conditions that held: those of the index, and what it cannot take apart in the words of its author.
    fn why(&self, id: RuleId, view: &EventView<'_>) -> Json {
        let held = self
            .rules
            .set
            .index()
            .why(id, view, &mut Scratch::default());
        let said: Vec<String> = held.into_iter().chain(self.written(id)).collect();
        let condition = match said.as_slice() {
            [] => "every event".to_owned(),
            said => said.join(" and "),
        };
        json!({"rule": self.name(id), "condition": condition})
    }

    /// The expression or the filter of a rule.
    fn written(&self, id: RuleId) -> Option<String> {
        let definition = self.rules.definitions.get(id.0 as usize)?;
        let sql = definition.sql.as_ref().map(|it| it.as_str().to_owned());
        sql.or_else(|| definition.filter.as_ref().map(ToString::to_string))
    }

    /// What the expressions of rules that look at this topic say is wrong.
    fn condition_errors(&self, view: &EventView<'_>) -> impl Iterator<Item = Json> {
        let looks = |topic: &Option<filters::TopicFilter>| {
            let topic = topic.as_ref();
            topic.is_none_or(|it| view.topic.is_some_and(|topic| it.matches(topic)))
        };
        let asked = self
            .rules
            .definitions
            .iter()
            .filter(move |it| looks(&it.topic));
        asked.filter_map(move |it| {
            let error = it.sql.as_ref()?.evaluate(view).error?;
            let (class, message) = (error.class().as_str(), error.to_string());
            Some(json!({"rule": it.name, "class": class, "message": message}))
        })
    }

    fn name(&self, id: RuleId) -> &str {
        self.rules.set.name(id).unwrap_or_default()
    }
}

/// The event in the JSON format, as a value.
fn shown(event: &Event) -> Json {
    serde_json::from_slice(&filters::json::encode(event)).unwrap_or_default()
}

fn moment(millis: i64) -> Moment {
    Moment(u64::try_from(millis).unwrap_or(0))
}

/// A verdict in a few lines.
pub(super) fn print(verdict: &Json, out: &mut dyn Write) -> Result<(), CliError> {
    let list = |name: &str| {
        verdict
            .get(name)
            .and_then(Json::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let text = |value: &Json, name: &str| {
        value
            .get(name)
            .and_then(Json::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    if verdict.get("event").is_some_and(|it| !it.is_null()) || !list("matched").is_empty() {
        for why in list("why") {
            writeln!(
                out,
                "matched  {}: {}",
                text(&why, "rule"),
                text(&why, "condition")
            )?;
        }
        for error in list("errors") {
            writeln!(
                out,
                "error    {}: {} ({})",
                text(&error, "rule"),
                text(&error, "message"),
                text(&error, "class")
            )?;
        }
        match verdict.get("dropped").filter(|it| !it.is_null()) {
            Some(dropped) => writeln!(
                out,
                "dropped  by {} ({})",
                text(dropped, "rule"),
                text(dropped, "cause")
            )?,
            None => {
                let sinks = verdict.get("sinks").filter(|it| !it.is_null());
                let sinks = sinks.map_or("every uplink that takes it".to_owned(), Json::to_string);
                writeln!(out, "owed     to {sinks}")?;
                writeln!(
                    out,
                    "event    {}",
                    verdict.get("event").unwrap_or(&Json::Null)
                )?;
            }
        }
    }
    for emitted in list("emitted") {
        writeln!(
            out,
            "emitted  by {} on {}",
            text(&emitted, "rule"),
            text(&emitted, "topic")
        )?;
        print(&emitted, out)?;
    }
    Ok(())
}
