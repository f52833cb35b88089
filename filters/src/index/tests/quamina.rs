//! Random rules and events against the crate quamina 0.7.0, where both mean the same. Where they do not, and why:
//!
//! - duplicate keys: quamina takes the first, here the last counts, as in every JSON library of a device;
//! - numbers: quamina compares 64-bit floats, here the exact decimal value counts;
//! - quamina stops behind the last field that a rule reads, here the whole payload is walked, because a later duplicate counts;
//! - objects in arrays: quamina takes a field `c` of an element of `c` for an element of `c` itself; arrays hold scalars here;
//! - several conditions in one list, or of several rules on one field, become one automaton there: `[{"equals-ignore-case":
//!   "ab"}, "A"]` then takes `"a"`, and `exists` beside another condition misses values; so each rule has a quamina of its
//!   own here, and a list holds scalars or one condition.
//!
//! `exists: false`, `$or` and what else a pattern can say are held against the naive evaluator only.

use super::random::BUDGET;
use crate::{
    DataView, EventView, Pattern,
    index::{IndexBuilder, Rule, RuleId, Scratch, When},
};

const KEYS: [&str; 3] = ["a", "b", "c"];
const TEXTS: [&str; 8] = ["", "a", "ab", "abc", "xabcx", "b", "30", "A"];
const NUMBERS: [&str; 5] = ["1", "30", "-2.5", "7", "0"];

#[test]
fn quamina_finds_the_same_rules_where_it_means_the_same() {
    let mut scratch = Scratch::default();
    let mut matched = 0;
    for seed in 0..400 {
        let mut random = fastrand::Rng::with_seed(seed);
        let texts: Vec<String> = (0..10).map(|_| pattern(&mut random, 2)).collect();
        let mut quaminas = Vec::new();
        let mut builder = IndexBuilder::new(BUDGET);
        for (id, text) in texts.iter().enumerate() {
            let mut quamina = quamina::Quamina::new();
            quamina.add_pattern(id, text).unwrap();
            quaminas.push(quamina);
            let pattern = Pattern::parse(&format!("{{\"data\":{text}}}")).unwrap();
            let rule = Rule {
                topic: None,
                when: When::Pattern(&pattern),
            };
            builder.add(&rule).unwrap();
        }
        let index = builder.build();
        for _ in 0..10 {
            let json = object(&mut random, 3);
            let each = quaminas.iter();
            let expected: Vec<usize> = each
                .flat_map(|it| it.matches_for_event(json.as_bytes()).unwrap())
                .collect();
            let event = EventView {
                data: DataView::Json(json.as_bytes()),
                ..EventView::default()
            };
            let found = index.matches(&event, &mut scratch).iter();
            let found: Vec<usize> = found.map(|RuleId(id)| *id as usize).collect();
            assert_eq!(found, expected, "seed {seed}: {json}\n{texts:#?}");
            matched += found.len();
        }
    }
    assert!(matched > 1_000, "{matched} matched");
}

fn pattern(random: &mut fastrand::Rng, depth: usize) -> String {
    let fields = keys(random).into_iter().map(|key| {
        if depth > 0 && random.u8(0..3) == 0 {
            return format!("\"{key}\":{}", pattern(random, depth - 1));
        }
        let count = random.usize(1..4);
        let list: Vec<String> = match random.bool() {
            true => (0..count).map(|_| scalar(random)).collect(),
            false => vec![condition(random)],
        };
        format!("\"{key}\":[{}]", list.join(","))
    });
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

fn condition(random: &mut fastrand::Rng) -> String {
    let text = TEXTS[random.usize(1..TEXTS.len())];
    match random.u8(0..7) {
        0 => format!(r#"{{"prefix":"{text}"}}"#),
        1 => format!(r#"{{"suffix":"{text}"}}"#),
        2 => format!(r#"{{"wildcard":"*{text}*"}}"#),
        3 => format!(r#"{{"anything-but":["{text}","b"]}}"#),
        4 => format!(r#"{{"equals-ignore-case":"{text}"}}"#),
        5 => format!(
            r#"{{"numeric":[">=",{}]}}"#,
            NUMBERS[random.usize(0..NUMBERS.len())]
        ),
        _ => r#"{"exists":true}"#.into(),
    }
}

fn scalar(random: &mut fastrand::Rng) -> String {
    match random.u8(0..5) {
        0 => NUMBERS[random.usize(0..NUMBERS.len())].into(),
        1 => ["null", "true", "false"][random.usize(0..3)].into(),
        _ => format!("\"{}\"", TEXTS[random.usize(0..TEXTS.len())]),
    }
}

fn object(random: &mut fastrand::Rng, depth: usize) -> String {
    let fields = keys(random)
        .into_iter()
        .map(|key| format!("\"{key}\":{}", json(random, depth)));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

fn json(random: &mut fastrand::Rng, depth: usize) -> String {
    match random.u8(0..5) {
        0 if depth > 0 => object(random, depth - 1),
        1 if depth > 0 => {
            let count = random.usize(0..3);
            let list: Vec<String> = (0..count).map(|_| scalar(random)).collect();
            format!("[{}]", list.join(","))
        }
        _ => scalar(random),
    }
}

fn keys(random: &mut fastrand::Rng) -> Vec<&'static str> {
    let some: Vec<&str> = KEYS.into_iter().filter(|_| random.bool()).collect();
    if some.is_empty() { vec!["a"] } else { some }
}
