//! Random rules and events: the index says what the naive evaluator says.

use crate::{
    DataView, EventView, Pattern,
    index::{Budget, IndexBuilder, Rule, RuleId, Scratch, When},
    oracle::{self, random::Choices},
};

pub(super) const BUDGET: Budget = Budget {
    max_bytes: usize::MAX,
    max_conditions: usize::MAX,
    max_unindexed: usize::MAX,
};

#[test]
fn the_index_says_what_the_naive_evaluator_says() {
    let seeds = std::env::var("PATTERN_SEEDS")
        .ok()
        .and_then(|it| it.parse().ok());
    let mut scratch = Scratch::default();
    let (mut matched, mut tried) = (0, 0);
    for seed in 0..seeds.unwrap_or(300) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut choices = Choices::new(|bound| random.usize(0..bound));
        let patterns: Vec<(String, Pattern)> = (0..20)
            .map(|_| choices.pattern())
            .filter_map(|text| Some((Pattern::parse(&text).ok()?, text)))
            .map(|(pattern, text)| (text, pattern))
            .collect();
        assert!(patterns.len() > 5, "most patterns are valid");
        let mut builder = IndexBuilder::new(BUDGET);
        for (_, pattern) in &patterns {
            let rule = Rule {
                topic: None,
                when: When::Pattern(pattern),
            };
            builder.add(&rule).unwrap();
        }
        let index = builder.build();
        for _ in 0..20 {
            let json = choices.json(4);
            if json.matches('[').count() > 9 {
                continue;
            }
            let mut event = EventView {
                data: DataView::Json(json.as_bytes()),
                ..EventView::default()
            };
            for (name, value) in choices.attributes() {
                event.attributes.push(name, value);
            }
            let found = index.matches(&event, &mut scratch);
            for (id, (text, pattern)) in (0..).zip(&patterns) {
                let expected = oracle::matches(pattern, &event);
                let verdict = found.contains(&RuleId(id));
                assert_eq!(
                    verdict, expected,
                    "seed {seed}: {text}\n{json}\n{:?}",
                    event.attributes
                );
                matched += usize::from(expected);
                tried += 1;
            }
        }
    }
    let part = matched as f64 / f64::from(tried);
    assert!(
        part > 0.02 && part < 0.9,
        "rules and events have to do with each other: {part}"
    );
}
