//! What rules take of memory: `cargo bench --profile load -p filters --bench index_memory`.
//!
//! Counted by the allocator; with a name and three counters for each rule, as their owner keeps them.

#![expect(clippy::print_stdout, reason = "what it measures is printed")]

use filters::{
    DataView, EventView, Pattern,
    index::{Budget, Index, IndexBuilder, Rule, Scratch, When},
};

struct Named {
    _name: String,
    _matched: u64,
    _dropped: u64,
    _errors: u64,
}

const RULES: usize = 100_000;

fn main() {
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
