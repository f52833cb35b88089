//! What rules take of memory: `cargo bench --profile load -p filters --bench index_memory`.
//!
//! Counted by the allocator; with a name and three counters for each rule, as their owner keeps them.

#![expect(clippy::print_stdout, reason = "what it measures is printed")]

use filters::{
    Data, DataView, Event, EventView, Pattern,
    index::{Budget, Index, IndexBuilder, Rule, Scratch, When},
    rules::{Arrival, Known, RuleFile, RuleMemory, RuleSet, RuleStages, Stored},
    stage::{EventTime, Moment},
};

struct Named {
    _name: String,
    _matched: u64,
    _dropped: u64,
    _errors: u64,
}

const RULES: usize = 100_000;
const STAGES: usize = 8_000;

fn main() {
    index();
    stages();
}

fn index() {
    let mut kept = None;
    let counted = allocation_counter::measure(|| kept = Some(rules()));
    println!(
        "{RULES} rules: {} bytes each (to reach: under 1024)",
        counted.bytes_current / RULES as i64
    );
    println!(
        "while adding: {} bytes each at most",
        counted.bytes_max / RULES as u64
    );
    let Some((index, _)) = kept else { return };
    println!(
        "as the index estimates: {} bytes each",
        index.heap_bytes() / RULES
    );

    let event = EventView {
        data: DataView::Json(
            br#"{"device":"pump-4711","status":"running","temperature":61.25,"note":"\u0041"}"#,
        ),
        ..EventView::default()
    };
    let mut scratch = Scratch::default();
    assert_eq!(index.matches(&event, &mut scratch).len(), 1);
    let counted = allocation_counter::measure(|| {
        assert_eq!(index.matches(&event, &mut scratch).len(), 1);
    });
    println!(
        "allocations for one event: {} (to reach: 0)",
        counted.count_total
    );
}

fn rules() -> (Index, Vec<Named>) {
    let mut builder = IndexBuilder::new(Budget::default());
    let mut names = Vec::with_capacity(RULES);
    for at in 0..RULES {
        let limit = at % 5_000;
        let text = format!(
            r#"{{"data": {{"device": ["pump-{at}"], "status": ["running"], "temperature": [{{"numeric": [">", {limit}e-2]}}]}}}}"#
        );
        let pattern = Pattern::parse(&text).expect("a pattern");
        let rule = Rule {
            topic: None,
            when: When::Pattern(&pattern),
        };
        builder.add(&rule).expect("within the budget");
        names.push(Named {
            _name: format!("pump-{at}-too-hot"),
            _matched: 0,
            _dropped: 0,
            _errors: 0,
        });
    }
    (builder.build(), names)
}

/// Rules with one stage each, which remembers one key.
fn stages() {
    for (name, step) in [
        (
            "deadband",
            r#"{"deadband": {"field": "$.data.t", "absolute": 1}}"#,
        ),
        (
            "threshold",
            r#"{"threshold": {"field": "$.data.t", "above": 60}}"#,
        ),
        ("throttle", r#"{"throttle": {"per": "1m"}}"#),
        ("dedupe", r#"{"dedupe": {"within": "1m"}}"#),
        ("absence", r#"{"absence": {"after": "5m"}}"#),
        ("debounce", r#"{"debounce": {"quiet": "2s"}}"#),
        (
            "window of avg, min, max",
            r#"{"window": {"size": "1m", "values": {"a": "avg($.data.t)", "b": "min($.data.t)", "c": "max($.data.t)"}}}"#,
        ),
        (
            "window of a percentile",
            r#"{"window": {"size": "1m", "values": {"p": "percentile($.data.t, 95)"}}}"#,
        ),
    ] {
        let mut kept = None;
        let counted = allocation_counter::measure(|| kept = Some(remembering(step)));
        println!(
            "{STAGES} rules with a stage, {name}: {} bytes each (to reach: under 5120)",
            counted.bytes_current / STAGES as i64
        );
    }
}

fn remembering(step: &str) -> (RuleSet, RuleMemory, RuleStages) {
    let rules = (0..STAGES).map(|at| {
        format!(
            r#"{{"name": "stage-{at}", "pattern": "{{\"data\": {{\"device\": [{at}]}}}}", "step": [{step}]}}"#
        )
    });
    let file = format!(r#"{{"rule": [{}]}}"#, rules.collect::<Vec<_>>().join(","));
    let file: RuleFile = serde_json::from_str(&file).expect("rules");
    let known = Known::of(&file.rule);
    let set = RuleSet::compile(&file.rule, &known, Budget::default(), Moment(0)).expect("a set");
    let mut memory = RuleMemory::new(&set);
    let mut stages = RuleStages::new(&set);
    let mut scratch = Scratch::default();
    let mut position = 0;
    for round in 0..10_u64 {
        for at in 0..STAGES {
            position += 1;
            let data = format!(r#"{{"device":{at},"t":{round}.5}}"#);
            let event = Event::builder(position.to_string(), "/pump", "reading")
                .data(Data::Json(data.into_bytes()))
                .build()
                .expect("an event");
            let arrival = Arrival {
                at: Moment(round * 1000),
                derived_by: &[],
            };
            let view = EventView::of(&event, Some("plant/pump"));
            let ruling = set.judge(&mut memory, &mut scratch, &view, || event.clone(), &arrival);
            assert_eq!(ruling.matched.len(), 1);
            let stored = Stored {
                position,
                at: arrival.at,
                time: EventTime(arrival.at.0.cast_signed()),
                derived_by: &[],
            };
            for input in &ruling.inputs {
                stages.handle_input(input.stage, &input.told, stored, "/node");
            }
        }
    }
    (set, memory, stages)
}
