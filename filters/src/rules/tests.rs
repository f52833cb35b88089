mod deriving;
mod refusing;
mod remembering;
mod routing;
mod shaping;
mod working;

use crate::{
    Data, Event, EventView, Value,
    index::{Budget, Scratch},
    stage::{EventTime, Moment},
    transform::EnrichmentTable,
};

use super::*;

const SOURCE: &str = "/node";

/// A set of rules at work on one log: what is published gets a position, and is committed unless said otherwise.
struct Bench {
    rules: RuleSet,
    memory: RuleMemory,
    stages: RuleStages,
    scratch: Scratch,
    position: u64,
}

fn known() -> Known {
    let table = EnrichmentTable::parse(r#"{"7": {"line": "north"}}"#).unwrap();
    Known {
        sinks: vec!["cloud".into(), "site".into(), "lab".into()],
        lanes: vec!["alarm".into(), "normal".into(), "bulk".into()],
        tables: [("lines".to_owned(), table.into())].into(),
        ..Known::default()
    }
}

fn compile(text: &str) -> Result<RuleSet, RuleError> {
    let file: RuleFile = toml::from_str(text).unwrap();
    RuleSet::compile(&file.rule, &known(), Budget::default(), Moment(0))
}

impl Bench {
    fn new(text: &str) -> Bench {
        let rules = compile(text).unwrap();
        Bench {
            memory: RuleMemory::new(&rules),
            stages: RuleStages::new(&rules),
            scratch: Scratch::default(),
            position: 0,
            rules,
        }
    }

    fn judge(&mut self, second: u64, event: &Event) -> Ruling {
        let view = EventView::of(event, Some("plant/7"));
        let arrival = Arrival {
            at: Moment(second * 1000),
            derived_by: &[],
        };
        let event = || event.clone();
        self.rules
            .judge(&mut self.memory, &mut self.scratch, &view, event, &arrival)
    }

    /// Judges and commits.
    fn publish(&mut self, second: u64, event: &Event) -> Ruling {
        let ruling = self.judge(second, event);
        self.position += 1;
        let stored = Stored {
            position: self.position,
            at: Moment(second * 1000),
            time: EventTime(second as i64 * 1000),
            derived_by: &[],
        };
        for StageInput { stage, told } in &ruling.inputs {
            self.stages.handle_input(*stage, told, stored, SOURCE);
        }
        ruling
    }

    /// What was derived, after all that is due by then was closed.
    fn derived(&mut self, second: u64) -> Vec<Derived> {
        while let Some((stage, key)) = self.stages.due(Moment(second * 1000)) {
            self.stages.close(stage, &key, SOURCE);
        }
        std::iter::from_fn(|| self.stages.poll_derived()).collect()
    }

    fn names(&self, ruling: &Ruling) -> Vec<&str> {
        ruling
            .matched
            .iter()
            .map(|id| self.rules.name(*id).unwrap())
            .collect()
    }
}

fn reading(id: u32, data: &str) -> Event {
    Event::builder(id.to_string(), "/pump", "reading")
        .data(Data::Json(data.into()))
        .build()
        .unwrap()
}

fn degrees(id: u32, temperature: f64) -> Event {
    reading(id, &format!(r#"{{"temperature": {temperature}}}"#))
}

fn sinks(ruling: &Ruling) -> Option<Vec<usize>> {
    match &ruling.fate {
        Fate::Owed(owed) => owed.sinks.clone(),
        other => panic!("{other:?}"),
    }
}

fn passes(ruling: &Ruling) -> bool {
    matches!(ruling.fate, Fate::Owed(_))
}

const MINUTES: &str = r#"
    [[rule]]
    name = "per minute"
    [[rule.step]]
    window = { size = "60s", values = { mean = "avg($.data.temperature)", n = "count()" } }
    "#;
